# SPDX-License-Identifier: Apache-2.0

"""Copies that the iRODS server makes, for ``livecopy --via-irods``.

Both clouds keep images in one zone, or in federated zones. The zone copies
the data object, and the copy is registered on the target as the location of
the image, with its hash. No byte passes through this machine.
"""

import contextlib
import dataclasses
import logging
import os
import threading

from glance_store import exceptions
from oslo_config import cfg

from glance_replicate import errors
from glance_replicate import store_copies
from glance_replicate import text
from glance_store_irods import checksums
from glance_store_irods import store as irods_store

LOG = logging.getLogger(__name__)

_ALGORITHMS = ('md5', 'sha1', 'sha256', 'sha512')
_LOOK = 0.3
_NO_API = 'its release has no Locations API (POST /v2/images/<id>/locations)'
_HINTS = {
    400: 'one of its stores must have the collection that was copied to',
    403: 'the user needs the role service there, and the policy '
         'add_image_location must allow it',
    404: _NO_API, 405: _NO_API,
}


def load_store(path, name):
    """Return the configured iRODS driver of a store.

    :param path: a file with a section of options for the store, such as the
        target's ``glance-api.conf``
    :param name: the section, which is the name of the store
    :raises: :class:`ReplicatorError`
    """
    if not os.access(path, os.R_OK):
        raise errors.ReplicatorError(f'Cannot read {text.safe(path)}')
    conf = cfg.ConfigOpts()
    driver = irods_store.Store(conf, backend=name)
    try:
        conf([], project='glance', default_config_files=[path])
        driver.configure(re_raise_bsc=True)
    except (cfg.Error, exceptions.BadStoreConfiguration) as exc:
        raise errors.ReplicatorError(
            f'Cannot use the store {text.safe(name)} of {text.safe(path)}: '
            f'{text.safe(exc)}'
        ) from None
    return driver


@dataclasses.dataclass(kw_only=True)
class ViaIrods:
    """The :class:`Delivery` that has the zone copy, and registers the copy.

    :param source: :class:`ImageService` that the images come from
    :param target: :class:`ImageService` that they go to
    :param driver: of the target's store, as :func:`load_store` returns it
    :param collection: where the source keeps its images, each under its id;
        if None, the source is asked for their locations
    """

    source: object
    target: object
    driver: object
    collection: str | None = None
    _refusal: str | None = None
    _partials: list | None = None

    def __post_init__(self):
        self._lock = threading.Lock()

    def prepare(self, item, image):
        with self._lock:
            if self._refusal:
                raise errors.ReplicatorError(self._refusal)
        if image.algorithm not in _ALGORITHMS or not image.digest:
            raise errors.ReplicatorError(
                f'{self.source.name} has no hash of this image that the '
                f'Locations API accepts; copy it without --via-irods'
            )
        if image.size is None:
            raise errors.ReplicatorError(
                f'{self.source.name} does not know the size of this image; '
                f'copy it without --via-irods'
            )

    def deliver(self, item, image, record, count):
        try:
            url = self._copy(image, record)
        except (
            exceptions.GlanceStoreException, exceptions.BackendException
        ) as exc:
            raise errors.ReplicatorError(
                f'iRODS did not copy it: {text.safe(exc)}'
            ) from None
        count(image.size)
        self._register(image, record, url)
        return image

    def read(self, item, image):
        raise errors.ReplicatorError(
            f'{self.source.name} and {self.target.name} have no hash of this '
            f'image in common; copy it without --via-irods, which reads it'
        )

    def _copy(self, image, record):
        path = self._path(image)
        self._remove_partials(record)

        def copy():
            return self.driver.copy_here(
                path, record.id, image.size,
                beat=self.target.retries.cancel.check,
                check=lambda found, _path: checksums.compare(
                    found, image.algorithm, image.digest
                ),
            )

        try:
            return copy()
        except exceptions.Duplicate:
            # A run that was killed had copied it, and not registered it.
            self._check_unused(record)
            self.driver.remove(self.driver.new_path(record.id))
            return copy()

    def _remove_partials(self, record):
        """Remove what a killed run has left of the same copy.

        Only this process works on the record, so nobody else writes there.
        What the zone is still copying, or has locked, is in nobody's way.
        """
        with self._lock:
            if self._partials is None:
                self._partials = [
                    each.path for each in self.driver.unfinished()
                ]
        start = f'{self.driver.new_path(record.id)}.'
        for path in self._partials:
            if path.startswith(start):
                try:
                    self.driver.remove(path)
                except exceptions.NotFound:
                    continue
                except exceptions.InUseByStore as exc:
                    LOG.warning('%s', text.safe(exc))

    def _path(self, image):
        """Return the path of the object of an image of the source."""
        if self.collection:
            return f'{self.collection.rstrip("/")}/{image.id}'
        try:
            found = self.source.locations(image.id)
        except errors.Refused as exc:
            raise errors.ReplicatorError(
                f'{self.source.name} does not show the locations of its '
                f'images ({exc.status}): the user needs the role service or '
                f'admin there (policy fetch_image_location); or name the '
                f'collection with --irods-from'
            ) from None
        for location in found:
            if location['url'].startswith('irods://'):
                path = self.driver.path_of_url(location['url'])
                if self.driver.sees(path):
                    return path
        raise errors.ReplicatorError(
            'it has no object in iRODS that the account of the target\'s '
            'store can see'
        )

    def _register(self, image, record, url):
        """Register what was copied as the location; else remove it."""
        lost = None
        try:
            self.target.add_location(record.id, url, {
                'os_hash_algo': image.algorithm,
                'os_hash_value': image.digest,
            })
        except errors.Refused as exc:
            self._remove(url)
            raise self._explained(exc) from None
        except errors.Unreachable as exc:
            lost = exc
        seen = store_copies.follow(self.target, record.id, interval=_LOOK)
        status = (seen.record or {}).get('status')
        if status == 'active':
            return
        if lost:
            # The request may be under way; if not, the next run removes it.
            raise lost
        if status in ('queued', None):
            self._remove(url)
        raise errors.ReplicatorError(
            f'{self.target.name} did not accept the location: '
            f'{text.safe(seen.message) or f"the image is {status}"}'
        )

    def _explained(self, refused):
        hint = _HINTS.get(refused.status)
        if hint is None:
            return refused
        sentence = f'{refused}; {hint}'
        if refused.status != 400:
            with self._lock:
                # It would refuse every other image too.
                self._refusal = sentence
        return errors.ReplicatorError(sentence)

    def _check_unused(self, record):
        """Raise if the target may be about to use what was copied."""
        now = self.target.image(record.id) or {}
        if now.get('status') != 'queued' or store_copies.LOCK in now:
            raise errors.ReplicatorError(
                f'{self.target.name} is working on this image; try again '
                f'later'
            )

    def _remove(self, url):
        with contextlib.suppress(exceptions.NotFound):
            self.driver.remove(self.driver.path_of_url(url))
