# SPDX-License-Identifier: Apache-2.0

"""An image that is staged, and those who follow it."""

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import filling
from glance_copy_plugin.transfer import staged_reader
from tests.parts import data
from tests.parts import threads

CHUNK = filling.CHUNK_BYTES
IMAGE = data.some(3 * CHUNK + 17)


def read(source, step):
    """Read as a driver does, in steps."""
    return b''.join(iter(lambda: source.read(step), b''))


def follow(staged, name, step=300_000):
    """Read as a store does; return the image and how often it was begun."""
    for begun, follower in enumerate(staged.attempts(name), 1):
        try:
            return read(staged_reader.StagedReader(follower), step), begun
        except errors.SourceError:
            """The next attempt, if there is one."""
    raise AssertionError('attempts() ended without raising')


def follow_all(staged, names=('a', 'b')):
    """Let everybody follow at the same time; return what each one got."""
    following = [threads.Running(follow, staged, name) for name in names]
    staged.start()
    return [each.result() for each in following]
