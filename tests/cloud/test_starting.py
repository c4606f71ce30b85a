# SPDX-License-Identifier: Apache-2.0

"""Services are found again and stopped by whoever has to, and by nobody else.

What is started here are no services but programs that sleep.
"""

import sys

import psutil
import pytest

from tests.cloud import services
from tests.cloud.services import install
from tests.cloud.services import processes
from tests.functional.helpers import wait_until

SLEEP = [sys.executable, '-c', 'import time; time.sleep(600)']
# It starts another process, and tells its id.
PARENT = [sys.executable, '-c', (
    'import subprocess, sys, time\n'
    'child = subprocess.Popen([sys.executable, "-c", '
    '"import time; time.sleep(600)"])\n'
    'print(child.pid, flush=True)\n'
    'time.sleep(600)'
)]
NAME = 'rabbitmq'


@pytest.fixture
def other(tmp_path_factory):
    """A cloud that does not run."""
    made = services.Cloud(tmp_path_factory.mktemp('c'))
    yield made
    made.processes.stop(*made.processes.recorded(), timeout=0)


def test_what_a_killed_service_has_started_is_ended_with_it(other):
    found = other.processes
    found.start('parent', PARENT)
    child = int(wait_until(lambda: found.tail('parent').strip(), 'a child'))
    psutil.Process(found.pid('parent')).kill()
    wait_until(lambda: not found.alive('parent'), 'the end')
    assert psutil.pid_exists(child)
    again = processes.Processes(found.place)
    again.stop('parent')
    assert not psutil.pid_exists(child)


def test_a_stranger_with_the_same_process_id_is_left_alone(other):
    found = other.processes
    found.start('sleeper', SLEEP)
    path = found.place.path('run', 'sleeper.json')
    record = path.read_text()
    created = psutil.Process(found.pid('sleeper')).create_time()
    path.write_text(record.replace(str(created), str(created - 3600)))
    assert not found.alive('sleeper')
    pid = found.pid('sleeper')
    found.stop('sleeper')
    assert psutil.Process(pid).is_running()
    path.write_text(record)
    assert found.alive('sleeper')


def test_a_service_that_ends_at_its_start_is_told_with_its_log(other):
    other.processes.start(
        'short', [sys.executable, '-c', 'print("no such option")']
    )
    with pytest.raises(services.CloudError) as told:
        other.processes.wait('short', lambda: False)
    assert 'short ended before it was ready' in str(told.value)
    assert 'no such option' in str(told.value)


def test_a_start_that_fails_stops_all_that_it_has_started(
    other, monkeypatch
):
    def broker_up():
        return other.processes.start(NAME, SLEEP)

    def database_up():
        wait_until(lambda: other.processes.alive(NAME), 'the broker')
        raise services.CloudError('no space')

    def ceph_up():
        other.processes.wait('ceph', lambda: False, alive=False)

    monkeypatch.setattr(install, 'install', lambda _processes: None)
    monkeypatch.setattr(other.broker, 'up', broker_up)
    monkeypatch.setattr(other.database, 'up', database_up)
    monkeypatch.setattr(other.ceph, 'up_for_cinder', ceph_up)
    with pytest.raises(services.CloudError, match='no space'):
        other.up()
    assert other.processes.recorded() == []


def test_the_last_one_stops_it_unless_it_is_kept(other):
    also = services.Cloud(other.place.folder)
    with other.stopped_in_the_end():
        other.processes.start(NAME, SLEEP)
        with also.stopped_in_the_end():
            assert also.processes.alive(NAME)
        assert other.processes.alive(NAME)
        other.keep(True)
    assert other.processes.alive(NAME)
    other.keep(False)
    with pytest.raises(KeyboardInterrupt), also.stopped_in_the_end():
        raise KeyboardInterrupt
    assert not other.processes.alive(NAME)


def test_two_processes_have_no_share_in_common(other):
    also = services.Cloud(other.place.folder)
    with other.place.shared(), also.place.shared():
        assert other.place.share
        assert also.place.share
        assert other.place.share != also.place.share
        assert other.password('glance') != also.password('glance')
    assert other.place.share == ''
