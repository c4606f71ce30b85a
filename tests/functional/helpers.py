# SPDX-License-Identifier: Apache-2.0

"""What the functional tests share: images, waiting, sources that hold."""

import contextlib
import hashlib
import json
import os
import threading
import time

from tests.parts import http_server

MIB = 1024 * 1024
HELD_SIZE = 10 * MIB
BOOT_SIGNATURE = b'\x55\xaa'
IMPORTING = 'os_glance_importing_to_stores'
FAILED = 'os_glance_failed_import'
LOCK = 'os_glance_import_task'


def data(size=MIB):
    """Return ``size`` random bytes that are no boot sector.

    Glance refuses an image with a boot sector's signature and no sensible
    partitions after it; one in 65,536 pieces of noise is such an image.
    """
    noise = os.urandom(size)
    while noise[510:512] == BOOT_SIGNATURE:
        noise = os.urandom(size)
    return noise


def sha512(path):
    """Return the sha512 of a file."""
    return digest(path, 'sha512')


def digest(path, algorithm):
    """Return the hash of a file."""
    with open(path, 'rb') as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def wait_until(condition, what, timeout=120):
    """Poll until ``condition()`` is true; return what it returned.

    :param what: what is waited for, for the message when time is up
    """
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {timeout} s: {what}')
        time.sleep(0.02)


def ask(client, image_id, body, headers=None, data=None):
    """Send an import request; return the answer with errors as JSON."""
    return client.request(
        'POST',
        f'/images/{image_id}/import',
        json=body,
        data=data,
        headers={'Accept': 'application/json', **(headers or {})},
    )


def start(client, image_id, stores=None, **body):
    """Begin a copy, which must be accepted; return the id of its task.

    On SQLite, Glance's own executor sometimes loses a task before any flow
    of it begins: its first save meets a locked database. The plugin picks it
    up; without it such a task stays pending for ever, and this begins again.
    """
    while True:
        before = _task_ids(client.server, image_id)
        answer = client.copy(image_id, stores, **body)
        assert answer.status_code == 202, answer.text
        (task_id,) = _task_ids(client.server, image_id) - before
        if wait_begun(client.server, task_id):
            return task_id
        drop(client.server, image_id, task_id)


def start_and_wait_stored(client, server, size, stores, stored=1):
    """Ask for a copy of a new image; wait until some stores have it.

    :param stored: how many of them
    :returns: the ids of the image and of the task
    """
    image_id = client.create_image(data(size))
    task_id = start(client, image_id, stores)
    wait_until(
        lambda: len(rows(server, image_id)) > stored,
        f'{stored} of the stores recorded',
    )
    return image_id, task_id


def wait_begun(server, task_id):
    """Wait until a task is not pending; False if Glance has lost it."""
    def begun():
        return status(server, task_id) != 'pending'

    def said():
        return begun() or f'[{task_id}] status changing' in log_of(server)

    wait_until(said, f'the beginning of task {task_id}')
    if not server.plugin and server.database_url.startswith('sqlite'):
        try:
            wait_until(begun, f'task {task_id} to be saved', timeout=30)
        except AssertionError:
            return False
    else:
        wait_until(begun, f'task {task_id} to be saved')
    return True


def drop(server, image_id, task_id):
    """Free the image of a task that Glance has lost."""
    server.execute(
        "UPDATE tasks SET status = 'failure' WHERE id = :id", id=task_id
    )
    server.execute(
        'DELETE FROM image_properties WHERE image_id = :image '
        'AND name = :name', image=image_id, name=LOCK,
    )


def copy(client, image_id, stores=None, **body):
    """Copy an image, which must be accepted; return the ended task."""
    task_id = start(client, image_id, stores, **body)
    return client.wait_copy(image_id, task_id)


def status(server, task_id):
    """Return a task's status, also if its image is gone."""
    found = server.execute(
        'SELECT status FROM tasks WHERE id = :id', id=task_id
    )
    return found[0]['status']


def wait_ended(server, task_id, timeout=120):
    """Wait for the end of a task whose image may be gone."""
    wait_until(
        lambda: status(server, task_id) in ('success', 'failure'),
        f'the end of task {task_id}', timeout,
    )


def message(server, task_id):
    """Return a task's message, also if its image is gone."""
    found = server.execute(
        'SELECT message FROM task_info WHERE task_id = :id', id=task_id
    )
    return found[0]['message']


def log_of(server):
    """Return all that a server has logged."""
    return server.log.read_text(errors='replace')


def _task_ids(server, image_id):
    found = server.execute(
        'SELECT id FROM tasks WHERE image_id = :image', image=image_id
    )
    return {row['id'] for row in found}


def task_of(client, image_id, task_id):
    """Return a task of an image."""
    found = [t for t in client.tasks(image_id) if t['id'] == task_id]
    assert found, f'image {image_id} has no task {task_id}'
    return found[0]


def named(image, name):
    """Return the stores that a reserved property names, as a set."""
    return {store for store in image.get(name, '').split(',') if store}


def rows(server, image_id):
    """Return the image's location rows as ``{store: url}``."""
    found = server.locations(image_id)
    assert len({row['store'] for row in found}) == len(found), found
    return {row['store']: row['url'] for row in found}


def staged_files(server):
    """Return every file of image data in the server's staging area."""
    return files(server.staging)


def files(folder):
    """Return every file in a staging area that belongs to some copy."""
    journal = folder / 'copy-image' / 'journal'
    lock = folder / 'copy-image' / 'space' / 'copy-image-space'
    return [
        path for path in folder.rglob('*')
        if not path.is_dir() and path.parent != journal and path != lock
    ]


def left_in(server, store, image_id):
    """Return what a file store holds of an image, partial files included."""
    return [
        path for path in server.places[store].rglob('*')
        if image_id in path.name
    ]


def assert_unlocked(server, client, image_id, failed=()):
    """Check what has to be so after a copy, however it ended."""
    image = client.wait_unlocked(image_id)
    assert image[IMPORTING] == ''
    assert named(image, FAILED) == set(failed)
    assert image['status'] == 'active'
    assert staged_files(server) == []
    return image


def assert_copied(server, client, image_id, stores):
    """Check that these stores hold the image's bytes and it says so."""
    image = client.image(image_id)
    found = rows(server, image_id)
    for store in stores:
        path = server.store_file(store, image_id)
        assert found[store] == f'file://{path}'
        found_hash = digest(path, image['os_hash_algo'])
        assert found_hash == image['os_hash_value']
        assert left_in(server, store, image_id) == [path]


def assert_untouched(server, image_id, stores):
    """Check that nothing of the image is in these stores, nor recorded."""
    found = rows(server, image_id)
    for store in stores:
        assert store not in found
        assert left_in(server, store, image_id) == []


def move(server, image_id, store, url, new_store='web'):
    """Make ``url`` the image's location instead of the one in ``store``."""
    old = rows(server, image_id)[store]
    server.execute(
        'UPDATE image_locations SET value = :value, meta_data = :metadata '
        'WHERE image_id = :image AND value = :old AND NOT deleted',
        value=url, image=image_id, old=old,
        metadata=json.dumps({'store': new_store}),
    )
    server.store_file(store, image_id).unlink()


@contextlib.contextmanager
def replaced_by_file(folder):
    """Make a store's directory a file for a while."""
    aside = folder.with_name(folder.name + '-aside')
    folder.rename(aside)
    try:
        folder.write_text('no directory')
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


class Offer:
    """One address of a :class:`Source`.

    :param content: the bytes that it hands out
    :param hold_at: hand out that many, the rest only after :meth:`release`
    :param cut_at: break the connection after that many
    :param cuts: so often, or each time if None
    :param status: the HTTP status
    :param hold_size: tell the size of the image only after :meth:`release`

    ``times`` is how often the image was asked for.
    """

    def __init__(
        self, url, content, hold_at, cut_at, cuts, status, hold_size
    ):
        self.url = url
        self.hold_size = hold_size
        self.content = content
        self.hold_at = hold_at
        self.cut_at = cut_at
        self.cuts = cuts
        self.status = status
        self.times = 0
        self.asked = threading.Event()
        self.reached = threading.Event()
        self._released = threading.Event()

    def release(self):
        """Hand out the rest."""
        self._released.set()

    def wait_to_tell_size(self):
        """Return when the size may be told."""
        if self.hold_size:
            self.reached.set()
            self._released.wait(300)

    def send(self, stream):
        self.times += 1
        if self.cut_at is not None and (
            self.cuts is None or self.times <= self.cuts
        ):
            stream.write(self.content[:self.cut_at])
            return
        if self.hold_at is None:
            stream.write(self.content)
            return
        stream.write(self.content[:self.hold_at])
        stream.flush()
        self.reached.set()
        self._released.wait(300)
        stream.write(self.content[self.hold_at:])


class Source(http_server.HttpServer):
    """A server that images are read from, as slowly as told."""

    def __init__(self):
        self._offers = {}
        super().__init__(self._handler())

    def __exit__(self, *error):
        for offer in self._offers.values():
            offer.release()
        super().__exit__(*error)

    def offer(
        self, content, hold_at=None, cut_at=None, cuts=None, status=200,
        credentials='', hold_size=False,
    ):
        """Offer an image; return the :class:`Offer`."""
        path = f'/image-{len(self._offers)}'
        url = f'http://{credentials}127.0.0.1:{self.port}{path}'
        offer = Offer(
            url, content, hold_at, cut_at, cuts, status, hold_size
        )
        self._offers[path] = offer
        return offer

    def _handler(self):
        offers = self._offers

        class Handler(http_server.Handler):
            def do_HEAD(self):
                offers[self.path].wait_to_tell_size()
                self._head()

            def do_GET(self):
                offer = self._head()
                offer.asked.set()
                try:
                    offer.send(self.wfile)
                except OSError:
                    pass  # the reader has gone
                self.close_connection = True

            def _head(self):
                offer = offers[self.path]
                self.send_response(offer.status)
                self.send_header('Content-Length', str(len(offer.content)))
                self.end_headers()
                return offer

        return Handler


def held_image(server, client, source, **properties):
    """Make an image whose reading stops half-way until it is released.

    The store driver for HTTP reads 4 MiB at a time: so much is handed on.

    :returns: the image's id and its :class:`Offer`
    """
    content = data(HELD_SIZE)
    image_id = client.create_image(content, **properties)
    offer = source.offer(content, hold_at=6 * MIB)
    move(server, image_id, 'src', offer.url)
    return image_id, offer
