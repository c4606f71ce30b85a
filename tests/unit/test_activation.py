# SPDX-License-Identifier: Apache-2.0

import json
import subprocess
import sys

import pytest

STOCK = 'glance.async_.flows.api_image_import'
OURS = 'glance_copy_plugin.api.import_flow'

# In a Python of its own, as each server process is.
PROGRAM = """
import json, multiprocessing
import glance.async_.flows.api_image_import
from glance_copy_plugin.activation import activate
from stevedore import driver, extension

def resolve():
    return driver.DriverManager(
        'glance.flows', 'api_image_import', invoke_on_load=False
    ).driver.__module__

def entries():
    cached = extension.ExtensionManager.ENTRY_POINT_CACHE['glance.flows']
    return sorted((entry.name, entry.value) for entry in cached)

def activate_first():
    activate()
    return resolve()

with multiprocessing.get_context('fork').Pool(1) as pool:
    found = {'first': pool.apply(activate_first)}
found |= {'before': resolve(), 'stock': entries()}
activate()
found |= {'after': resolve(), 'once': entries()}
activate()
found |= {'again': resolve(), 'twice': entries()}
print(json.dumps(found))
"""


@pytest.fixture(scope='module')
def found():
    """What Glance finds before it is activated, and then twice after."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', PROGRAM],
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_installed_package_changes_nothing_by_itself(found):
    assert found['before'] == STOCK


def test_it_can_be_activated_before_or_after_glance_has_looked(found):
    assert found['first'] == OURS
    assert found['after'] == OURS


def test_activating_again_is_harmless(found):
    assert found['again'] == OURS
    assert found['twice'] == found['once']


def test_all_other_flows_of_glance_stay_as_they_are(found):
    def others(entries):
        return [each for each in entries if each[0] != 'api_image_import']

    assert others(found['once']) == others(found['stock'])
    assert 'location_import' in dict(map(tuple, found['stock']))
    assert len(found['once']) == len(found['stock'])
