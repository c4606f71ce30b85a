# SPDX-License-Identifier: Apache-2.0

"""How often, and for how long, a temporary error is tried again."""

import collections.abc
import dataclasses

import tenacity

from glance_copy_plugin.transfer import cancel_token
from glance_replicate import errors
from glance_replicate import text

TIMES = 30
TIMEOUT = 600.0
_LEAST = 3
_growing = (
    tenacity.wait_exponential(multiplier=0.5, max=30)
    + tenacity.wait_random(0, 0.5)
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retries:
    """Repeats calls after growing pauses. Safe to use from any thread.

    :param times: how often at most
    :param timeout: for how many seconds; three attempts are made in any case,
        for uploads that take longer than that, and no more if a server has
        never answered, whose address may be wrong
    :param cancel: :class:`CancelToken`, which stops the command
    :param say: called with a sentence for the user
    """

    times: int = TIMES
    timeout: float = TIMEOUT
    cancel: object = dataclasses.field(
        default_factory=cancel_token.CancelToken
    )
    say: collections.abc.Callable = lambda sentence: None

    def call(self, do, *arguments, **more):
        """Call a function until it succeeds; return what it returns.

        :raises: :class:`GivenUp` after the last temporary error; every other
            error at once, as it is
        """
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=_pause,
            stop=self._is_over,
            sleep=self.cancel.wait,
            before_sleep=self._tell,
            retry_error_callback=_give_up,
        )(do, *arguments, **more)

    def _is_over(self, state):
        number, pause = state.attempt_number, state.upcoming_sleep
        if number > self.times or pause > self.timeout:
            return True
        if number < _LEAST:
            return False
        ends = state.seconds_since_start + pause
        return ends >= self.timeout or not state.outcome.exception().may_last

    def _tell(self, state):
        """Tell the user, but not of what is over at once."""
        exc = state.outcome.exception()
        if exc.pause:
            self.say(
                f'{exc}; trying again in {text.seconds(exc.pause)}, as the '
                f'server asks'
            )
        elif state.attempt_number == _LEAST:
            self.say(
                f'{exc}; trying again for up to '
                f'{text.seconds(self.timeout)}'
            )


def _may_pass(exc):
    return isinstance(exc, errors.ReplicatorError) and exc.may_pass


def _pause(state):
    return state.outcome.exception().pause or _growing(state)


def _give_up(state):
    exc, number = state.outcome.exception(), state.attempt_number
    attempts = '1 attempt' if number == 1 else (
        f'{number} attempts in {text.seconds(state.seconds_since_start)}'
    )
    told = f'{exc}; gave up after {attempts}'
    if exc.pause:
        told = f'{told}: the server asks to wait {exc.pause:.0f} s'
    raise errors.GivenUp(told) from exc
