# SPDX-License-Identifier: Apache-2.0

"""Copies survive what servers of WSGI applications do to their processes.

Each server has two workers: it loads Glance, starts and stops threads, forks
and ends its processes in its own way.
"""

import contextlib
import dataclasses
import pathlib
import re
import shutil
import signal
import tempfile
import uuid

import pytest
import requests

from tests.functional import helpers
from tests.functional import recovery
from tests.functional.helpers import MIB
from tests.harness import ADMIN
from tests.harness import Client
from tests.harness import moments
from tests.harness.wsgi import gunicorn
from tests.harness.wsgi import mod_wsgi
from tests.harness.wsgi import uwsgi

pytestmark = [pytest.mark.functional, pytest.mark.long]
STORES = recovery.STORES
MOST_REQUESTS = 40
FASTER = 4 * MIB
# Below what systemd leaves a service, and uWSGI a worker.
STOP_SECONDS = 20
# For new processes that have to load the service first.
ENOUGH_SECONDS = 90


@dataclasses.dataclass(frozen=True)
class Kind:
    """One way to run Glance.

    :param wsgi: the server, of :mod:`tests.harness.wsgi`
    :param threads: threads for requests, of each worker
    :param reload: the signal that has the workers replaced, or None if that
        takes :data:`MOST_REQUESTS`
    """

    wsgi: object
    threads: int
    reload: signal.Signals | None


KINDS = {
    # With the values of Glance's own template.
    'uwsgi-lazy-apps': Kind(
        uwsgi.Uwsgi(max_requests=MOST_REQUESTS), 1, None
    ),
    'uwsgi': Kind(
        uwsgi.Uwsgi(
            lazy_apps='false',
            exit_on_reload='false',
            hook_master_start='unix_signal:15 gracefully_kill_them_all',
        ),
        4, signal.SIGHUP,
    ),
    'mod_wsgi': Kind(mod_wsgi.ModWsgi(), 4, signal.SIGUSR1),
}


@pytest.fixture(scope='module', params=list(KINDS))
def kind(request):
    found = KINDS[request.param]
    reason = found.wsgi.missing()
    if reason:
        pytest.skip(reason)
    return found


@pytest.fixture(scope='module')
def database(databases):
    """Options that let all servers have one database, if it may be so."""
    return {'database_url': databases.url('servers')} if databases else {}


@pytest.fixture(scope='module')
def launched(kind, make_glance, database):
    """A server that has just been started, and not asked anything yet."""
    # Not in pytest's own folder, which only this user can enter.
    folder = pathlib.Path(tempfile.mkdtemp(prefix='glance-'))
    server = make_glance(
        folder.name,
        {
            'copy_image': {'bandwidth_limit': MIB, 'recovery_interval': 0.5},
            'wsgi': {'task_pool_threads': 1},
        },
        folder=folder,
        workers=2,
        threads=kind.threads,
        wsgi=kind.wsgi,
        environment=moments.environment(folder / 'kill'),
        # With mod_wsgi the system's packages are there as well, among them
        # libraries of stores that fail where a configuration is missing.
        backends={},
        **database,
    )
    # Made now, it belongs to the user that the server runs as.
    (folder / 'staging' / 'copy-image' / 'journal').mkdir(parents=True)
    server.launch()
    yield server
    server.invariants.close()
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def server(launched):
    """The same when it answers."""
    client = Client(launched)
    helpers.wait_until(
        lambda: recovery.answers(client), f'an answer; {launched.log}',
        ENOUGH_SECONDS,
    )
    return launched


@contextlib.contextmanager
def asleep(processes):
    """Have processes do nothing for a while."""
    try:
        for process in processes:
            process.suspend()
        yield
    finally:
        for process in processes:
            process.resume()


def two_workers(server):
    """Wait until both workers are there; return them."""
    def found():
        workers = server.worker_processes()
        return workers if len(workers) == 2 else None

    return helpers.wait_until(found, 'two workers', ENOUGH_SECONDS)


def leave_entry(server):
    """Put a copy into the journal that nobody looks after; return its file.

    It never got a task, so that all there is to do is to forget it.
    """
    entry = recovery.entry_of(server, str(uuid.uuid4()))
    draft = entry.with_name('.draft')
    draft.write_text('{"request_id": "req-none", "attempts": 0}')
    # The server may be another user's.
    draft.chmod(0o666)
    return draft.rename(entry)


def copy(client, number):
    """Ask for copies; return ``{image id: task id}``."""
    found = {}
    for _ in range(number):
        image_id = client.create_image(helpers.data(6 * MIB))
        answer = client.copy(image_id, STORES)
        assert answer.status_code == 202, answer.text
        (task,) = client.server.tasks(image_id)
        found[image_id] = task['id']
    return found


def wait_copying(server, image_ids):
    """Wait until one of these is being written to its stores."""
    helpers.wait_until(
        lambda: any(
            task['message'].startswith('copying')
            for image_id in image_ids for task in server.tasks(image_id)
        ),
        'a running copy',
    )


def assert_copied(server, tasks):
    """Check that each copy has ended well, as the task that began it."""
    for image_id, task_id in tasks.items():
        found = recovery.wait_in_order(server, image_id, ENOUGH_SECONDS)
        assert [(task['id'], task['status']) for task in found] == [
            (task_id, 'success')
        ]
        recovery.check(server, image_id, ['src', *STORES])


def test_each_worker_looks_after_copies_before_any_request(launched):
    workers = two_workers(launched)
    for worker in workers:
        others = [other for other in workers if other != worker]
        with asleep(others):
            entry = leave_entry(launched)
            helpers.wait_until(
                lambda entry=entry: not entry.exists(),
                f'worker {worker.pid} to look; {launched.log}',
                ENOUGH_SECONDS,
            )


def test_a_stop_leaves_running_and_waiting_copies_to_the_next(server):
    # More than the workers run at the same time.
    tasks = copy(Client(server), 3)
    wait_copying(server, tasks)
    server.stop(timeout=STOP_SECONDS)
    assert server.returncode == 0
    log = helpers.log_of(server)
    for image_id in tasks:
        assert f'{image_id} is left to the next process' in log
        (task,) = server.tasks(image_id)
        assert task['status'] in ('pending', 'processing')
        assert recovery.entry_of(server, image_id).exists()
    server.configure('copy_image', bandwidth_limit=FASTER)
    server.launch()
    for image_id in tasks:
        recovery.wait_in_order(server, image_id, ENOUGH_SECONDS)
    assert_copied(server, tasks)


def test_an_image_is_copied(server):
    assert_copied(server, copy(Client(server), 1))


def test_a_copy_whose_worker_is_killed_is_finished(server):
    before = set(server.worker_pids)
    image_id, _answer = recovery.copy_and_kill(
        server, server.folder / 'kill', 'file-renamed:2'
    )
    (task,) = recovery.wait_in_order(server, image_id)
    assert task['status'] == 'success'
    recovery.check(server, image_id, ['src', *STORES])
    helpers.wait_until(
        lambda: set(server.worker_pids) - before, 'another worker',
        ENOUGH_SECONDS,
    )


def test_replacing_the_workers_loses_no_copy(kind, server):
    before = set(server.worker_pids)
    client = Client(server)
    tasks = copy(client, 3)
    wait_copying(server, tasks)
    server.configure('copy_image', bandwidth_limit=FASTER)
    if kind.reload:
        server.signal(kind.reload)

    def replaced():
        if not kind.reload:
            with contextlib.suppress(requests.ConnectionError):
                client.request('GET', '/')
        return not before & set(server.worker_pids)

    helpers.wait_until(replaced, 'other workers', ENOUGH_SECONDS)
    assert_copied(server, tasks)


def test_a_server_that_loads_before_it_forks_leaves_copies_to_its_workers(
    make_glance, database
):
    server = make_glance(
        'preload',
        {'copy_image': {'bandwidth_limit': MIB, 'recovery_interval': 0.5}},
        workers=2,
        wsgi=gunicorn.Gunicorn('--preload'),
        **database,
    )
    with server:
        tasks = copy(Client(server), 1)
        wait_copying(server, tasks)
        server.kill()
        server.configure('copy_image', bandwidth_limit=FASTER)
        server.start()
        workers = two_workers(server)
        for worker in workers:
            # Locked for ever by a thread of its parent, it would not answer.
            with asleep([other for other in workers if other != worker]):
                answer = requests.get(
                    f'{server.url}/v2/images', timeout=recovery.SECONDS,
                    headers={'X-Auth-Token': ADMIN},
                )
                assert answer.status_code == 200
        assert_copied(server, tasks)
        took_over = re.findall(
            r'(\d+) WARNING \S+takeover .*Taking over', helpers.log_of(server)
        )
        assert set(map(int, took_over)) <= {found.pid for found in workers}
        assert took_over
