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
