# SPDX-License-Identifier: Apache-2.0

"""Starting, stopping and starting again, also when that goes wrong."""

import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from tests.cloud import helpers
from tests.cloud import services
from tests.cloud.services import cloud as cloud_services
from tests.functional.helpers import wait_until

pytestmark = pytest.mark.usefixtures('nothing_left')
ROOT = pathlib.Path(__file__).resolve().parents[2]


def key_file(cloud):
    """Return the file that os-brick reads the key of Cinder's user from."""
    name = f'{cloud.place.cluster}.client.cinder.keyring'
    return pathlib.Path('/etc/ceph', name)


@pytest.fixture
def other(cloud, tmp_path_factory):
    """A second cloud on this machine, which does not run yet."""
    folder = tmp_path_factory.mktemp('c')
    # Installing it once more would take minutes.
    (folder / 'venv').symlink_to(cloud.place.folder / 'venv')
    made = services.Cloud(folder)
    yield made
    made.down()
    assert made.processes.recorded() == []


@pytest.mark.parametrize('names', [
    ['cinder-scheduler'], ['rabbitmq'], ['mariadb'],
    ['ceph-osd', 'ceph-mgr', 'ceph-mon'],
    ['cinder', 'cinder-volume', 'keystone', 'epmd'],
], ids=','.join)
def test_killed_services_are_found_and_started_anew(cloud, block, names):
    for process in itertools.chain(*map(cloud.processes.members, names)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until(lambda: cloud.missing() == names, f'{names} missing')
    cloud.up()
    assert cloud.missing() == []
    helpers.new_volume(block('glance'), 'glance-slow').delete()


def test_what_was_made_is_there_after_all_was_stopped(cloud, block):
    volume = helpers.new_volume(block('glance'), 'glance-fast')
    running = [
        process for name in cloud.processes.recorded()
        for process in cloud.processes.members(name)
    ]
    assert len(running) >= len(cloud_services.SERVICES)
    assert key_file(cloud).exists()
    cloud.down()
    try:
        assert cloud.missing() == list(cloud_services.SERVICES)
        assert not any(process.is_running() for process in running)
        assert not key_file(cloud).exists()
    finally:
        cloud.up()
    assert helpers.images(cloud, 'fast') == [f'volume-{volume.id}']
    assert block('glance').volumes.get(volume.id).status == 'available'
    helpers.new_volume(block('glance'), 'glance-slow').delete()
    block('glance').volumes.delete(volume.id)


def test_an_interrupted_start_stops_all_that_it_has_started(other):
    with subprocess.Popen(
        [sys.executable, '-m', 'tests.cloud.services', 'up',
         '--folder', other.place.folder],
        cwd=ROOT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as command:
        wait_until(
            lambda: {'ceph-mon', 'mariadb'} <= set(other.processes.recorded()),
            'something to interrupt', timeout=120,
        )
        with pytest.raises(services.CloudError, match='Somebody else'):
            other.up()
        running = [
            process for name in other.processes.recorded()
            for process in other.processes.members(name)
        ]
        os.kill(command.pid, signal.SIGINT)
        text, _ = command.communicate(timeout=120)
    assert command.returncode == 130, text
    assert 'Interrupted; everything is stopped.' in text
    assert running
    assert not any(process.is_running() for process in running)
    assert other.processes.recorded() == []
    assert not key_file(other).exists()


def test_a_start_that_fails_stops_all_that_it_has_started(other):
    # The third step for the database: Keystone has begun by then.
    program = other.place.path('bin', 'mariadb-install-db')
    program.write_text('#!/bin/sh\necho no space >&2\nexit 3\n')
    program.chmod(0o755)
    with pytest.raises(services.CloudError) as told:
        other.up()
    assert 'mariadb-install-db ended with 3' in str(told.value)
    assert 'no space' in str(told.value)
    assert other.missing() == list(cloud_services.SERVICES)
    assert other.processes.recorded() == []


def test_a_port_that_was_taken_meanwhile_is_named(other):
    with socket.socket() as stranger:
        stranger.bind(('127.0.0.1', other.place.port('keystone')))
        stranger.listen()
        with pytest.raises(services.CloudError, match='Port .* of keystone'):
            other.up()
    assert other.processes.recorded() == []


def test_a_second_one_with_data_of_its_own_runs_beside_it(
    cloud, other, block
):
    other.up()
    assert other.place.cluster != cloud.place.cluster
    volume = helpers.new_volume(other.cinder('glance'), 'glance-fast')
    assert helpers.images(other, 'fast') == [f'volume-{volume.id}']
    assert helpers.images(cloud, 'fast') == []
    assert block('glance').volumes.list() == []
    other.down(wipe=True)
    assert cloud.missing() == []
    left = {path.name for path in other.place.folder.iterdir()}
    assert not left & set(cloud_services.DATA)
