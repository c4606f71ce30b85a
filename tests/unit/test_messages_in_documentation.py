# SPDX-License-Identifier: Apache-2.0

"""The messages that the documentation explains are those of the code."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = tuple(
    ROOT / 'doc' / 'source' / folder / name for folder, name in (
        ('troubleshooting', 'index.rst'), ('jobboard', 'messages.rst'),
    )
)
PACKAGES = ('glance_copy_plugin', 'glance_store_irods')
# The replicator tells its own sentences, each with what to do.
ELSEWHERE = ('replicator',)
# What makes or hands on an error without being raised on the spot.
MAKERS = {
    'bad', 'target_error', 'fail', 'SourceError', 'SourceMismatch',
    'StagingError', 'TargetError', 'GaveUp',
}
# What nobody is ever shown as the reason of anything.
INTERNAL = {
    'attempts() ends by raising',
    'the service is being stopped',
    'staging was closed',
    'there is no further attempt',
    'nothing is staged for it any more',
    # Of rados.Error, whose text another message quotes.
    'error \0',
    # Of an exception of glance_store for a full store, which has its row.
    'at least ',
    # For a conductor: who else has a job, or that it is done.
    'job \0 is taken',
    '\0 has no job \0',
    # Between two kinds of errors; the text is what was caught.
    '\0: \0',
}


def trees():
    """Yield the syntax tree of each module."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob('*.py')):
            if not set(ELSEWHERE) & set(path.parts):
                yield ast.parse(path.read_text())


def text(node):
    """Return the text of a node without what is put into it, or None."""
    if isinstance(node, ast.JoinedStr):
        return ''.join(
            part.value if isinstance(part, ast.Constant) else '\0'
            for part in node.values
        )
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp):
        sides = [text(side) for side in (node.left, node.right)]
        if any(sides):
            return ''.join(side or '\0' for side in sides)
    return None


def first_text(node):
    """Return the outermost text with a blank in it that a node has."""
    for each in ast.walk(node):
        found = text(each)
        if found and ' ' in found:
            return found
    return None


def name(call):
    return getattr(call.func, 'attr', getattr(call.func, 'id', ''))


def raised():
    """Return the texts of all errors that the code makes."""
    found = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and node.exc is not None or (
                isinstance(node, ast.Call) and name(node) in MAKERS
            ):
                found.add(first_text(node))
    return sorted(found - {None} - INTERNAL)


TEXT = '\n'.join(
    found for tree in trees() for node in ast.walk(tree)
    if (found := text(node))
)
QUOTED = [
    ' '.join(quoted.split())
    for page in PAGES for quoted in re.findall(
        r'(?<![*\w])\*(?=\S)([^*]+)(?<=\S)\*(?!\*)', page.read_text()
    )
]


@pytest.mark.parametrize('message', QUOTED)
def test_a_message_that_is_explained_exists(message):
    assert message in TEXT


@pytest.mark.parametrize('message', raised())
def test_a_message_is_explained(message):
    assert any(quoted in message for quoted in QUOTED)


def test_messages_are_found():
    assert len(raised()) > 100
