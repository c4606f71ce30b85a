# SPDX-License-Identifier: Apache-2.0

"""What the tests of the replicator share: clouds, and running the tool."""

import contextlib
import json
import os
import subprocess
import sys

from tests.functional import helpers
from tests.harness import Client
from tests.harness import process

SECONDS = 300
ADMIN = 'admin:admin:admin,member,reader'
COMMAND = (sys.executable, '-m', 'glance_copy_plugin.replicator')
MARK = 'glance_replicate_unfinished'
SOURCE = 'glance_replicate_source'


class Done:
    """How a run of the tool ended: status, rows of its results, texts."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    @property
    def rows(self):
        """The results; each is a dict."""
        return json.loads(self.out)

    def by_image(self):
        """The results as {image id: what became of it}."""
        return {row['Image']: row['Result'] for row in self.rows}

    def __repr__(self):
        return f'status {self.status}\n{self.out[-3000:]}\n{self.err[-3000:]}'


def environment(**more):
    """Return the environment of the tool: no cloud but what is told."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith('OS_')}
    paths = [str(process.ROOT), os.environ.get('PYTHONPATH', '')]
    return {
        **kept, 'PYTHONPATH': os.pathsep.join(filter(None, paths)), **more,
    }


def arguments(command, *sides, token=ADMIN):
    """Return arguments that name servers by their URLs, with tokens."""
    options = {
        1: ('--token',), 2: ('--from-token', '--to-token'),
    }[len(sides)]
    named = [side.url for side in sides]
    return [command, *named, *(f'{each}={token}' for each in options)]


def start(*given, **more):
    """Start the tool; return the process."""
    return subprocess.Popen(
        [*COMMAND, *map(str, given), '--format', 'json'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=environment(**more),
    )


def finish(running, timeout=SECONDS):
    """Wait for a started tool; return :class:`Done`."""
    with running:
        out, err = running.communicate(timeout=timeout)
    done = Done(running.returncode, out, err)
    assert 'Traceback' not in err, done
    return done


def run(*given, timeout=SECONDS, **more):
    """Run the tool to its end; return :class:`Done`."""
    return finish(start(*given, **more), timeout)


def livecopy(source, target, *more, **rest):
    """Run ``livecopy`` between two servers."""
    return run(*arguments('livecopy', source, target), *more, **rest)


def compare(source, target, *more):
    """Run ``compare`` between two servers."""
    return run(*arguments('compare', source, target), *more)


@contextlib.contextmanager
def emptied(*servers):
    """Remove all images of some servers afterwards."""
    try:
        yield
    finally:
        for server in servers:
            empty(server)


def empty(server):
    """Remove all images of a server."""
    client = Client(server)
    for hidden in ('false', 'true'):
        query = f'?limit=1000&visibility=all&os_hidden={hidden}'
        for image in client.demand('GET', f'/images{query}').json()['images']:
            if image['protected']:
                client.patch(image['id'], {
                    'op': 'replace', 'path': '/protected', 'value': False,
                })
            client.delete(image['id'])


def images(server):
    """Return all images of a server as {id: record}."""
    found = {}
    for hidden in ('false', 'true'):
        query = f'?limit=1000&visibility=all&os_hidden={hidden}'
        for image in Client(server).demand(
            'GET', f'/images{query}'
        ).json()['images']:
            found[image['id']] = image
    return found


def assert_replicated(source, target, image_id, copy_id=None, but=()):
    """Check that an image is on the target, in every respect.

    :param but: fields that need not be the same
    """
    ours = Client(source).image(image_id)
    theirs = Client(target).image(copy_id or image_id)
    left_out = (
        'id', 'created_at', 'updated_at', 'owner', 'self', 'file', 'stores',
        'direct_url', SOURCE,
    )
    assert MARK not in theirs
    for name in {*ours, *theirs} - {*left_out, *but}:
        if not name.startswith('os_glance'):
            wanted, found = ours.get(name), theirs.get(name)
            if name == 'tags':
                wanted, found = set(wanted), set(found)
            assert found == wanted, name
    assert Client(target).download(copy_id or image_id) == Client(
        source
    ).download(image_id)


def small(client, count, size=helpers.MIB // 8, **more):
    """Make several images; return their ids."""
    return [
        client.create_image(
            helpers.data(size), name=f'small {number}', **more
        ) for number in range(count)
    ]
