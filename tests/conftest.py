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

HERE = pathlib.Path(__file__).parent
ON_DEMAND = (HERE / 'cloud', HERE / 'release')


def pytest_ignore_collect(collection_path, config):
    """Leave out the tests that take minutes unless they are asked for.

    ``make test-cloud`` runs those with a real OpenStack, which need root and
    Debian, and ``make check-release`` those of what is released.
    """
    if collection_path not in ON_DEMAND:
        return None
    here = config.invocation_params.dir
    asked = [(here / word.partition('::')[0]).resolve()
             for word in config.args]
    wanted = any(each.is_relative_to(collection_path) for each in asked)
    return None if wanted else True
