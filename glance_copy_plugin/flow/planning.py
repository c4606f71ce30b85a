# SPDX-License-Identifier: Apache-2.0

"""Deciding how the image will reach each store."""

import hashlib

from oslo_config import cfg
from oslo_log import log as logging
import stevedore

from glance_copy_plugin.backends import stores as stores_
from glance_copy_plugin.flow import measuring
from glance_copy_plugin.flow import run as run_
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
    locations = stores_.readable(facts.locations)
    if not locations:
        raise errors.SourceError(
            'no location of the image is in a store of this node'
        )
    size = facts.size
    if size is None:
        size = measuring.measure(run, facts, locations)
    quotas.enforce(run.user_context, run.image_id, size)
    known = load_copiers(run.options.copiers)
    copiers = {
        store: _copier_for(run, store, locations, known)
        for store in run.stores
    }
    hash_algorithm = _hash_algorithm(facts)
    return run_.Plan(
        size=size,
        expected=_expected(facts, size, copiers, run.options.verify),
        checksum=facts.checksum,
        hash_algorithm=hash_algorithm,
        unrecorded=tuple(
            algorithm for algorithm, value in (
                ('md5', facts.checksum),
                (hash_algorithm, facts.os_hash_value),
            ) if not value
        ),
        locations=locations,
        copiers=copiers,
    )


def load_copiers(names):
    """Return the copiers of these names, in this order."""
    return [
        extension.obj
        for extension in stevedore.NamedExtensionManager(
            'glance_copy_plugin.copiers', names=list(names),
            invoke_on_load=True, name_order=True,
        )
    ]


def _copier_for(run, store, locations, copiers):
    for copier in copiers:
        if _can_copy(run, store, locations, copier):
            return copier
    return None


def _can_copy(run, store, locations, copier):
    """Ask a copier, which asks its backend; take silence for a no."""
    target = run.target(store)
    idle = timeouts.IdleTimer()
    idle.asked()
    call = timeouts.TimedCall(
        lambda _token: copier.can_copy(locations, target),
        name=f'copy-image-asks-{store}', idle=idle,
        limit=min(_PATIENCE, run.options.store_timeout), cancel=run.cancel,
        on_late=lambda _answer: None,
    )
    try:
        return call.result()
    except timeouts.GaveUp as exc:
        LOG.warning(
            'Image %(image)s is streamed to store %(store)s: whether the '
            'copier %(copier)s could copy it is not known, as its backend '
            '%(why)s', {
                'image': run.image_id, 'store': store,
                'copier': copier.name, 'why': exc.reason,
            },
        )
        return False


def _hash_algorithm(facts):
    """Return how an image is hashed, or would be if Glance did it now."""
    if facts.os_hash_algo in hashlib.algorithms_available:
        return facts.os_hash_algo
    return CONF.hashing_algorithm


def _expected(facts, size, copiers, verify):
    if verify == 'none' and None not in copiers.values():
        return digests.Expected(size=size)
    expected = facts.expected(size)
    if expected.algorithm is None:
        LOG.warning(
            'Image %s has no hash that can be computed here: its copies are '
            'verified by their size only. Where the copy reads it, its hash '
            'is recorded', facts.image_id,
        )
    return expected
