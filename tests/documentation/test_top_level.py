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

"""The pages that are shown where the code is hosted."""

from docutils import core
import pytest

from tests.documentation import pages


@pytest.mark.parametrize('name', ['README.rst', 'SECURITY.rst'])
def test_a_page_beside_the_code_is_well_formed(name):
    core.publish_doctree(
        (pages.ROOT / name).read_text(),
        settings_overrides={'report_level': 2, 'halt_level': 2},
    )
