# SPDX-License-Identifier: Apache-2.0

"""What is in the pages of the documentation, and in the README."""

import configparser
import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]

_BLOCK = re.compile(
    r'^( *)\.\. code-block:: (\w+)\n((?:\1   :.*\n)*)\n'
    r'((?:\1   .*\n|\s*\n)+)', re.M
)
_CAPTION = re.compile(r':caption: (.*)')
_LITERAL = re.compile(r'^( *)(?!\.\.)\S?.*::\n\n((?:\1 +\S.*\n|\s*\n)+)', re.M)
_INLINE = re.compile(r'``([^`]+)``')
# What a line of a block without a prompt, or a word between others, begins
# with that is a command and no example of something else.
_PROGRAMS = {
    'curl', 'glance', 'glance-copy', 'glance-copy-worker', 'glance-replicate',
    'make', 'openstack', 'oslo-config-generator', 'pip', 'tox',
}


def sources():
    """Return the paths of all pages, the README first."""
    return [
        ROOT / 'README.rst', *sorted((ROOT / 'doc' / 'source').rglob('*.rst'))
    ]


def code(path, language):
    """Return the content of the code blocks of a language."""
    return [
        content for found, _, content in _blocks(path) if found == language
    ]


def captioned(path):
    """Return the (caption, content) pairs of code blocks that have one."""
    return [
        (caption.group(1), content)
        for _, options, content in _blocks(path)
        if (caption := _CAPTION.search(options))
    ]


def commands(path):
    """Return all commands of a page, each in one line, in their order.

    They stand behind a prompt, alone in a block, or in the text.
    """
    text = path.read_text()
    found = []
    for content in code(path, 'console'):
        found += _typed(content)
    for content in code(path, 'bash') + [
        block for _, block in _LITERAL.findall(text)
    ]:
        found += filter(_is_command, _lines(content))
    # A bare name of a program tells of it, and is not to be typed.
    found += [
        words for quoted in _INLINE.findall(text)
        if _is_command(words := ' '.join(quoted.split())) and ' ' in words
    ]
    return list(dict.fromkeys(found))


def options(text):
    """Return what a configuration file says as {group: {option: value}}."""
    parser = configparser.RawConfigParser(default_section='no such group')
    parser.optionxform = str
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def _blocks(path):
    for found in _BLOCK.finditer(path.read_text()):
        _, language, settings, content = found.groups()
        yield language, settings, textwrap.dedent(content).strip('\n') + '\n'


def _lines(content):
    """Return the lines, with those that are continued put together."""
    return [
        ' '.join(line.split())
        for line in content.replace('\\\n', ' ').splitlines()
    ]


def _typed(content):
    return [
        line[2:] for line in _lines(content) if line.startswith(('$ ', '# '))
    ]


def _is_command(line):
    words = line.split()
    while words and re.match(r'[A-Z_]+=', words[0]):
        words.pop(0)
    return bool(words) and words[0] in _PROGRAMS
