# SPDX-License-Identifier: Apache-2.0

"""What a worker says of itself over HTTP."""

import os
import signal

import psutil
import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import endpoint as endpoint_
from tests.harness import moments
from tests.harness import worker as worker_

SIZE = 4 * MIB + 1


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'counting-{board.kind}', jobboard.settings(board), audit=True,
    )


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture(scope='module')
def endpoint():
    return endpoint_.Endpoint()


@pytest.fixture(scope='module')
def shared(server, board, endpoint, switch):
    """A worker of two processes, with its endpoint."""
    with worker_.Worker(
        server, 'host-a', settings=endpoint.settings, workers=2, concurrency=1,
        stores=['src', 's1', 's2'],
        environment=moments.environment(switch),
    ) as started:
        yield started


@pytest.fixture
def worker(shared, endpoint):
    """That worker, which is healthy whatever others have done to it."""
    helpers.wait_until(endpoint.healthy, 'a healthy worker')
    return shared


def wait_value(endpoint, expected, name, **labels):
    helpers.wait_until(
        lambda: endpoint.value(name, **labels) == expected,
        f'{expected} as {name} {labels}',
    )


def makers(worker, board):
    """Return the two processes that make copies, when both say so."""
    def found():
        announced = jobboard.announced(board)
        making = [
            each for each in worker.processes() if each.pid in announced
        ]
        return making if len(making) == 2 else None

    return helpers.wait_until(found, 'two processes that make copies')


def test_it_begins_with_nothing(server, board, worker, endpoint):
    assert endpoint.value('worker_copies_total', result='done') == 0
    assert endpoint.value('worker_copies_total', result='failed') == 0
    assert endpoint.value('worker_copies_total', result='left') == 0
    assert endpoint.value('worker_store_bytes_total', store='s1') == 0
    assert endpoint.value('worker_takeovers_total') == 0
    assert endpoint.value('worker_copies_running') == 0
    assert endpoint.value('worker_processes') == 2
    wait_value(endpoint, 2, 'board_workers')
    assert endpoint.value('board_up') == 1


def test_what_all_processes_do_is_counted_in_one_place(
    server, board, client, worker, endpoint,
):
    before = endpoint.values()
    image_ids = [client.create_image(helpers.data(SIZE)) for _ in range(4)]
    task_ids = [
        helpers.start(client, image_id, ['s1', 's2'])
        for image_id in image_ids
    ]
    for image_id, task_id in zip(image_ids, task_ids, strict=True):
        assert client.wait_copy(image_id, task_id)['status'] == 'success'
    wait_value(endpoint, 0, 'worker_copies_running')
    assert endpoint.increased(before) == {
        'worker_copies_total{result=done}': 4,
        'worker_copy_seconds_count': 4,
        'worker_store_bytes_total{store=s1}': 4 * SIZE,
        'worker_store_bytes_total{store=s2}': 4 * SIZE,
    }


def test_a_copy_that_fails_and_what_is_written_again_is_counted(
    server, board, client, worker, endpoint,
):
    before = endpoint.values()
    image_id = client.create_image(helpers.data(SIZE))
    folder = server.places['s1']
    aside = folder.with_name('s1-aside')
    folder.rename(aside)
    try:
        assert helpers.copy(client, image_id, ['s1'])['status'] == 'failure'
    finally:
        aside.rename(folder)
    wait_value(endpoint, 0, 'worker_copies_running')
    assert endpoint.increased(before) == {
        'worker_copies_total{result=failed}': 1,
        # As often as the configuration lets it.
        'worker_retries_total{of=writing}': 3,
    }


def test_what_runs_what_waits_and_what_is_read_again_is_counted(
    server, board, client, worker, endpoint,
):
    before = endpoint.values()
    retries = 'worker_retries_total{of=reading}'
    with helpers.Source() as source:
        held = [
            helpers.held_image(server, client, source) for _ in range(2)
        ]
        for image_id, offer in held:
            helpers.start(client, image_id, ['s1'])
            assert offer.reached.wait(60)
        # Each of the processes makes one at a time.
        content = helpers.data(SIZE)
        third = client.create_image(content)
        broken = source.offer(content, cut_at=MIB, cuts=1)
        helpers.move(server, third, 'src', broken.url)
        assert client.copy(third, ['s1']).status_code == 202
        assert endpoint.value('worker_copies_running') == 2
        assert endpoint.value('board_jobs', state='claimed') == 2
        assert endpoint.value('board_jobs', state='waiting') == 1
        assert retries not in endpoint.increased(before)
        for _image_id, offer in held:
            offer.release()
        for image_id in (held[0][0], held[1][0], third):
            assert client.wait_copy(image_id)['status'] == 'success'
    wait_value(endpoint, 0, 'worker_copies_running')
    wait_value(endpoint, 0, 'board_jobs', state='claimed')
    assert endpoint.increased(before)[retries] == 1


def test_a_process_that_dies_is_taken_over_and_leaves_its_numbers(
    server, board, client, worker, endpoint, switch,
):
    before = endpoint.values()
    pids = {process.pid for process in makers(worker, board)}
    image_id = client.create_image(helpers.data(SIZE))
    moments.order(switch, 'import-written')
    assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
    # The dead one does not count as one that runs a copy for ever.
    wait_value(endpoint, 0, 'worker_copies_running')
    increased = endpoint.increased(before)
    assert increased['worker_copies_total{result=done}'] == 1
    assert increased['worker_takeovers_total'] == 1
    # What was written once by the dead one, and once by the next.
    assert increased['worker_store_bytes_total{store=s1}'] == 2 * SIZE
    helpers.wait_until(endpoint.healthy, 'a healthy worker')
    assert endpoint.value('worker_processes') == 2
    assert len({each.pid for each in makers(worker, board)} - pids) == 1


def test_a_worker_is_not_healthy_while_the_board_is_silent(
    server, board, client, worker, endpoint,
):
    board.stop()
    try:
        status, text = endpoint.health()
        assert status == 503
        assert text.startswith('jobboard unreachable: ')
        assert board.password not in text
        # What it has counted can still be read.
        assert endpoint.value('board_up') == 0
        assert endpoint.value('board_jobs', state='waiting') is None
        assert endpoint.value('worker_processes') == 2
    finally:
        board.start()
    helpers.wait_until(endpoint.healthy, 'a healthy worker')


def test_a_process_that_hangs_is_not_healthy_and_does_no_harm_later(
    server, board, client, worker, endpoint, switch,
):
    before = endpoint.values()
    image_id = client.create_image(helpers.data(SIZE))
    moments.order(switch, 'import-written', pause=True)
    # The other process takes the copy over.
    assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
    (paused,) = [
        each for each in worker.processes()
        if each.status() == psutil.STATUS_STOPPED
    ]
    try:
        helpers.wait_until(
            lambda: not endpoint.healthy(), 'a worker that is not healthy'
        )
        status, text = endpoint.health()
        assert status == 503
        assert 'has not looked for copies for' in text
        helpers.wait_until(lambda: jobboard.jobs(board) == 0, 'an empty board')
        kept = server.store_file('s1', image_id).stat().st_ino
        rows = helpers.rows(server, image_id)
    finally:
        os.kill(paused.pid, signal.SIGCONT)
    helpers.wait_until(
        lambda: f'{image_id} is left to the next process'
        in worker.log.read_text(), 'the end of the paused copy',
    )
    assert helpers.rows(server, image_id) == rows
    assert server.store_file('s1', image_id).stat().st_ino == kept
    jobboard.check(server, board, image_id, ['src', 's1'])
    helpers.wait_until(endpoint.healthy, 'a healthy worker')
    wait_value(endpoint, 0, 'worker_copies_running')
    left = 'worker_copies_total{result=left}'
    helpers.wait_until(
        lambda: endpoint.increased(before).get(left) == 1,
        'a copy that was left',
    )
    assert endpoint.increased(before)['worker_takeovers_total'] == 1


def debugging(worker):
    """Return the ids of the processes that have logged for debugging."""
    return {
        int(words[2]) for words in map(
            str.split, worker.log.read_text().splitlines()
        ) if words[3:4] == ['DEBUG']
    }


def reload(worker, debug):
    worker.configure('DEFAULT', debug=debug)
    os.kill(worker.pid, signal.SIGHUP)


def test_a_reload_changes_what_is_logged_and_disturbs_no_copy(
    server, board, client, worker,
):
    with helpers.Source() as source:
        image_id, offer = helpers.held_image(server, client, source)
        task_id = helpers.start(client, image_id, ['s1'])
        assert offer.reached.wait(60)
        before = {process.pid for process in worker.processes()}
        assert debugging(worker) == set()
        reload(worker, debug=True)
        helpers.wait_until(
            lambda: debugging(worker) >= {
                process.pid for process in makers(worker, board)
            }, 'lines for debugging',
        )
        reload(worker, debug=False)
        offer.release()
        assert client.wait_copy(image_id, task_id)['status'] == 'success'
        assert {process.pid for process in worker.processes()} == before
        log = worker.log.read_text()
        assert f'{image_id} is left to the next process' not in log


def test_the_process_that_serves_the_endpoint_is_replaced(
    server, board, worker, endpoint,
):
    making = makers(worker, board)
    serving = [
        process for process in worker.processes()
        if process.pid != worker.pid and process not in making
    ]
    assert len(serving) == 1
    os.kill(serving[0].pid, signal.SIGKILL)
    helpers.wait_until(lambda: not serving[0].is_running(), 'its end')
    helpers.wait_until(endpoint.healthy, 'an endpoint that answers again')


def test_no_label_holds_what_a_user_has_chosen(
    server, board, client, worker, endpoint,
):
    image_id = client.create_image(helpers.data(), name='a-name')
    assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
    labels = {}
    for sample in endpoint.samples():
        for name, value in sample.labels.items():
            labels.setdefault(name, set()).add(value)
    seconds = labels.pop('le')
    assert len(seconds) < 20
    assert labels == {
        'result': {'done', 'failed', 'left'},
        'of': {'reading', 'writing'},
        'state': {'waiting', 'claimed'},
        'store': {'src', 's1', 's2'},
    }


def test_it_listens_on_loopback_only(server, board, worker, endpoint):
    assert endpoint_.listening(worker.processes()) == {
        ('127.0.0.1', endpoint.port)
    }
    # Those that make copies do not keep the port when the others have ended.
    assert endpoint_.listening(makers(worker, board)) == set()
    assert endpoint.ask('/').status_code == 404
    assert endpoint.ask('/metrics/').status_code == 404
