# SPDX-License-Identifier: Apache-2.0

import json
import subprocess
import sys

import pytest

STOCK = 'glance.async_.flows.api_image_import'
OURS = 'glance_copy_plugin.import_flow'

LOOKING = """
import json
from stevedore import driver, extension

def resolve():
    return driver.DriverManager(
        'glance.flows', 'api_image_import', invoke_on_load=False
    ).driver.__module__

def entries():
    cached = extension.ExtensionManager.ENTRY_POINT_CACHE['glance.flows']
    return sorted((entry.name, entry.value) for entry in cached)
"""


def run(program):
    """Run a program in a Python of its own, as each server process is."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', LOOKING + program],
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope='module')
def looked_before():
    """What Glance found before it was activated, then twice after."""
    return run("""
found = {'before': resolve(), 'stock': entries()}
from glance_copy_plugin.activation import activate
activate()
found |= {'after': resolve(), 'once': entries()}
activate()
found |= {'again': resolve(), 'twice': entries()}
print(json.dumps(found))
""")


def test_an_installed_package_changes_nothing_by_itself(looked_before):
    assert looked_before['before'] == STOCK


def test_it_can_be_activated_after_glance_has_looked(looked_before):
    assert looked_before['after'] == OURS


def test_it_can_be_activated_before_glance_has_looked():
    assert run("""
from glance_copy_plugin.activation import activate
activate()
print(json.dumps(resolve()))
""") == OURS


def test_activating_again_is_harmless(looked_before):
    assert looked_before['again'] == OURS
    assert looked_before['twice'] == looked_before['once']


def test_all_other_flows_of_glance_stay_as_they_are(looked_before):
    def others(entries):
        return [each for each in entries if each[0] != 'api_image_import']

    assert others(looked_before['once']) == others(looked_before['stock'])
    assert 'location_import' in dict(map(tuple, looked_before['stock']))
    assert len(looked_before['once']) == len(looked_before['stock'])
