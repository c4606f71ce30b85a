# SPDX-License-Identifier: Apache-2.0

import os
import select
import signal
import subprocess
import sys

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import session


@pytest.fixture
def run(tmp_path):
    """Start the command, and end it with the test."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, '-m', 'tests.irods_server', *arguments],
            stdout=subprocess.PIPE, bufsize=0, cwd=os.getcwd(),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def line_of(process):
    """Return the next line that the command prints."""
    ready, _, _ = select.select([process.stdout], [], [], 30)
    assert ready, 'the command says nothing'
    return process.stdout.readline().decode().split()


@pytest.mark.parametrize('end', [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_end(run, tmp_path, end):
    process = run(
        '--folder', str(tmp_path), '--zone', 'demoZone', '--password', 'pw',
        '--federate', 'otherZone',
    )
    zone, host, port = line_of(process)
    other, _, other_port = line_of(process)
    assert (zone, other) == ('demoZone', 'otherZone')
    assert port != other_port
    with session.iRODSSession(
        host=host, port=int(port), user='rods', password='pw', zone=zone,
    ) as client:
        path = '/demoZone/home/rods/object'
        with client.data_objects.open(path, 'w') as file:
            file.write(b'data')
        client.data_objects.copy(path, '/otherZone/home/rods#demoZone/copy')
    assert (tmp_path / 'demoZone/demoResc/home/rods/object').exists()
    process.send_signal(end)
    assert process.wait(30) == 0


def test_the_command_takes_a_port_and_a_folder_of_its_own(run):
    first = run()
    _, _, port = line_of(first)
    second = run('--port', port)
    assert line_of(second) == []
    assert second.wait(30) != 0
