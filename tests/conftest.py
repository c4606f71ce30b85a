# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Which folders of tests are run."""

import pathlib

import pytest

# Inherited by tests elsewhere, which are to show what was compared.
pytest.register_assert_rewrite('tests.stores', 'tests.cloud.pools')

CLOUD = pathlib.Path(__file__).with_name('cloud')


def pytest_ignore_collect(collection_path, config):
    """Leave the tests with a real OpenStack out unless they are asked for.

    They need root, Debian and minutes: ``make test-cloud`` runs them.
    """
    if collection_path != CLOUD:
        return None
    here = config.invocation_params.dir
    asked = [(here / word.partition('::')[0]).resolve()
             for word in config.args]
    return None if any(each.is_relative_to(CLOUD) for each in asked) else True
