# SPDX-License-Identifier: Apache-2.0

"""``glance-copy-worker``: makes the copies that wait on the jobboard."""

import argparse
import importlib
import os
import sys
import warnings

from glance_copy_plugin.cli import options

_CONCURRENCY = 4


def main(argv=None):
    """Run until it is told to stop; return the exit status."""
    given = _parser().parse_args(argv)
    if not sys.warnoptions:
        warnings.simplefilter('ignore')
    # Now, because libraries that it needs warn when they are imported.
    launcher = importlib.import_module(
        'glance_copy_plugin.worker.launcher'
    )
    try:
        launcher.check_configuration(given.config_dir)
        if given.command == 'status':
            return launcher.status(sys.stdout)
        return launcher.serve(
            given.config_dir, given.workers, given.concurrency
        )
    except RuntimeError as why:
        print(f'glance-copy-worker: {why}', file=sys.stderr)
        return 1


def _parser():
    parser = argparse.ArgumentParser(
        prog='glance-copy-worker',
        description='Make the copies of images that wait on the jobboard of '
        '[copy_image] jobboard_connection, until stopped with SIGTERM.',
    )
    parser.add_argument(
        'command', nargs='?', choices=('run', 'status'), default='run',
        help='"status" shows the workers that live and what is on the '
        'jobboard; it ends with 0 if workers live, 1 if none does and 2 if '
        'the jobboard does not answer',
    )
    options.add_config_dir(parser)
    parser.add_argument(
        '--workers', type=_positive, default=os.cpu_count() or 1,
        metavar='N', help='processes (default: one for each processor)',
    )
    parser.add_argument(
        '--concurrency', type=_positive, default=_CONCURRENCY, metavar='N',
        help='copies that each process makes at the same time (default: '
        '%(default)s)',
    )
    return parser


def _positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number
