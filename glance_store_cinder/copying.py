# SPDX-License-Identifier: Apache-2.0

"""Copying a volume inside Cinder: no byte of it passes through here.

Cinder makes no volume of one type from a volume of another: it is made of the
source's type first, and then gets the other one. It is made from a snapshot
and not as a clone, because Cinder's driver for Ceph never removes what a clone
has left in its source, whose space is then never free again.
"""

import contextlib

from cinderclient import exceptions as cinder_exceptions
from glance_store import exceptions

from glance_store_cinder import errors
from glance_store_cinder import provenance


class Refused(Exception):
    """Cinder does not make this copy; the text says why."""


def copy(volumes, source_id, image_id, size, *, beat, check):
    """Copy a volume with an image; return the new one.

    On any error no volume stays.

    :param volumes: :class:`Volumes`, as who owns those of the store
    :param size: bytes of the image
    :param beat: called while Cinder works; raises to stop
    :param check: called with the id of the new volume; raises if what is in
        it is not what it should be
    :raises: Refused if another way has to be taken; what glance_store's
        drivers raise if it failed
    """
    source = _source(volumes, source_id, size)
    metadata = provenance.of_new(
        image_id, size, source.metadata.get(provenance.OWNER),
        volumes.settings.store,
    )
    with _refusing():
        snapshot = volumes.create_snapshot(source_id, metadata, beat)
    volume = None
    try:
        with _refusing():
            volume = volumes.create(source.size, metadata, snapshot.id, beat)
        _change_type(volumes, volume, beat)
        # It depends on nothing of the source any more, once this is gone.
        volumes.remove_snapshot(snapshot.id, beat)
        check(volume.id)
        volumes.finish(volumes.get(volume.id), size)
    except BaseException:
        if volume is not None:
            volumes.remove(volume.id)
        volumes.remove_snapshot(snapshot.id)
        raise
    return volume


@contextlib.contextmanager
def _refusing():
    """Raise Refused for what Cinder does not do in this state of things."""
    try:
        yield
    except exceptions.NotFound as exc:
        # Who deletes the image from the source's store removes the snapshot.
        raise Refused(str(exc)) from exc
    except (exceptions.BackendException, exceptions.Forbidden) as exc:
        if isinstance(exc.__cause__, (
            cinder_exceptions.BadRequest, cinder_exceptions.Forbidden,
        )):
            raise Refused(str(exc)) from exc
        raise


def _source(volumes, volume_id, size):
    try:
        volume = volumes.get(volume_id)
    except (exceptions.NotFound, exceptions.Forbidden) as exc:
        raise Refused(str(exc)) from exc
    found = provenance.image_size(volume)
    if found != size:
        raise Refused(
            f'volume {volume_id} holds {found} bytes, and the image has '
            f'{size}'
        )
    if provenance.is_partial(volume):
        raise Refused(f'volume {volume_id} is not complete')
    return volume


def _change_type(volumes, volume, beat):
    """Give a volume the type of the store, which may move it elsewhere."""
    wanted = volumes.own_type()
    if volume.volume_type == wanted:
        return
    with _refusing(), errors.translated(
        f'change the type of volume {volume.id}'
    ):
        volumes.client.volumes.retype(volume.id, wanted, 'on-demand')
    changed = volumes.wait(volume.id, ('retyping',), beat=beat)
    if changed.volume_type != wanted:
        raise Refused(
            f'volume {volume.id} did not get the type {wanted}'
            f'{volumes.reason(volume.id)}'
        )
