# SPDX-License-Identifier: Apache-2.0

"""Into a file store: from another file store, or from the staging area.

What proves the copy: the source's bytes are hashed once by the staging step,
and the file gets its name only after that hash was right. ``verify = full``
also reads the new file back.
"""

import contextlib
import glob
import os
import re
import urllib.parse
import uuid

from oslo_utils import uuidutils

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import file_io
from glance_copy_plugin.backends import generic
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors

_READ_BACK_BYTES = 1024 * 1024
_PARTIAL_SUFFIX = '.part'
_PARTIAL = re.compile(r'^\.([^.]+)\.[0-9a-f]{32}\.part$')


class FileSource(generic.DriverSource):
    """A file of a store, which can be read in place."""

    def local_file(self):
        return local_path(self._location)


class FileReader(base.Reader):
    """Reads files in place."""

    def source(self, location, context):
        """Return the :class:`FileSource` of a location."""
        return FileSource(location, context)


class FileWriter(base.Writer):
    """Reflinks where the file system can, else copies within the kernel."""

    def can_write(self, target):
        """True for a file store whose files are written in the plain way."""
        # Finding zeroes to leave out is what the driver does best.
        return not target.driver.thin_provisioning

    def write(self, request):
        """Copy the staged bytes to ``<datadir>/<image id>``."""
        driver = request.target.driver
        store = request.target.store
        with _target_errors(store):
            folder = driver._find_best_datadir(request.size)
            path = os.path.join(folder, request.image_id)
            _refuse_own_source(path, request)
            partial = os.path.join(
                folder,
                f'.{request.image_id}.{uuid.uuid4().hex}{_PARTIAL_SUFFIX}',
            )
            fd = os.open(
                partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                0o666,
            )
            try:
                try:
                    _fill(fd, request)
                    _finish(fd, driver, request)
                finally:
                    os.close(fd)
                # An object that no location names is left from a crash: the
                # new one takes its place in one step.
                request.cancel.check()
                os.rename(partial, path)
            except BaseException:
                # Whatever keeps it from being removed, the error is the news.
                with contextlib.suppress(OSError):
                    os.unlink(partial)
                raise
            try:
                _sync_folder(folder)
            except OSError:
                os.unlink(path)
                raise
        metadata = dict(driver._get_metadata(path), store=store)
        return base.StoredObject(url=f'file://{path}', metadata=metadata)


def local_path(location):
    """Return the path of a location in a file store, else None."""
    if not BACKEND.serves(location.driver):
        return None
    parts = urllib.parse.urlparse(location.url)
    if parts.scheme not in ('file', 'filesystem'):
        return None
    return parts.netloc + parts.path


def _folders(driver):
    by_priority = getattr(driver, 'priority_data_map', None)
    if by_priority:
        return [path for paths in by_priority.values() for path in paths]
    return [driver.datadir]


def _holder(path, locations):
    """Return the location that refers to ``path``, by whatever name."""
    for location in locations:
        other = local_path(location)
        if other is None:
            continue
        with contextlib.suppress(FileNotFoundError):
            if os.path.samefile(path, other):
                return location
    return None


def _refuse_own_source(path, request):
    """Two stores may share a directory: never replace the image's own data."""
    holder = _holder(path, request.locations)
    if holder is not None:
        raise errors.TargetError(
            f'writes to the very file that the store {holder.store} holds; '
            'give each store a directory of its own',
            store=request.target.store,
        )


def _fill(fd, request):
    """Fill the new file with the image; return when that was approved."""
    os.ftruncate(fd, request.size)
    follower = request.follower
    if follower.size:
        follower.wait_begun()
        source = follower.spool.sole_file
        if source is not None:
            if _reflinked(source, fd, request):
                return
            file_io.reserve(source, fd, request.size)
    behind = file_io.WriteBehind(fd)
    while extent := follower.extent(request.size):
        request.cancel.check()
        count = file_io.copy_extent(extent, fd, follower.position)
        if not count:
            raise errors.StagingError('the staged file became shorter')
        follower.took(count)
        behind.wrote(follower.position)
        request.on_bytes(follower.position)


def _reflinked(source, fd, request):
    """Share the blocks of ``source``; True if that was the whole image."""
    if not file_io.reflink(source, fd):
        return False
    spool = request.follower.spool
    request.on_bytes(request.size)
    request.follower.wait_approved()
    if spool.sole_file == source:
        return True
    # Staging went on from another source half-way: take all of it.
    os.ftruncate(fd, 0)
    os.ftruncate(fd, request.size)
    return False


def _finish(fd, driver, request):
    """Check the complete file, set its mode, and have it on the disk."""
    if os.fstat(fd).st_size != request.size:
        raise errors.TargetError(
            'the new file has another size than the image',
            store=request.target.store,
        )
    if request.verify == 'full':
        _read_back(fd, request)
    mode = driver.store_conf.filesystem_store_file_perm
    if mode > 0:
        os.fchmod(fd, int(str(mode), 8))
    os.fsync(fd)


def _read_back(fd, request):
    expected = request.expected
    if not expected.algorithm:
        return
    hasher = digests.Digests(expected.algorithms)
    offset = 0
    while chunk := os.pread(fd, _READ_BACK_BYTES, offset):
        request.cancel.check()
        hasher.update(chunk)
        offset += len(chunk)
        request.on_bytes(request.size)
    if hasher.hexdigests()[expected.algorithm] != expected.value:
        raise errors.TargetError(
            'the new file, read back, is not the image',
            store=request.target.store,
        )


@contextlib.contextmanager
def _target_errors(store):
    try:
        yield
    except errors.CopyError:
        raise
    except OSError as exc:
        raise errors.target_error(
            exc, exc.strerror or str(exc), store=store
        ) from exc
    except Exception as exc:
        # What the driver says of a store that is full.
        raise errors.TargetError(
            str(exc) or type(exc).__name__, store=store
        ) from exc


def _sync_folder(folder):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class FileInventory(base.Inventory):
    """The files in the directories of a store."""

    def list_objects(self, driver):
        """Yield a :class:`KeptObject` for each file of an image."""
        for folder in _folders(driver):
            entries = sorted(os.scandir(folder), key=lambda each: each.name)
            for entry in entries:
                partial = _PARTIAL.match(entry.name)
                image_id = partial.group(1) if partial else entry.name
                if (
                    uuidutils.is_uuid_like(image_id)
                    and entry.is_file(follow_symlinks=False)
                ):
                    yield base.KeptObject(
                        image_id=image_id, partial=bool(partial),
                        place=entry.path, url=f'file://{entry.path}',
                    )

    def is_named(self, kept, urls):
        """True if one of these locations means that file, by whatever name."""
        for url in urls:
            local = url.removeprefix('file://')
            if local == kept.place:
                return True
            with contextlib.suppress(FileNotFoundError):
                if os.path.samefile(local, kept.place):
                    return True
        return False

    def size_of(self, driver, kept):
        """Return the size in bytes, or None if the file is gone."""
        try:
            return os.path.getsize(kept.place)
        except FileNotFoundError:
            return None

    def remove(self, driver, place):
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)

    def remove_partial(self, driver, image_id):
        """Remove unfinished files of that image from a file store.

        Only for a copy whose process is gone: nobody else writes that image.
        """
        for folder in _folders(driver):
            pattern = f'.{glob.escape(image_id)}.*{_PARTIAL_SUFFIX}'
            for path in glob.glob(os.path.join(glob.escape(folder), pattern)):
                os.unlink(path)
        return ()

    def unrecorded_url(self, driver, image_id, locations):
        """Return the URL of a file of that image that no location refers to.

        :param locations: the image's :class:`Location` objects
        :returns: None if there is no such file
        """
        for folder in _folders(driver):
            path = os.path.join(folder, image_id)
            if os.path.exists(path) and not _holder(path, locations):
                return f'file://{path}'
        return None


BACKEND = base.Backend(
    drivers=('file',), reader=FileReader(), writer=FileWriter(),
    inventory=FileInventory(),
)
