# SPDX-License-Identifier: Apache-2.0

"""What the commands have in common: status, stopping, results, summary."""

import abc
import collections
import signal
import sys

from cliff import lister

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import limits
from glance_replicate import clouds
from glance_replicate import display
from glance_replicate import errors
from glance_replicate import results
from glance_replicate import retrying
from glance_replicate import running
from glance_replicate import selecting
from glance_replicate import service
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

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        self.add_arguments(parser)
        return parser

    @abc.abstractmethod
    def add_arguments(self, parser):
        """Add the arguments of the command to its parser."""

    def run(self, parsed_args):
        """Return the status; an error is one sentence on standard error."""
        self.status = 0
        self.cancel = cancel_token.CancelToken()
        try:
            super().run(parsed_args)
        except errors.Stopped as exc:
            print(f'Interrupted: {exc}.', file=sys.stderr)
            return _INTERRUPTED
        except BrokenPipeError:
            raise
        except Exception as exc:
            # cliff would return 1 for all, which is a result of compare.
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
            return service.ImageService(
                clouds.with_version(manager.sdk_connection.image),
                'the cloud', retries,
            )
        # That of openstack --os-region-name, where this is such a command.
        region = getattr(self.app.options, 'region_name', None)
        return clouds.connect(
            arguments.endpoint(parsed, side, region), self.warn, retries
        )

    def images(self, service, parsed):
        """Return the active images of a service that meet the filters."""
        found = selecting.active(service, arguments.filters(parsed))
        self.check_some(found, parsed, service.name)
        return found

    def check_some(self, found, parsed, where):
        """Warn if no image was found.

        :param found: the images that meet the filters
        :param where: the name of what was searched
        :raises: :class:`ReplicatorError` if there are filters, which are
            wrong then, and no --allow-empty
        """
        if found:
            return
        sentence = f'{text.safe(where)} has no active image'
        if arguments.filters(parsed) != selecting.Filters():
            sentence += ' that meets the filters'
            if not parsed.allow_empty:
                raise errors.ReplicatorError(
                    f'{sentence}; if that is no mistake, add --allow-empty'
                )
        self.warn(f'{sentence}.')


class Job(Command):
    """A command that does something with many images.

    ``display`` is the :class:`Display` that shows its progress.
    """

    def take_action(self, parsed_args):
        with (
            running.stoppable() as self.cancel,
            display.suitable() as self.display,
        ):
            found = self.work(parsed_args)
        self._summarize(found)
        if self.cancel.cancelled:
            self.status = _INTERRUPTED
        elif not all(result.is_good for result in found):
            self.status = 1
        return COLUMNS, [
            (
                result.image_id, text.safe(result.name), result.what,
                result.size, result.copy_id, text.safe(result.detail),
            ) for result in found
        ]

    @abc.abstractmethod
    def work(self, parsed):
        """Do it; return a :class:`Result` for each image."""

    def warn(self, sentence):
        """Tell the user something, above the bars if there are any."""
        self.display.say(sentence)

    def run_each(self, items, do, workers, size):
        """Do something with each image; return the results.

        :param do: see :func:`running.each`
        :param size: how many bytes that will move
        """
        self.display.expect(len(items), size)
        return running.each(
            items, do, workers=workers, display=self.display,
            cancel=self.cancel,
        )

    def limit(self, parsed):
        """Return the :class:`BandwidthLimit` that the user asks for."""
        return limits.BandwidthLimit(parsed.bandwidth, self.cancel)

    def _summarize(self, found):
        counts = collections.Counter(result.what for result in found)
        told = ', '.join(f'{n} {what}' for what, n in counts.items())
        moved = sum(r.size for r in found if r.is_good)
        print(
            f'{told or "no images"}; {text.size(moved)}', file=sys.stderr
        )
        if counts[results.STOPPED]:
            print(f'Interrupted: {running.STOPPED}.', file=sys.stderr)
