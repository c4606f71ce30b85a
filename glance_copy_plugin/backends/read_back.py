# SPDX-License-Identifier: Apache-2.0

"""Reading a new object back, where nothing else proves what is in it."""

from glance_store import exceptions

from glance_copy_plugin.transfer import digests


class NotTheImage(exceptions.BackendException):
    """What was copied is not the image, and so is what it was copied from."""


def check(chunks, request):
    """Compare an object with the hash that the image's record has.

    :param chunks: yields the object's bytes; closed in any case, for an
        object that is open cannot be removed
    :param request: :class:`CopyRequest`
    :raises NotTheImage: if they are not the image's
    """
    try:
        _check(chunks, request)
    finally:
        close = getattr(chunks, 'close', None)
        if close is not None:
            close()


def _check(chunks, request):
    expected = request.expected
    if not expected.algorithm:
        return
    hasher = digests.Digests(expected.algorithms)
    for chunk in chunks:
        request.cancel.check()
        hasher.update(chunk)
        request.on_bytes(request.size)
    if hasher.hexdigests()[expected.algorithm] != expected.value:
        raise NotTheImage('the new object, read back, is not the image')
