# SPDX-License-Identifier: Apache-2.0

"""Bringing every copy to its end before the plugin is switched off.

Works beside a service that still runs, and also when its filter is gone
already: what is left of a copy stands in the journal and in Glance's records.
"""

import time

from glance_copy_plugin.jobboard import board
from glance_copy_plugin.jobboard import posting
from glance_copy_plugin.reconcile import takeover
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors

_LOOK_SECONDS = 0.5
_TAKEN_BACK = 'taken back by glance-copy drain'


class Drain:
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
        for entry in self._journal.abandoned():
            self._carry_on(entry)
        left = set(self._journal.names())
        if board.is_enabled():
            left |= self._on_board()
        return left

    def _carry_on(self, entry):
        """Bring a copy to its end whose process is gone."""
        self._say(f'Carrying on with the copy of image {entry.image_id}')
        resume = posting.post_again if board.is_enabled() else takeover.resume
        try:
            resume(entry)
        except Exception as exc:
            raise RuntimeError(
                f'the copy of image {entry.image_id} cannot be brought to '
                f'its end: {errors.redact(exc)}; mend that, and ask again'
            ) from exc
        finally:
            entry.release()

    def _on_board(self):
        """Return the images whose copies workers make, or will."""
        live = [
            task for task in tasks.live_copies() if tasks.is_for_workers(task)
        ]
        if self._take_back:
            for task in live:
                self._end(task)
        try:
            jobs = board.of_process().jobs()
            workers = board.of_process().workers()
        except board.JobboardUnreachable as exc:
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
