# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate``: images between clouds, directories and stores."""

import importlib.metadata
import logging
import os
import signal
import sys
import warnings

from cliff import app
from cliff import commandmanager
from cliff import complete

from glance_replicate.commands import arguments

_QUIET = (
    'glance_store', 'glance_store_irods', 'irods', 'keystoneauth',
    'openstack', 'stevedore', 'urllib3',
)


class ReplicateApp(app.App):
    """The commands are entry points in ``glance_copy_plugin.replicate``."""

    def __init__(self):
        super().__init__(
            description='Copy images between clouds, directories and stores.',
            version=importlib.metadata.version('glance-copy-plugin'),
            command_manager=commandmanager.CommandManager(
                'glance_copy_plugin.replicate'
            ),
            deferred_help=True,
        )
        self.command_manager.add_command('complete', complete.CompleteCommand)

    def configure_logging(self):
        """Log what libraries say only with --verbose or --debug."""
        super().configure_logging()
        if self.options.verbose_level <= self.DEFAULT_VERBOSE_LEVEL:
            for name in _QUIET:
                logging.getLogger(name).setLevel(logging.CRITICAL)


def main(argv=None):
    """Run one command; return its exit status."""
    if not sys.warnoptions:
        warnings.simplefilter('ignore')
    # The name that help and completion show, also when run as a module.
    sys.argv[0] = 'glance-replicate'
    given = sys.argv[1:] if argv is None else argv
    kept, variables = arguments.hidden(given)
    if variables and argv is None:
        # Run again without tokens among the arguments, which all can see.
        os.execve(  # noqa: S606 - this same program
            sys.executable,
            [sys.executable, '-m', 'glance_replicate', *kept],
            {**os.environ, **variables},
        )
    try:
        return ReplicateApp().run(given)
    except KeyboardInterrupt:
        print('Interrupted.', file=sys.stderr)
        return 128 + signal.SIGINT
