# SPDX-License-Identifier: Apache-2.0

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
