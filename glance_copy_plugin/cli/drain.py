# SPDX-License-Identifier: Apache-2.0

"""``glance-copy drain``: before the plugin is switched off."""

import os

from cliff import command
from oslo_config import cfg

from glance_copy_plugin.api import image_service
from glance_copy_plugin.api import validation
from glance_copy_plugin.cli import draining
from glance_copy_plugin.cli import options
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import service_process

CONF = cfg.CONF


class Drain(command.Command):
    """Bring every copy of this host to its end, and accept no new ones.

    Copies that run are waited for; those whose process is gone are carried on
    here. It works also when the filter has been taken out of the pipeline
    already. Copies that workers make are waited for as well. New requests are
    answered 503, until --undo.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_config_dir(parser)
        either = parser.add_mutually_exclusive_group()
        either.add_argument(
            '--take-back', action='store_true',
            help='remove what the copies have written instead of finishing '
            'them',
        )
        either.add_argument(
            '--undo', action='store_true',
            help='accept copies again, and do nothing else',
        )
        return parser

    def take_action(self, parsed_args):
        image_service.load_service(parsed_args.config_dir)
        # The filter may be gone, which does this otherwise.
        copy_image.register_opts(CONF)
        validation.check(CONF)
        journal = service_process.journal()
        _check_user(journal.folder)
        try:
            if parsed_args.undo:
                journal.open()
                self._say('Copies are accepted again')
                return
            draining.Drain(journal, parsed_args.take_back, self._say).run()
        except OSError as exc:
            raise RuntimeError(
                f'the journal of copies in {journal.folder} cannot be '
                f'written: {exc.strerror}'
            ) from exc
        self._say('No copy is left on this host, and no new one is accepted')

    def _say(self, sentence):
        self.app.stdout.write(f'{sentence}\n')
        self.app.stdout.flush()


def _check_user(folder):
    """What it writes has to be the service's own, like all it has written."""
    try:
        owner = os.stat(folder).st_uid
    except FileNotFoundError:
        return
    if owner != os.geteuid():
        raise RuntimeError(
            f'{folder} belongs to another user: run this command as the user '
            'of the Image service'
        )
