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

"""The messages that the documentation explains are those of the code."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ROOT / 'doc' / 'source'
PAGE = PAGES / 'troubleshooting' / 'index.rst'
BOARD_PAGE = PAGES / 'jobboard' / 'messages.rst'
# Calls that an operator gets to read.
SAYING = ('LOG.warning', 'LOG.error', 'LOG.exception', 'RuntimeError', '_bad')


def constants():
    """Return all text in the code, without what is put into it."""
    found = []
    for path in sorted((ROOT / 'glance_copy_plugin').rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append(''.join(
                    part.value if isinstance(part, ast.Constant) else '\0'
                    for part in node.values
                ))
            elif isinstance(node, ast.Constant) and isinstance(
                node.value, str
            ):
                found.append(node.value)
    return '\n'.join(found)


def quoted_in(page):
    """Return what a page quotes."""
    return [
        ' '.join(quoted.split())
        for quoted in re.findall(
            r'(?<![*\w])\*(?=\S)([^*]+)(?<=\S)\*(?!\*)', page.read_text()
        )
    ]


def said_by(folder):
    """Return what the code in a folder tells operators, each as a pattern.

    What is put into a message may be anything.
    """
    found = []
    for path in sorted(folder.glob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and (
                ast.unparse(node.func) in SAYING
            ):
                found += literal(node.args[0])
    return found


def literal(node):
    """Return the text of an argument, if it has more than names in it."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    text = ''.join(
        part.value if isinstance(part, ast.Constant) else '\0'
        for part in parts
    )
    return [text] if len(re.findall(r'\b[a-z]{2,}\b', text)) > 2 else []


TEXT = constants()
QUOTED = quoted_in(PAGE)
QUOTED_OF_BOARD = quoted_in(BOARD_PAGE)


@pytest.mark.parametrize('message', QUOTED_OF_BOARD)
def test_a_message_of_the_board_that_is_explained_exists(message):
    assert message in TEXT


@pytest.mark.parametrize(
    'message', said_by(ROOT / 'glance_copy_plugin' / 'jobboard')
)
def test_what_the_board_and_workers_say_is_explained(message):
    assert [quoted for quoted in QUOTED_OF_BOARD if quoted in message]


def test_the_board_and_workers_say_something():
    assert len(said_by(ROOT / 'glance_copy_plugin' / 'jobboard')) > 20


@pytest.mark.parametrize('message', QUOTED)
def test_a_message_that_is_explained_exists(message):
    assert message in TEXT


def test_messages_are_explained():
    assert len(QUOTED) > 20
