# SPDX-License-Identifier: Apache-2.0

"""Every command of the documentation is read by the program it is for."""

import configparser
import re
import shlex
import sys
from unittest import mock

from cliff import commandmanager
from glanceclient import shell
import pytest

from glance_copy_plugin.cli import main as glance_copy
from glance_copy_plugin.cli import worker
from glance_replicate import main as glance_replicate
from tests.documentation import pages

ROOT = pages.ROOT
DOCUMENTED = {
    command: path.relative_to(ROOT)
    for path in pages.sources() for command in pages.commands(path)
}


def check_make(words):
    """See that make can be asked for it."""
    rules = (ROOT / 'Makefile').read_text()
    assert f'\n{words[0]}: ' in rules


def check_tox(words):
    """See that there is such an environment."""
    conf = configparser.ConfigParser()
    conf.read(ROOT / 'tox.ini')
    assert words[0] == '-e'
    assert f'testenv:{words[1]}' in conf


def check_pip(words):
    """See that the extras exist."""
    conf = configparser.ConfigParser()
    conf.read(ROOT / 'setup.cfg')
    assert words[0] == 'install'
    for extras in re.findall(r'glance-copy-plugin\[(.*)\]', words[1]):
        assert set(extras.split(',')) <= set(conf['extras'])


def check_glance(words):
    """Have python-glanceclient's own parser read the words."""
    parser = shell.OpenStackImagesShell().get_subcommand_parser(2)
    parser.parse_args(words)


def check_openstack(words):
    """Have the parsers of its commands read the words."""
    manager = commandmanager.CommandManager('openstack.volume.v3')
    manager.add_command_group('openstack.image_replicate.v1')
    parse(manager, words)


def check_glance_copy(words):
    parse(glance_copy.GlanceCopyApp().command_manager, words)


def check_glance_replicate(words):
    parse(glance_replicate.ReplicateApp().command_manager, words)


def parse(manager, words):
    factory, name, rest = manager.find_command(words)
    factory(mock.MagicMock(), None).get_parser(name).parse_args(rest)


def check_worker(words):
    """Have it begin, with nothing behind it."""
    name = 'glance_copy_plugin.worker.launcher'
    with mock.patch.dict(sys.modules, {name: mock.MagicMock()}):
        worker.main(words)


# All other programs belong to others, and are not always installed.
CHECKS = {
    'glance': check_glance,
    'glance-copy': check_glance_copy,
    'glance-copy-worker': check_worker,
    'glance-replicate': check_glance_replicate,
    'make': check_make,
    'openstack': check_openstack,
    'pip': check_pip,
    'tox': check_tox,
}


def is_mention(command):
    """True if a text only tells of what is written out elsewhere."""
    return any(other.startswith(f'{command} ') for other in DOCUMENTED)


@pytest.mark.parametrize('command', DOCUMENTED)
def test_a_command_of_the_documentation_is_understood(command):
    words = shlex.split(command)
    if '>' in words:
        words = words[:words.index('>')]
    while re.match(r'[A-Z_]+=', words[0]):
        words.pop(0)
    check = CHECKS.get(words[0])
    if check and not is_mention(command):
        check(words[1:])


@pytest.mark.parametrize('command', [
    'glance-copy audit --mend', 'glance-copy-worker --processes 4',
    'glance-replicate livecopy north', 'make everything',
    'openstack image copy golden --to archive', 'tox -e py27',
    "pip install '/path/to/glance-copy-plugin[all]'",
    'glance image-import <image> --into s1',
])
def test_a_command_that_is_wrong_is_noticed(command):
    program, *words = shlex.split(command)
    with pytest.raises((AssertionError, SystemExit)):
        CHECKS[program](words)


def test_commands_are_found_in_all_places_that_they_stand_in():
    where = {
        # Behind a prompt, in more than one line.
        'livecopy north south --via-irods': 'replicator/index.rst',
        # In a list.
        'openstack volume set --type': 'cinder/index.rst',
        # In a block without a prompt.
        'curl -H "X-Auth-Token: $TOKEN" $GLANCE': 'user/index.rst',
        'CINDER_DRIVER=cinder make': 'contributor/index.rst',
        # In the text.
        'oslo-config-generator': 'configuration/index.rst',
    }
    for words, page in where.items():
        found = pages.commands(ROOT / 'doc' / 'source' / page)
        assert any(words in command for command in found), words
