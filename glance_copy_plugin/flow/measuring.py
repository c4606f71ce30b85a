# SPDX-License-Identifier: Apache-2.0

"""Finding out how large an image is whose record does not say.

Old releases of Glance have left such records, and some kinds of location
never had a size.
"""

from oslo_log import log as logging

from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import generic
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import timeouts

LOG = logging.getLogger(__name__)


def measure(run, facts, locations):
    """Return the size of an image in bytes.

    Its stores are asked. If none of them knows, or if two of them differ, a
    location is read to its end; if the image has a hash, one that has it.

    :param run: :class:`CopyRun`
    :param facts: :class:`ImageFacts`
    :param locations: readable :class:`Location` objects, best first
    :raises: :class:`SourceError` if no location can be read
    """
    told = {_told(run, location) for location in locations} - {0}
    if len(told) == 1:
        return told.pop()
    expected = facts.expected()
    failures = []
    for location in locations:
        LOG.info(
            'Reading image %(image)s in store %(store)s once to learn its '
            'size, which its record does not say',
            {'image': run.copy.image_id, 'store': location.store},
        )
        try:
            return _ask(run, location, _Counting(run, location, expected))
        except errors.SourceError as exc:
            failures.append(exc)
    raise errors.no_source_left(failures)


def _told(run, location):
    """Return what the store says of the size; 0 if it does not know."""
    try:
        return _ask(
            run, location,
            lambda _token, _idle: drivers.size_of(
                location.store, location.url, run.copy.context
            ),
        ) or 0
    except errors.SourceError as exc:
        LOG.info('The size of an image is not known there: %s', exc)
        return 0


class _Counting:
    """Reads a location to its end; returns how many bytes it has."""

    def __init__(self, run, location, expected):
        self._run = run
        self._source = generic.DriverSource(location, run.copy.context)
        self._expected = expected

    def __call__(self, token, idle):
        count = 0
        hasher = digests.Digests(self._expected.algorithms)
        for chunk in self._source.read_from(0):
            idle.answered()
            token.check()
            self._run.staging.limit.consume(len(chunk))
            hasher.update(chunk)
            count += len(chunk)
            idle.asked()
        self._expected.check(hasher.hexdigests(), store=self._source.store)
        return count


def _ask(run, location, function):
    """Ask a store that may not answer; ``function(token, idle)``."""
    idle = timeouts.IdleTimer()
    idle.asked()
    call = timeouts.TimedCall(
        lambda token: function(token, idle),
        name=f'copy-image-measures-{location.store}', idle=idle,
        limit=run.copy.options.store_timeout, cancel=run.cancel,
        on_late=lambda _size: None,
    )
    try:
        return call.result()
    except timeouts.GaveUp as exc:
        raise errors.SourceHangs(exc.reason, store=location.store) from None
    except errors.CopyError:
        raise
    except Exception as exc:
        raise errors.source_error(
            exc, f'cannot be read: {driver_errors.reason(exc)}',
            store=location.store,
        ) from exc
