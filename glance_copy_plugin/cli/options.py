# SPDX-License-Identifier: Apache-2.0

"""What all commands ask for."""

import os


def add_config_dir(parser):
    """Add the option that says where the service is configured."""
    parser.add_argument(
        '--config-dir',
        metavar='DIR',
        default=os.environ.get('OS_GLANCE_CONFIG_DIR', '/etc/glance'),
        help='directory of glance-api.conf (default: %(default)s)',
    )
