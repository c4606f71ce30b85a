# SPDX-License-Identifier: Apache-2.0

"""Every command of the page on the API, as a reader would type it."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

from tests.functional import helpers
from tests.harness import ADMIN
from tests.harness import Client

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / 'doc' / 'source' / 'api' / 'index.rst'

pytestmark = [
    pytest.mark.functional,
    pytest.mark.skipif(
        not shutil.which('curl'), reason='curl is not installed'
    ),
]


def commands():
    """Yield each command, and the status line that it shall be answered."""
    blocks = re.findall(
        r'\.\. code-block:: console\n\n((?:   .*\n|\n)+)', PAGE.read_text()
    )
    for block in blocks:
        lines = [line.strip() for line in block.strip().splitlines()]
        status = next(
            (line for line in lines if line.startswith('HTTP/')), None
        )
        typed = [line for line in lines if line != status]
        assert typed[0].startswith('$ ')
        yield '\n'.join(typed).removeprefix('$ '), status


@pytest.fixture(scope='module')
def glance(start_glance):
    return start_glance('api-page')


def test_the_commands_of_the_page_are_answered_as_it_says(glance):
    client = Client(glance)
    image_id = client.create_image(helpers.data())
    environment = {
        'PATH': os.environ['PATH'], 'no_proxy': '127.0.0.1',
        'GLANCE': glance.url, 'TOKEN': ADMIN, 'IMAGE': image_id,
    }
    answers = []
    for command, status in commands():
        done = subprocess.run(
            ['/bin/sh', '-c', command], env=environment, check=True,
            stdout=subprocess.PIPE, text=True, timeout=60,
        )
        if status:
            first, _, rest = done.stdout.partition('\n')
            assert first.strip() == status
            assert bool(rest.partition('\n\n')[2].strip()) == (
                ' 40' in status
            )
        else:
            assert '-s' in shlex.split(command)
            answers.append(json.loads(done.stdout))
        for task in glance.tasks(image_id):
            helpers.wait_ended(glance, task['id'])
    stores, tasks, image = answers
    assert {'s1', 's2'} <= {store['id'] for store in stores['stores']}
    assert [task['status'] for task in tasks['tasks']] == ['success'] * 2
    assert sorted(image['stores'].split(',')) == ['s1', 's2', 's3', 'src']
    assert client.stores(image_id) == ['src', 's2', 's3']
