# SPDX-License-Identifier: Apache-2.0

"""Imports between the packages point one way."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGIN = 'glance_copy_plugin'
# Each one may import those behind it.
ROOMS = (
    'paste', 'cli', 'worker', 'api', 'audit', 'flow', 'jobboard', 'reconcile',
    'backends', 'ownership', 'records', 'activation', 'options', 'periodic',
    'transfer', 'process_state',
)
DRIVERS = ('glance_store_cinder', 'glance_store_irods')
# What other packages may import of the plugin.
OF_PLUGIN = {
    'glance_replicate': {'transfer'}, **dict.fromkeys(DRIVERS, set()),
}


def imported(path):
    """Yield the dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def rooms(package, room=''):
    """Return {room of the plugin: who imports it} for files of a package."""
    found = {}
    top = ROOT / package / room
    for path in top.rglob('*.py') if top.is_dir() else [
        top.with_suffix('.py')
    ]:
        for name in imported(path):
            first, _, rest = name.partition('.')
            if first == PLUGIN and rest:
                found.setdefault(rest.partition('.')[0], []).append(path.name)
    return found


@pytest.mark.parametrize('room', ROOMS)
def test_a_room_of_the_plugin_knows_only_those_behind_it(room):
    allowed = ROOMS[ROOMS.index(room):]
    found = rooms(PLUGIN, room)
    assert found or room == 'process_state'
    assert {k: v for k, v in found.items() if k not in allowed} == {}


def test_every_room_of_the_plugin_has_its_place():
    there = {
        path.stem for path in (ROOT / PLUGIN).iterdir()
        if path.suffix == '.py' or (path / '__init__.py').exists()
    }
    assert there - {'__init__'} == set(ROOMS)


@pytest.mark.parametrize('package', OF_PLUGIN)
def test_other_packages_know_little_of_the_plugin(package):
    assert rooms(package).keys() <= OF_PLUGIN[package]


@pytest.mark.parametrize('package', [PLUGIN, *DRIVERS])
def test_nothing_of_the_service_knows_the_client(package):
    for path in (ROOT / package).rglob('*.py'):
        assert not [
            name for name in imported(path)
            if name.startswith('glance_replicate')
        ], path
