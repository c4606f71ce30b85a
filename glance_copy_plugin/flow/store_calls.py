# SPDX-License-Identifier: Apache-2.0

"""Calling into a store that may not answer."""

from oslo_log import log as logging

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import timeouts

LOG = logging.getLogger(__name__)


class StoreCalls:
    """Calls of one copy, given up when a store does not answer.

    As long as what was given up lives on in a thread, the lease keeps the
    image: nobody shall copy it to that place meanwhile.

    :param copy: :class:`Copy`
    :param lease: its :class:`Lease`
    """

    def __init__(self, copy, lease):
        self._copy = copy
        self._lease = lease

    def call(self, store, function, *, idle=None, cancel=None, on_late=None):
        """Call into a store; give up when it does not answer.

        :param store: name of the store
        :param function: called as ``function(token)``; returns what this
            returns
        :param idle: the store's :class:`IdleTimer` if ``function`` shows
            signs of life; its time is counted from now on
        :param cancel: :class:`CancelToken` that ends waiting; None for what
            has to be done also when the copy is stopped
        :param on_late: called with the result of a call that was given up
        :raises: :class:`TargetHangs`, the reason of ``cancel``, or whatever
            ``function`` raises
        """
        def ended_late(result):
            try:
                if result is not None and on_late is not None:
                    on_late(result)
            finally:
                self._lease.let_go()

        idle = idle or timeouts.IdleTimer()
        idle.asked()
        call = timeouts.TimedCall(
            function, name=f'copy-image-to-{store}', idle=idle,
            limit=self._copy.options.store_timeout,
            cancel=cancel or cancel_token.CancelToken(), on_late=ended_late,
        )
        try:
            return call.result()
        except timeouts.GaveUp as exc:
            raise errors.TargetHangs(exc.reason, store=store) from None
        finally:
            if call.left_behind:
                LOG.warning(
                    'A request of the copy of image %(image)s hangs in store '
                    '%(store)s and is left behind',
                    {'image': self._copy.image_id, 'store': store},
                )
                self._lease.hold()
