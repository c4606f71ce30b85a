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
PAGE = ROOT / 'doc' / 'source' / 'troubleshooting' / 'index.rst'


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


TEXT = constants()
QUOTED = [
    ' '.join(quoted.split())
    for quoted in re.findall(
        r'(?<![*\w])\*(?=\S)([^*]+)(?<=\S)\*(?!\*)', PAGE.read_text()
    )
]


@pytest.mark.parametrize('message', QUOTED)
def test_a_message_that_is_explained_exists(message):
    assert message in TEXT


def test_messages_are_explained():
    assert len(QUOTED) > 20
