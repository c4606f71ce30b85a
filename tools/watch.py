# SPDX-License-Identifier: Apache-2.0

"""Watch a running copy from outside."""

import dataclasses
import datetime
import time

from tests.harness.client import ENDED

INTERVAL = 0.1  # seconds between two looks


@dataclasses.dataclass
class Copy:
    """What was seen of a copy; times in seconds since its task was made.

    :param appeared: {store: seconds until the image was in it}
    """

    status: str
    message: str
    seconds: float
    appeared: dict


def timestamp(text):
    """Turn a time from the API into seconds since the epoch."""
    when = datetime.datetime.fromisoformat(text)
    return when.replace(tzinfo=datetime.UTC).timestamp()


class Watch:
    """Follows the next copy of an image.

    Make it before the copy is asked for: a task that exists by then is not
    the one. When the copy begins and ends, and when a store has the image,
    is read from Glance's database, which disturbs nothing.

    :param show: called as ``show(seconds, message)`` with each look
    :param ask: once the copy runs, ask the API for the message of the task
    """

    def __init__(self, client, image_id, stores, show, ask=True):
        self._client = client
        self._server = client.server
        self._image_id = image_id
        self._stores = stores
        self._show = show
        self._ask = ask
        self._known = {task['id'] for task in self._server.tasks(image_id)}
        self._appeared = {}

    def follow(self, still_asking, timeout=3600):
        """Look until the copy has ended; return what was seen.

        :param still_asking: tells whether the request is still on its way;
            once it is not, and there is no task, this returns None
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            asking = still_asking()
            task = self._task()
            if task:
                start = timestamp(task['created_at'])
                self._look_at_stores(start)
                self._show(time.time() - start, self._message(task))
                if task['status'] in ENDED:
                    return self._result(task, start)
            elif not asking:
                return None
            time.sleep(INTERVAL)
        raise TimeoutError(f'the copy has not ended after {timeout} s')

    def _task(self):
        tasks = self._server.tasks(self._image_id)
        new = [task for task in tasks if task['id'] not in self._known]
        return new[-1] if new else None

    def _message(self, task):
        if self._ask and task['status'] == 'processing':
            task = self._client.task(self._image_id, task['id'])
        return task['message']

    def _look_at_stores(self, start):
        places = self._server.locations(self._image_id)
        for store in {place['store'] for place in places}:
            if store in self._stores and store not in self._appeared:
                self._appeared[store] = time.time() - start

    def _result(self, task, start):
        seconds = timestamp(task['updated_at']) - start
        appeared = {
            store: min(when, seconds)
            for store, when in self._appeared.items()
        }
        return Copy(task['status'], task['message'], seconds, appeared)
