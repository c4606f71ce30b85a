# SPDX-License-Identifier: Apache-2.0

"""Commands of the documentation, run as a reader would type them.

All others are only read, by ``tests/documentation/test_commands.py``.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.documentation import pages
from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = [
    pytest.mark.functional,
    pytest.mark.skipif(
        not shutil.which('curl'), reason='curl is not installed'
    ),
]

TOKEN = 'admin:admin:admin,member,reader,service'
STORES = ('src', 's1', 's2', 's3', 'old', 'archive')
DOCUMENTED = {
    command for path in pages.sources() for command in pages.commands(path)
}
API = pages.ROOT / 'doc' / 'source' / 'api' / 'index.rst'
IMPORT = (
    'glance image-import <image> --import-method copy-image --stores s1,s2,s3'
)
CURL = (
    'curl -X POST $GLANCE/v2/images/<image>/import '
    '-H "X-Auth-Token: $TOKEN" -H \'Content-Type: application/json\' '
    '-d \'{"method": {"name": "copy-image"}, "stores": ["s1", "s2", "s3"]}\''
)
TASKS = 'curl -H "X-Auth-Token: $TOKEN" $GLANCE/v2/images/<image>/tasks'


@pytest.fixture(scope='module')
def north(start_glance):
    # The check is content only if every store can be used.
    return start_glance('documented-north', stores=STORES, backends={})


@pytest.fixture
def reader(north, tmp_path):
    """Someone who tries the commands, in a folder of their own."""
    with replicating.emptied(north):
        yield Reader(tmp_path, north)


class Reader:
    """Types commands, with the names of what is here."""

    def __init__(self, folder, north):
        self.folder = folder
        self.north = north
        self.client = Client(north)
        self.image_id = self.client.create_image(
            helpers.data(MIB + 1), name='golden', tags=['golden'],
            visibility='public',
        )
        self.name_clouds(north=north)

    def name_clouds(self, **clouds):
        """Write the file that clients find these clouds in."""
        (self.folder / 'clouds.yaml').write_text(yaml.safe_dump({'clouds': {
            name: {
                'auth_type': 'admin_token',
                'auth': {'endpoint': cloud.url, 'token': TOKEN},
                'image_endpoint_override': cloud.url,
            } for name, cloud in clouds.items()
        }}))

    def type(self, command):
        """Run a command of the documentation; return what it prints."""
        assert command in DOCUMENTED
        return self.run(command)

    def run(self, command):
        """Run a command to its end; return what it prints."""
        done = subprocess.run(
            ['/bin/bash', '-c', self._with_real_names(command)],
            cwd=self.folder, env=self._environment(command), text=True,
            stdin=subprocess.DEVNULL, capture_output=True,
            timeout=replicating.SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert 'Traceback' not in done.stderr
        return done.stdout

    def wait_stores(self, *names):
        """Wait until the image is in these stores, and no others."""
        helpers.wait_until(
            lambda: set(self.client.stores(self.image_id)) == set(names),
            f'the image to be in {names}',
        )
        self.wait_tasks()

    def wait_tasks(self):
        for task in self.north.tasks(self.image_id):
            helpers.wait_ended(self.north, task['id'])

    def _with_real_names(self, command):
        names = {
            '<image>': self.image_id,
            '8a0c...': self.image_id,
            '/etc/glance': str(self.north.conf.parent),
            '/media/disk': str(self.folder),
        }
        return re.sub(
            '|'.join(map(re.escape, names)),
            lambda found: names[found.group()], command,
        )

    def _environment(self, command):
        here = str(pathlib.Path(sys.executable).parent)
        kept = {
            name: value for name, value in os.environ.items()
            if not name.startswith('OS_') and 'proxy' not in name.lower()
        }
        client = {
            'glance': {
                'OS_AUTH_TOKEN': TOKEN, 'OS_IMAGE_URL': self.north.url,
            },
            'openstack': {'OS_CLOUD': 'north'},
        }
        return {
            **kept, 'PATH': f'{here}:{os.environ["PATH"]}',
            'GLANCE': self.north.url, 'TOKEN': TOKEN, 'IMAGE': self.image_id,
            'OS_CLIENT_CONFIG_FILE': str(self.folder / 'clouds.yaml'),
            'OS_GLANCE_CONFIG_DIR': str(self.north.conf.parent),
            'PYTHONPATH': str(pages.ROOT),
            **client.get(command.split()[0], {}),
        }


def test_the_commands_for_users_copy_an_image(reader):
    reader.type(IMPORT)
    reader.wait_stores('src', 's1', 's2', 's3')
    assert re.search(
        r'"message": "copied [0-9]+ bytes to s1, s2, s3"', reader.type(TASKS)
    )
    for name in ('s1', 's2', 's3'):
        reader.client.delete(reader.image_id, store=name)
    reader.type(CURL)
    reader.wait_stores('src', 's1', 's2', 's3')
    said = reader.type('openstack image copy golden --store archive --wait')
    assert 'copied' in said
    reader.wait_stores('src', 's1', 's2', 's3', 'archive')


def test_the_commands_for_operators_do_what_the_pages_say(reader):
    said = reader.type('glance-copy check --config-dir /etc/glance')
    assert re.search(r'\| s1 +\| file +\| True +\| copier file', said)
    said = reader.type('glance-replicate fill archive --server north')
    assert 'copied' in said
    reader.wait_stores('src', 'archive')


@pytest.mark.long
def test_the_commands_between_clouds_copy_images(reader, start_glance):
    south = start_glance('documented-south', stores=STORES)
    reader.name_clouds(north=reader.north, south=south)
    for command, says in (
        ('glance-replicate size north --visibility public', '1048577'),
        ('glance-replicate dump north /media/disk/images', 'copied'),
        ('glance-replicate load south /media/disk/images', 'copied'),
        ('glance-replicate compare north south', ''),
        ('openstack image replicate compare north south', ''),
        ('glance-replicate livecopy north south --workers 8', 'same'),
    ):
        assert says in reader.type(command), command
    reader.type(IMPORT)
    said = reader.type('glance-replicate watch 8a0c... --server north')
    assert 'success' in said


@pytest.mark.long
def test_the_other_commands_for_operators_end_well(reader):
    reader.client.copy_and_wait(reader.image_id, ['old'])
    reader.type('glance stores-delete --store old <image>')
    reader.wait_stores('src')
    for command in (
        'glance-copy audit --config-dir /etc/glance',
        'glance-copy audit --fix', 'glance-copy audit --verify',
        'glance-copy migrate-locations --config-dir /etc/glance',
        'oslo-config-generator --namespace glance.multi_store',
    ):
        reader.type(command)


def commands_of_the_api():
    """Yield each command, and the status line that it shall be answered."""
    for block in pages.code(API, 'console'):
        lines = [line.strip() for line in block.strip().splitlines()]
        status = next(
            (line for line in lines if line.startswith('HTTP/')), None
        )
        typed = [line for line in lines if line != status]
        assert typed[0].startswith('$ ')
        yield '\n'.join(typed).removeprefix('$ '), status


def test_the_commands_of_the_page_on_the_api_are_answered_as_it_says(reader):
    answers = []
    for command, status in commands_of_the_api():
        said = reader.run(command)
        if status:
            first, _, rest = said.partition('\n')
            assert first.strip() == status
            assert bool(rest.partition('\n\n')[2].strip()) == (
                ' 40' in status
            )
        else:
            assert '-s' in shlex.split(command)
            answers.append(json.loads(said))
        reader.wait_tasks()
    stores, tasks, image = answers
    assert {'s1', 's2'} <= {store['id'] for store in stores['stores']}
    assert [task['status'] for task in tasks['tasks']] == ['success'] * 2
    assert sorted(image['stores'].split(',')) == ['s1', 's2', 's3', 'src']
    reader.wait_stores('src', 's2', 's3')


@pytest.mark.long
def test_a_store_that_was_renamed_is_found_by_its_locations(make_glance):
    """Its directory is the same, and its name in locations an older one."""
    with make_glance('renamed', stores=('src', 'former')) as server:
        client = Client(server)
        image_id = client.create_image(b'kept')
        assert client.copy_and_wait(image_id, ['former'])['status'] == (
            'success'
        )
        server.stop()
        server.store_dirs['latter'] = server.places['former']
        server.stores = ('src', 'latter')
        server.start()
        assert client.stores(image_id) == ['latter', 'src']
        assert sorted(helpers.rows(server, image_id)) == ['latter', 'src']
        client.delete(image_id)
        assert not list(server.places['latter'].iterdir())
