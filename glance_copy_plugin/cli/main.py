# SPDX-License-Identifier: Apache-2.0

"""``glance-copy``: what an operator does beside the Image service."""

import importlib.metadata
import logging
import sys
import warnings

from cliff import app
from cliff import commandmanager


class GlanceCopyApp(app.App):
    """The commands are entry points in ``glance_copy_plugin.cli``."""

    def __init__(self):
        super().__init__(
            description='Look after the copies of images between stores.',
            version=importlib.metadata.version('glance-copy-plugin'),
            command_manager=commandmanager.CommandManager(
                'glance_copy_plugin.cli'
            ),
            deferred_help=True,
        )

    def configure_logging(self):
        """Let the libraries of the Image service speak only when asked."""
        # Importing them may have set up a handler of their own taste.
        logging.getLogger().handlers.clear()
        super().configure_logging()
        if self.options.verbose_level <= self.DEFAULT_VERBOSE_LEVEL:
            logging.getLogger().setLevel(logging.WARNING)
            # It reports every store driver whose library is not installed.
            logging.getLogger('stevedore').setLevel(logging.CRITICAL)


def main(argv=None):
    """Run one command; return its exit status."""
    if not sys.warnoptions:
        warnings.simplefilter('ignore')
    return GlanceCopyApp().run(sys.argv[1:] if argv is None else argv)
