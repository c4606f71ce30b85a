# SPDX-License-Identifier: Apache-2.0

"""The endpoint of a worker, without a worker."""

import os
import socket
import subprocess
import sys

from oslo_config import cfg
import pytest

from glance_copy_plugin.options import copy_image

endpoint = pytest.importorskip(
    'glance_copy_plugin.worker.endpoint',
    reason='prometheus_client is not installed',
)


@pytest.fixture
def group():
    """Give a function that returns ``[copy_image]`` with these options."""
    def made(**options):
        conf = cfg.ConfigOpts()
        copy_image.register_opts(conf)
        conf([])
        for name, value in options.items():
            conf.set_override(
                f'worker_metrics_{name}', value, group=copy_image.GROUP
            )
        return conf[copy_image.GROUP]

    return made


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('RUNTIME_DIRECTORY', str(tmp_path))
    return tmp_path


def free_port(family=socket.AF_INET, address='127.0.0.1'):
    try:
        with socket.create_server((address, 0), family=family) as listener:
            return listener.getsockname()[1]
    except OSError as why:
        pytest.skip(f'nobody can listen on {address} here: {why.strerror}')


def test_its_folder_is_private_and_goes_at_the_end(group, folder):
    with endpoint.opened(group(port=free_port()), 1):
        (made,) = folder.iterdir()
        assert made.stat().st_mode & 0o777 == 0o700
    assert list(folder.iterdir()) == []


def test_its_port_is_taken_and_free_again(group, folder):
    port = free_port()
    with (
        endpoint.opened(group(port=port), 1),
        pytest.raises(RuntimeError, match='Address already in use'),
        endpoint.opened(group(port=port), 1),
    ):
        pytest.fail('it was opened twice')
    with socket.create_server(('127.0.0.1', port)):
        pass


def test_it_can_be_on_an_address_of_ipv6(group, folder):
    port = free_port(socket.AF_INET6, '::1')
    with (
        endpoint.opened(group(port=port, address='::1'), 1),
        socket.create_connection(('::1', port)),
    ):
        pass


def test_an_address_of_another_host_is_refused(group, folder):
    with (
        pytest.raises(RuntimeError, match='cannot be opened on 192.0.2.1: '),
        endpoint.opened(group(port=free_port(), address='192.0.2.1'), 1),
    ):
        pytest.fail('it was opened')


COUNT = """
import sys
from glance_copy_plugin.worker import metrics
counting = metrics.Metrics(['s1'], sys.argv[1])
counting.begun()
counting.received('s1', 100)
counting.looked()
print('ready', flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def counting(tmp_path):
    """Give a function that starts a process which counts."""
    started = []

    def start(**options):
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-c', COUNT, str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            **options,
        )
        started.append(process)
        assert process.stdout.readline() == 'ready\n'
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def numbers(folder):
    """Return what runs, how many processes there are, and the bytes."""
    processes = endpoint.Processes(str(folder))
    found = processes.values()
    received = [
        sample.value for metric in processes.collect()
        for sample in metric.samples
        if sample.name == 'glance_copy_worker_store_bytes_total'
    ]
    return (
        found.get('glance_copy_worker_copies_running', 0),
        found.get('glance_copy_worker_processes', 0),
        received,
    )


def test_what_processes_count_is_added_up(counting, tmp_path):
    counting()
    assert numbers(tmp_path) == (1, 1, [100])
    counting()
    assert numbers(tmp_path) == (2, 2, [200])


def test_the_dead_run_nothing_and_keep_what_they_have_counted(
    counting, tmp_path,
):
    counting()
    dead = counting()
    dead.kill()
    dead.wait()
    assert numbers(tmp_path) == (1, 1, [200])


def test_a_process_of_somebody_else_is_none_of_the_worker(counting, tmp_path):
    # As if its id had been given to another process since.
    counting(start_new_session=True)
    assert numbers(tmp_path) == (0, 0, [100])


def test_the_files_have_all_the_space_that_they_need(counting, tmp_path):
    counting()
    paths = list(tmp_path.glob('*.db'))
    assert len(paths) > 2
    for path in paths:
        found = path.stat()
        assert found.st_blocks * 512 >= found.st_size
        assert os.access(path, os.R_OK)
