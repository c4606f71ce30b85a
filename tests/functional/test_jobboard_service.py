# SPDX-License-Identifier: Apache-2.0

"""Workers as systemd, containers and operators handle them."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client
from tests.harness import endpoint as endpoint_
from tests.harness import process
from tests.harness import worker as worker_

TOOLS = pathlib.Path(sys.executable).parent
UNIT = (
    process.ROOT / 'doc' / 'source' / 'jobboard' / 'glance-copy-worker.service'
)
SECONDS = 6


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'serving-{board.kind}', jobboard.settings(board), audit=True,
    )


@pytest.fixture
def client(server):
    return Client(server)


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


def test_it_tells_systemd_when_it_has_started(server, board, tmp_path):
    address = str(tmp_path / 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(60)
        with worker_.Worker(
            server, 'host-a', environment={'NOTIFY_SOCKET': address},
        ):
            assert listener.recv(100) == b'READY=1'


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


@pytest.mark.parametrize('number, status, owners', [
    (signal.SIGTERM, 0, 0),
    # At once: the claim has to expire.
    (signal.SIGINT, 1, 1),
])
def test_it_ends_within_its_time_while_a_copy_hangs(
    server, board, client, number, status, owners,
):
    with helpers.Source() as source:
        image_id, offer = helpers.held_image(server, client, source)
        with worker_.Worker(server, 'host-a', settings={
            'DEFAULT': {'graceful_shutdown_timeout': SECONDS},
        }) as worker:
            task_id = helpers.start(client, image_id, ['s1'])
            assert offer.reached.wait(60)
            asked = time.monotonic()
            processes = worker.processes()
            os.kill(worker.pid, number)
            helpers.wait_until(
                lambda: not worker.running() and all(map(ended, processes)),
                'the end of its processes',
            )
            # The time is what the option promises.
            assert time.monotonic() - asked < SECONDS + 3
            assert worker.returncode == status
            assert len(jobboard.owners(board)) == owners
        offer.release()
        with worker_.Worker(server, 'host-b'):
            task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success'
    jobboard.check(server, board, image_id, ['web', 's1'])


def test_the_processes_end_in_good_order_if_the_one_that_keeps_them_dies(
    server, board, client,
):
    endpoint = endpoint_.Endpoint()
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


# Python reads it when it starts: once, the thread that claims copies can start
# no thread to make one.
NO_THREAD = """
import pathlib, threading
start = threading.Thread.start
def start_or_not(self):
    claims = threading.current_thread().name == 'copy-image-conductor'
    if claims and pathlib.Path({order!r}).exists():
        pathlib.Path({order!r}).unlink()
        raise RuntimeError("can't start new thread")
    start(self)
threading.Thread.start = start_or_not
"""


def test_a_process_that_cannot_begin_a_copy_tries_again(
    server, board, client, tmp_path,
):
    order = tmp_path / 'order'
    (tmp_path / 'sitecustomize.py').write_text(
        NO_THREAD.format(order=str(order))
    )
    paths = tmp_path, server.process_environment()['PYTHONPATH']
    with helpers.Source() as source, worker_.Worker(
        server, 'host-a', environment={
            'PYTHONPATH': os.pathsep.join(map(str, paths)),
        },
    ) as worker:
        held, offer = helpers.held_image(server, client, source)
        first = helpers.start(client, held, ['s1'])
        assert offer.reached.wait(60)
        (before,) = jobboard.announced(board)
        order.touch()
        image_id = client.create_image(helpers.data())
        second = helpers.start(client, image_id, ['s1'])
        task = client.wait_copy(image_id, second)
        offer.release()
        assert task['status'] == 'success'
        assert client.wait_copy(held, first)['status'] == 'success'
        assert jobboard.announced(board) == {before}
        said = worker.log.read_text()
    assert "5 seconds: can't start new thread" in said
    jobboard.check(server, board, held, ['web', 's1'])
    jobboard.check(server, board, image_id, ['src', 's1'])


def ended(found):
    """True if a process runs no more, whoever may still ask how it ended."""
    try:
        return found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_report_of_what_it_does_shows_no_password(server, board):
    with worker_.Worker(server, 'host-a') as worker:
        helpers.wait_until(lambda: jobboard.announced(board), 'a process')
        for each in worker.processes():
            os.kill(each.pid, signal.SIGUSR2)
        helpers.wait_until(
            lambda: worker.log.read_text().count('copy_image:') == 2,
            'the configuration of both processes',
        )
        said = worker.log.read_text()
    assert 'jobboard_password = ***' in said
    assert board.password not in said


def run(server, *command):
    """Run a command; return its exit status and its words."""
    done = subprocess.run(
        [TOOLS / command[0], *command[1:], '--config-dir',
         server.conf.parent],
        capture_output=True, text=True, env=server.process_environment(),
    )
    return done.returncode, done.stdout + done.stderr


def test_the_check_says_whether_the_board_answers(server, board):
    status, said = run(server, 'glance-copy', 'check')
    assert status == 0
    assert 'The board of copies answers; processes that make them: ' in said
    board.stop()
    try:
        status, said = run(server, 'glance-copy', 'check')
    finally:
        board.start()
    assert status == 1
    assert 'the board of copies does not answer: ' in said
    assert board.password not in said


def test_the_check_counts_the_processes_of_workers(server, board):
    with worker_.Worker(server, 'host-a', workers=2):
        helpers.wait_until(
            lambda: len(jobboard.announced(board)) == 2, 'two processes'
        )
        assert 'processes that make them: 2\n' in run(
            server, 'glance-copy', 'check'
        )[1]
