# SPDX-License-Identifier: Apache-2.0

"""RBD to RBD: the manager of the Ceph cluster copies the image.

It becomes a clone of the image's snapshot first and is then flattened, so
that in the end neither store depends on the other. Ceph keeps checksums of
what it stores, and none that could be asked for: what proves the copy is its
size, and with ``verify = full`` its bytes.
"""

import importlib
import urllib.parse
import uuid

from glance_store import capabilities
from glance_store import exceptions
from oslo_log import log as logging
from oslo_utils import uuidutils
import tenacity

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import read_back

LOG = logging.getLogger(__name__)

_PARTIAL = '.part'
# The name of the snapshot that glance_store's driver makes and expects.
_SNAPSHOT = 'snap'
# Seconds between two looks at what the manager does.
LOOK = 0.5
# Seconds after which Ceph has forgotten a client that died.
FORGOTTEN = 45


class RbdCopier:
    """Copies images within one Ceph cluster."""

    def can_copy(self, locations, target):
        """True if the target's user sees a snapshot of the image."""
        try:
            sources = _protected(locations)
            if not sources:
                return False
            with _module().connected(target.driver) as cluster:
                return any(
                    _size(cluster, source) is not None for source in sources
                )
        except (
            *_module().ERRORS, exceptions.GlanceStoreException,
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
        with _module().connected(request.target.driver) as cluster:
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
    name, partial = request.image_id, partial_name(request.image_id)
    if cluster.size(name) is not None:
        raise exceptions.Duplicate(image=name)
    try:
        cluster.clone(source.pool, source.image, source.snapshot, partial)
        _flatten(cluster, partial, request)
        if request.verify == 'full':
            read_back.check(cluster.read(partial), request)
        cluster.protect(partial, _SNAPSHOT)
        request.cancel.check()
        if not cluster.rename(partial, name):
            raise exceptions.Duplicate(image=name)
    except _module().TaskRefused as exc:
        _discard(cluster, partial)
        raise base.CannotServerCopy(
            f'Ceph refuses this user the copy: {exc}'
        ) from exc
    except BaseException:
        _discard(cluster, partial)
        raise
    return base.StoredObject(
        url=_url(cluster, request.target.driver, name),
        metadata={'store': request.target.store},
    )


def _flatten(cluster, partial, request):
    """Wait until the image refers to no other one any more."""
    task = cluster.start_flattening(partial)
    try:
        while (part := cluster.progress(task)) is not None:
            # Its last bytes are not there before the task has ended.
            request.on_bytes(int(part * max(0, request.size - 1)))
            request.cancel.wait(LOOK)
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


def _discard(cluster, partial):
    """Remove a copy that failed; why it failed is the error to raise."""
    try:
        _remove_when_free(cluster, partial)
    except (*_module().ERRORS, exceptions.InUseByStore) as exc:
        LOG.error(
            'An incomplete copy stays behind in Ceph as %(name)s: %(why)s',
            {'name': partial, 'why': exc},
        )


def _remove_when_free(cluster, name):
    """Remove an image as soon as nobody has it open any more.

    :raises: InUseByStore if somebody keeps it open
    """
    _until_free(lambda: cluster.remove(name))


def _until_free(look):
    """Call ``look`` until it says True: a dead client is soon forgotten.

    :raises: InUseByStore if that client lives
    """
    def in_use(_state):
        raise exceptions.InUseByStore()

    tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda done: not done),
        wait=tenacity.wait_fixed(LOOK),
        stop=tenacity.stop_after_delay(FORGOTTEN),
        retry_error_callback=in_use,
    )(look)


def _module():
    """Return the module that needs Ceph's bindings."""
    return importlib.import_module('glance_copy_plugin.backends.rbd_cluster')


def _protected(locations):
    """Return the snapshots that locations name, as parsed locations."""
    found = []
    for location in locations:
        if BACKEND.serves(location.driver):
            parsed = location.driver.get_store_location_class()
            parsed = parsed({}, location.driver.conf)
            parsed.parse_uri(location.url)
            if parsed.snapshot:
                found.append(parsed)
    return found


def _size(cluster, source):
    if source.fsid != cluster.identifier:
        return None
    return cluster.size_elsewhere(source.pool, source.image, source.snapshot)


def _url(cluster, driver, name):
    parts = (cluster.identifier, driver.pool, name, _SNAPSHOT)
    return 'rbd://' + '/'.join(urllib.parse.quote(part, '') for part in parts)


def partial_name(image_id):
    """Return a name for a copy that is not complete."""
    return f'{image_id}.{uuid.uuid4().hex[:12]}{_PARTIAL}'


class RbdInventory:
    """The images in the pool of a store."""

    def list_objects(self, driver):
        """Yield a :class:`KeptObject` for each image of an image's id."""
        with _module().connected(driver) as cluster:
            for name in cluster.names():
                partial = name.endswith(_PARTIAL)
                image_id = name.partition('.')[0] if partial else name
                if uuidutils.is_uuid_like(image_id):
                    yield base.KeptObject(
                        image_id=image_id, partial=partial, place=name,
                        url=_url(cluster, driver, name),
                    )

    def is_named(self, kept, urls):
        """True if one of these locations means that image."""
        return any(url in (kept.url, f'rbd://{kept.place}') for url in urls)

    def size_of(self, driver, kept):
        """Return the size in bytes, or None if the image is gone."""
        with _module().connected(driver) as cluster:
            return cluster.size(kept.place)

    def remove(self, driver, place):
        """Remove an image of the pool, if it is there."""
        with _module().connected(driver) as cluster:
            _remove_when_free(cluster, place)

    def remove_partial(self, driver, image_id):
        """Remove unfinished copies of that image.

        Only for a copy whose process is gone: nobody else writes that image.
        """
        for kept in self.list_objects(driver):
            if kept.partial and kept.image_id == image_id:
                self.remove(driver, kept.place)
        # The driver writes under the final name; the caller removes that.
        with _module().connected(driver) as cluster:
            _until_free(lambda: not cluster.is_open(image_id))
        return ()

    def list_stale(self, driver):
        """Return nothing: when a writer is gone is known only of a copy."""
        return ()

    def unrecorded_url(self, driver, image_id, locations):
        """Return the URL of what has the name of an image without a location.

        :param locations: the image's :class:`Location` objects
        :returns: None if there is no such thing
        """
        with _module().connected(driver) as cluster:
            if cluster.size(image_id) is None:
                return None
            url = _url(cluster, driver, image_id)
        if any(each.url in (url, f'rbd://{image_id}') for each in locations):
            return None
        return url


def _is_configured(driver):
    """False without Ceph's bindings, too: there is no pool then."""
    return driver.is_capable(capabilities.BitMasks.WRITE_ACCESS)


BACKEND = base.Backend(
    drivers=('rbd',), is_usable=_is_configured, copier=RbdCopier(),
    inventory=RbdInventory(),
)
