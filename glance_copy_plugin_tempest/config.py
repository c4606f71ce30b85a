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
"""What ``tempest.conf`` can say to these tests."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'image-copy', title='Copies of images between stores'
)
OPTIONS = [
    cfg.IntOpt(
        'size', default=64, min=1,
        help='Size in MiB of the image that is copied. Each store has to have '
             'room for it.',
    ),
    cfg.StrOpt(
        'failing_store',
        help='Name of a store that Glance enables, but that cannot be '
             'written. Without one, the tests of copies that fail in part '
             'are skipped.',
    ),
]
