# SPDX-License-Identifier: Apache-2.0

"""``rclone``, the best tool for objects of S3."""

import os
import pathlib
import shutil

from tools import measure

WHO = 'rclone'


def is_installed():
    """False if it is not there: Debian has a package of that name."""
    return shutil.which('rclone') is not None


def copy(source, target, url, key, secret):
    """Copy an object; return what that took, as ``Meter`` does.

    :param source: a file's path, or ``bucket/object``
    :param target: the same
    :param url: of the server
    """
    # With AWS_CA_BUNDLE set it would end at once.
    environment = {
        name: value for name, value in os.environ.items()
        if name != 'AWS_CA_BUNDLE'
    } | {
        'RCLONE_CONFIG_S3_TYPE': 's3', 'RCLONE_CONFIG_S3_PROVIDER': 'Ceph',
        'RCLONE_CONFIG_S3_ENDPOINT': url,
        'RCLONE_CONFIG_S3_ACCESS_KEY_ID': key,
        'RCLONE_CONFIG_S3_SECRET_ACCESS_KEY': secret,
    }
    return measure.command([
        'rclone', '--config', os.devnull, 'copyto', _name(source),
        _name(target),
    ], environment)


def _name(place):
    return str(place) if isinstance(place, pathlib.Path) else f's3:{place}'
