# SPDX-License-Identifier: Apache-2.0

"""The table of the benchmark, and what it says about the machine."""

import collections
import datetime
import importlib.metadata
import os
import pathlib
import platform
import statistics

from tools import images

PACKAGES = ('glance', 'glance_store', 'taskflow', 'gunicorn')


def group(runs):
    """Return the runs by (image size, number of stores, contender)."""
    grouped = collections.defaultdict(list)
    for run in runs:
        grouped[run['size'], run['stores'], run['who']].append(run)
    return grouped


def summarize(runs, floor='floor'):
    """Return one dict for each contender and kind of copy.

    A ratio compares with the floor of the same round, so that a machine
    that becomes slower does not favour anybody.
    """
    grouped = group(runs)
    summary = []
    for (size, stores, who), own in grouped.items():
        base = grouped.get((size, stores, floor), [])
        row = {'size': size, 'stores': stores, 'who': who}
        for field in ('wall', 'cpu'):
            row[field] = _spread(run[field] for run in own)
            row[f'{field}_ratio'] = _spread(_ratios(own, base, field))
        for field in ('rchar', 'wchar', 'stored'):
            row[field] = _over(statistics.median, own, field)
        for field in ('rss', 'staging'):
            row[field] = _over(max, own, field)
        summary.append(row)
    return summary


def _over(function, runs, field):
    """Apply a function to what some runs have of a field, if they have."""
    values = [run[field] for run in runs if run.get(field) is not None]
    return function(values) if values else None


def _ratios(own, base, field):
    by_round = {run['round']: run[field] for run in base}
    middle = statistics.median(by_round.values()) if by_round else 0
    for run in own:
        divisor = by_round.get(run['round'], middle)
        if divisor:
            yield run[field] / divisor


def _spread(values):
    values = sorted(values)
    if not values:
        return None
    return statistics.median(values), values[0], values[-1]


def table(summary, floor='floor'):
    """Return the summary as a table in Markdown.

    :param floor: what the ratios compare with
    """
    columns = {
        name: (field, show) for name, (field, show) in _COLUMNS.items()
        if any(row[field] is not None for row in summary)
    }
    lines = [
        _line(name.format(floor) for name in columns),
        _line('---' for _ in columns),
    ]
    for row in summary:
        lines.append(_line(_cell(row, *each) for each in columns.values()))
    return '\n'.join(lines)


def _cell(row, field, show):
    value = row[field]
    return '' if value is None else show(value)


def _line(cells):
    return '| ' + ' | '.join(str(cell) for cell in cells) + ' |'


def _show(spread):
    middle, low, high = (f'{value:.2f}' for value in spread)
    return middle if low == high else f'{middle} ({low} to {high})'


# {what the head of the table says: (field, how it is shown)}
_COLUMNS = {
    'Image': ('size', images.show_size),
    'Stores': ('stores', str),
    'Who': ('who', str),
    'Wall s': ('wall', _show),
    'Wall / {}': ('wall_ratio', _show),
    'CPU s': ('cpu', _show),
    'CPU / {}': ('cpu_ratio', _show),
    'Read': ('rchar', images.show_size),
    'Written': ('wchar', images.show_size),
    'Stored': ('stored', images.show_size),
    'RSS growth': ('rss', images.show_size),
    'Peak staging': ('staging', images.show_size),
}


def machine(folder):
    """Describe where a benchmark ran."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        'date': datetime.datetime.now(datetime.UTC).isoformat('T', 'minutes'),
        'cpu': cpu_model(),
        'cpus': len(os.sched_getaffinity(0)),
        'kernel': platform.release(),
        'python': platform.python_version(),
        'file system': file_system(folder),
        'load before': round(os.getloadavg()[0], 2),
        **versions,
    }


def cpu_model():
    """Return what the CPU calls itself."""
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.machine()


def file_system(folder):
    """Return the type of the file system that a folder is on."""
    folder = pathlib.Path(folder).resolve()
    best, kind = -1, 'unknown'
    for line in pathlib.Path('/proc/mounts').read_text().splitlines():
        _device, place, found = line.split()[:3]
        if folder.is_relative_to(place) and len(place) >= best:
            best, kind = len(place), found
    return kind
