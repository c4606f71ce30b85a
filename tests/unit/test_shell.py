# SPDX-License-Identifier: Apache-2.0
"""The scripts of the shell: those of DevStack's plugin, and the tools."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_the_shell_scripts_are_clean():
    done = subprocess.run(
        ['tools/check-shell', pathlib.Path(sys.executable).parent],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout


def test_every_shell_script_is_checked():
    checked = (ROOT / 'tools' / 'check-shell').read_text()
    for path in ROOT.glob('devstack/**/*'):
        if path.is_file() and path.suffix not in ('.conf', '.rst'):
            assert (
                str(path.relative_to(ROOT)) in checked
                or path.parent.name == 'lib'
            )
    for path in (ROOT / 'tools').iterdir():
        if path.is_file() and path.read_bytes().startswith(b'#!/bin/'):
            assert f'tools/{path.name}' in checked
