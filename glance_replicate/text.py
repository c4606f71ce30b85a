# SPDX-License-Identifier: Apache-2.0

"""Texts made safe to show, numbers made easy to read, and parsed."""

import datetime
import re

_LONGEST = 300
_CREDENTIALS = re.compile(r'(?<=://)[^/\s@]*@')
_UNITS = ('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')
_AGE = re.compile(r'(?P<number>\d{1,6})(?P<unit>[mhdw])$', re.ASCII)
_SECONDS = {'m': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400}
_SIZE = re.compile(r'(?P<number>\d+(?:\.\d+)?)(?P<unit>[KMGT]?)(?:iB|B)?$')


def safe(text, longest=_LONGEST):
    """Return one line of a text without control characters and secrets.

    Names of images, and what a server answers, are written by others: an
    escape sequence among them must not reach a terminal.
    """
    text = _CREDENTIALS.sub('***@', str(text))
    line = ''.join(c if c.isprintable() else '?' for c in text)
    if len(line) > longest:
        line = line[:longest - 3] + '...'
    return line


def size(count):
    """Return bytes as, for example, ``8.0 MiB``; None is not known."""
    if count is None:
        return '? B'
    value = float(count)
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f'{value:.0f} B' if unit == 'B' else f'{value:.1f} {unit}'


def parse_size(text):
    """Turn, for example, ``10M`` into bytes.

    :raises ValueError: with a sentence
    """
    match = _SIZE.match(text.strip())
    if not match:
        raise ValueError(
            f'{safe(text)} is not a number of bytes, such as 500K, 10M or 2G'
        )
    factor = 1024 ** ' KMGT'.index(match['unit'] or ' ')
    return int(float(match['number']) * factor)


def parse_time(text):
    """Turn, for example, ``2026-01-31T12:00Z`` or ``7d`` into a time.

    :param text: a date or time, in UTC if it tells no zone; or how long ago
    :returns: :class:`datetime` in UTC
    :raises ValueError: with a sentence
    """
    match = _AGE.match(text.strip())
    try:
        if match:
            ago = int(match['number']) * _SECONDS[match['unit']]
            return datetime.datetime.now(datetime.UTC) - datetime.timedelta(
                seconds=ago
            )
        found = datetime.datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            return found.replace(tzinfo=datetime.UTC)
        return found.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f'{safe(text)} is not a time, such as 2026-01-31 or '
            f'2026-01-31T12:00:00Z, nor an age, such as 30m, 12h, 7d or 2w'
        ) from None


def seconds(count):
    """Return a time as ``h:mm:ss``, or dashes if it is not known."""
    if count is None:
        return '-:--:--'
    minutes, rest = divmod(int(count), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{rest:02}'
