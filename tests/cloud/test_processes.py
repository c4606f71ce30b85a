# SPDX-License-Identifier: Apache-2.0

"""Programs are started, found again and ended, whatever they do."""

import os
import sys
import threading

import psutil
import pytest

from tests.cloud.services import errors
from tests.cloud.services import place
from tests.cloud.services import processes
from tests.functional.helpers import wait_until

SLEEP = [sys.executable, '-c', 'import time; time.sleep(600)']
STUBBORN = [sys.executable, '-c', (
    'import signal, time\n'
    'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
    'print("deaf", flush=True)\n'
    'time.sleep(600)'
)]
# It starts another process, and tells its id.
PARENT = [sys.executable, '-c', (
    'import subprocess, sys, time\n'
    'child = subprocess.Popen([sys.executable, "-c", '
    '"import time; time.sleep(600)"])\n'
    'print(child.pid, flush=True)\n'
    'time.sleep(600)'
)]


@pytest.fixture
def found(tmp_path_factory):
    """``Processes`` in a new folder; all are ended with the test."""
    made = processes.Processes(place.Place(tmp_path_factory.mktemp('p')))
    yield made
    made.stop(*made.recorded(), timeout=0)


def printed(found, name):
    """Wait until a service has printed a line; return it."""
    return wait_until(lambda: found.tail(name).strip(), f'a line of {name}')


def test_a_service_is_found_again_by_another_process(found):
    assert found.start('sleeper', SLEEP)
    again = processes.Processes(found.place)
    assert again.alive('sleeper')
    assert not again.start('sleeper', SLEEP)
    again.stop('sleeper')
    assert not found.alive('sleeper')
    assert found.recorded() == []


def test_a_killed_service_is_started_anew(found):
    found.start('sleeper', SLEEP)
    first = found.pid('sleeper')
    psutil.Process(first).kill()
    wait_until(lambda: not found.alive('sleeper'), 'the end')
    assert found.start('sleeper', SLEEP)
    assert found.pid('sleeper') != first


def test_what_a_killed_service_has_started_is_ended_with_it(found):
    found.start('parent', PARENT)
    child = int(printed(found, 'parent'))
    psutil.Process(found.pid('parent')).kill()
    wait_until(lambda: not found.alive('parent'), 'the end')
    assert psutil.pid_exists(child)
    found.stop('parent')
    assert not psutil.pid_exists(child)


def test_who_does_not_listen_is_killed(found):
    found.start('stubborn', STUBBORN)
    assert printed(found, 'stubborn') == 'deaf'
    found.stop('stubborn', timeout=0.5)
    assert found.recorded() == []
    assert found.members('stubborn') == []


def test_a_stranger_with_the_same_process_id_is_left_alone(found):
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


def test_waiting_ends_when_the_service_does_and_tells_its_log(found):
    found.start('short', [sys.executable, '-c', 'print("no such option")'])
    with pytest.raises(errors.CloudError) as told:
        found.wait('short', lambda: False, timeout=60)
    assert 'short ended before it was ready' in str(told.value)
    assert 'no such option' in str(told.value)


def test_waiting_ends_when_the_time_is_up(found):
    found.start('sleeper', SLEEP)
    with pytest.raises(errors.CloudError, match='not ready in 0.3 s'):
        found.wait('sleeper', lambda: False, timeout=0.3)


def test_waiting_ends_when_it_is_cancelled_and_nothing_starts(found):
    found.start('sleeper', SLEEP)
    threading.Timer(0.3, found.cancel).start()
    with pytest.raises(errors.CloudError, match='interrupted'):
        found.wait('sleeper', lambda: False, timeout=60)
    with pytest.raises(errors.CloudError, match='interrupted'):
        found.start('other', SLEEP)
    with pytest.raises(errors.CloudError, match='interrupted'):
        found.run('program', SLEEP, timeout=60)
    found.allow()
    assert found.start('other', SLEEP)


def test_a_program_that_fails_is_told_with_what_it_said(found):
    command = [sys.executable, '-c', (
        'import sys; print("half of it"); sys.exit("broken")'
    )]
    with pytest.raises(errors.CloudError) as told:
        found.run('program', command)
    assert 'ended with 1' in str(told.value)
    assert 'broken' in str(told.value)
    assert 'half of it' in str(told.value)
    assert found.try_run('program', command) is None
    assert found.run('program', [sys.executable, '-c', 'print(1)']) == '1\n'


def test_a_program_that_takes_too_long_is_ended_with_its_children(found):
    with pytest.raises(errors.CloudError, match='did not end in 2 s'):
        found.run('program', [
            sys.executable, '-c', PARENT[2].replace(
                'print(child.pid, flush=True)',
                'print(child.pid, file=sys.stderr, flush=True)',
            ),
        ], timeout=2)
    child = int(found.tail('program').strip())
    wait_until(lambda: not _runs(child), 'the end of the child')


def _runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_variables_for_other_clouds_are_not_handed_on(found, monkeypatch):
    monkeypatch.setenv('OS_AUTH_URL', 'http://192.0.2.1/v3')
    monkeypatch.setenv('CEPH_ARGS', '--cluster other')
    assert not {'OS_AUTH_URL', 'CEPH_ARGS'} & set(found.environment())
    first = found.environment()['PATH'].split(os.pathsep)[0]
    assert first == str(found.place.folder / 'bin')


def test_a_folder_that_is_too_long_for_sockets_is_refused(tmp_path):
    with pytest.raises(errors.Unavailable, match='too long for the sockets'):
        place.Place(tmp_path / ('x' * place.LONGEST_FOLDER))


def test_what_is_recorded_first_stays(found):
    assert found.place.remember('colour', 'red') == 'red'
    again = place.Place(found.place.folder)
    assert again.remember('colour', 'blue') == 'red'
    assert again.port('keystone') == found.place.port('keystone')
    assert again.password('demo') == found.place.password('demo')
