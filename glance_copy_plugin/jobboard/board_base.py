# SPDX-License-Identifier: Apache-2.0

"""What the jobboard of each kind has to do, whoever keeps it."""

import abc
import datetime
import functools

from oslo_log import log as logging
from oslo_serialization import jsonutils
from taskflow import exceptions

LOG = logging.getLogger(__name__)

# What reading something that is no job may raise.
NONSENSE = (ValueError, TypeError, KeyError, AttributeError)
# Who has claimed a job, if what the jobboard says of it is no name.
UNKNOWN = 'unknown'


class Kind(abc.ABC):
    """TaskFlow's jobboard, and what copies need of it beyond that.

    Its jobs have ``uuid``, ``details``, ``priority`` and ``created_on``. All
    methods raise TaskFlow's ``JobFailure`` if the jobboard does not answer,
    soon enough for a claim to be renewed by somebody else's answer, and give
    an account in words that hold no secret.
    """

    @abc.abstractmethod
    def ping(self):
        """Return if the jobboard answers, having asked it."""

    @abc.abstractmethod
    def post_once(self, uuid, name, details, priority):
        """Put a job on the jobboard, unless one of this id is there.

        Who posts the same job again, or at the same time as others, does no
        harm: there are never two claims of one id.

        :param uuid: id of the job
        :param priority: TaskFlow's ``JobPriority``
        :returns: False if there was one
        """

    @abc.abstractmethod
    def postings(self):
        """Return (job, owner or None) for each job that is not done.

        What is no job, whoever has put it there, is left out.
        """

    @abc.abstractmethod
    def claim(self, job, who, expiry):
        """Take a job, if it is there and nobody has it.

        The claim ends by itself ``expiry`` seconds after its process has been
        heard of for the last time.

        :raises UnclaimableJob: or ``NotFound``
        """

    @abc.abstractmethod
    def find_owner(self, job):
        """Return who has claimed a job, as the jobboard knows now, or None.

        Whoever it is whose name cannot be read is ``UNKNOWN``.
        """

    @abc.abstractmethod
    def extend(self, job, who, expiry):
        """Renew a claim; False if it is not theirs."""

    @abc.abstractmethod
    def consume(self, job, who):
        """Take a job off the jobboard; ``NotFound`` if that was done."""

    @abc.abstractmethod
    def abandon(self, job, who):
        """Give a job back; ``NotFound`` if it is gone."""

    @abc.abstractmethod
    def announce(self, name, content, seconds):
        """Say something of a worker, which is forgotten unless repeated."""

    @abc.abstractmethod
    def announced(self):
        """Return ``{name: what was said}`` of the workers that live.

        As it is on the jobboard, in JSON, if it comes from a worker.
        """

    @abc.abstractmethod
    def withdraw(self, name):
        """A worker lives no more."""


def readable(contents, read):
    """Return the jobs among what is on a jobboard; say what is none.

    :param contents: ``{key: content}``
    :param read: called with both; returns a job
    """
    found = []
    for key, content in contents.items():
        try:
            job = read(key, content)
        except (*NONSENSE, exceptions.JobFailure):
            say_unreadable(key)
            continue
        # Jobs are put in order by it.
        if isinstance(job.created_on, datetime.datetime):
            found.append(job)
        else:
            say_unreadable(key)
    return found


def readable_owner(owner):
    """Return who has claimed a job, or ``UNKNOWN`` if that is no name."""
    return owner if is_name(owner) else UNKNOWN


def owner_of_lock(text):
    """Return who has claimed a job.

    :param text: JSON, as TaskFlow writes it to etcd and to ZooKeeper
    """
    try:
        return readable_owner(jsonutils.loads(text)['owner'])
    except NONSENSE:
        return UNKNOWN


def is_name(value):
    """True if it can be shown on an operator's terminal."""
    return isinstance(value, str) and value != '' and value.isprintable()


# The jobboard is looked at twice in a second.
@functools.lru_cache(maxsize=1000)
def say_unreadable(key):
    """Say once that what has this key is neither a job nor a worker."""
    LOG.warning(
        'Ignoring unrecognised jobboard entry %r: it is neither a job nor a '
        'worker of this plugin', key,
    )
