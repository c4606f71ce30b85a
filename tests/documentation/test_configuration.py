# SPDX-License-Identifier: Apache-2.0


"""The configuration files in the documentation."""

import ast
import re

import pytest

from glance_copy_plugin import opts
from tests.documentation import pages

ROOT = pages.ROOT
CINDER = ROOT / 'doc' / 'source' / 'cinder' / 'index.rst'
EXAMPLES = ROOT / 'tests' / 'cloud' / 'test_cinder_examples.py'
KNOWN = {option.dest for option in opts.COPY_IMAGE_OPTS}


def copy_image_options():
    """Yield (page, option) for each option of the plugin that is named."""
    for path in pages.sources():
        for block in pages.code(path, 'ini'):
            # One of uWSGI's has no sections.
            if f'[{opts.GROUP}]' in block:
                for name in pages.options(block)[opts.GROUP]:
                    yield path, name
        text = ' '.join(path.read_text().split())
        for name in re.findall(r'``\[copy_image\] (\w+)', text):
            yield path, name


def test_the_options_that_are_named_exist():
    found = list(copy_image_options())
    assert len(found) > 10
    for path, name in found:
        assert name in KNOWN, f'{path}: {name}'


def run_with_cinder(name):
    """Return the options of the example that a test runs with a Cinder.

    It is written for glance_store's own driver, and for a Cinder with an API
    that is none any more; the driver takes what it says for today's.
    """
    for node in ast.parse(EXAMPLES.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            text = ast.literal_eval(node.value)
    text = text.replace(':cinder', ':cinder_multi')
    text = re.sub(r' #.*', '', text).replace('volumev2:', 'block-storage:')
    return pages.options(text)


def normal(options):
    """Return options without what makes no difference."""
    stores = options['DEFAULT']['enabled_backends'].split(',')
    return {
        **options, 'DEFAULT': {'enabled_backends': [
            store.strip() for store in stores
        ]},
    }


@pytest.mark.parametrize('name', ['FRESH', 'UPGRADED'])
def test_the_examples_of_cinder_stores_are_those_that_are_run(name):
    documented = [
        normal(options) for block in pages.code(CINDER, 'ini')
        if 'DEFAULT' in (options := pages.options(block))
    ]
    assert len(documented) == 2
    assert normal(run_with_cinder(name)) in documented
