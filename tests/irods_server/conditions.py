# SPDX-License-Identifier: Apache-2.0

"""The conditions of a query, as text: = 'x', like 'x%', in ('a','b')."""

import re

from tests.irods_server import codes

QUOTED = re.compile(r"'([^']*)'")


def matches(text, value):
    """Tell whether ``value`` fulfils the condition ``text``."""
    return any(
        all(_holds(part.strip(), value) for part in each.split('&&'))
        for each in text.split('||')
    )


def _holds(text, value):
    lower = text.lower()
    if lower.startswith('not like'):
        return not _like(_operand(text), value)
    if lower.startswith('like'):
        return _like(_operand(text), value)
    if lower.startswith('in'):
        return value in QUOTED.findall(text)
    if lower.startswith('between'):
        low, high = QUOTED.findall(text)[:2]
        return _key(low) <= _key(value) <= _key(high)
    return _compares(text, value)


def _compares(text, value):
    other = _operand(text)
    if text.startswith(('<>', '!=')):
        return value != other
    if text.startswith('='):
        return value == other
    if text.startswith('<='):
        return _key(value) <= _key(other)
    if text.startswith('>='):
        return _key(value) >= _key(other)
    if text.startswith('<'):
        return _key(value) < _key(other)
    if text.startswith('>'):
        return _key(value) > _key(other)
    raise codes.IrodsError(codes.CAT_INVALID_ARGUMENT)


def _operand(text):
    """Return what is between the first quote and the last one."""
    return text[text.index("'") + 1:text.rindex("'")]


def _like(pattern, value):
    """Compare as SQL does: % is anything, _ is any one character."""
    parts = []
    escaped = False
    for char in pattern:
        if escaped:
            parts.append(re.escape(char))
            escaped = False
        elif char == '\\':
            escaped = True
        else:
            parts.append({'%': '.*', '_': '.'}.get(char, re.escape(char)))
    return re.fullmatch(''.join(parts), value, re.DOTALL) is not None


def _key(value):
    """Return what to compare by: the number that a text is, if it is."""
    return (0, int(value), '') if value.isdigit() else (1, 0, value)


def order(value):
    """Return what to sort a value by."""
    return _key(value)
