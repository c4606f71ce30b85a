# SPDX-License-Identifier: Apache-2.0

"""RBD to RBD: the manager of the Ceph cluster copies the image.

It becomes a clone of the image's snapshot first and is then flattened, so
that in the end neither store depends on the other. Ceph keeps checksums of
what it stores, and none that could be asked for: what proves the copy is its
size, and with ``verify = full`` its bytes.
"""

from glance_store import exceptions

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import rbd_objects
from glance_copy_plugin.backends import read_back


class RbdCopier:
    """Copies images within one Ceph cluster."""

    def can_copy(self, locations, target):
        """True if the target's user sees the image and may ask the manager."""
        try:
            ceph = [
                each for each in locations
                if _is_in_ceph(each) and _may_be_near(each, target.driver)
            ]
            if not ceph:
                return False
            with rbd_objects.module().connected(target.driver) as cluster:
                return any(
                    _is_visible(cluster, each) for each in ceph
                ) and cluster.may_have_tasks()
        except (
            *rbd_objects.module().ERRORS, exceptions.GlanceStoreException,
            exceptions.BackendException,
        ):
            return False

    def copy(self, request):
        """Copy the first of the image's snapshots that is good.

        :raises: :class:`CannotServerCopy` if there is none, or if the user
            may not have the manager work
        """
        if not request.size:
            raise base.CannotServerCopy('Ceph cannot clone an empty image')
        problems = []
        with rbd_objects.module().connected(request.target.driver) as cluster:
            for source in _protected(request.locations):
                try:
                    return _copy(cluster, source, request)
                except (_Unsuitable, read_back.NotTheImage) as exc:
                    problems.append(str(exc))
        raise base.CannotServerCopy(
            '; '.join(problems)
            or 'no store of this Ceph cluster holds the image'
        )


class _Unsuitable(Exception):
    """An image of a store cannot be copied from; the text says why."""


def _copy(cluster, source, request):
    size = _size(cluster, source)
    if size is None:
        raise _Unsuitable('this user cannot see the image to copy from')
    if size != request.size:
        raise _Unsuitable(f'an image has {size} bytes in a store')
    name = request.image_id
    partial = rbd_objects.partial_name(name)
    if cluster.size(name) is not None:
        raise exceptions.Duplicate(image=name)
    try:
        cluster.clone(source.pool, source.image, source.snapshot, partial)
        _flatten(cluster, partial, request)
        if request.verify == 'full':
            read_back.check(cluster.read(partial), request)
        cluster.protect(partial, rbd_objects.SNAPSHOT)
        return rbd_objects.publish(cluster, partial, request)
    except rbd_objects.module().TaskRefused as exc:
        rbd_objects.discard(cluster, partial)
        raise base.CannotServerCopy(
            f'Ceph refuses this user the copy: {exc}'
        ) from exc
    except BaseException:
        rbd_objects.discard(cluster, partial)
        raise


def _flatten(cluster, partial, request):
    """Wait until the image refers to no other one any more."""
    task = cluster.start_flattening(partial)
    try:
        while (part := cluster.progress(task)) is not None:
            # Its last bytes are not there before the task has ended.
            request.on_bytes(int(part * max(0, request.size - 1)))
            request.cancel.wait(rbd_objects.LOOK)
    except BaseException:
        cluster.cancel(task)
        raise
    if cluster.has_parent(partial):
        raise exceptions.BackendException(
            'the manager of Ceph did not finish the copy'
        )
    size = cluster.size(partial)
    if size != request.size:
        raise exceptions.BackendException(
            f'the copy has {size} bytes, but the image {request.size}'
        )
    request.on_bytes(size)


def _is_in_ceph(location):
    if location.url and not location.url.startswith(rbd_objects.SCHEME):
        return False
    driver = location.driver
    return 'rbd' in driver.get_schemes() and rbd_objects.is_configured(driver)


def _may_be_near(location, driver):
    """False for a location in a cluster that is not the driver's."""
    its = location.url and rbd_objects.parsed(location).fsid
    ours = (driver.url_prefix or '').removeprefix(rbd_objects.SCHEME)
    return not its or not ours or ours.startswith(f'{its}/')


def _is_visible(cluster, location):
    """Ask with the account of the target, which is the one that copies."""
    if location.url:
        return any(
            _size(cluster, source) is not None
            for source in _protected([location])
        )
    with rbd_objects.module().connected(location.driver) as other:
        if other.identifier != cluster.identifier:
            return False
    return cluster.sees(location.driver.pool)


def _protected(locations):
    """Return the snapshots that locations name, as parsed locations."""
    parsed = [
        rbd_objects.parsed(each) for each in locations if _is_in_ceph(each)
    ]
    return [each for each in parsed if each.snapshot]


def _size(cluster, source):
    if source.fsid != cluster.identifier:
        return None
    return cluster.size_elsewhere(source.pool, source.image, source.snapshot)
