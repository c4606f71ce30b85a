# SPDX-License-Identifier: Apache-2.0

"""What the tests of the replicator share: clouds, and running the tool."""

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
from unittest import mock
import warnings

from glance_replicate import main
from tests.functional import auditing
from tests.functional import helpers
from tests.harness import Client
from tests.harness import process

SECONDS = 300
ADMIN = 'admin:admin:admin,member,reader'
COMMAND = (sys.executable, '-m', 'glance_replicate')
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


def start(*given, command=COMMAND, **more):
    """Start the tool; return the process."""
    return subprocess.Popen(
        [*command, *map(str, given), '--format', 'json'],
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


def migrate_locations(server, *given):
    """Run this command for operators to its end; return :class:`Done`."""
    done = auditing.glance_copy(
        server, 'migrate-locations', '--format', 'json', *given
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Running:
    """A command of the tool, in a thread of this process.

    It shows what a process of its own would show, but needs no start of
    one. Only one at a time: it has the standard streams for itself.

    :param program: called with the arguments, returns the status

    ``err`` is what it has written to standard error so far.
    """

    _streams = threading.Lock()

    def __init__(self, given, more, program=main.main):
        self._program = program
        self._given = [*map(str, given), '--format', 'json']
        self._environment = environment(**more)
        self._out, self._err = io.StringIO(), io.StringIO()
        self._status = None
        self._thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        """Run it here, to its end."""
        assert self._streams.acquire(blocking=False), 'another one runs'
        try:
            with (
                contextlib.redirect_stdout(self._out),
                contextlib.redirect_stderr(self._err),
                mock.patch.dict(os.environ, self._environment, clear=True),
                mock.patch.object(sys, 'argv', ['']),
                warnings.catch_warnings(), _logging_kept(),
            ):
                self._status = self._program(self._given)
        except SystemExit as exc:
            self._status = exc.code
        finally:
            self._streams.release()

    def start(self):
        """Run it beside the test."""
        self._thread.start()

    @property
    def err(self):
        return self._err.getvalue()

    @property
    def has_ended(self):
        return not self._thread.is_alive()

    def finish(self):
        """Wait for its end; return :class:`Done`."""
        if self._thread.ident is not None:
            self._thread.join(SECONDS)
            assert self.has_ended, f'it does not end\n{self.err}'
        done = Done(self._status, self._out.getvalue(), self.err)
        assert 'Traceback' not in done.err, done
        return done


@contextlib.contextmanager
def _logging_kept():
    """Undo afterwards what the tool does to the logging of its process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {
        name: logging.getLogger(name).level
        for name in list(logging.root.manager.loggerDict)
    }
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            root.removeHandler(handler)
            if isinstance(handler, logging.FileHandler):
                handler.close()
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)


def here(*given, program=main.main, **more):
    """Run a command in this process to its end; return :class:`Done`."""
    running = Running(given, more, program)
    running.run()
    return running.finish()


def begin(*given, **more):
    """Run a command in this process beside the test."""
    running = Running(given, more)
    running.start()
    return running


def livecopy(source, target, *more, **rest):
    """Run ``livecopy`` between two servers, in this process."""
    return here(*arguments('livecopy', source, target), *more, **rest)


def compare(source, target, *more):
    """Run ``compare`` between two servers, in this process."""
    return here(*arguments('compare', source, target), *more)


def dump(source, folder, *more):
    """Run ``dump``, in this process."""
    return here('dump', source.url, folder, f'--from-token={ADMIN}', *more)


def load(target, folder, *more):
    """Run ``load``, in this process."""
    return here('load', target.url, folder, f'--to-token={ADMIN}', *more)


def on(server, *given):
    """Run a command about one server, in this process."""
    return here(*given, '--server', server.url, '--token', ADMIN)


def active(server):
    """Return the images of a server that are whole, as a list."""
    return [
        image for image in images(server).values()
        if image['status'] == 'active' and MARK not in image
    ]


def members(server, image_id):
    """Return the projects that an image is shared with, sorted."""
    found = Client(server).demand('GET', f'/images/{image_id}/members').json()
    return sorted(each['member_id'] for each in found['members'])


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
    for image in images(server).values():
        if image['protected']:
            client.patch(image['id'], {
                'op': 'replace', 'path': '/protected', 'value': False,
            })
        client.delete(image['id'])


def images(server):
    """Return all images of a server as {id: record}."""
    client, found = Client(server), {}
    for hidden in ('false', 'true'):
        query = f'?limit=1000&visibility=all&os_hidden={hidden}'
        for image in client.demand('GET', f'/images{query}').json()['images']:
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
