# SPDX-License-Identifier: Apache-2.0

"""What lies on the jobboard: jobs, their owners, and what workers announce.

Keys and contents are those of TaskFlow's jobboards, so that workers of
different releases share one.
"""

import dataclasses
import datetime
import functools

from oslo_log import log as logging
from oslo_serialization import jsonutils
from oslo_utils import timeutils
from taskflow.jobs import base

LOG = logging.getLogger(__name__)

# Who has claimed a job, if what the jobboard says of it is no name.
UNKNOWN = 'unknown'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Details:
    """Which copy a job is, and who can make it: ids and names, no secret.

    Everything else stands in the Image service's own records.

    :param stores: names of the stores to copy into
    :param sources: names of the stores that held the image when it was
        posted; empty if its record does not say
    :param project_id: who asked, for the sake of fairness
    """

    image_id: str
    task_id: str
    request_id: str | None
    stores: tuple
    sources: tuple
    project_id: str | None
    user_id: str | None
    priority: base.JobPriority = base.JobPriority.NORMAL

    def as_posting(self):
        """Return the job as a dict, as TaskFlow's jobboards have it."""
        details = dataclasses.asdict(self)
        return {
            'uuid': self.task_id, 'name': f'copy-image-{self.image_id}',
            'priority': details.pop('priority').value, 'details': details,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One job, as it was on the jobboard.

    :param key: how its kind of jobboard finds it
    :param uuid: id of the copy's task, if the job is a copy of ours
    :param created_on: when it was posted, in UTC
    """

    key: str | bytes
    uuid: str
    details: Details
    created_on: datetime.datetime

    @classmethod
    def of_posting(cls, key, posting, created_on):
        """Return the job that a posting is.

        :param posting: what :meth:`Details.as_posting` returns, or nonsense
        :raises Exception: of many kinds, if it is no copy
        """
        said = posting['details']
        return cls(
            key=key,
            uuid=str(posting['uuid']),
            details=Details(
                image_id=str(said['image_id']),
                task_id=str(said['task_id']),
                request_id=_text(said['request_id']),
                stores=tuple(map(str, said['stores'])),
                sources=tuple(map(str, said['sources'])),
                project_id=_text(said['project_id']),
                user_id=_text(said['user_id']),
                priority=base.JobPriority(posting['priority']),
            ),
            # Jobs are put in order by it.
            created_on=timeutils.normalize_time(created_on),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stores:
    """What a worker has.

    :param names: all stores that it is configured with
    :param writable: those that it can write
    """

    names: tuple
    writable: tuple

    def as_text(self):
        """Return it as workers say it to each other."""
        return jsonutils.dumps(dataclasses.asdict(self))

    @classmethod
    def of_text(cls, worker, text):
        """Return what a worker has announced.

        :param worker: its name
        :param text: JSON, in text or bytes
        :raises Exception: of many kinds, if no worker of ours said that
        """
        said = jsonutils.loads(text)
        found = cls(
            names=tuple(map(str, said['names'])),
            writable=tuple(map(str, said['writable'])),
        )
        if not all(map(_is_name, (worker, *found.names, *found.writable))):
            raise ValueError
        return found

    def can_make(self, details):
        """True if a worker with these stores can make the copy."""
        return self.can_read(details) and set(self.writable).issuperset(
            details.stores
        )

    def can_read(self, details):
        """True if one of them held the image when it was posted."""
        return not details.sources or not set(self.names).isdisjoint(
            details.sources
        )


def obstacle(details, workers):
    """Say why no worker can make a copy; None if one of them can.

    :param workers: :class:`Stores` of those that live
    """
    if not workers:
        return (
            f'no worker runs, so that none can write '
            f'{", ".join(details.stores)}: start glance-copy-worker'
        )
    if any(each.can_make(details) for each in workers):
        return None
    everywhere = {name for each in workers for name in each.writable}
    missing = [name for name in details.stores if name not in everywhere]
    if missing:
        return f'no worker that runs can write {", ".join(missing)}'
    if not any(each.can_read(details) for each in workers):
        return (
            'no worker that runs has a store that holds the image ('
            + ', '.join(details.sources) + ')'
        )
    needed = f'to write {", ".join(details.stores)}'
    if details.sources:
        needed += f' and to read one of {", ".join(details.sources)}'
    return (
        'no worker that runs has all that is needed: it would have ' + needed
    )


def recognised(contents, read):
    """Return ``{key: what it is}``; what nobody of ours wrote is left out.

    :param contents: ``{key: content}``
    :param read: called with both; :meth:`Job.of_posting` or the like
    """
    found = {}
    for key, content in contents.items():
        try:
            found[key] = read(key, content)
        except Exception:
            # Somebody else's words, of whatever form.
            _say_unrecognised(key)
    return found


def owner_of_lock(text):
    """Return who has claimed a job, or ``UNKNOWN``.

    :param text: JSON, as TaskFlow writes it to etcd and to ZooKeeper
    """
    try:
        return readable_owner(jsonutils.loads(text)['owner'])
    except Exception:
        # Somebody else's words, of whatever form.
        return UNKNOWN


def readable_owner(owner):
    """Return who has claimed a job, or ``UNKNOWN`` if that is no name."""
    return owner if _is_name(owner) else UNKNOWN


def _is_name(value):
    """True if it can be shown on an operator's terminal."""
    return isinstance(value, str) and value != '' and value.isprintable()


def _text(value):
    return None if value is None else str(value)


# The jobboard is looked at twice in a second.
@functools.lru_cache(maxsize=1000)
def _say_unrecognised(key):
    LOG.warning(
        'Ignoring unrecognised jobboard entry %r: it is neither a job nor a '
        'worker of this plugin', key,
    )
