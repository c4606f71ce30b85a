# SPDX-License-Identifier: Apache-2.0

"""What a sentence tells an operator to install, can be installed."""

import configparser
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOARDS = ('redis', 'etcd', 'zookeeper')


@pytest.fixture(scope='module')
def extras():
    """Return ``{extra: {project: rest of its requirement}}``."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / 'setup.cfg')
    return {
        name: dict(
            re.match(r'([\w.-]+(?:\[\w+\])?)(.*)', line).groups()
            for line in text.strip().splitlines()
        )
        for name, text in parser['extras'].items()
    }


@pytest.mark.parametrize('board', BOARDS)
def test_an_extra_for_a_board_brings_all_that_a_worker_needs(extras, board):
    needed = {'oslo.reports', 'oslo.service[threading]', f'taskflow[{board}]'}
    assert needed < set(extras[board])


def test_every_extra_that_is_named_exists(extras):
    named = set()
    for folder, pattern in (('glance_copy_plugin', '*.py'), ('doc', '*.rst')):
        for path in (ROOT / folder).rglob(pattern):
            for names in re.findall(
                r'glance-copy-plugin\[([a-z,]+)\]', path.read_text()
            ):
                named.update(names.split(','))
    assert {'metrics', 'redis'} <= named <= set(extras)
