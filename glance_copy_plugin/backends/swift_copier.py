# SPDX-License-Identifier: Apache-2.0

"""Swift to Swift: the server copies the image.

From container to container, also of different accounts, if the user of the
target may read the source. The server tells the md5 of each object and each
segment: that of the copy has to be that of the source.
"""

from concurrent import futures
import contextlib

from glance_store import exceptions

from glance_copy_plugin.backends import object_copier
from glance_copy_plugin.backends import read_back
from glance_copy_plugin.backends import swift_objects
from glance_copy_plugin.backends import swift_segments

# Segments that are copied at the same time.
WORKERS = 8


class SwiftCopier(object_copier.ObjectCopier):
    """Copies images between the containers of one Swift."""

    service = 'Swift'

    def opened(self, driver, image_id=None):
        return swift_objects.opened(driver, image_id)

    def errors(self):
        return swift_segments.errors()

    def is_near(self, location, driver):
        source = location.driver
        if 'swift' not in source.get_schemes() or (
            not swift_objects.is_configured(source)
        ):
            return False
        if location.url:
            place = swift_objects.Place.of_url(location.url)
            if place is None or not place.is_of(source):
                return False
        return _service(source) == _service(driver)

    def is_visible(self, container, location):
        with _source(container, location) as source:
            if not location.url:
                return source.exists()
            place = swift_objects.Place.of_url(location.url)
            return source.find(place.key) is not None

    def make(self, container, request, location):
        with _source(container, location) as source:
            _Copy(container, source, request, location).make()
        return swift_objects.url(
            request.target.driver, container.name, request.image_id
        )


class _Copy:
    """One copy into ``container`` from one location."""

    def __init__(self, container, source, request, location):
        self._container = container
        self._source = source
        self._request = request
        self._key = swift_objects.Place.of_url(location.url).key

    def make(self):
        """Make the copy, and prove that it is one."""
        found, segments = self._find_source()
        if not segments:
            self._make_empty()
        elif not found.is_segmented and self._request.verify != 'full':
            self._copy_object(segments[0])
        else:
            self._copy_segments(segments)

    def _find_source(self):
        """Return what is Found, and the objects that have its bytes."""
        try:
            found = self._source.find(self._key)
            if found is None:
                raise object_copier.Unsuitable(
                    'the user of the target sees no image in the container '
                    f'{self._source.name}'
                )
            segments = self._source.segments(self._key, found)
            size = sum(each.size for each in segments)
        except (exceptions.Forbidden, exceptions.NotFound):
            raise object_copier.Unsuitable(
                'the user of the target may not read the image in the '
                f'container {self._source.name}'
            ) from None
        except ValueError as exc:
            raise object_copier.Unsuitable(str(exc)) from None
        if (found.size, size) != (self._request.size,) * 2:
            raise object_copier.Unsuitable(
                f'an object of a store has {found.size} bytes, and its '
                f'segments {size}'
            )
        return found, segments

    def _make_empty(self):
        with self._kept_if_right():
            self._container.put(self._request.image_id, b'', 0)
            self._approve()

    def _copy_object(self, segment):
        with self._kept_if_right():
            self._copy_all([(segment, self._request.image_id)])
            self._approve()

    def _kept_if_right(self):
        return swift_segments.kept_if_right(
            self._container, self._request.image_id
        )

    def _copy_segments(self, segments):
        request = self._request
        if len(segments) > self._container.most_segments():
            raise object_copier.Unsuitable(
                f'the image has {len(segments)} segments, more than Swift '
                'takes here'
            )
        with swift_segments.Segments(
            self._container, request.image_id
        ) as made:
            made.segments = self._copy_all([
                (each, made.key(number))
                for number, each in enumerate(segments, 1)
            ])
            if request.verify == 'full':
                read_back.check(made.read(), request)
            self._approve()
            made.publish(request.size)

    def _copy_all(self, wanted):
        """Have the server copy (segment, new key); return the new ones."""
        with futures.ThreadPoolExecutor(WORKERS) as pool:
            copies = [
                pool.submit(self._container.copy, self._source, *each)
                for each in wanted
            ]
            sizes = [segment.size for segment, _key in wanted]
            try:
                object_copier.wait(copies, self._request, lambda count: (
                    self._request.on_bytes(sum(sizes[:count]))
                ))
            except BaseException:
                object_copier.stop(copies)
                raise
            done = [each.result() for each in copies]
        for (segment, _key), made in zip(wanted, done, strict=True):
            if made.etag != segment.etag:
                raise exceptions.BackendException(
                    'the copy has another ETag than the image'
                )
        return done

    def _approve(self):
        self._request.on_bytes(self._request.size)
        self._request.cancel.check()


def _source(container, location):
    """Open the container of a location as the user of the target."""
    name = location.driver.store_conf.swift_store_container
    if location.url:
        name = swift_objects.Place.of_url(location.url).container
    own = swift_objects.module('account').storage_url(location.driver)
    return contextlib.closing(container.beside(name, own))


def _service(driver):
    """Return what two stores of the same Swift have in common."""
    return (
        swift_objects.address(driver), driver.region, driver.service_type
    )
