# SPDX-License-Identifier: Apache-2.0

"""``glance-copy check``: would copies work with this configuration?"""

import os
import shutil

from cliff import lister
from glance import housekeeping
from glance.common import config
from glance.common import wsgi_app
import glance_store
from oslo_config import cfg

from glance_copy_plugin import activation
from glance_copy_plugin import opts
from glance_copy_plugin import stores
from glance_copy_plugin.cli import database
from glance_copy_plugin.cli import options
from glance_copy_plugin.copiers import base
from glance_copy_plugin.flow import planning
from glance_copy_plugin.jobboard import board
from glance_copy_plugin.recovery import process

CONF = cfg.CONF


class Check(lister.Lister):
    """Load the Image service's configuration and show how stores are written.

    Fails with one sentence if the filter is not in the pipeline in use or if
    the configuration cannot work. Changes nothing.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_config_dir(parser)
        return parser

    def take_action(self, parsed_args):
        load_service(parsed_args.config_dir)
        if not activation.is_active():
            raise RuntimeError(
                'the filter copy_image is not in the paste pipeline in use: '
                'put it behind "context" there'
            )
        found = opts.copy_options(CONF, housekeeping.staging_store_path())
        self._show_staging(found)
        if board.is_enabled():
            self._show_board()
        copiers = planning.load_copiers(found.copiers)
        return ('Store', 'Driver', 'Writable', 'Written by'), [
            self._row(name, copiers) for name in stores.names()
        ]

    def _show_staging(self, found):
        folder = found.staging_dir
        if not os.path.isdir(folder):
            raise RuntimeError(
                f'the staging directory {folder} does not exist: make it, '
                'or set [copy_image] staging_dir'
            )
        self.app.stderr.write(
            f'Staging area {folder}: {shutil.disk_usage(folder).free} bytes '
            'free\n'
        )

    def _show_board(self):
        try:
            workers = board.of_process().workers()
        except board.BoardSilent as exc:
            raise RuntimeError(
                f'the board of copies does not answer: {exc}'
            ) from None
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

    :param folder: directory of ``glance-api.conf``
    :raises RuntimeError: if it cannot be loaded, in one sentence
    """
    read_config(folder)
    process.only_look()
    try:
        reserved = wsgi_app.RESERVED_STORES
        glance_store.register_store_opts(CONF, reserved_stores=reserved)
        glance_store.create_multi_stores(CONF, reserved_stores=reserved)
        # Before the pipeline: Glance's filters for caches use the database.
        database.check_schema()
        config.load_paste_app('glance-api')
    except (cfg.Error, glance_store.BackendException) as exc:
        raise RuntimeError(f'the configuration does not load: {exc}') from exc


def _way(target, copiers):
    """Name what writes to a store when the image is in a like store."""
    like = (base.Location(store=target.store, driver=target.driver, url=''),)
    for copier in copiers:
        if copier.can_copy(like, target):
            return f'copier {copier.name}'
    return 'streaming'
