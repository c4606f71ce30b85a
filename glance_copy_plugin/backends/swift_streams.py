# SPDX-License-Identifier: Apache-2.0

"""Reading and writing objects of Swift as streams.

glance_store's driver cannot write a large image whose last segment is smaller
than the others, writes the password into locations, and may find segments of
an upload that was interrupted among those of the next one.
"""

import hashlib

from glance_store import exceptions

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import generic
from glance_copy_plugin.backends import read_back
from glance_copy_plugin.backends import swift_objects
from glance_copy_plugin.backends import swift_segments
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import staged_reader

_BUFFER = 1024 * 1024


class SwiftSource:
    """An object as a :class:`~transfer.sources.Source`."""

    def __init__(self, location, place):
        self.store = location.store
        self._driver = location.driver
        self._place = place

    def local_file(self):
        """Return None: it lies on a server."""

    def read_from(self, offset):
        """Yield the bytes from ``offset`` on.

        :raises: :class:`SourceGone`, or what swiftclient raises
        """
        place = self._place
        with swift_objects.opened(
            self._driver, container=place.container
        ) as container:
            try:
                yield from container.read(place.key, offset)
            except exceptions.NotFound:
                raise errors.SourceGone(
                    'there is no such object in the container '
                    f'{place.container}', store=self.store,
                ) from None
            except exceptions.Forbidden as exc:
                raise errors.SourceGone(str(exc), store=self.store) from None


class SwiftReader(base.Reader):
    """Reads on from any byte, with the store's user of today."""

    def source(self, location, context):
        """Return the :class:`SwiftSource` of a location.

        What lies in another account is left to the driver.
        """
        place = swift_objects.Place.of_url(location.url)
        if place is None or not place.is_of(location.driver):
            return generic.DriverSource(location, context)
        return SwiftSource(location, place)

    def size_of(self, location, context):
        """Return the size in bytes; the driver says 0 of what is gone."""
        place = swift_objects.Place.of_url(location.url)
        if place is None or not place.is_of(location.driver):
            return super().size_of(location, context)
        with swift_objects.opened(
            location.driver, container=place.container
        ) as container:
            found = container.find(place.key)
        if found is None:
            raise exceptions.NotFound(image=place.key)
        return found.size


class SwiftWriter(base.Writer):
    """Writes staged images as one object, or as segments and a manifest."""

    def write(self, request):
        """Write what is staged; it is an image when all was found right."""
        driver, image_id = request.target.driver, request.image_id
        with swift_objects.opened(driver, image_id) as container:
            if not container.is_made():
                container.make()
            if container.find(image_id) is not None:
                raise exceptions.Duplicate(image=image_id)
            self._write(container, request)
            return request.target.stored(swift_objects.url(
                driver, container.name, image_id
            ))

    def _write(self, container, request):
        driver, size = request.target.driver, request.size
        small = size < min(driver.large_object_size, swift_objects.LARGEST)
        if not size or small and request.verify != 'full':
            with swift_segments.kept_if_right(container, request.image_id):
                _put(container, request.image_id, request, size)
                request.follower.wait_approved()
            return
        count = container.most_segments()
        if not count:
            raise exceptions.BadStoreConfiguration(
                'Swift has no static large objects here; add slo to the '
                'pipeline of its proxy, or set a larger '
                'swift_store_large_object_size'
            )
        most = swift_objects.segment_size(driver, size, count)
        with swift_segments.Segments(container, request.image_id) as made:
            for number, start in enumerate(range(0, size, most), 1):
                made.segments.append(_put(
                    container, made.key(number), request,
                    min(most, size - start),
                ))
            request.follower.wait_approved()
            if request.verify == 'full':
                read_back.check(made.read(), request)
            request.cancel.check()
            made.publish(size)


def _put(container, key, request, size):
    """Write the next bytes as an object; return its ``Segment``."""
    reader = _Reader(request, size)
    try:
        made = container.put(key, reader, size)
    except Exception as exc:
        # The client wraps what the reader raised; the reader knows better.
        if reader.error is not None:
            raise reader.error from exc
        request.cancel.check()
        raise
    if made.etag != reader.md5.hexdigest():
        raise errors.TargetError(
            'Swift says that it has written something else than the image',
            store=request.target.store,
        )
    return made


class _Reader:
    """The next ``size`` bytes of what is staged, as a file."""

    def __init__(self, request, size):
        self.md5 = hashlib.md5(usedforsecurity=False)
        # The client asks for a few KiB each time.
        self._buffer, self._sent = b'', 0
        self._left = size
        self._request = request
        self._staged = staged_reader.StagedReader(
            request.follower, request.on_bytes
        )

    @property
    def error(self):
        """What kept the bytes from coming, or None."""
        return self._staged.error

    def read(self, count):
        """Return up to so many bytes; none in the end."""
        if self._sent == len(self._buffer) and self._left:
            self._request.cancel.check()
            self._buffer = self._staged.read(min(_BUFFER, self._left))
            self._sent = 0
            self._left -= len(self._buffer)
            self.md5.update(self._buffer)
        data = self._buffer[self._sent:self._sent + count]
        self._sent += len(data)
        return data
