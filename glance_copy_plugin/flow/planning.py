# SPDX-License-Identifier: Apache-2.0

"""Deciding how the image will reach each store."""

import functools
import hashlib

from oslo_config import cfg
from oslo_log import log as logging

from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import generic
from glance_copy_plugin.backends import registry
from glance_copy_plugin.flow import copy
from glance_copy_plugin.records import quotas
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import timeouts

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

# Seconds that a backend may take to tell whether it can copy.
_PATIENCE = 20


def make_plan(run):
    """Return the :class:`Plan` for ``run``.

    :raises: :class:`CopyError` if the copy cannot be made
    """
    facts = run.record.facts()
    if facts.status != 'active':
        raise errors.Cancelled(f'the image is {facts.status}, not active')
    locations = drivers.readable(facts.locations)
    if not locations:
        raise errors.SourceError(
            'no location of the image is in a store of this node'
        )
    size = facts.size
    if size is None:
        size = measure(run, facts, locations)
    quotas.enforce(run.copy.user_context, run.copy.image_id, size)
    stores = run.copy.stores
    # Making one can mean to connect to its storage: it is done once.
    targets = {store: drivers.target(store) for store in stores}
    ways = {
        store: _way_for(run, target, locations)
        for store, target in targets.items()
    }
    copiers = {store: copier for store, (copier, _) in ways.items() if copier}
    writers = {store: writer for store, (_, writer) in ways.items()}
    hash_algorithm = _hash_algorithm(facts)
    return copy.Plan(
        size=size,
        expected=_expected(
            facts, size, run.copy.options.verify,
            [writers[store] for store in stores if store not in copiers],
        ),
        checksum=facts.checksum,
        hash_algorithm=hash_algorithm,
        unrecorded=tuple(
            algorithm for algorithm, value in (
                ('md5', facts.checksum),
                (hash_algorithm, facts.os_hash_value),
            ) if not value
        ),
        locations=locations,
        sources=tuple(
            _source(location, run.copy.options.copiers, run.copy.context)
            for location in locations
        ),
        targets=targets,
        copiers=copiers,
        writers=writers,
    )


def _way_for(run, target, locations):
    """Return the server-side copier of a store, or None, and its writer."""
    store = target.store
    copier = writer = None
    names = run.copy.options.copiers
    for name, backend in registry.serving(target.driver, names):
        if copier is None and backend.copier and _answers(
            run, store, name,
            functools.partial(backend.copier.can_copy, locations, target),
        ):
            copier = backend.copier
        if writer is None and backend.writer and _answers(
            run, store, name,
            functools.partial(backend.writer.can_write, target),
        ):
            writer = backend.writer
    return copier, writer


def _source(location, names, context):
    """Return a location as a :class:`Source`, as its backend reads it."""
    for _name, backend in registry.serving(location.driver, names):
        if backend.reader:
            return backend.reader.source(location, context)
    raise AssertionError('the generic backend reads everything')


def _answers(run, store, name, question):
    """Ask a backend, which asks its storage; take silence for a no.

    :param name: of the backend
    """
    idle = timeouts.IdleTimer()
    idle.asked()
    call = timeouts.TimedCall(
        lambda _token: question(),
        name=f'copy-image-asks-{store}', idle=idle,
        limit=min(_PATIENCE, run.copy.options.store_timeout),
        cancel=run.cancel, on_late=lambda _answer: None,
    )
    try:
        return call.result()
    except timeouts.GaveUp as exc:
        LOG.warning(
            'Image %(image)s is streamed to store %(store)s: whether the '
            'copier %(copier)s could copy it is not known, as its storage '
            '%(why)s', {
                'image': run.copy.image_id, 'store': store,
                'copier': name, 'why': exc.reason,
            },
        )
        return False


def _hash_algorithm(facts):
    """Return how an image is hashed, or would be if Glance did it now."""
    if facts.os_hash_algo in hashlib.algorithms_available:
        return facts.os_hash_algo
    return CONF.hashing_algorithm


def _expected(facts, size, verify, writers):
    if verify == 'none' and not any(each.algorithms for each in writers):
        return digests.Expected(size=size)
    expected = facts.expected(size)
    if expected.algorithm is None:
        LOG.warning(
            'Image %s has no hash that can be computed here: its copies are '
            'verified by their size only. Where the copy reads it, its hash '
            'is recorded', facts.image_id,
        )
    return expected


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
            lambda _token, _idle: registry.size_of(
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
