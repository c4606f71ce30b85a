# SPDX-License-Identifier: Apache-2.0

"""What python-openstackclient asks of a plugin.

Nothing here is versioned: the commands use the client's own Image service.
"""

API_NAME = 'image_replicate'
API_VERSION_OPTION = 'os_image_replicate_api_version'
DEFAULT_API_VERSION = '1'
API_VERSIONS = ('1',)


def make_client(instance):
    """Return openstacksdk's proxy of the Image service."""
    return instance.sdk_connection.image


def build_option_parser(parser):
    """Add no global option."""
    return parser


def check_api_version(version):
    """Any version will do."""
    return True
