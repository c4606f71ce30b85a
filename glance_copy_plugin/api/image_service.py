# SPDX-License-Identifier: Apache-2.0

"""Loading the Image service in a process that is not one of its own."""

import os

from glance import housekeeping
from glance import sqlite_migration
from glance.common import config
from glance.common import store_utils
from glance.common import wsgi_app
import glance_store
from oslo_config import cfg

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.ownership import service_process
from glance_copy_plugin.records import database
from glance_copy_plugin.transfer import errors

CONF = cfg.CONF


def read_config(folder):
    """Read the Image service's configuration.

    :param folder: directory of ``glance-api.conf``
    :raises RuntimeError: if it cannot be read, in one sentence
    """
    files = [
        path for path in (
            os.path.join(folder, name) for name in wsgi_app.CONFIG_FILES
        ) if os.path.exists(path)
    ]
    if not files:
        raise RuntimeError(
            f'there is no glance-api.conf in {folder}: name its directory '
            'with --config-dir'
        )
    try:
        config.set_config_defaults()
        CONF([], project='glance', prog='glance-api',
             default_config_files=files)
    except cfg.Error as exc:
        raise RuntimeError(f'the configuration does not load: {exc}') from exc


def load_service(folder):
    """Load the Image service as its WSGI application does, without threads.

    In the same order, so that what would end its start is what is said here.

    :param folder: directory of ``glance-api.conf``
    :raises RuntimeError: if it cannot be loaded, in one sentence
    """
    read_config(folder)
    service_process.of_this().only_look()
    try:
        _load_stores()
        sqlite_migration.can_migrate_to_central_db()
        housekeeping.staging_store_path()
        # Before the pipeline: Glance's filters for caches use the database.
        database.check_schema()
        config.load_paste_app('glance-api')
    except RuntimeError as exc:
        raise RuntimeError(in_one_line(exc)) from exc
    except Exception as exc:
        # Whatever it is, the service ends with it, too.
        raise RuntimeError(
            f'the configuration does not load: {in_one_line(exc)}'
        ) from exc


def _load_stores():
    if not CONF.enabled_backends:
        raise RuntimeError(
            'enabled_backends is not set: copies need several stores'
        )
    if store_utils.check_reserved_stores(CONF.enabled_backends):
        raise RuntimeError(
            'the name of a store in enabled_backends begins with os_glance_, '
            'which is reserved: give it another one'
        )
    reserved = wsgi_app.RESERVED_STORES
    glance_store.register_store_opts(CONF, reserved_stores=reserved)
    glance_store.create_multi_stores(CONF, reserved_stores=reserved)
    try:
        glance_store.verify_store()
    except RuntimeError as exc:
        raise RuntimeError(
            f'[glance_store] default_backend: {exc}; name one of '
            + ', '.join(drivers.store_names())
        ) from exc


def in_one_line(error):
    """Return what an error says, without secrets and line ends."""
    return ' '.join(errors.redact(error).split())
