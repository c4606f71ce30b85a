# SPDX-License-Identifier: Apache-2.0

"""How the bytes of an image get into a record: copied on the iRODS server.

Both clouds keep images in one zone, or in zones that know each other. The
zone copies the data object, and the target is told where the copy is, with
the hash of the image. No byte passes through here.
"""

import contextlib
import dataclasses
import threading

from glance_store import exceptions

from glance_replicate import errors
from glance_replicate import following
from glance_replicate import text
from glance_store_irods import checksums

_ALGORITHMS = ('md5', 'sha1', 'sha256', 'sha512')
_LOOK = 0.3
_SETTING = {
    403: 'the user needs the role service there, and the policy '
         'add_image_location has to allow it',
    404: 'its release has no Locations API (POST /v2/images/<id>/locations)',
    405: 'its release has no Locations API (POST /v2/images/<id>/locations)',
    400: 'a store of its own has to lie in the collection that was copied to',
}


@dataclasses.dataclass(kw_only=True)
class ViaIrods:
    """Lets the zone copy, and registers the copy.

    :param source: :class:`ImageService` that the images come from
    :param target: :class:`ImageService` that they go to
    :param driver: the target's store, as glance_store_irods makes it
    :param cancel: :class:`CancelToken`
    :param collection: where the source keeps its images, each under its id;
        if None, the source is asked for their locations
    """

    source: object
    target: object
    driver: object
    cancel: object
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
                f'{self.source.name} has no hash of it that the Locations '
                f'API accepts; copy it without --via-irods'
            )
        if image.size is None:
            raise errors.ReplicatorError(
                f'{self.source.name} does not know its size; copy it without '
                f'--via-irods'
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
            f'{self.target.name} has another hash of it, which cannot be '
            f'compared unless it is read; do so without --via-irods'
        )

    def _copy(self, image, record):
        path = self._path(image)
        self._remove_partials(record)

        def ask():
            return self.driver.copy_here(
                path, record.id, image.size, beat=self.cancel.check,
                check=lambda checksum, _path: checksums.compare(
                    checksum, image.algorithm, image.digest
                ),
            )

        try:
            return ask()
        except exceptions.Duplicate:
            # A run that was killed had copied it, and told nobody.
            self._check_unused(record)
            self.driver.remove(self.driver.new_path(record.id))
            return ask()

    def _remove_partials(self, record):
        """Remove what a run that was killed has left of the same copy.

        The record is ours alone, so that nobody else writes it.
        """
        with self._lock:
            if self._partials is None:
                self._partials = [
                    path for path in self.driver.list()
                    if self.driver.is_partial(path)
                ]
        start = f'{self.driver.new_path(record.id)}.'
        for path in self._partials:
            if path.startswith(start):
                with contextlib.suppress(exceptions.NotFound):
                    self.driver.remove(path)

    def _path(self, image):
        """Return the path of the object of an image of the source."""
        if self.collection:
            return f'{self.collection.rstrip("/")}/{image.id}'
        try:
            found = self.source.locations(image.id)
        except errors.Refused as exc:
            raise errors.ReplicatorError(
                f'{self.source.name} does not tell where its images are '
                f'({exc.status}): the user needs the role service or admin '
                f'there (policy fetch_image_location); or name the '
                f'collection with --irods-from'
            ) from None
        for location in found:
            if location['url'].startswith('irods://'):
                path = self.driver.path_of_url(location['url'])
                if self.driver.sees(path):
                    return path
        raise errors.ReplicatorError(
            'it has no object in iRODS that the account of the target\'s '
            'store sees'
        )

    def _register(self, image, record, url):
        """Let the record be what was copied; else remove that."""
        try:
            self.target.add_location(record.id, url, {
                'os_hash_algo': image.algorithm,
                'os_hash_value': image.digest,
            })
        except errors.Refused as exc:
            self._remove(url)
            raise self._explained(exc) from None
        except errors.Unreachable as exc:
            # It may be about to take it; the next run removes it if not.
            if not self._settle(record, url, remove=False):
                raise exc
            return
        self._settle(record, url)

    def _settle(self, record, url, remove=True):
        """Wait until the target has taken the location, or has refused it.

        :param remove: if it has refused, remove what was copied, and raise
        :returns: True if it was taken
        """
        seen = following.follow(
            self.target, record.id, self.cancel, lambda _seen: None, _LOOK
        )
        status = (seen.record or {}).get('status')
        if status == 'active' or not remove:
            return status == 'active'
        if status in ('queued', None):
            self._remove(url)
        raise errors.ReplicatorError(
            f'{self.target.name} did not take the location: '
            f'{text.safe(seen.message) or f"the image is {status}"}'
        )

    def _explained(self, refused):
        setting = _SETTING.get(refused.status)
        if setting is None:
            return refused
        sentence = f'{refused}; {setting}'
        if refused.status != 400:
            with self._lock:
                # It would say the same of every other image.
                self._refusal = sentence
        return errors.ReplicatorError(sentence)

    def _check_unused(self, record):
        """Raise if the target may be about to take what was copied."""
        now = self.target.image(record.id) or {}
        if now.get('status') != 'queued' or following.LOCK in now:
            raise errors.ReplicatorError(
                f'{self.target.name} is at work on it'
            )

    def _remove(self, url):
        with contextlib.suppress(exceptions.NotFound):
            self.driver.remove(self.driver.path_of_url(url))
