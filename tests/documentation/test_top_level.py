# SPDX-License-Identifier: Apache-2.0

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
