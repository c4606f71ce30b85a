# SPDX-License-Identifier: Apache-2.0

"""``python -m tests.cloud.services up|down|status|install [--folder DIR]``."""

import argparse
import signal
import sys
import time

from tests.cloud.services import cloud
from tests.cloud.services import errors
from tests.cloud.services import glance
from tests.cloud.services import install


def main(words):
    """Do what the command line says; return the exit status."""
    options = _parse(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A shell lets commands in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    reason = install.missing_reason()
    if reason:
        print(f'Skipped: {reason}.')
        return 0
    try:
        return options.function(cloud.Cloud(options.folder), options)
    except errors.CloudError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('Interrupted; everything is stopped.', file=sys.stderr)
        return 130


def _parse(words):
    parser = argparse.ArgumentParser(prog='python -m tests.cloud.services')
    commands = parser.add_subparsers(required=True)
    for name, function in (
        ('up', _up), ('down', _down), ('status', _status),
        ('install', _install),
    ):
        command = commands.add_parser(name, help=function.__doc__)
        command.add_argument('--folder', help='everything lives below it')
        command.set_defaults(function=function, wipe=False)
        if name == 'down':
            command.add_argument(
                '--wipe', action='store_true', help='remove all data too'
            )
    return parser.parse_args(words)


def _up(services, _options):
    """start what does not run, and leave it running"""
    start = time.monotonic()
    services.keep(True)
    try:
        services.up()
    except BaseException:
        services.keep(False)
        raise
    print(f'Ready after {time.monotonic() - start:.1f} s.')
    try:
        print(f'A Glance is at {glance.serve(services)}.')
    except errors.Unavailable as error:
        print(f'There is no Glance: {error}.')
    return _status(services, None)


def _install(services, _options):
    """install what is missing, and start nothing"""
    print(f'Installing what is missing for {services.place.folder}.',
          flush=True)
    install.install(services.processes)
    return 0


def _down(services, options):
    """stop everything"""
    services.keep(False)
    services.down(options.wipe)
    print('Everything is stopped.')
    return 0


def _status(services, _options):
    """show what runs and how much memory it takes"""
    total = 0
    for name in (glance.NAME, *cloud.SERVICES):
        members = services.processes.members(name)
        memory = sum(each.memory_full_info().pss for each in members)
        total += memory
        state = 'runs' if services.processes.alive(name) else 'does not run'
        print(f'{name:18} {state:13} {memory // 2 ** 20:5} MiB')
    print(f'{"together":32} {total // 2 ** 20:5} MiB; in '
          f'{services.place.folder}, Keystone on '
          f'{services.place.url("keystone", "/v3")}')
    return 1 if services.missing() else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
