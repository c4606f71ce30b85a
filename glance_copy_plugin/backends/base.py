# SPDX-License-Identifier: Apache-2.0

"""What a backend is: the contracts of what a kind of store can do by itself.

A backend is an entry point in ``glance_copy_plugin.backends``. It declares
which capabilities it has; glance_store's driver does the rest.
"""

import dataclasses
import functools
import importlib.metadata
import typing

import glance_store

from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import sources
from glance_copy_plugin.transfer.cancel_token import CancelToken
from glance_copy_plugin.transfer.follower import Follower


class CannotServerCopy(Exception):
    """This copy cannot be made server-side; stage the image instead.

    The only error that leads to another way of copying. Any other error of
    a copier is a real failure.
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Location:
    """Where an image's data is.

    :param store: name of the store
    :param driver: that store's glance_store driver
    :param url: the location's URL; MUST NOT be logged
    """

    store: str
    driver: object
    url: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What a store holds now.

    :param url: URL of the new location
    :param metadata: the location's metadata, ``store`` included
    """

    url: str
    metadata: dict


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """The store that shall receive an image: its name and its driver."""

    store: str
    driver: object

    def stored(self, url):
        """Return the :class:`StoredObject` that is there now."""
        return StoredObject(url=url, metadata={'store': self.store})


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeptObject:
    """An object that lies in a store under an image's id, or will.

    :param partial: it is not complete
    :param place: its path in the store
    :param url: what a location of it says
    :param stale: it is partial, and whoever wrote it is known to be gone
    :param old: it is partial, and was not written for very long
    :param advice: what has to be done by others before it can be removed
    """

    image_id: str
    partial: bool
    place: str
    url: str
    stale: bool = False
    old: bool = False
    advice: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyRequest:
    """One image to copy into one store.

    :param image_id: the image's id
    :param size: bytes
    :param expected: :class:`Expected`, what the image's record says
    :param locations: every :class:`Location` of the image that this node can
        reach, best first; MUST NOT be changed
    :param target: :class:`Target`
    :param verify: ``backend``, ``full`` or ``none``
    :param cancel: :class:`CancelToken`, to be checked at least twice a second
    :param on_bytes: to be called with the number of bytes copied so far; a
        sign of life: what does not call it for ``[copy_image]
        store_timeout`` seconds, nor waits for staged bytes, is given up
    """

    image_id: str
    size: int
    expected: digests.Expected
    locations: tuple[Location, ...]
    target: Target
    verify: str
    cancel: CancelToken
    on_bytes: typing.Callable[[int], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WriteRequest(CopyRequest):
    """One staged image to write into one store.

    :param follower: :class:`Follower`, the staged bytes as they come
    :param checksum: md5 of the image, or None if its record has none
    :param context: of the request that asked for the copy, for drivers
    :param discard: to be called with the URL of an object that was written
        and must not stay; does not raise
    """

    follower: Follower
    checksum: str | None
    context: object
    discard: typing.Callable[[str], None]


class Reader(typing.Protocol):
    """Reads the objects of a store. A backend inherits this."""

    def source(self, location: Location, context) -> sources.Source:
        """Return the object at a location; MUST NOT open it yet.

        :param context: of the request, for the driver
        """

    def size_of(self, location: Location, context) -> int | None:
        """Return its size in bytes; 0 or None if that cannot be known.

        MUST raise glance_store's ``NotFound`` if there is no such object: a
        location of an object that is gone would be written again. That is
        what the driver does, unless a reader has to know better.
        """
        return glance_store.get_size_from_uri_and_backend(
            location.url, location.store, context=context
        )


class Writer(typing.Protocol):
    """Writes staged images into a store. A backend inherits this.

    ``algorithms`` names the hashes that staging has to compute for it beside
    the image's own.
    """

    algorithms: tuple[str, ...] = ()

    def can_write(self, target: Target) -> bool:
        """Say whether it writes to that store as it is configured.

        MUST be cheap, MUST NOT change anything and MUST NOT raise. It does,
        unless a writer has more to say.
        """
        return True

    def write(self, request: WriteRequest) -> StoredObject:
        """Write the image; return where it is.

        MUST commit only after ``request.follower`` has approved the end. The
        object MUST NOT be readable under its final name before. On any error,
        being cancelled included, MUST leave nothing behind, and MUST NOT
        touch what was there before.

        :raises: what the follower raises; glance_store's ``Duplicate`` if an
            object is in the way; for a real failure a :class:`CopyError` or
            what a driver raises
        """


class ServerSideCopier(typing.Protocol):
    """Has the storage copy an image, which passes through no client.

    The storage's own checksum proves the copy, if it has any; with
    ``verify = full`` the copy MUST be read back.
    """

    def can_copy(
        self, locations: tuple[Location, ...], target: Target
    ) -> bool:
        """Say whether ``copy`` has a chance, by looking at the real thing.

        MUST be cheap, MUST NOT change anything and MUST NOT raise. A location
        with an empty URL means whatever lies in that store.
        """

    def copy(self, request: CopyRequest) -> StoredObject:
        """Make the copy; return where it is.

        The object MUST NOT be readable under its final name before it is
        complete and verified. On any error, being cancelled included, MUST
        leave nothing behind, and MUST NOT touch what was there before.

        :raises: :class:`CannotServerCopy` to have the image staged;
            glance_store's ``Duplicate`` if an object is in the way; for a
            real failure a :class:`CopyError` or what a driver raises
        """


class Inventory(typing.Protocol):
    """Knows what lies in the stores of a driver.

    All methods MAY raise what the driver does. A backend inherits this.
    """

    def list_objects(self, driver) -> typing.Iterable[KeptObject]:
        """Yield all objects that have the id of an image in their name."""

    def is_named(self, kept: KeptObject, urls: typing.Iterable[str]) -> bool:
        """Say whether one of these locations means that very object."""

    def size_of(self, driver, kept: KeptObject) -> int | None:
        """Return its size in bytes, or None if it is gone."""

    def remove(self, driver, place: str) -> None:
        """Remove the object at a place; MUST NOT mind if it is gone."""

    def remove_partial(
        self, driver, image_id: str
    ) -> typing.Iterable[KeptObject]:
        """Remove unfinished objects of an image whose writer is gone.

        :returns: those that cannot be removed yet; they MUST NOT be in the
            way of the next copy
        """

    def list_stale(self, driver) -> typing.Iterable[KeptObject]:
        """Return the objects that are ``stale``, without listing all.

        Where that is known only of a copy that is taken over: none.
        """
        return ()

    def unrecorded_url(
        self, driver, image_id: str, locations: typing.Iterable[Location]
    ) -> str | None:
        """Return the URL of an object that keeps the image from being added.

        None if there is none, or one of ``locations`` means it.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backend:
    """A kind of store, and what can be done with it.

    What is None is done by glance_store's driver, or not at all.

    :param drivers: the names of its drivers, which are entry points in
        ``glance_store.drivers``; classes derived from them are served, too
    :param is_usable: says for a driver of these whether the capabilities can
        be used as it is configured; MUST be cheap and MUST NOT raise
    :param check: asks the storage of a driver whether it can be written as
        it is configured; raises what the driver does
    """

    drivers: tuple[str, ...]
    is_usable: typing.Callable[[object], bool] = lambda driver: True
    check: typing.Callable[[object], None] = lambda driver: None
    reader: Reader | None = None
    writer: Writer | None = None
    copier: ServerSideCopier | None = None
    inventory: Inventory | None = None

    def serves(self, driver) -> bool:
        """True if that is one of its drivers, and usable."""
        return any(
            _is_made_by(driver, name) for name in self.drivers
        ) and self.is_usable(driver)


def _is_made_by(driver, name):
    made = _driver_of(name)
    if isinstance(made, type):
        return isinstance(driver, made)
    # A function makes one of the classes of its package.
    return made is not None and type(driver).__module__.startswith(
        f'{made.__module__.rpartition(".")[0]}.'
    )


@functools.cache
def _driver_of(name):
    """Return what makes a driver; None if it cannot be loaded here."""
    for point in importlib.metadata.entry_points(
        group='glance_store.drivers', name=name
    ):
        try:
            return point.load()
        except ImportError:
            return None
    return None
