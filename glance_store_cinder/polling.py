# SPDX-License-Identifier: Apache-2.0

"""Asking again until Cinder has done something."""

import tenacity

from glance_store_cinder import errors

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 3
_TRIES = 4


def poll(look, is_done, seconds, patient=True):
    """Call ``look`` until ``is_done`` of its result, or time is over.

    :param patient: take an error that may pass for a look in vain
    :returns: the last result, which the caller has to judge
    :raises: what the last look did
    """
    retry = tenacity.retry_if_result(lambda result: not is_done(result))
    if patient:
        retry |= tenacity.retry_if_exception(errors.is_passing)
    return tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_exponential(_FIRST_PAUSE, max=_LONGEST_PAUSE),
        retry=retry,
        retry_error_callback=lambda state: state.outcome.result(),
    )(look)


def insist(call):
    """Call a few times, as long as the error is one that may pass."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(errors.is_passing),
        stop=tenacity.stop_after_attempt(_TRIES),
        wait=tenacity.wait_exponential(_FIRST_PAUSE, max=_LONGEST_PAUSE),
        reraise=True,
    )(call)
