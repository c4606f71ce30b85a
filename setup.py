# SPDX-License-Identifier: Apache-2.0

"""Install the package with pbr; the settings are in setup.cfg."""

import configparser
import os
import pathlib
import subprocess

import setuptools

HERE = pathlib.Path(__file__).resolve().parent


def has_version():
    """Tell whether pbr can find a version: in PKG-INFO or a git tag."""
    if (HERE / 'PKG-INFO').exists():
        return True
    try:
        done = subprocess.run(
            ['git', '-C', HERE, 'describe', '--tags'],  # noqa: S607
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False
    return done.returncode == 0


if not has_version():
    # No release yet, or no git: take the version that is being worked on.
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(HERE / 'setup.cfg')
    version = metadata['metadata']['version']
    os.environ.setdefault('PBR_VERSION', version)

setuptools.setup(setup_requires=['pbr>=7.1.3'], pbr=True)
