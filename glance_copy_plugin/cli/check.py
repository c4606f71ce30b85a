# SPDX-License-Identifier: Apache-2.0

"""``glance-copy check``: would copies work with this configuration?"""

import logging
import os
import shutil

from cliff import lister
from glance import housekeeping
from glance import sqlite_migration
from glance.common import config
from glance.common import store_utils
from glance.common import wsgi_app
import glance_store
from oslo_config import cfg

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import stores
from glance_copy_plugin.cli import database
from glance_copy_plugin.cli import options
from glance_copy_plugin.cli import rules
from glance_copy_plugin.flow import planning
from glance_copy_plugin.jobboard import board
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.reconcile import process
from glance_copy_plugin.transfer import errors

CONF = cfg.CONF


class Check(lister.Lister):
    """Load the Image service's configuration and show how stores are written.

    Everything that would keep the service from its start, or copies from
    being made, is said in one sentence each, and the status is 1. Changes
    nothing.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_config_dir(parser)
        return parser

    def run(self, parsed_args):
        self._broken = []
        super().run(parsed_args)
        for sentence in self._broken:
            self.app.stderr.write(f'{_in_one_line(sentence)}\n')
        return int(bool(self._broken))

    def take_action(self, parsed_args):
        if self.app.options.verbose_level <= self.app.DEFAULT_VERBOSE_LEVEL:
            # What it has to say of a store is said in a sentence below.
            logging.getLogger('glance_store').setLevel(logging.CRITICAL)
        load_service(parsed_args.config_dir)
        self._broken = list(rules.broken())
        found = copy_image.copy_options(
            CONF, housekeeping.staging_store_path()
        )
        self._show_staging(found.staging_dir)
        if board.is_enabled():
            self._show_board()
        copiers = planning.load_copiers(found.copiers)
        return ('Store', 'Driver', 'Writable', 'Written by'), [
            self._row(name, copiers) for name in stores.names()
        ]

    def _show_staging(self, folder):
        if os.path.isdir(folder):
            self.app.stderr.write(
                f'Staging area {folder}: {shutil.disk_usage(folder).free} '
                'bytes free\n'
            )

    def _show_board(self):
        try:
            workers = board.of_process().workers()
        except board.BoardSilent:
            return
        self.app.stderr.write(
            'The board of copies answers; processes that make them: '
            f'{len(workers)}\n'
        )

    @staticmethod
    def _row(name, copiers):
        target = base.Target(store=name, driver=stores.driver(name))
        writable = stores.is_writable(name)
        return (
            name,
            CONF.enabled_backends[name],
            writable,
            _way(target, copiers) if writable else '-',
        )


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
    process.only_look()
    try:
        _load_stores()
        sqlite_migration.can_migrate_to_central_db()
        housekeeping.staging_store_path()
        # Before the pipeline: Glance's filters for caches use the database.
        database.check_schema()
        config.load_paste_app('glance-api')
    except RuntimeError as exc:
        raise RuntimeError(_in_one_line(exc)) from exc
    except Exception as exc:
        # Whatever it is, the service ends with it, too.
        raise RuntimeError(
            f'the configuration does not load: {_in_one_line(exc)}'
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
            + ', '.join(stores.names())
        ) from exc


def _in_one_line(error):
    return ' '.join(errors.redact(error).split())


def _way(target, copiers):
    """Name what writes to a store when the image is in a like store."""
    like = (base.Location(store=target.store, driver=target.driver, url=''),)
    for copier in copiers:
        if copier.can_copy(like, target):
            return f'copier {copier.name}'
    return 'streaming'
