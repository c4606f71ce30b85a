# SPDX-License-Identifier: Apache-2.0

"""What workers write into their log is explained in the documentation."""

import ast

import pytest

from tests.unit import test_messages_in_documentation as messages

FOLDER = messages.ROOT / 'glance_copy_plugin' / 'jobboard'
PAGE = messages.PAGES[1]
LEVELS = ('warning', 'error', 'exception')


def logged():
    """Return the texts of all warnings and errors that are logged."""
    found = set()
    for path in sorted(FOLDER.glob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and messages.name(node) in LEVELS:
                found.add(messages.first_text(node))
    return sorted(found)


@pytest.mark.parametrize('message', logged())
def test_a_warning_is_explained(message):
    quoted = [each for each in messages.QUOTED if each in message]
    assert quoted
    # On the page for it, not by words that another one has, too.
    page = ' '.join(PAGE.read_text().split())
    assert [each for each in quoted if f'*{each}*' in page]


def test_warnings_are_found():
    assert len(logged()) > 12
