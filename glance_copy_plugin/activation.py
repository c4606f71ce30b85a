# SPDX-License-Identifier: Apache-2.0

"""Making Glance resolve the import flow to ours, in this process."""

import importlib.metadata
import threading

from oslo_config import cfg
from stevedore import driver
from stevedore import extension

from glance_copy_plugin.options import copy_image

_GLANCE_NAMESPACE = 'glance.flows'
_OUR_NAMESPACE = 'glance_copy_plugin.flows'
_FLOW = 'api_image_import'
_LOCK = threading.Lock()


def activate():
    """Pin our flow into Glance's namespace of flows for this process.

    An installed package changes nothing by itself: a second entry point of
    the same name would be an error for everybody. Instead, stevedore's list
    of the namespace is completed here, once. The options of ``[copy_image]``,
    which the flow reads, are registered. Calling it again is harmless.

    :raises RuntimeError: if Glance would not find our flow afterwards
    """
    ours = _our_entry_point()
    copy_image.register_opts(cfg.CONF)
    cache = extension.ExtensionManager.ENTRY_POINT_CACHE
    with _LOCK:
        # A manager fills the cache in the way that this release does it.
        extension.ExtensionManager(
            _GLANCE_NAMESPACE, on_load_failure_callback=_ignore
        )
        cache[_GLANCE_NAMESPACE] = [
            entry for entry in cache[_GLANCE_NAMESPACE] if entry.name != _FLOW
        ] + [ours]
    if not is_active():
        raise RuntimeError(
            'glance-copy-plugin could not be switched on: Glance still '
            f'resolves the flow {_FLOW} to {_resolved().__module__}'
        )


def is_active():
    """True if Glance resolves imports to our flow in this process."""
    return _resolved() is _our_entry_point().load()


def _resolved():
    return driver.DriverManager(
        _GLANCE_NAMESPACE, _FLOW, invoke_on_load=False
    ).driver


def _our_entry_point():
    found = importlib.metadata.entry_points(group=_OUR_NAMESPACE, name=_FLOW)
    for entry in found:
        return importlib.metadata.EntryPoint(
            name=_FLOW, value=entry.value, group=_GLANCE_NAMESPACE
        )
    raise RuntimeError(
        'glance-copy-plugin could not be switched on: its entry points are '
        'not installed; install the package with pip into the Python '
        'environment of the Image service'
    )


def _ignore(manager, entry_point, error):
    """A flow that does not load is Glance's business when it is asked for."""
