# SPDX-License-Identifier: Apache-2.0

"""The moments at which tests kill processes are there, and are met."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tests.harness import moments

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Fills three files, has them on the disk and gives them their names.
RENAMING = """
import os, sys
import moments
moments.MOMENTS = {
    name: moment for name, moment in moments.MOMENTS.items()
    if moment.function.startswith('os:')
}
moments.install()
for number in range(3):
    part = f'{sys.argv[1]}/.{number}.part'
    fd = os.open(part, os.O_CREAT | os.O_WRONLY)
    os.fsync(fd)
    os.rename(part, f'{sys.argv[1]}/{number}')
    os.rename(f'{sys.argv[1]}/{number}', f'{sys.argv[1]}/{number}.kept')
"""


@pytest.fixture
def switch(tmp_path):
    return tmp_path / 'at'


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / 'files'
    made.mkdir()
    return made


@pytest.fixture
def renaming(switch, folder):
    """Give a function that starts that process."""
    started = []

    def start():
        started.append(subprocess.Popen(
            [sys.executable, '-c', RENAMING, folder],
            env={
                **os.environ, **moments.environment(switch),
                # Without all else of the tests, which takes long to load.
                'PYTHONPATH': os.path.dirname(moments.__file__),
            },
        ))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize('name', moments.MOMENTS)
def test_what_a_moment_is_told_by_is_public_and_there(name):
    function = moments.MOMENTS[name].function
    holder, attribute = moments.find(function)
    assert callable(getattr(holder, attribute))
    _module, _, path = function.partition(':')
    assert not [part for part in path.split('.') if part.startswith('_')]


@pytest.mark.parametrize('name', moments.MOMENTS)
def test_some_test_uses_each_moment(name):
    texts = [
        path.read_text() for path in (ROOT / 'tests').rglob('test_*.py')
    ]
    assert any(
        f"'{name}'" in text or f"'{name}:" in text for text in texts
    ), name


def test_a_function_that_has_another_name_now_is_told_in_a_sentence():
    with pytest.raises(
        LookupError, match='os:no_such cannot be found, at which tests kill',
    ):
        moments.find('os:no_such')


def test_nobody_waits_for_a_moment_that_there_is_not(switch):
    with pytest.raises(LookupError, match='no-such is not in'):
        moments.order(switch, 'no-such:2')
    assert not switch.exists()


def test_nothing_is_wrapped_where_nobody_asks_for_it(monkeypatch):
    def functions():
        return [
            getattr(*moments.find(moment.function))
            for moment in moments.MOMENTS.values()
        ]

    monkeypatch.delenv(moments.VARIABLE, raising=False)
    before = functions()
    moments.install()
    assert functions() == before


def test_nothing_happens_where_nothing_is_ordered(renaming, folder):
    process = renaming()
    assert process.wait() == 0
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(('place', 'files'), [
    ('file-created', {'.0.part'}),
    ('file-filled:2', {'0.kept', '.1.part'}),
    ('file-renamed', {'0'}),
    ('file-renamed:3', {'0.kept', '1.kept', '2'}),
])
def test_a_process_dies_when_it_comes_to_the_moment_the_nth_time(
    renaming, switch, folder, place, files,
):
    moments.order(switch, place)
    assert renaming().wait() == -signal.SIGKILL
    assert {path.name for path in folder.iterdir()} == files
    assert not switch.exists()


def test_a_process_that_pauses_there_can_go_on(renaming, switch, folder):
    moments.order(switch, 'file-synced:2', pause=True)
    process = renaming()
    _pid, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert {path.name for path in folder.iterdir()} == {'0.kept', '.1.part'}
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 0
    assert len(list(folder.iterdir())) == 3
