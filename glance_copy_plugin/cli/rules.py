# SPDX-License-Identifier: Apache-2.0

"""What has to be so for copies to work, beyond that the service starts.

Each rule yields one sentence for each thing that is not so.
"""

import os

from glance import housekeeping
from glance_store import exceptions as store_exceptions
from oslo_config import cfg

from glance_copy_plugin import activation
from glance_copy_plugin.api import validation
from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import service_process
from glance_copy_plugin.transfer import errors

CONF = cfg.CONF


def broken():
    """Yield a sentence for each rule that does not hold.

    The service has to be loaded. Changes nothing.

    :raises RuntimeError: if the filter is missing, so that no other rule
        means anything
    """
    if not activation.is_active():
        raise RuntimeError(
            'the filter copy_image is not in the paste pipeline in use: put '
            'it behind "context" there'
        )
    for rule in (
        _method, validation.unknown, _staging, _closed, _stores, _board
    ):
        yield from rule(CONF)


def _method(conf):
    if 'copy-image' not in conf.enabled_import_methods:
        yield (
            'copy-image is not among the enabled_import_methods: add it '
            'there, or every request for a copy is refused'
        )


def _staging(conf):
    folder = copy_image.copy_options(
        conf, housekeeping.staging_store_path()
    ).staging_dir
    if not os.path.isdir(folder):
        yield (
            f'the staging directory {folder} does not exist: make it, or set '
            '[copy_image] staging_dir'
        )
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield (
            f'the staging directory {folder} cannot be written by this user: '
            'give it to the user of the Image service'
        )


def _closed(_conf):
    if service_process.journal().closed:
        yield (
            'glance-copy drain was run on this host, so that no copies are '
            'accepted: glance-copy drain --undo ends that'
        )


def _stores(conf):
    for name in drivers.store_names():
        why = (
            _refusal(name) if drivers.is_writable(name) else
            _why_not(drivers.of_store(name), conf.enabled_backends[name])
        )
        if why:
            yield (
                f'store {name} cannot be written: {why}; mend that, or take '
                'the store out of enabled_backends'
            )


def _why_not(driver, kind):
    """Say why a store was disabled; None if its kind is only to be read."""
    if driver is None:
        return f'its driver {kind} could not be loaded'
    try:
        driver.configure(re_raise_bsc=True)
    except store_exceptions.BadStoreConfiguration as exc:
        return driver_errors.reason(exc).rpartition('Reason: ')[2]
    return None


def _refusal(store):
    """Say why the storage does not take data now; None if it does."""
    try:
        registry.check(store)
    except Exception as exc:
        return errors.redact(
            driver_errors.reason(exc).rpartition('Reason: ')[2]
        ).rstrip('.')
    return None


def _board(_conf):
    if not board_client.is_enabled():
        return
    try:
        workers = board_client.of_process().workers()
    except board_client.JobboardUnreachable as exc:
        yield f'jobboard unreachable: {exc}'
    else:
        if not workers:
            yield (
                'no worker takes copies from the jobboard: start '
                'glance-copy-worker, or they wait for ever'
            )
