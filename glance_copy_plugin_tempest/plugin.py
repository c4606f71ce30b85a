# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
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
