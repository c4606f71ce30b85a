# SPDX-License-Identifier: Apache-2.0

"""``glance-copy drain``: before the plugin is switched off."""

import os
import time

from cliff import command
from oslo_config import cfg

from glance_copy_plugin.api import image_service
from glance_copy_plugin.api import validation
from glance_copy_plugin.cli import options
from glance_copy_plugin.flow import takeover
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import posting
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import service_process
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors

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
            Draining(journal, parsed_args.take_back, self._say).run()
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


_LOOK_SECONDS = 0.5
_TAKEN_BACK = 'taken back by glance-copy drain'


class Draining:
    """The copies of this host, and those that workers make.

    :param journal: :class:`Journal`
    :param take_back: remove what they have written instead of finishing them
    :param say: called with a sentence for whoever waits
    """

    def __init__(self, journal, take_back, say):
        self._journal = journal
        self._take_back = take_back
        self._say = say
        self._said = None
        self._ended = set()

    def run(self):
        """Return when none of them is left.

        :raises RuntimeError: if one cannot be brought to its end, in one
            sentence
        """
        # First: a request that did not see it has its entry in the journal.
        self._journal.close()
        while left := self._look():
            time.sleep(_LOOK_SECONDS)
            if left != self._said:
                self._said = left
                self._say('Waiting for copies of ' + ', '.join(sorted(left)))

    def _look(self):
        """Do what can be done now; return the images that are not done."""
        left = set(self._journal.names())
        if self._take_back:
            for image_id in left:
                self._end(tasks.newest_copy(image_id))
        for lease in self._journal.abandoned():
            self._carry_on(lease)
        left = set(self._journal.names())
        if board_client.is_enabled():
            left |= self._on_board()
        return left

    def _carry_on(self, lease):
        """Bring a copy to its end whose process is gone."""
        self._say(f'Carrying on with the copy of image {lease.image_id}')
        resume = takeover.resume
        if board_client.is_enabled():
            resume = posting.post_again
        try:
            resume(lease)
        except Exception as exc:
            raise RuntimeError(
                f'the copy of image {lease.image_id} cannot be brought to '
                f'its end: {errors.redact(exc)}; mend that, and ask again'
            ) from exc
        finally:
            lease.release()

    def _on_board(self):
        """Return the images whose copies workers make, or will."""
        live = [
            task for task in tasks.live_copies() if tasks.is_for_workers(task)
        ]
        if self._take_back:
            for task in live:
                self._end(task)
        try:
            jobs = board_client.of_process().jobs()
            workers = board_client.of_process().workers()
        except board_client.JobboardUnreachable as exc:
            raise RuntimeError(
                f'jobboard unreachable: {exc}'
            ) from None
        left = {job.details.image_id for job, _owner in jobs}
        left |= {task['input']['image_id'] for task in live}
        if left and not workers:
            raise RuntimeError(
                'copies wait on the jobboard and no worker runs: start '
                'glance-copy-worker, and ask again'
            )
        return left

    def _end(self, task):
        """End a task: whoever runs it, or takes it over, takes it back."""
        if task is None or task['id'] in self._ended:
            return
        self._ended.add(task['id'])
        if task['status'] in tasks.LIVE:
            tasks.fail(task['id'], _TAKEN_BACK)
