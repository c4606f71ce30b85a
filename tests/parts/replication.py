# SPDX-License-Identifier: Apache-2.0

"""What puts images from one Image service on another, without sleeping."""

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import limits
from glance_replicate import clouds
from glance_replicate import comparing
from glance_replicate import putting
from glance_replicate import records
from glance_replicate import retrying
from glance_replicate import selecting
from glance_replicate import sending
from glance_replicate import streams
from glance_replicate import target_records


def connect(api, token=None, **more):
    """Return what speaks to a server that has a URL, and does not sleep."""
    return clouds.connect(
        clouds.Endpoint(name=api.url), print, retries(token, **more)
    )


def retries(token=None, **more):
    """Return what tries again without a pause, a few times."""
    return retrying.Retries(
        **{'times': 5, 'cancel': token or Token(), **more}
    )


class Token(cancel_token.CancelToken):
    """It does not sleep, and knows how long it should have."""

    def __init__(self):
        super().__init__()
        self.waited = []

    def wait(self, seconds):
        self.waited.append(seconds)
        super().wait(0)


class Side:
    """A source and a target, and what puts an image from one on the other."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        self.token = Token()
        self.moved, self.said = [], []

    def put(self, image_id, *, redo=False, rules=None, **options):
        """Put one image; return the result."""
        here = connect(self.source, self.token, say=self.said.append)
        there = connect(self.target, self.token, say=self.said.append)
        rules = rules or records.Rules()
        putter = putting.Putter(
            service=there, rules=rules, display=self, **options,
            index=comparing.Index(selecting.everything(there)),
            claims=target_records.TargetRecords(there, rules, redo=redo),
            delivery=sending.Streaming(
                service=there,
                limit=limits.BandwidthLimit(None, self.token),
            ),
        )
        image = records.of_api(here.image(image_id))
        return putter.put(streams.CloudItem(here, image, chunk=1))

    def begin(self, key, name, size):
        self.moved.append([name, size])

    def advance(self, key, count):
        self.moved[-1].append(count)
