# SPDX-License-Identifier: Apache-2.0

"""Any kind of store: what glance_store's driver does."""

import glance_store
from glance_store import capabilities
from oslo_config import cfg

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import staged_reader

CONF = cfg.CONF


class DriverSource:
    """A location as a :class:`~transfer.sources.Source`.

    :param location: :class:`~base.Location`
    :param context: of the request, for the driver
    """

    def __init__(self, location, context):
        self.store = location.store
        self._location = location
        self._context = context

    def local_file(self):
        """Return None: drivers do not tell where a file is."""

    def read_from(self, offset):
        """Yield the bytes from ``offset`` on.

        :raises: :class:`SourceGone`, or what the driver raises
        """
        can_seek = self._location.driver.is_capable(
            capabilities.BitMasks.READ_OFFSET
        )
        try:
            chunks, _size = glance_store.get(
                self._location.url, self.store,
                offset=offset if can_seek else 0, context=self._context,
            )
        except driver_errors.LASTING as exc:
            raise errors.SourceGone(
                f'cannot be read: {driver_errors.reason(exc)}',
                store=self.store,
            ) from exc
        skip = 0 if can_seek else offset
        try:
            for chunk in chunks:
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                yield chunk[skip:] if skip else chunk
                skip = 0
        finally:
            close = getattr(chunks, 'close', None)
            if close is not None:
                close()


class DriverReader(base.Reader):
    """Reads every kind of store."""

    def source(self, location, context):
        """Return the :class:`DriverSource` of a location."""
        return DriverSource(location, context)


class DriverWriter(base.Writer):
    """Streams to every kind of store.

    The driver hashes what it writes; its hash has to be that of the staging.
    """

    @property
    def algorithms(self):
        """The hash that the driver's is compared with."""
        return (digests.cheapest_algorithm(),)

    def write(self, request):
        """Hand the staged image to the driver."""
        store = request.target.store
        reader = staged_reader.StagedReader(request.follower, request.on_bytes)
        algorithm = digests.cheapest_algorithm()
        try:
            url, size, checksum, digest, metadata = (
                glance_store.add_with_multihash(
                    CONF, request.image_id, reader, request.size, store,
                    algorithm, context=request.context,
                )
            )
        except Exception as exc:
            # A driver wraps what the reader raised; the reader knows better.
            if reader.error is not None:
                raise reader.error from exc
            request.cancel.check()
            raise
        error = reader.error
        if error is None and not reader.finished:
            # It may take an error of its source for the end of data.
            error = errors.TargetError(
                'the driver stopped before the end of the image', store=store,
            )
        elif error is None and not (
            size == request.size
            and digest == request.follower.hexdigests[algorithm]
            and checksum == (request.checksum or checksum)
        ):
            error = errors.TargetError(
                'the driver says that it has written something else than the '
                'image', store=store,
            )
        if error is not None:
            request.discard(url)
            raise error
        return base.StoredObject(
            url=url, metadata=dict(metadata or {}, store=store)
        )


BACKEND = base.Backend(
    drivers=(), reader=DriverReader(), writer=DriverWriter(),
)
