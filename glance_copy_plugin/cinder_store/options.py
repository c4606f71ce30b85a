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


"""The options of the driver: those of glance_store's own, in all releases."""

from glance_store._drivers.cinder import store as stock
from oslo_config import cfg

# The glance_store of 2025.2 does not have these yet.
_LATER = [
    cfg.StrOpt(
        'cinder_store_application_credential_id',
        help="""
Id of an application credential to log in to Keystone with.

Used instead of user, password and project, together with
``cinder_store_application_credential_secret``.
""",
    ),
    cfg.StrOpt(
        'cinder_store_application_credential_secret', secret=True,
        help="""
The secret of ``cinder_store_application_credential_id``.
""",
    ),
]


def complete(options):
    """Return these options with those that a later release has besides.

    :param options: of glance_store's driver ``cinder``
    """
    known = {option.dest for option in options}
    return [
        *options, *(each for each in _LATER if each.dest not in known)
    ]


OPTIONS = complete(stock.Store.OPTIONS)
