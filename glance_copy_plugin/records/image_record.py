# SPDX-License-Identifier: Apache-2.0

"""The image's record: what a copy reads of it, and the little it writes."""

import contextlib
import dataclasses
import threading

import glance.api.common
from glance.common import exception
import glance.db

from glance_copy_plugin.records import endings
from glance_copy_plugin.records import rows
from glance_copy_plugin.records.retry import retried
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors

LOCK = rows.LOCK
IMPORTING = rows.IMPORTING
FAILED = rows.FAILED


def split(value):
    """Return the stores that a reserved property names, as a set."""
    return frozenset(store for store in (value or '').split(',') if store)


class LockLost(errors.RecordsError):
    """The image is no longer locked for this copy."""


class ImageGone(errors.RecordsError):
    """The image was deleted."""


class LastLocation(errors.RecordsError):
    """No other location is left, so this one must stay."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedLocation:
    """A location row: its id, its URL in clear, its metadata."""

    row: int
    url: str
    metadata: dict

    @property
    def store(self):
        return self.metadata.get('store')


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What a copy needs to know of an image, read at one moment.

    :param size: bytes, or None if the record does not say
    :param locations: :class:`RecordedLocation` tuple, the stores with the
        greatest weight first
    :param importing: stores that are to get the image
    :param failed: stores that did not get the image
    """

    image_id: str
    status: str
    size: int | None
    checksum: str | None
    os_hash_algo: str | None
    os_hash_value: str | None
    lock: str | None
    locations: tuple
    importing: frozenset
    failed: frozenset

    def expected(self, size=None):
        """Return what is known of the bytes, as :class:`Expected`.

        :param size: how many there are, if the record does not say
        """
        return digests.Expected.of_image(
            size=self.size if size is None else size,
            os_hash_algo=self.os_hash_algo,
            os_hash_value=self.os_hash_value,
            checksum=self.checksum,
        )


def facts_of(image):
    """Return the :class:`ImageFacts` of Glance's object for an image."""
    return ImageFacts(
        image_id=image.image_id,
        status=image.status,
        size=image.size,
        checksum=image.checksum,
        os_hash_algo=image.os_hash_algo,
        os_hash_value=image.os_hash_value,
        lock=image.extra_properties.get(LOCK),
        locations=tuple(
            RecordedLocation(
                row=location.get('id'),
                url=location['url'],
                metadata=location['metadata'] or {},
            )
            for location in image.locations
        ),
        importing=split(image.extra_properties.get(IMPORTING)),
        failed=split(image.extra_properties.get(FAILED)),
    )


class ImageRecord:
    """The record of one image, as seen by one copy.

    The two reserved properties are always written as this copy knows them:
    a save of an older record, by anybody, may have put old values back.

    :param context: a request context with admin rights
    :param image_id: id of the image
    :param task_id: id of the task that must hold the image's lock
    :param check_lease: called before each write, with the image's row locked;
        raises if the copy is not this process's any more
    """

    def __init__(
        self, context, image_id, task_id, check_lease=lambda: None
    ):
        self._context = context
        self.image_id = image_id
        self._task_id = task_id
        self._check_lease = check_lease
        self._db = glance.db.get_api()
        self._one_at_a_time = threading.Lock()
        self._pending = frozenset()
        self._failed = frozenset()
        self._kept = {}
        self._taken_back = {}
        self._known = {}

    def read(self):
        """Read the image's :class:`ImageFacts`, in one try.

        :raises: :class:`ImageGone`
        """
        return facts_of(self._domain_image())

    facts = retried(read)

    def _domain_image(self):
        """Return Glance's own object for the image, for reading only."""
        repo = glance.db.ImageRepo(self._context, self._db)
        try:
            image = repo.get(self.image_id)
        except exception.NotFound as exc:
            raise ImageGone('the image was deleted') from exc
        # Glance deletes in two steps: for a moment it is there without any
        # property, as if somebody had taken the lock.
        if image.status in rows.GONE:
            raise ImageGone('the image was deleted')
        return image

    domain_image = retried(_domain_image)

    @retried
    def members(self):
        """Return the ids of the projects that the image is shared with."""
        return [
            member['member'] for member in self._db.image_member_find(
                self._context, image_id=self.image_id
            )
        ]

    @retried
    def wait_for_others(self):
        """Return when no earlier process can write any more.

        One that was paused in the middle of a write holds the image's row,
        and may finish that write; what is read afterwards is the last word.
        """
        with self._db.session_for_write() as session:
            if rows.begin(session, self.image_id):
                self._check_lease()

    def begin(self, stores):
        """Say that a copy into ``stores`` begins."""
        self._write(pending=frozenset(stores), failed=frozenset())

    def store_done(self, store, url, metadata, known=None):
        """Record that ``store`` holds the image now, in one transaction.

        :param known: ``{'size': bytes, 'checksum': md5, 'os_hash_algo': name,
            'os_hash_value': digest}``, or a part of it, of the bytes that
            were read: what the record does not say is written with it
        :raises: :class:`LockLost`, :class:`ImageGone`,
            :class:`SourceMismatch` if the record has another hash by now or,
            if the image is not active any more, :class:`Cancelled`,
            recording nothing
        """
        known = known or {}

        def add_row(session):
            self._check_active(session)
            self._describe(session, known, store)
            # Repeated after a lost answer of the database: one row is enough.
            recorded = rows.locations(session, self.image_id)
            if store not in map(rows.store_of, recorded):
                rows.add_location(session, self.image_id, url, metadata)

        self._write(done=store, also=add_row)
        self._known = {**known, **self._known}
        self._kept[store] = url, metadata

    def store_failed(self, store):
        """Record that ``store`` did not get the image."""
        self._write(done=store, failed={store})

    def end(self, failed=()):
        """Say that the copy ended, and unlock the image.

        :param failed: further stores that did not get the image
        """
        def unlock(session):
            # A late save of an older record may have emptied it again.
            rows.describe(session, self.image_id, self._known)
            rows.unlock(session, self.image_id, self._task_id)

        self._write(pending=frozenset(), failed=failed, also=unlock)

    @retried
    def remove_location(self, store, url):
        """Take back what :meth:`store_done` recorded. The data stays.

        :raises: :class:`LastLocation` if the image would have none then;
            :class:`ImageGone`
        """
        with self._db.session_for_write() as session:
            if not rows.begin(session, self.image_id):
                raise ImageGone('the image was deleted')
            self._check_lease()
            found = rows.locations(session, self.image_id)
            ours = [
                row for row in found
                if rows.store_of(row) == store and rows.url_of(row) == url
            ]
            if ours and len(ours) == len(found):
                raise LastLocation(
                    f'only the store {store} holds the image by now'
                )
            for row in ours:
                rows.drop_location(row)
        self._kept.pop(store, None)
        self._taken_back[store] = url

    def ending(self):
        """Return the :class:`Ending` of a copy that has just ended."""
        return endings.Ending(
            image_id=self.image_id,
            task_id=self._task_id,
            failed=self._failed,
            kept=dict(self._kept),
            taken_back=dict(self._taken_back),
            known=dict(self._known),
        )

    def _write(self, *, pending=None, done=None, failed=(), also=None):
        """Write the properties, and what ``also`` adds, in a transaction."""
        with self._one_at_a_time:
            if pending is None:
                pending = self._pending
            pending = pending - {done}
            # A failure that could not be recorded is not forgotten.
            self._failed |= frozenset(failed)
            self._commit(pending, also)
            self._pending = pending

    @retried
    def _commit(self, pending, also):
        with self._transaction() as session:
            rows.set_stores(session, self.image_id, IMPORTING, pending)
            rows.set_stores(session, self.image_id, FAILED, self._failed)
            if also is not None:
                also(session)

    @contextlib.contextmanager
    def _transaction(self):
        with self._db.session_for_write() as session:
            if not rows.begin(session, self.image_id):
                raise ImageGone('the image was deleted')
            # First: who has the copy now may have ended it, and unlocked.
            self._check_lease()
            if rows.lock_holder(session, self.image_id) != self._task_id:
                raise LockLost('the image is locked for another task')
            yield session

    def _describe(self, session, known, store):
        """Complete the record; refuse bytes that are not its image's."""
        algorithm, value = rows.describe(session, self.image_id, known)
        if known.get('os_hash_algo') == algorithm and (
            known.get('os_hash_value', value) != value
        ):
            raise errors.SourceMismatch(
                f'it was given data with another {algorithm} than the image',
                store=store,
            )

    def _check_active(self, session):
        status = rows.status(session, self.image_id)
        if status != 'active':
            raise errors.Cancelled(
                f'the image became {status} while it was copied'
            )
