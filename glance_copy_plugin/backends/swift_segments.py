# SPDX-License-Identifier: Apache-2.0

"""New objects in Swift, which stay if they were found to be right."""

import contextlib

from glance_store import exceptions

from glance_copy_plugin.backends import object_copier
from glance_copy_plugin.backends import swift_objects


def errors():
    """Return what the client of Swift raises, as a tuple."""
    return (
        *swift_objects.module('account').ERRORS,
        exceptions.GlanceStoreException,
    )


@contextlib.contextmanager
def kept_if_right(container, key):
    """Remove an object if something is raised.

    The server may have made it, whatever became of its answer.
    """
    try:
        yield
    except BaseException:
        _discard(container.remove, key)
        raise


class Segments:
    """The segments of a copy, without a manifest until all is right.

    Nobody can read them as an image before :meth:`publish`. They are removed
    in the end if that was not called.

    :param container: ``Container``
    """

    def __init__(self, container, image_id):
        self.segments = []
        self._container = container
        self._image_id = image_id
        self._prefix = swift_objects.new_prefix(image_id)
        self._keys = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if error is not None:
            # A list of what is in a container may come late.
            for key in self._keys:
                _discard(self._container.remove, key)

    def key(self, number):
        """Return the name of a segment; the first one is 1."""
        self._keys.append(f'{self._prefix}{number:05}')
        return self._keys[-1]

    def read(self):
        """Yield the bytes of all."""
        for each in self.segments:
            yield from self._container.read(each.key)

    def publish(self, size):
        """Make the image of the segments.

        :raises BackendException: if it does not have ``size`` bytes then
        """
        container, key = self._container, self._image_id
        with kept_if_right(container, key):
            container.put_manifest(key, self.segments)
            found = container.find(key)
            # Swift without that middleware keeps the manifest as the image.
            if found is None or not found.static or found.size != size:
                raise exceptions.BackendException(
                    'Swift has not made an image of its segments'
                )


def _discard(remove, *what):
    object_copier.discard(remove, *what, service='Swift', errors=errors())
