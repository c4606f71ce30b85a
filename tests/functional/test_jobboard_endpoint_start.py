# SPDX-License-Identifier: Apache-2.0

"""When a worker has an endpoint, and what keeps it from having one."""

import os
import socket

import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client
from tests.harness import endpoint as endpoint_
from tests.harness import worker as worker_


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'opening-{board.kind}', jobboard.settings(board), audit=True,
    )


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture
def endpoint():
    return endpoint_.Endpoint()


def test_there_is_no_endpoint_unless_it_is_asked_for(server, board):
    with worker_.Worker(server, 'host-b') as worker:
        helpers.wait_until(
            lambda: jobboard.announced(board), 'a process that makes copies'
        )
        assert endpoint_.listening(worker.processes()) == set()
        assert len(worker.processes()) == 2


def test_its_files_go_when_it_stops(server, board, endpoint, tmp_path):
    with worker_.Worker(
        server, 'host-b', settings=endpoint.settings,
        environment={'RUNTIME_DIRECTORY': str(tmp_path)},
    ) as worker:
        helpers.wait_until(endpoint.healthy, 'a healthy worker')
        assert helpers.files(tmp_path)
        worker.stop()
        assert worker.returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert endpoint.ask('/health') is None


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
        assert 'is not counted, since' in worker.log.read_text()
        assert endpoint.health() == (503, '0 of 1 processes are ready')


def start_in_vain(server, endpoint, **environment):
    """Run a worker that cannot start; return its status and its words."""
    made = worker_.Worker(
        server, 'in-vain', settings=endpoint.settings,
        environment=environment,
    )
    made.start()
    helpers.wait_until(lambda: not made.running(), 'the end of the worker')
    return made.returncode, made.log.read_text().splitlines()[-1]


def test_a_port_that_is_in_use_ends_it_with_a_sentence(
    server, board, endpoint,
):
    with socket.create_server(('127.0.0.1', endpoint.port)):
        assert start_in_vain(server, endpoint) == (
            1, 'glance-copy-worker: [copy_image] worker_metrics_port '
            f'{endpoint.port} cannot be opened on 127.0.0.1: Address already '
            'in use',
        )


def test_a_missing_library_ends_it_with_a_sentence(
    server, board, endpoint, tmp_path,
):
    # Python looks here first, and finds that the library cannot be found.
    (tmp_path / 'prometheus_client.py').write_text(
        'raise ModuleNotFoundError("no", name="prometheus_client")'
    )
    paths = [str(tmp_path), os.environ.get('PYTHONPATH', '')]
    assert start_in_vain(
        server, endpoint, PYTHONPATH=os.pathsep.join(filter(None, paths))
    ) == (
        1, 'glance-copy-worker: [copy_image] worker_metrics_port needs a '
        'library that is not installed (prometheus_client): install '
        'glance-copy-plugin[metrics]',
    )
