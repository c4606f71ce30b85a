# SPDX-License-Identifier: Apache-2.0

"""The contract of a server-side copy."""

import dataclasses
import typing

from glance_copy_plugin.transfer import cancel as cancel_
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import follower as follower_


class CannotServerCopy(Exception):
    """This copy cannot be made server-side; stream the image instead.

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
class Target:
    """The store that shall receive an image: its name and its driver."""

    store: str
    driver: object


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What a store holds now.

    :param url: URL of the new location
    :param metadata: the location's metadata, ``store`` included
    """

    url: str
    metadata: dict


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeptObject:
    """An object that lies in a store under an image's id, or will.

    :param partial: it is not complete
    :param place: its path in the store
    :param url: what a location of it says
    """

    image_id: str
    partial: bool
    place: str
    url: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyRequest:
    """One image to copy into one store.

    :param image_id: the image's id
    :param size: bytes
    :param expected: :class:`Expected`, what the image's record says
    :param locations: every :class:`Location` of the image that this node can
        reach, best first; a copier MUST NOT touch any of them
    :param target: :class:`Target`
    :param follower: the image's staged bytes, for a copier that says
        ``needs_staging``; else None
    :param verify: ``backend``, ``full`` or ``none``
    :param cancel: :class:`CancelToken`, to be checked at least twice a second
    :param on_bytes: to be called with the number of bytes copied so far; a
        sign of life: a copier that follows nothing and does not call it for
        ``[copy_image] store_timeout`` seconds is given up
    """

    image_id: str
    size: int
    expected: digests.Expected
    locations: tuple[Location, ...]
    target: Target
    follower: follower_.Follower | None
    verify: str
    cancel: cancel_.CancelToken
    on_bytes: typing.Callable[[int], None]


class Copier(typing.Protocol):
    """Copies an image into a store without passing it through a driver.

    ``name`` is the name of its entry point. ``needs_staging`` says what
    proves the copied bytes. If true, the copier follows ``request.follower``
    and commits only after its end was approved; if false, the backend's own
    checksum does, and nothing is staged for it.
    """

    name: str
    needs_staging: bool

    def can_copy(
        self, locations: tuple[Location, ...], target: Target
    ) -> bool:
        """Say whether ``copy`` has a chance, by looking at the real thing.

        MUST be cheap, MUST NOT change anything and MUST NOT raise.
        """

    def copy(self, request: CopyRequest) -> StoredObject:
        """Make the copy; return where it is.

        The object MUST NOT be readable under its final name before it is
        complete and verified. On any error, being cancelled included, MUST
        leave nothing behind, and MUST NOT touch what was there before.

        :raises: :class:`CannotServerCopy` to have the image streamed;
            glance_store's ``Duplicate`` if an object is in the way; for a
            real failure a :class:`CopyError` or what a driver raises
        """


class Inventory(typing.Protocol):
    """Knows what lies in the stores of a driver: a module.

    Those of other packages are entry points in ``glance_copy_plugin.keepers``.
    All but ``serves`` MAY raise what the driver does.
    """

    def serves(self, driver) -> bool:
        """Say whether this is the inventory of that driver."""

    def list_objects(self, driver) -> typing.Iterable[KeptObject]:
        """Yield all objects that have the id of an image in their name."""

    def is_named(self, kept: KeptObject, urls: typing.Iterable[str]) -> bool:
        """Say whether one of these locations means that very object."""

    def size_of(self, driver, kept: KeptObject) -> int | None:
        """Return its size in bytes, or None if it is gone."""

    def remove(self, driver, place: str) -> None:
        """Remove the object at a place; MUST NOT mind if it is gone."""

    def remove_partial(self, driver, image_id: str) -> None:
        """Remove unfinished objects of an image that nobody writes now."""

    def unrecorded_url(
        self, driver, image_id: str, locations: typing.Iterable[Location]
    ) -> str | None:
        """Return the URL of an object that keeps the image from being added.

        None if there is none, or one of ``locations`` means it.
        """
