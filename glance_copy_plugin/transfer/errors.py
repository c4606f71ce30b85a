# SPDX-License-Identifier: Apache-2.0

"""What can go wrong in a copy, where it came from, can a retry help."""

import errno
import re

from oslo_utils import strutils

# Up to the last @: S3 keys contain slashes, passwords contain anything.
_URL_CREDENTIALS = re.compile(r'(?<=://)\S*@')
# What stays as it is until somebody does something about it.
_LASTING = frozenset({
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EINVAL, errno.EISDIR,
    errno.ELOOP, errno.ENAMETOOLONG, errno.ENOSPC, errno.ENOSYS,
    errno.ENOTDIR, errno.EOPNOTSUPP, errno.EPERM, errno.EROFS,
})
_MISTAKES = (AttributeError, LookupError, NameError, NotImplementedError,
             TypeError, ValueError)
_HEADER = re.compile(
    r'(?i)\b((?:x-[a-z-]*token|authorization):\s*)'
    r'(?:(?:bearer|basic)\s+)?\S+'
)


def redact(text):
    """Return ``text`` without passwords, tokens and URL credentials."""
    text = _HEADER.sub(r'\1***', strutils.mask_password(str(text)))
    return _URL_CREDENTIALS.sub('***@', text)


def may_pass(exc):
    """True if what raised ``exc``, an exception of others, may work later.

    A network's errors have no number, and no list of them is complete: what
    is not known to last may pass.
    """
    if isinstance(exc, OSError):
        return exc.errno not in _LASTING
    return not isinstance(exc, _MISTAKES)


class CopyError(Exception):
    """Base of all errors of a copy.

    :param reason: one sentence for the user; credentials are masked
    :param store: name of the store concerned, or None

    ``origin`` says where the error came from; ``retryable`` says whether the
    same step may succeed when it is tried again.
    """

    origin = 'copy'
    retryable = False

    def __init__(self, reason, *, store=None):
        self.reason = redact(reason)
        self.store = store
        super().__init__(self.reason)

    def __str__(self):
        where = f'{self.origin} {self.store}' if self.store else self.origin
        return f'{where}: {self.reason}'


class SourceError(CopyError):
    """A location of the image could not be read this time."""

    origin = 'source store'
    retryable = True


class SourceGone(SourceError):
    """The image is not there, or may not be read."""

    retryable = False


class SourceHangs(SourceError):
    """The store does not answer; a thread still waits for it."""

    retryable = False


class SourceMismatch(SourceError):
    """The bytes that were read are not the bytes of the image."""

    retryable = False


class StagingError(CopyError):
    """The staging area could not take the image."""

    origin = 'staging area'


class TargetError(CopyError):
    """A store cannot receive the image."""

    origin = 'store'


class TargetUnavailable(TargetError):
    """A store did not receive the image this time."""

    retryable = True


class TargetHangs(TargetError):
    """The store does not answer; a thread still waits for it."""


class RecordsError(CopyError):
    """Glance's records do not allow the copy to go on."""

    origin = 'image record'


class LeaseLost(RecordsError):
    """Another process has the copy now: this one must not write any more."""

    origin = 'copy'


class LeaseUnsure(RecordsError):
    """Whose copy it is cannot be known just now."""

    origin = 'copy'
    retryable = True


class Cancelled(CopyError):
    """The copy was stopped by something other than a failure of its own."""

    origin = 'copy cancelled'


class Suspended(Cancelled):
    """This process is being stopped; another one carries the copy on."""

    origin = 'copy suspended'
    retryable = True


def no_source_left(failures):
    """Return the :class:`CopyError` that sums up why nothing was read.

    :param failures: :class:`SourceError` of each location that was tried
    """
    if not failures:
        return SourceError('no location of the image can be read')
    if len(failures) == 1:
        return failures[0]
    return SourceError(
        'no location of the image is usable: '
        + '; '.join(f'{f.store}: {f.reason}' for f in failures)
    )


def source_error(exc, reason, *, store):
    """Return the :class:`SourceError` for an exception of others."""
    passes = may_pass(exc) and not isinstance(exc, FileNotFoundError)
    kind = SourceError if passes else SourceGone
    return kind(reason, store=store)


def target_error(exc, reason, *, store):
    """Return the :class:`TargetError` for an exception of others."""
    kind = TargetUnavailable if may_pass(exc) else TargetError
    return kind(reason, store=store)
