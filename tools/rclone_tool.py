# SPDX-License-Identifier: Apache-2.0

"""``rclone``, the best tool for objects of S3 and Swift."""

import os
import pathlib
import shutil

from tools import measure

WHO = 'rclone'


def is_installed():
    """False if it is not there: Debian has a package of that name."""
    return shutil.which('rclone') is not None


def copy(source, target, login):
    """Copy an object; return what that took, as ``Meter`` does.

    :param source: a file's path, or ``container/object``
    :param target: the same
    :param login: {option of rclone: value}
    """
    # With AWS_CA_BUNDLE set it would end at once.
    environment = {
        name: value for name, value in os.environ.items()
        if name != 'AWS_CA_BUNDLE'
    } | {
        f'RCLONE_CONFIG_REMOTE_{name.upper()}': value
        for name, value in login.items()
    }
    return measure.command([
        'rclone', '--config', os.devnull, 'copyto', _name(source),
        _name(target),
    ], environment)


def _name(place):
    return str(place) if isinstance(place, pathlib.Path) else f'remote:{place}'
