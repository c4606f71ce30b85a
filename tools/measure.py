# SPDX-License-Identifier: Apache-2.0

"""What processes use: CPU seconds, bytes read and written, memory."""

import os
import pathlib
import resource
import subprocess
import threading
import time

import psutil

IO_FIELDS = ('rchar', 'wchar', 'read_bytes', 'write_bytes')


class Meter:
    """Measures processes between ``start`` and ``stop``.

    :param pids: the processes
    :param staging: a folder whose largest size is sampled meanwhile
    """

    def __init__(self, pids, staging=None):
        self._pids = list(pids)
        self._sampler = FolderSampler(staging) if staging else None
        self._before = {}

    def start(self):
        """Begin to measure."""
        for pid in self._pids:
            # 5 sets the peak of the resident memory to what it is now.
            pathlib.Path(f'/proc/{pid}/clear_refs').write_text('5')
        self._before = {pid: _usage(pid) for pid in self._pids}
        if self._sampler:
            self._sampler.start()

    def stop(self):
        """Return what was used.

        :returns: ``cpu`` seconds; ``rchar`` and ``wchar``, the bytes of all
            reads and writes; ``read_bytes`` and ``write_bytes``, what of
            them went to a disk; ``rss``, by how many bytes the resident
            memory grew at most; ``staging``, the most bytes in the folder
        """
        total = dict.fromkeys(('cpu', *IO_FIELDS, 'rss'), 0)
        for pid, before in self._before.items():
            after = _usage(pid)
            total['cpu'] += after['cpu'] - before['cpu']
            total['rss'] += max(0, after['peak'] - before['rss'])
            for field in IO_FIELDS:
                total[field] += after[field] - before[field]
        total['staging'] = self._sampler.stop() if self._sampler else 0
        return total


class FolderSampler:
    """Looks at the size of a folder every few milliseconds."""

    def __init__(self, folder, interval=0.01):
        self._folder = folder
        self._interval = interval
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.largest = 0

    def start(self):
        """Begin to look."""
        self._thread.start()

    def stop(self):
        """Return the most bytes that were seen in the folder."""
        self._ended.set()
        self._thread.join()
        return self.largest

    def _run(self):
        while not self._ended.wait(self._interval):
            self.largest = max(self.largest, folder_size(self._folder))


class CommandFailed(Exception):
    """A command ended with an error; the text is what it said."""


def command(words, environment=None):
    """Run a command; return what it took: ``wall``, ``cpu`` and ``rss``.

    :raises CommandFailed: if it fails
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, check=False, env=environment,
    )
    if done.returncode:
        raise CommandFailed(f'{words[0]}: {done.stderr}')
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        'wall': wall, 'rss': 1024 * after.ru_maxrss,
        'cpu': (after.ru_utime + after.ru_stime
                - before.ru_utime - before.ru_stime),
    }


def folder_size(folder):
    """Return how many bytes the files below a folder have."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += folder_size(entry.path)
                else:
                    total += _file_size(entry)
    except FileNotFoundError:
        pass
    return total


def _file_size(entry):
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _usage(pid):
    times = psutil.Process(pid).cpu_times()
    return {
        'cpu': times.user + times.system,
        'rss': 1024 * int(_fields(pid, 'status')['VmRSS'].split()[0]),
        'peak': 1024 * int(_fields(pid, 'status')['VmHWM'].split()[0]),
        **{field: int(_fields(pid, 'io')[field]) for field in IO_FIELDS},
    }


def _fields(pid, name):
    lines = pathlib.Path(f'/proc/{pid}/{name}').read_text().splitlines()
    return dict(line.split(':', 1) for line in lines)
