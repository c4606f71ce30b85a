# SPDX-License-Identifier: Apache-2.0


"""``glance-copy check`` and ``audit`` with a database that is not ready."""

import configparser
import pathlib
import shutil
import subprocess
import sys

import pytest
import sqlalchemy as sa

from tests.harness import database
from tests.harness import GlanceServer

pytestmark = pytest.mark.functional

PROGRAM = pathlib.Path(sys.executable).with_name('glance-copy')


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """A Glance that has run once, so that all its files are there."""
    with GlanceServer(tmp_path_factory.mktemp('check')) as started:
        pass
    return started


@pytest.fixture
def ask(server, tmp_path):
    """Return a function that runs a command with another database.

    :returns: status and words of the command, the last line alone
    """
    folder = tmp_path / 'etc'
    shutil.copytree(server.conf.parent, folder)

    def run(command, connection):
        conf = configparser.RawConfigParser(default_section='no such group')
        conf.optionxform = str
        conf.read(folder / 'glance-api.conf')
        conf['database']['connection'] = connection
        with (folder / 'glance-api.conf').open('w') as stream:
            conf.write(stream)
        done = subprocess.run(
            [PROGRAM, command, '--config-dir', folder],
            env=server.process_environment(), cwd=server.folder, text=True,
            stdin=subprocess.DEVNULL, capture_output=True,
        )
        assert 'Traceback' not in done.stderr
        return done.returncode, done.stderr.strip().splitlines()[-1]

    return run


@pytest.fixture
def older(server, tmp_path):
    """A copy of the server's database, for a test to change."""
    path = tmp_path / 'older.db'
    shutil.copy(sa.make_url(server.database_url).database, path)
    return f'sqlite:///{path}'


@pytest.mark.parametrize('command', ['check', 'audit'])
def test_an_empty_database_is_one_sentence_with_the_command(
    ask, tmp_path, command
):
    status, said = ask(command, f'sqlite:///{tmp_path}/empty.db')
    assert status == 1
    assert said == (
        'the database of the Image service is empty: run glance-manage db sync'
    )


def test_a_database_of_an_older_release_is_one_sentence(ask, older):
    database.execute(older, 'DROP TABLE image_tags')
    database.execute(older, 'ALTER TABLE images DROP COLUMN os_hash_algo')
    status, said = ask('check', older)
    assert status == 1
    assert 'lacks image_tags, images.os_hash_algo: run' in said


def test_a_database_that_cannot_be_opened_is_one_sentence(ask, tmp_path):
    status, said = ask('check', f'sqlite:///{tmp_path}/missing/glance.db')
    assert status == 1
    assert 'cannot be used, see [database] connection: ' in said
    assert 'unable to open database file' in said


def test_a_database_that_is_ready_passes(ask, older):
    status, said = ask('check', older)
    assert status == 0
    assert said.startswith('Staging area ')
