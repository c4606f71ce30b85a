# SPDX-License-Identifier: Apache-2.0

"""Workers as systemd, containers and operators handle them."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client
from tests.harness import endpoint as endpoint_
from tests.harness import process
from tests.harness import worker as worker_

pytestmark = pytest.mark.long

TOOLS = pathlib.Path(sys.executable).parent
UNIT = (
    process.ROOT / 'doc' / 'source' / 'jobboard' / 'glance-copy-worker.service'
)


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'serving-{board.kind}', jobboard.settings(board), audit=True,
    )


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture
def endpoint():
    return endpoint_.Endpoint()


@pytest.mark.skipif(
    shutil.which('systemd-analyze') is None, reason='there is no systemd'
)
def test_systemd_is_content_with_the_unit(tmp_path):
    text = UNIT.read_text()
    installed = '/usr/bin/glance-copy-worker'
    assert installed in text
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(
        installed, str(TOOLS / 'glance-copy-worker')
    ))
    done = subprocess.run(
        ['systemd-analyze', 'verify', unit], capture_output=True, text=True,
    )
    # It ends well also when there is something that it does not know.
    assert (done.returncode, done.stdout + done.stderr) == (0, '')


def test_it_tells_systemd_when_it_has_started_and_listens_to_nobody(
    server, board, tmp_path,
):
    address = str(tmp_path / 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(120)
        with worker_.Worker(
            server, 'host-a', environment={'NOTIFY_SOCKET': address},
        ) as worker:
            assert listener.recv(100) == b'READY=1'
            helpers.wait_until(
                lambda: jobboard.announced(board), 'a process'
            )
            # There is no endpoint unless it is asked for.
            assert len(worker.processes()) == 2
            assert endpoint_.listening(worker.processes()) == set()


def test_it_tells_systemd_nothing_if_it_cannot_work(server, board, tmp_path):
    address = str(tmp_path / 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        made = worker_.Worker(
            server, 'host-b', environment={'NOTIFY_SOCKET': address},
            settings={'copy_image': {'jobboard_connection': 'nonsense://'}},
        )
        made.start()
        helpers.wait_until(lambda: not made.running(), 'its end')
        assert made.returncode == 1
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.recv(100)


@pytest.mark.parametrize('number, status', [
    (signal.SIGTERM, 0),
    # At once: the claim has to expire.
    (signal.SIGINT, 1),
])
def test_it_ends_while_a_copy_hangs(server, board, client, number, status):
    with helpers.Source() as source:
        image_id, offer = helpers.held_image(server, client, source)
        with worker_.Worker(server, 'host-a', settings={
            'DEFAULT': {'graceful_shutdown_timeout': 6},
        }) as worker:
            task_id = helpers.start(client, image_id, ['s1'])
            assert offer.reached.wait(60)
            processes = worker.processes()
            os.kill(worker.pid, number)
            helpers.wait_until(
                lambda: not worker.running() and all(map(ended, processes)),
                'the end of its processes',
            )
            # Nobody has let the copy go on.
            assert worker.returncode == status
            if number == signal.SIGTERM:
                assert jobboard.owners(board) == []
        offer.release()
        with worker_.Worker(server, 'host-b'):
            task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success'
    jobboard.check(server, board, image_id, ['web', 's1'])


def test_the_processes_end_in_good_order_if_the_one_that_keeps_them_dies(
    server, board, client, endpoint,
):
    with helpers.Source() as source:
        image_id, offer = helpers.held_image(server, client, source)
        with worker_.Worker(
            server, 'host-a', settings=endpoint.settings,
        ) as worker:
            helpers.wait_until(endpoint.healthy, 'a healthy worker')
            task_id = helpers.start(client, image_id, ['s1'])
            assert offer.reached.wait(60)
            processes = worker.processes()
            assert len(processes) == 3
            os.kill(worker.pid, signal.SIGKILL)
            helpers.wait_until(
                lambda: not worker.running() and all(map(ended, processes)),
                'the end of its processes',
            )
            assert jobboard.owners(board) == []
            assert endpoint.ask('/health') is None
        offer.release()
        with worker_.Worker(server, 'host-b'):
            task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success'


def ended(found):
    """True if a process runs no more, whoever may still ask how it ended."""
    try:
        return found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def run(server, *command, conf=None):
    """Run a command; return its exit status and its words."""
    done = subprocess.run(
        [TOOLS / command[0], *command[1:], '--config-dir',
         (conf or server.conf).parent],
        capture_output=True, text=True, env=server.process_environment(),
    )
    return done.returncode, done.stdout + done.stderr


def test_the_commands_say_what_is_with_the_board(server, board, endpoint):
    status, said = run(server, 'glance-copy', 'check')
    assert status == 1
    assert 'no worker takes copies from the jobboard' in said
    with worker_.Worker(
        server, 'host-a', workers=2, settings=endpoint.settings,
    ) as worker:
        helpers.wait_until(
            lambda: len(jobboard.announced(board)) == 2, 'two processes'
        )
        assert 'worker processes: 2\n' in run(
            server, 'glance-copy', 'check'
        )[1]
        # Also with the configuration of a worker that has an endpoint.
        status, said = run(
            server, 'glance-copy-worker', 'status', conf=worker.conf
        )
        assert status == 0
        assert 'copies: 0; writes src, s1, s2, s3' in said
        assert 'workers: 2; copies that wait: 0\n' in said
    board.stop()
    try:
        status, said = run(server, 'glance-copy', 'check')
        silent, _said = run(server, 'glance-copy-worker', 'status')
    finally:
        board.start()
    assert (status, silent) == (1, 2)
    assert 'jobboard unreachable: ' in said
    assert board.password not in said


def test_copies_are_made_also_when_they_cannot_be_counted(
    server, board, client, endpoint, mount_tmpfs,
):
    image_id = client.create_image(helpers.data())
    folder = mount_tmpfs('64k')
    (folder / 'full').write_bytes(bytes(64 * 1024))
    with worker_.Worker(
        server, 'host-b', settings=endpoint.settings,
        environment={'RUNTIME_DIRECTORY': str(folder)},
    ) as worker:
        assert helpers.copy(client, image_id, ['s3'])['status'] == 'success'
        assert 'Metrics of this process are missing' in worker.log.read_text()
        assert endpoint.health() == (503, '0 of 1 processes are ready')


def test_a_port_that_is_in_use_ends_it_with_a_sentence(
    server, board, endpoint,
):
    made = worker_.Worker(server, 'in-vain', settings=endpoint.settings)
    with socket.create_server(('127.0.0.1', endpoint.port)):
        made.start()
        helpers.wait_until(lambda: not made.running(), 'its end')
    assert made.returncode == 1
    assert made.log.read_text().splitlines()[-1] == (
        'glance-copy-worker: [copy_image] worker_metrics_port '
        f'{endpoint.port} cannot be opened on 127.0.0.1: Address already '
        'in use'
    )
