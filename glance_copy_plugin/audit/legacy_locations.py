# SPDX-License-Identifier: Apache-2.0

"""Locations of earlier times, brought up to date ahead of time.

``cinder://<volume>`` becomes ``cinder://<store>/<volume>``: the store whose
volume type is the volume's. ``irods://user:password@host/...`` becomes a URL
of the path alone, ``s3://key:secret@host/...`` one without them, and
``swift+https://user:key@host/...`` one that names the store's configuration.
Glance's own lazy update does the first when an image is used, if ever.
"""

import dataclasses

from glance_store import exceptions

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import s3_objects
from glance_copy_plugin.backends import swift_objects
from glance_copy_plugin.records import urls
from glance_copy_plugin.transfer import errors
from glance_store_irods import location as irods_location

UPDATED, WOULD_UPDATE = 'updated', 'would update'
VANISHED, FAILED = 'vanished', 'failed'
_CINDER = 'cinder://'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Migrated:
    """What became of one location.

    :param result: one of the words above
    :param detail: a sentence without credentials
    """

    image_id: str
    result: str
    detail: str


class _CannotTell(Exception):
    """There is no store for a location; the text says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Migration:
    """Looks at all locations of the database.

    :param context: a request context with admin rights, for Cinder
    :param dry_run: change nothing
    """

    context: object
    dry_run: bool

    def run(self):
        """Yield a :class:`Migrated` for each location of earlier times."""
        for recorded in urls.everything():
            if is_legacy(recorded.url):
                yield self._migrate(recorded)

    def _migrate(self, recorded):
        try:
            store, url = self._modern(
                recorded.url, recorded.metadata.get('store')
            )
        except _CannotTell as exc:
            return _result(FAILED, recorded, str(exc))
        if self.dry_run:
            return _result(
                WOULD_UPDATE, recorded, f'store {store}: {url}'
            )
        metadata = {**recorded.metadata, 'store': store}
        if not urls.change(recorded, url, metadata):
            return _result(
                VANISHED, recorded, 'it was changed meanwhile'
            )
        return _result(UPDATED, recorded, f'store {store}: {url}')

    def _modern(self, url, store):
        """Return the store of a location and its URL of today.

        :param store: the one that is recorded, or None
        """
        if url.startswith(_CINDER):
            return self._of_cinder(url.removeprefix(_CINDER))
        if s3_objects.Place.of_url(url):
            return _of_s3(url)
        if swift_objects.Place.of_url(url):
            return _of_swift(url, store)
        return _of_irods(url)

    def _of_cinder(self, volume):
        problems = []
        for name, driver in _drivers('cinder'):
            try:
                if driver.is_image_associated_with_store(
                    self.context, volume
                ):
                    return name, f'{_CINDER}{name}/{volume}'
            except (
                exceptions.BackendException, exceptions.GlanceStoreException
            ) as exc:
                problems.append(errors.redact(exc))
        raise _CannotTell('; '.join(problems) or (
            f'no store of this node has the volume type of the volume '
            f'{errors.redact(volume)}'
        ))


def is_legacy(url):
    """True if a location is not as it would be written today."""
    if url.startswith(_CINDER):
        return '/' not in url.removeprefix(_CINDER)
    if s3_objects.Place.of_url(url) or swift_objects.Place.of_url(url):
        return '@' in url
    return url.startswith('irods://') and irods_location.is_legacy(url)


def _of_irods(url):
    try:
        path = irods_location.path_of(url)
    except exceptions.BadStoreUri as exc:
        raise _CannotTell(errors.redact(exc)) from None
    for name, driver in _drivers('irods'):
        if path.startswith(f'{driver.settings.collection}/'):
            return name, irods_location.url_of(path)
    raise _CannotTell(f'no store of this node has the collection of {path}')


def _of_s3(url):
    place = s3_objects.Place.of_url(url)
    for name, driver in _drivers('s3'):
        if s3_objects.is_configured(driver) and (
            driver.bucket, s3_objects.endpoint(driver)
        ) == (place.bucket, place.endpoint):
            return name, s3_objects.url(driver, place.key)
    raise _CannotTell(
        f'no store of this node has the bucket {place.bucket} of '
        f'{place.endpoint}'
    )


def _of_swift(url, store):
    """The URL is the same in all regions: only the record tells which."""
    place = swift_objects.Place.of_url(url)
    found = {
        name: driver for name, driver in _drivers('swift')
        if swift_objects.is_configured(driver) and place.is_of(driver)
    }
    if store not in found and len(found) == 1:
        (store,) = found
    if not found:
        raise _CannotTell(
            'no store of this node has the Swift account of the container '
            f'{place.container}'
        )
    if store not in found:
        raise _CannotTell(
            f'the stores {", ".join(found)} have the Swift account of the '
            f'container {place.container}, and the location does not say '
            'which one it is in'
        )
    return store, swift_objects.url(
        found[store], place.container, place.key
    )


def _drivers(scheme):
    """Yield (name, driver) of each store of a scheme that can be used."""
    for name in drivers.store_names():
        driver = drivers.of_store(name)
        if driver is not None and scheme in driver.get_schemes():
            yield name, driver


def _result(result, recorded, detail):
    return Migrated(
        image_id=recorded.image_id, result=result,
        detail=errors.redact(detail),
    )
