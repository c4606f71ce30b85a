# SPDX-License-Identifier: Apache-2.0

"""What a sentence tells an operator to install, can be installed."""

import configparser
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_every_extra_that_is_named_exists():
    conf = configparser.ConfigParser()
    conf.read(ROOT / 'setup.cfg')
    named = set()
    for path in (ROOT / 'glance_copy_plugin').rglob('*.py'):
        for names in re.findall(
            r'glance-copy-plugin\[([a-z,]+)\]', path.read_text()
        ):
            named.update(names.split(','))
    assert {'metrics'} <= named <= set(conf['extras'])
