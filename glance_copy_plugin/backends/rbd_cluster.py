# SPDX-License-Identifier: Apache-2.0

"""A Ceph cluster, as the user of one rbd store may use it.

It needs Ceph's bindings, which come with Ceph and not from PyPI.
"""

import contextlib
import errno
import json

from glance_store import exceptions
import rados
import rbd

from glance_copy_plugin.backends import rbd_reads
from glance_store_cinder import rbd_writes

ERRORS = (rados.Error, rbd.Error)
# What a user's rights or an older cluster say to a task for the manager.
_REFUSALS = (-1, -13, -22, -95)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class TaskRefused(Exception):
    """The manager does not work for this user; it says why."""


class TaskFailed(Exception):
    """The manager did not do what it took on."""


class Cluster:
    """The pool of one store.

    :param driver: glance_store's driver for rbd
    :param connection: of librados, with that driver's user
    """

    def __init__(self, driver, connection, ioctx):
        self._connection = connection
        self._pool = driver.pool
        self._ioctx = ioctx
        self.identifier = connection.get_fsid()

    def names(self):
        """Return the names of all images in the pool."""
        return rbd.RBD().list(self._ioctx)

    def size(self, name):
        """Return the size of an image in bytes, or None if there is none."""
        try:
            with self._open(name, read_only=True) as image:
                return image.size()
        except rbd.ImageNotFound:
            return None

    def is_open(self, name):
        """True if a client has an image open, or had and died just now."""
        try:
            with self._open(name, read_only=True) as image:
                return bool(list(image.watchers_list()))
        except rbd.ImageNotFound:
            return False

    def size_elsewhere(self, pool, name, snapshot):
        """Return the size of a snapshot in any pool of the cluster.

        :returns: None if this user cannot see it
        """
        try:
            with self._connection.open_ioctx(pool) as ioctx, rbd.Image(
                ioctx, name, snapshot=snapshot, read_only=True
            ) as image:
                return image.size()
        except ERRORS:
            return None

    def sees(self, pool):
        """True if this user may list the images of a pool of the cluster."""
        try:
            with self._connection.open_ioctx(pool) as ioctx:
                rbd.RBD().list(ioctx)
        except ERRORS:
            return False
        return True

    def may_have_tasks(self):
        """True if the manager works for this user."""
        try:
            self._ask('rbd task list')
        except (TaskRefused, TaskFailed):
            return False
        return True

    def clone(self, pool, name, snapshot, to):
        """Make an image of this pool that refers to a protected snapshot.

        In the first format, for which the parent need only be readable.
        """
        self._connection.conf_set('rbd_default_clone_format', '1')
        features = int(
            self._connection.conf_get('rbd_default_features') or 0
        )
        with self._connection.open_ioctx(pool) as ioctx:
            rbd.RBD().clone(
                ioctx, name, snapshot, self._ioctx, to,
                features=features or rbd.RBD_FEATURE_LAYERING,
            )

    def start_flattening(self, name):
        """Have the manager copy what an image refers to; return the task.

        :raises: TaskRefused
        """
        return self._ask(
            'rbd task add flatten', image_spec=f'{self._pool}/{name}'
        )['id']

    def progress(self, task):
        """Return how far a task is, from 0 to 1; None if it has ended."""
        for found in self._ask('rbd task list'):
            if found['id'] == task:
                if found.get('retry_message'):
                    raise TaskFailed(found['retry_message'])
                return float(found.get('progress', 0))
        return None

    def cancel(self, task):
        """Have the manager end a task that it may still be at."""
        # It says so if the task has ended meanwhile.
        with contextlib.suppress(TaskRefused, TaskFailed):
            self._ask('rbd task cancel', task_id=task)

    def has_parent(self, name):
        """True while an image refers to another one."""
        with self._open(name, read_only=True) as image:
            try:
                image.parent_info()
            except rbd.ImageNotFound:
                return False
            return True

    def protect(self, name, snapshot):
        """Make a snapshot that volumes may be cloned from."""
        with self._open(name) as image:
            _protect(image, snapshot)

    def rename(self, name, to):
        """Give an image another name; return False if that is taken."""
        try:
            rbd.RBD().rename(self._ioctx, name, to)
        except rbd.ImageExists:
            return False
        return True

    def remove(self, name):
        """Remove an image with its snapshots; it may be gone already.

        :returns: False if somebody has it open, or did within the last half
            minute and died
        """
        if self.size(name) is None:
            return True
        try:
            with self._open(name) as image:
                _remove_snapshots(image)
            rbd.RBD().remove(self._ioctx, name)
        except rbd.ImageBusy:
            return False
        return True

    def create(self, name, size, object_size):
        """Make an image as the driver of glance_store does.

        :param object_size: bytes in each of its objects, a power of two
        """
        features = int(
            self._connection.conf_get('rbd_default_features') or 0
        )
        # Otherwise a full pool is waited for and not told.
        self._ioctx.set_osdmap_full_try()
        with _told_if_full():
            rbd.RBD().create(
                self._ioctx, name, size, object_size.bit_length() - 1,
                old_format=False,
                features=features or rbd.RBD_FEATURE_LAYERING,
            )

    def read(self, name, offset=0, *, pool=None, snapshot=None, in_flight=8):
        """Yield the bytes of an image from ``offset`` on.

        :param pool: its pool; that of the store if None
        :param in_flight: how many requests at the same time
        :raises NotFound: if there is no such image or snapshot
        """
        with contextlib.ExitStack() as held:
            ioctx = self._ioctx
            try:
                if pool is not None:
                    ioctx = held.enter_context(
                        self._connection.open_ioctx(pool)
                    )
                image = held.enter_context(rbd.Image(
                    ioctx, name, snapshot=snapshot, read_only=True
                ))
            except (rados.ObjectNotFound, rbd.ImageNotFound):
                raise exceptions.NotFound(image=name) from None
            yield from rbd_reads.read(image, offset, in_flight)

    @contextlib.contextmanager
    def writing(self, name, in_flight):
        """Yield a :class:`NewImage`.

        :raises: StorageFull, OSError
        """
        with self._open(name) as image:
            new = NewImage(image, in_flight)
            try:
                with _told_if_full():
                    yield new
            finally:
                new.abandon()

    def _open(self, name, **more):
        return rbd.Image(self._ioctx, name, **more)

    def _ask(self, prefix, **arguments):
        command = {'prefix': prefix, 'format': 'json', **arguments}
        code, answer, why = self._connection.mgr_command(
            json.dumps(command), b''
        )
        if code in _REFUSALS:
            raise TaskRefused(why.strip() or f'error {code}')
        if code:
            raise TaskFailed(why.strip() or f'error {code}')
        return json.loads(answer or '{}')


class NewImage(rbd_writes.Writes):
    """An image that is being written."""

    def protect(self, snapshot):
        """Make a snapshot that volumes may be cloned from.

        Each time that an image is opened costs many requests: this goes
        without.
        """
        _protect(self._image, snapshot)


def _protect(image, snapshot):
    image.create_snap(snapshot)
    image.protect_snap(snapshot)


@contextlib.contextmanager
def _told_if_full():
    try:
        yield
    except (rbd.OSError, OSError) as exc:
        if exc.errno not in _FULL:
            raise
        raise exceptions.StorageFull(
            message='no space left in the pool'
        ) from None


def _remove_snapshots(image):
    for snapshot in list(image.list_snaps()):
        # Others are being removed already, or Ceph's own.
        if snapshot['namespace'] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER:
            if image.is_protected_snap(snapshot['name']):
                image.unprotect_snap(snapshot['name'])
            image.remove_snap(snapshot['name'])


@contextlib.contextmanager
def connected(driver):
    """Yield the Cluster of a driver.

    :raises: BadStoreConfiguration if there is no way to it
    """
    with driver.get_connection(
        conffile=driver.conf_file, rados_id=driver.user
    ) as connection, connection.open_ioctx(driver.pool) as ioctx:
        yield Cluster(driver, connection, ioctx)
