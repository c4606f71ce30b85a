# SPDX-License-Identifier: Apache-2.0

"""``rbd export`` and ``rbd import``, the best tool for images of Ceph."""

import pathlib
import shlex

from tools import measure

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
    return measure.command(
        ['/bin/bash', '-o', 'pipefail', '-c', _command(source, target)]
    )


def _command(source, target):
    if isinstance(source, pathlib.Path):
        return _rbd('import', source, *target)
    if isinstance(target, pathlib.Path):
        return _rbd('export', *source, target)
    return f'{_rbd("export", *source, "-")} | {_rbd("import", "-", *target)}'


def _rbd(verb, *words):
    return shlex.join(map(str, ('rbd', verb, '--no-progress', *words)))
