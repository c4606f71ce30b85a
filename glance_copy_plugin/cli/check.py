# SPDX-License-Identifier: Apache-2.0

"""``glance-copy check``: would copies work with this configuration?"""

import logging
import os
import shutil

from cliff import lister
from glance import housekeeping
from oslo_config import cfg

from glance_copy_plugin.api import image_service
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.cli import options
from glance_copy_plugin.cli import rules
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.options import copy_image

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
            self.app.stderr.write(f'{image_service.in_one_line(sentence)}\n')
        return int(bool(self._broken))

    def take_action(self, parsed_args):
        if self.app.options.verbose_level <= self.app.DEFAULT_VERBOSE_LEVEL:
            # What it has to say of a store is said in a sentence below.
            logging.getLogger('glance_store').setLevel(logging.CRITICAL)
        image_service.load_service(parsed_args.config_dir)
        self._broken = list(rules.broken())
        found = copy_image.copy_options(
            CONF, housekeeping.staging_store_path()
        )
        self._show_staging(found.staging_dir)
        if board_client.is_enabled():
            self._show_board()
        return ('Store', 'Driver', 'Writable', 'Written by'), [
            _row(name, found.copiers) for name in drivers.store_names()
        ]

    def _show_staging(self, folder):
        if os.path.isdir(folder):
            self.app.stderr.write(
                f'Staging area {folder}: {shutil.disk_usage(folder).free} '
                'bytes free\n'
            )

    def _show_board(self):
        try:
            workers = board_client.of_process().workers()
        except board_client.JobboardUnreachable:
            return
        self.app.stderr.write(
            'Jobboard reachable; worker processes: '
            f'{len(workers)}\n'
        )


def _row(store, names):
    writable = drivers.is_writable(store)
    return (
        store, CONF.enabled_backends[store], writable,
        _way(store, names) if writable else '-',
    )


def _way(store, names):
    """Name what writes to a store when the image is in a like store.

    :param names: of the backends that may be used
    """
    target = drivers.target(store)
    like = (drivers.location(store, ''),)
    for name, backend in registry.serving(target.driver, names):
        if backend.copier and backend.copier.can_copy(like, target):
            return f'server-side {name}'
        if name and backend.writer and backend.writer.can_write(target):
            return f'copier {name}'
    return 'streaming'
