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

"""What lets os-brick become root, which the tests are already."""

import sys

ROOTWRAP = """\
[DEFAULT]
filters_path = {filters}
exec_dirs = {venv}/bin,/usr/sbin,/sbin,/usr/bin,/bin
"""
# The filter that comes with glance_store lets configuration files be below
# /etc only, and sockets below /tmp.
FILTERS = """\
[Filters]
privsep: CommandFilter, privsep-helper, root
chown: CommandFilter, chown, root
mount: CommandFilter, mount, root
umount: CommandFilter, umount, root
"""


def write(folder):
    """Write the configuration of rootwrap into a folder; return its path."""
    filters = folder / 'rootwrap.d'
    filters.mkdir(exist_ok=True)
    (filters / 'glance.filters').write_text(FILTERS)
    path = folder / 'rootwrap.conf'
    path.write_text(ROOTWRAP.format(filters=filters, venv=sys.prefix))
    return path
