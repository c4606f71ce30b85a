# SPDX-License-Identifier: Apache-2.0

"""What ``rbd export`` and ``rbd import`` take, the best tool for the job."""

import pathlib
import resource
import shlex
import subprocess
import time

from tools import contenders

WHO = 'rbd export, import'


def image_in(ceph, pool, name):
    """Return the words with which ``rbd`` reaches an image, its name last.

    :param ceph: ``Ceph``
    """
    return ['-c', ceph.conf, '-n', 'client.admin', f'{pool}/{name}']


def copy(source, target):
    """Copy an image; return what that took, as ``Meter`` does.

    :param source: a file's path, or words from :func:`image_in`
    :param target: the same
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(
        ['/bin/bash', '-o', 'pipefail', '-c', _command(source, target)],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        check=False,
    )
    if done.returncode:
        raise contenders.BenchFailed(f'{WHO}: {done.stderr}')
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        'wall': wall, 'rss': 1024 * after.ru_maxrss,
        'cpu': (after.ru_utime + after.ru_stime
                - before.ru_utime - before.ru_stime),
    }


def _command(source, target):
    if isinstance(source, pathlib.Path):
        return _rbd('import', source, *target)
    if isinstance(target, pathlib.Path):
        return _rbd('export', *source, target)
    return f'{_rbd("export", *source, "-")} | {_rbd("import", "-", *target)}'


def _rbd(verb, *words):
    return shlex.join(map(str, ('rbd', verb, '--no-progress', *words)))
