# SPDX-License-Identifier: Apache-2.0


"""Every command of the documentation is tried, as one table says."""

import ast
import configparser
import re
import shlex
import subprocess

from cliff import commandmanager
import pytest

from tests.documentation import covered
from tests.documentation import pages
from tests.release import conftest as release

ROOT = pages.ROOT
DOCUMENTED = {
    command: path.relative_to(ROOT)
    for path in pages.sources() for command in pages.commands(path)
}


def mentions(command):
    """True if another command begins like that, which is then told of."""
    return any(
        other.startswith(f'{command} ') for other in covered.COVERED
    )


@pytest.mark.parametrize('command', DOCUMENTED)
def test_a_command_of_the_documentation_is_in_the_table(command):
    assert shlex.split(command)
    assert command in covered.COVERED or mentions(command), (
        f'{DOCUMENTED[command]} has a command that nothing tries: add it to '
        'tests/documentation/covered.py'
    )


def test_the_table_has_no_command_that_is_documented_no_more():
    assert set(covered.COVERED) - set(DOCUMENTED) == set()


def test_commands_are_found_in_all_places_that_they_stand_in():
    where = {
        # Behind a prompt, in more than one line.
        'livecopy north south --via-irods': 'replicator/index.rst',
        # In a list.
        'openstack volume set --type': 'cinder/index.rst',
        # In a block without a prompt.
        'curl -H "X-Auth-Token: $TOKEN" $GLANCE': 'user/index.rst',
        'CINDER_DRIVER=cinder make': 'contributor/index.rst',
        'enable_plugin': 'contributor/devstack.rst',
        # In the text.
        'oslo-config-generator': 'configuration/index.rst',
        'ichmod own': 'irods/index.rst',
    }
    for words, page in where.items():
        found = pages.commands(ROOT / 'doc' / 'source' / page)
        assert any(words in command for command in found), words


@pytest.mark.parametrize('command', covered.of_kind(covered.Test))
def test_the_test_that_is_named_exists(command):
    path, _, name = covered.COVERED[command].name.partition('::')
    tree = ast.parse((ROOT / path).read_text())
    assert name in {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    }


def test_the_extras_of_the_documentation_are_installed_by_a_test():
    conf = configparser.ConfigParser()
    conf.read(ROOT / 'setup.cfg')
    named = {
        extra for command in DOCUMENTED
        for extra in re.findall(r'glance-copy-plugin\[(\w+)\]', command)
    }
    assert named == set(conf['extras']) == set(release.EXTRAS.split(','))


def targets():
    """Return what make can be asked for."""
    rules = (ROOT / 'Makefile').read_text()
    return rules.partition('.PHONY:')[2].partition('\n\n')[0].replace(
        '\\', ' '
    ).split()


def test_the_readme_has_every_target_of_make():
    listed = re.findall(
        r'^``make ([\w-]+)`` ', (ROOT / 'README.rst').read_text(), re.M
    )
    assert set(listed) == set(targets()) - {'help'}


def check_make(words):
    """Have make read its rules, and tell what it would do."""
    done = subprocess.run(
        ['make', '--dry-run', *words], cwd=ROOT, text=True,
        stdin=subprocess.DEVNULL, capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert words[0] in targets()


def check_tox(words):
    """See that there is such an environment."""
    conf = configparser.ConfigParser()
    conf.read(ROOT / 'tox.ini')
    assert words[0] == '-e'
    assert f'testenv:{words[1]}' in conf


def check_openstack(words):
    """Have the client's own parser read the words."""
    manager = commandmanager.CommandManager('openstack.volume.v3')
    factory, name, rest = manager.find_command(words)
    parser = factory(None, None).get_parser(name)
    assert vars(parser.parse_args(rest))


CHECKS = {
    'make': check_make, 'tox': check_tox, 'openstack': check_openstack,
}


@pytest.mark.parametrize('command', covered.of_kind(covered.Checked))
def test_the_words_of_a_command_that_is_not_run_are_right(command):
    words = [
        word for word in shlex.split(command)
        if not re.match(r'[A-Z_]+=\w+$', word) or 'PARTS' in word
    ]
    CHECKS[words[0]](words[1:])
    assert covered.COVERED[command].why
