# SPDX-License-Identifier: Apache-2.0

"""``glance-copy check`` and ``audit`` with a database that is not ready."""

import configparser
import pathlib
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.functional

PROGRAM = pathlib.Path(sys.executable).with_name('glance-copy')


@pytest.mark.parametrize('command', [
    'check', pytest.param('audit', marks=pytest.mark.long),
])
def test_an_empty_database_is_one_sentence_with_the_command(
    glance, tmp_path, command
):
    folder = tmp_path / 'etc'
    shutil.copytree(glance.conf.parent, folder)
    conf = configparser.RawConfigParser(default_section='no such group')
    conf.optionxform = str
    conf.read(folder / 'glance-api.conf')
    conf['database']['connection'] = f'sqlite:///{tmp_path}/empty.db'
    with (folder / 'glance-api.conf').open('w') as stream:
        conf.write(stream)
    done = subprocess.run(
        [PROGRAM, command, '--config-dir', folder],
        env=glance.process_environment(), cwd=glance.folder, text=True,
        stdin=subprocess.DEVNULL, capture_output=True,
    )
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    assert done.stderr.strip().splitlines()[-1] == (
        'the database of the Image service is empty: run glance-manage db sync'
    )
