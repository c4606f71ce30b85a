# SPDX-License-Identifier: Apache-2.0
"""How Tempest finds the tests and their options."""

import pathlib

from tempest.test_discover import plugins

from glance_copy_plugin_tempest import config

HERE = pathlib.Path(__file__).resolve().parent


class GlanceCopyTempestPlugin(plugins.TempestPlugin):
    """The entry point ``glance_copy_plugin`` of ``tempest.test_plugins``."""

    def load_tests(self):
        """Return the folder of the tests, and that of the package."""
        return str(HERE / 'tests'), str(HERE.parent)

    def register_opts(self, conf):
        """Make the options known."""
        conf.register_group(config.GROUP)
        conf.register_opts(config.OPTIONS, group=config.GROUP)

    def get_opt_lists(self):
        """Return the options for a sample configuration."""
        return [(config.GROUP.name, config.OPTIONS)]
