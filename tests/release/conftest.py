# SPDX-License-Identifier: Apache-2.0
"""What is released, built once, and an environment that it is used in."""

import configparser
import pathlib
import re
import sys
import venv

import pytest

from tests.harness.process import run

ROOT = pathlib.Path(__file__).resolve().parents[2]


def extras():
    """Return the names of all extras, as pip wants them."""
    conf = configparser.ConfigParser()
    conf.read(ROOT / 'setup.cfg')
    return ','.join(conf['extras'])


class Environment:
    """A virtual environment with a Glance, and then the wheel."""

    def __init__(self, folder):
        venv.create(folder, with_pip=True)
        self.bin = folder / 'bin'
        self.python = self.bin / 'python'

    def install(self, *requirements):
        run(self.python, '-m', 'pip', 'install', '--quiet', *requirements)

    def versions(self):
        """Return what is installed as ``{name: version}``."""
        lines = run(self.python, '-m', 'pip', 'freeze').splitlines()
        pairs = (line.partition('==') for line in lines if '==' in line)
        return {name: version for name, _, version in pairs}


@pytest.fixture(scope='session')
def built(tmp_path_factory):
    """The folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp('dist')
    run(sys.executable, '-m', 'build', '--outdir', folder, ROOT)
    return folder


@pytest.fixture(scope='session')
def wheel(built):
    (found,) = built.glob('*.whl')
    return found


@pytest.fixture(scope='session')
def beside_glance(tmp_path_factory, wheel):
    """An environment with the tests' Glance, and what was in it before."""
    made = Environment(tmp_path_factory.mktemp('venv'))
    pins = [
        # Without extras, which are for the wheel to bring.
        re.sub(r'\[.*?\]', '', line.partition(' ')[0]) for line in
        (ROOT / 'test-requirements.txt').read_text().splitlines()
        if re.match(r'glance==|glance_store\b|gunicorn', line)
    ]
    assert len(pins) == 3
    made.install(*pins)
    made.before = made.versions()
    made.install(f'{wheel}[glance]')
    return made


@pytest.fixture(scope='session')
def with_extras(beside_glance, wheel):
    """The same with all that the drivers need."""
    beside_glance.install(f'{wheel}[{extras()}]')
    return beside_glance
