# SPDX-License-Identifier: Apache-2.0

"""The store of the target in iRODS, used outside of the Image service."""

import os

from glance_store import exceptions
from oslo_config import cfg

from glance_replicate import errors
from glance_replicate import text
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
