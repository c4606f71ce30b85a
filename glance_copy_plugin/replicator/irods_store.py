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

"""The store of the target in iRODS, used outside of the Image service."""

import os

from glance_store import exceptions
from oslo_config import cfg

from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import text
from glance_store_irods import store as driver


def load(path, name):
    """Return the configured driver of a store.

    :param path: a file with a section of options for the store, such as the
        target's ``glance-api.conf``
    :param name: the section, which is the name of the store
    """
    if not os.access(path, os.R_OK):
        raise errors.ReplicatorError(f'{text.safe(path)} cannot be read')
    conf = cfg.ConfigOpts()
    made = driver.Store(conf, backend=name)
    try:
        conf([], project='glance', default_config_files=[path])
        made.configure(re_raise_bsc=True)
    except (cfg.Error, exceptions.BadStoreConfiguration) as exc:
        raise errors.ReplicatorError(
            f'The store {text.safe(name)} of {text.safe(path)} cannot be '
            f'used: {text.safe(exc)}'
        ) from None
    return made
