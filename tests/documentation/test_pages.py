# SPDX-License-Identifier: Apache-2.0

"""Options, diagrams and the pages beside the code."""

import importlib.metadata
import re

from docutils import core
import pytest

from glance_copy_plugin.options import copy_image
from tests.documentation import pages
from tools import diagrams

KNOWN = {option.dest for option in copy_image.COPY_IMAGE_OPTS}


def configured():
    """Yield (page, group, option) for each line of an example."""
    for path in pages.sources():
        for block in pages.code(path, 'ini'):
            # One of uWSGI's has no sections.
            if re.search(r'^\[', block, re.M):
                for group, options in pages.options(block).items():
                    for name in options:
                        yield path, group, name


def test_the_options_of_the_plugin_exist():
    found = [
        (path, name) for path, group, name in configured()
        if group == copy_image.GROUP
    ]
    for path in pages.sources():
        text = ' '.join(path.read_text().split())
        for name in re.findall(r'``\[copy_image\] (\w+)', text):
            found.append((path, name))
    assert len(found) > 10
    for path, name in found:
        assert name in KNOWN, f'{path}: {name}'


def test_the_options_of_stores_exist():
    (namespace,) = importlib.metadata.entry_points(
        group='oslo.config.opts', name='glance.multi_store'
    )
    known = {
        option.dest for _group, options in namespace.load()()
        for option in options
    }
    found = [
        (path, name) for path, _group, name in configured()
        if name.startswith(('cinder_', 'filesystem_', 'irods_', 'rbd_'))
    ]
    assert len(found) > 10
    for path, name in found:
        assert name in known, f'{path}: {name}'


@pytest.mark.parametrize('source', diagrams.sources(), ids=str)
def test_the_drawing_is_that_of_the_diagram(source):
    drawn = diagrams.drawing(source).read_text()
    assert diagrams.mark(source) in drawn, 'run python -m tools.diagrams'


@pytest.mark.parametrize('name', ['README.rst', 'SECURITY.rst'])
def test_a_page_beside_the_code_is_well_formed(name):
    core.publish_doctree(
        (pages.ROOT / name).read_text(),
        settings_overrides={'report_level': 2, 'halt_level': 2},
    )
