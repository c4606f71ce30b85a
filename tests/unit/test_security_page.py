# SPDX-License-Identifier: Apache-2.0


"""What the page on security names as enforcing something exists."""

import importlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / 'doc' / 'source' / 'security' / 'index.rst'
NAMED = sorted(set(re.findall(
    r'``((?:\.|glance_store_irods\.)[a-z][\w.]*)``', PAGE.read_text()
)))
NEEDED = {'cinder_store': 'os_brick', 'glance_store_irods': 'irods'}


@pytest.mark.parametrize('name', NAMED)
def test_what_enforces_it_exists(name):
    for part, library in NEEDED.items():
        if part in name:
            pytest.importorskip(library)
    if name.startswith('.'):
        name = f'glance_copy_plugin{name}'
    module, _, last = name.rpartition('.')
    if last[0].isupper() or not _is_module(name):
        assert hasattr(importlib.import_module(module), last)


def _is_module(name):
    path = ROOT.joinpath(*name.split('.'))
    return path.is_dir() or path.with_suffix('.py').is_file()


def test_every_attacker_has_something_that_stops_it():
    tables = PAGE.read_text().split('   * - Cannot\n     - Because of\n')
    assert len(tables) == 1 + 6
    for table in tables[1:]:
        rows = re.findall(r'^   \* - .*?^     - (.*?)(?=^   \* -|^\S|\Z)',
                          table, re.M | re.S)
        assert len(rows) >= 4
    assert len(NAMED) >= 20
