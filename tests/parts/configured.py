# SPDX-License-Identifier: Apache-2.0

"""Stores of glance_store, configured in the process of the tests."""

import glance_store
from oslo_config import cfg
import pytest

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.options import copy_image

CONF = cfg.CONF


@pytest.fixture
def configured():
    """Return a function that configures one more store of glance_store."""
    CONF([], project='glance', default_config_files=[])
    copy_image.register_opts(CONF)
    backends, changed = {}, []

    def add(name, kind, **options):
        backends[name] = kind
        CONF.set_override('enabled_backends', backends)
        glance_store.register_store_opts(CONF)
        for option, value in options.items():
            CONF.set_override(option, value, group=name)
            changed.append((option, name))
        glance_store.create_multi_stores(CONF)
        assert drivers.is_writable(name)

    yield add
    for option, name in changed:
        CONF.clear_override(option, group=name)
    CONF.clear_override('enabled_backends')
