# SPDX-License-Identifier: Apache-2.0

"""What the commands have in common: status, stopping, results, summary."""

import collections
import signal
import sys

from cliff import lister

from glance_copy_plugin.replicator import clouds
from glance_copy_plugin.replicator import display
from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import results
from glance_copy_plugin.replicator import retrying
from glance_copy_plugin.replicator import running
from glance_copy_plugin.replicator import service
from glance_copy_plugin.replicator import text
from glance_copy_plugin.replicator.commands import arguments
from glance_copy_plugin.transfer import cancel as cancelling

COLUMNS = ('Image', 'Name', 'Result', 'Bytes', 'Copy', 'Detail')
_INTERRUPTED = 128 + signal.SIGINT


class Command(lister.Lister):
    """A command whose status is 0 only if everything succeeded.

    ``cancel`` is the :class:`CancelToken` that stops it.
    """

    def run(self, parsed_args):
        self.status = 0
        self.cancel = cancelling.CancelToken()
        try:
            super().run(parsed_args)
        except errors.Stopped as exc:
            print(f'Interrupted: {exc}.', file=sys.stderr)
            return _INTERRUPTED
        except errors.ReplicatorError as exc:
            # cliff shows it as one sentence.
            raise RuntimeError(text.safe(exc, 1000)) from None
        return self.status

    def warn(self, sentence):
        """Tell the user something that is not a result."""
        print(text.safe(sentence), file=sys.stderr)

    def connect(self, parsed, side):
        """Return the :class:`ImageService` of one side."""
        retries = retrying.Retries(
            times=parsed.retries, timeout=parsed.timeout, cancel=self.cancel,
            say=self.warn,
        )
        manager = getattr(self.app, 'client_manager', None)
        if getattr(parsed, side) is None and manager is not None:
            # This runs as a command of openstack, which has logged in.
            return service.ImageService(
                clouds.with_version(manager.sdk_connection.image),
                'the cloud', retries,
            )
        return clouds.connect(
            arguments.endpoint(parsed, side), self.warn, retries
        )


class Job(Command):
    """A command that does something with many images."""

    def take_action(self, parsed_args):
        with running.stoppable() as cancel, display.suitable() as shown:
            self.cancel = cancel
            found = self.work(parsed_args, cancel, shown)
        self._summarize(found)
        if cancel.cancelled:
            self.status = _INTERRUPTED
        elif not all(result.is_good for result in found):
            self.status = 1
        return COLUMNS, [_row(result) for result in found]

    def work(self, parsed, cancel, shown):
        """Do it; return a :class:`Result` for each image."""
        raise NotImplementedError

    def _summarize(self, found):
        counts = collections.Counter(result.what for result in found)
        told = ', '.join(f'{n} {what}' for what, n in counts.items())
        moved = sum(r.size for r in found if r.is_good)
        print(
            f'{told or "no images"}; {text.size(moved)}', file=sys.stderr
        )
        if counts[results.STOPPED]:
            print(f'Interrupted: {running.STOPPED}.', file=sys.stderr)


def _row(result):
    return (
        result.image_id, text.safe(result.name), result.what, result.size,
        result.copy_id, text.safe(result.detail),
    )
