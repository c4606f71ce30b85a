# SPDX-License-Identifier: Apache-2.0

"""Run the test double by itself, as the demo does."""

import argparse
import contextlib
import signal
import tempfile

from tests import irods_server


def parse(arguments=None):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.irods_server',
        description='A test double of an iRODS server. It keeps its catalog '
                    'in memory: what is in it is gone when it ends.',
    )
    parser.add_argument(
        '--folder', help='where the files lie; a temporary one if not given'
    )
    parser.add_argument('--zone', default='tempZone')
    parser.add_argument(
        '--port', type=int, default=0, help='0 for one that is free'
    )
    parser.add_argument('--user', default='rods')
    parser.add_argument('--password', default='rods')
    parser.add_argument('--resource', default='demoResc')
    parser.add_argument('--tls', choices=['accept', 'require'])
    parser.add_argument(
        '--federate', action='append', default=[], metavar='ZONE',
        help='another zone, on a port of its own; may be given again',
    )
    return parser.parse_args(arguments)


def main():
    """Serve until SIGTERM or SIGINT; say where, one line for each zone."""
    options = parse()
    ends = {signal.SIGTERM, signal.SIGINT}
    # Before any thread starts, so that all of them leave these signals be.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    more = {
        'admin': options.user, 'password': options.password,
        'resource': options.resource, 'tls': options.tls,
    }
    with contextlib.ExitStack() as stack:
        folder = options.folder or stack.enter_context(
            tempfile.TemporaryDirectory(prefix='irods-')
        )
        server = stack.enter_context(irods_server.IrodsServer(
            folder, options.zone, port=options.port, **more
        ))
        zones = [server]
        zones += [server.add_zone(zone, **more) for zone in options.federate]
        for each in zones:
            print(each.zone, each.host, each.port, flush=True)
        signal.sigwait(ends)


if __name__ == '__main__':
    main()
