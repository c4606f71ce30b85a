# SPDX-License-Identifier: Apache-2.0

"""What the commands have in common: status, stopping, results, summary."""

import collections
import signal
import sys

from cliff import lister

from glance_copy_plugin.transfer import cancel as cancelling
from glance_replicate import clouds
from glance_replicate import display
from glance_replicate import errors
from glance_replicate import results
from glance_replicate import retrying
from glance_replicate import running
from glance_replicate import selecting
from glance_replicate import text
from glance_replicate.commands import arguments

COLUMNS = ('Image', 'Name', 'Result', 'Bytes', 'Copy', 'Detail')
_INTERRUPTED = 128 + signal.SIGINT


class Command(lister.Lister):
    """A command whose status is 0 only if everything succeeded.

    ``cancel`` is the :class:`CancelToken` that stops it, and ``trouble`` the
    status if it could not be done at all.
    """

    trouble = 1

    def run(self, parsed_args):
        """Return the status; what went wrong is said in one sentence."""
        self.status = 0
        self.cancel = cancelling.CancelToken()
        try:
            super().run(parsed_args)
        except errors.Stopped as exc:
            print(f'Interrupted: {exc}.', file=sys.stderr)
            return _INTERRUPTED
        except BrokenPipeError:
            raise
        except Exception as exc:
            # cliff would make 1 of all of them, which is a result of compare.
            known = isinstance(exc, errors.ReplicatorError)
            self.app.LOG.error(
                text.safe(exc, 1000),
                exc_info=self.app.options.debug and not known,
            )
            return self.trouble
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
            return clouds.service_of(
                clouds.with_version(manager.sdk_connection.image),
                'the cloud', retries,
            )
        # That of openstack --os-region-name, where this is such a command.
        region = getattr(self.app.options, 'region_name', None)
        return clouds.connect(
            arguments.endpoint(parsed, side, region), self.warn, retries
        )

    @staticmethod
    def check_some(found, parsed, where, say):
        """Say so if no image is meant.

        :param found: the images that are meant
        :param where: what they were looked for in
        :raises: :class:`ReplicatorError` if there are filters, which are
            wrong then, and no --allow-empty
        """
        if found:
            return
        sentence = f'{text.safe(where)} has no active image'
        if arguments.filters(parsed) != selecting.Filters():
            sentence += ' that the filters mean'
            if not parsed.allow_empty:
                raise errors.ReplicatorError(
                    f'{sentence}; if that is no mistake, add --allow-empty'
                )
        say(f'{sentence}.')


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
