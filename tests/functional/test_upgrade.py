# SPDX-License-Identifier: Apache-2.0

"""What the code of an earlier commit has begun, this code brings to its end.

``make test-upgrade FROM=<commit>`` makes the virtual environment of that
commit and says where it is.
"""

import json
import os
import pathlib
import subprocess

import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import worker as worker_
from tests.harness.wsgi import gunicorn

BEFORE = os.environ.get('UPGRADE_FROM')
pytestmark = pytest.mark.skipif(
    not BEFORE, reason='make test-upgrade runs it, with the code before'
)
STORES = ['s1', 's2', 's3']
# Each store takes some seconds, one after the other.
SLOW = {
    'copiers': '', 'bandwidth_limit': 2 * MIB, 'max_parallel_stores': 1,
}
SIZE = 6 * MIB + 1


@pytest.fixture(scope='module')
def before():
    """The folder of the code before, with its ``.venv``."""
    return pathlib.Path(BEFORE).resolve()


@pytest.fixture
def start_before(make_glance, before):
    """Give a function that starts a server with the code before."""
    started = []

    def start(name, settings):
        server = make_glance(
            name, settings, environment={'PYTHONPATH': str(before)},
            wsgi=gunicorn.Gunicorn(python=str(before / '.venv/bin/python')),
        )
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.invariants.close()
        server.stop()


def upgrade(server):
    """Cut the power, and start the server again with this code."""
    server.kill()
    del server.environment['PYTHONPATH']
    server.wsgi = gunicorn.Gunicorn()
    server.start()


def test_a_copy_in_the_service_is_taken_over(start_before):
    server = start_before('upgraded', {'copy_image': SLOW})
    client = Client(server)
    image_id, task_id = helpers.start_and_wait_stored(
        client, server, SIZE, STORES
    )
    done = sorted(set(client.stores(image_id)).intersection(STORES))[0]
    kept = server.store_file(done, image_id).stat().st_ino
    folder = server.staging / 'copy-image'
    assert (folder / 'journal' / image_id).exists()
    assert list((folder / task_id).iterdir())
    upgrade(server)
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    # What was recorded is not copied again.
    assert server.store_file(done, image_id).stat().st_ino == kept
    server.invariants.wait_settled(120)
    server.invariants.assert_hold()
    assert not (folder / task_id).exists()


def test_jobs_of_workers_are_claimed_and_carried_on(
    start_before, before, board,
):
    server = start_before('upgraded-posting', jobboard.settings(board, **SLOW))
    client = Client(server)
    first = worker_.Worker(
        server, 'host-a', concurrency=1,
        command=(before / '.venv/bin/glance-copy-worker',),
    )
    with first:
        running = helpers.start_and_wait_stored(
            client, server, SIZE, STORES
        )
        waiting = client.create_image(helpers.data(MIB))
        waits = helpers.start(client, waiting, STORES)
        first.kill()
    upgrade(server)
    with worker_.Worker(server, 'host-b'):
        for image_id, task_id in (running, (waiting, waits)):
            ended = client.wait_copy(image_id, task_id)
            assert ended['status'] == 'success', ended
        assert jobboard.jobs(board) == 0
    server.invariants.wait_settled(120)
    server.invariants.assert_hold()


def test_a_dump_goes_on(start_before, before, tmp_path):
    server = start_before('upgraded-dumped', {})
    client = Client(server)
    images = [
        client.create_image(helpers.data(size)) for size in (1000, SIZE)
    ]
    folder = tmp_path / 'dump'
    with subprocess.Popen(
        [
            before / '.venv/bin/glance-replicate', 'dump', server.url, folder,
            f'--from-token={replicating.ADMIN}', '--bandwidth', '1M',
        ],
        env={**replicating.environment(), 'PYTHONPATH': str(before)},
        # It runs itself again with -m, which looks there first.
        cwd=before,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    ) as running:
        helpers.wait_until(
            lambda: any(
                path.stat().st_size > MIB for path in folder.rglob('data')
            ), 'a part of the large image',
        )
        running.kill()
    upgrade(server)
    done = replicating.dump(server, folder)
    assert done.status == 0, done
    listed = json.loads((folder / 'manifest.json').read_text())['images']
    assert sorted(listed) == sorted(images)
    for image_id in images:
        data = (folder / 'images' / image_id / 'data').read_bytes()
        assert data == client.download(image_id)
