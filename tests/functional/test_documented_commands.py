# SPDX-License-Identifier: Apache-2.0


"""Commands of the documentation, run as a reader would type them.

``tests/documentation/covered.py`` says which, and what is to be seen then. Two
clouds, *north* and *south*, have the names, stores and images that they need.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import types

import pytest
import yaml

from tests.documentation import covered
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
STORES = ('src', 's1', 's2', 's3', 'old')


@pytest.fixture(scope='module')
def clouds(start_glance, zone):
    """Both clouds, and someone who knows them from clouds.yaml."""
    def start(name, **more):
        return start_glance(
            f'documented-{name}', {
                'archive': zone.settings(**more),
                # Else it would read what was copied inside iRODS.
                'DEFAULT': {'do_secure_hash': 'false'},
            }, stores=STORES, backends={'archive': 'irods'},
        )

    return types.SimpleNamespace(
        north=start('north'), south=start('south', path=zone.vault)
    )


@pytest.fixture
def reader(clouds, tmp_path):
    """Someone who tries the commands, in a folder of their own."""
    (tmp_path / 'clouds.yaml').write_text(yaml.safe_dump({'clouds': {
        name: {
            'auth_type': 'admin_token',
            'auth': {'endpoint': cloud.url, 'token': TOKEN},
            'image_endpoint_override': cloud.url,
        } for name, cloud in vars(clouds).items()
    }}))
    shutil.copy(clouds.south.conf, tmp_path / 'south-irods.conf')
    for name in ('media/disk', 'etc/bash_completion.d'):
        (tmp_path / name).mkdir(parents=True)
    with replicating.emptied(clouds.north, clouds.south):
        yield Reader(clouds, tmp_path)


class Reader:
    """Types commands, with the names of what is here."""

    def __init__(self, clouds, folder):
        self.folder = folder
        self.clouds = clouds
        self.client = Client(clouds.north)
        self.image_id = None

    def make_image(self, stores):
        """Make the image that commands are about."""
        self.image_id = self.client.create_image(
            helpers.data(MIB + 1), name='golden', tags=['golden'],
            visibility='public',
            # What the zone keeps has to be there alone to be copied by it.
            store='archive' if stores == ('archive',) else 'src',
        )
        missing = [
            name for name in stores
            if name not in self.client.stores(self.image_id)
        ]
        if missing:
            self.client.copy_and_wait(self.image_id, missing)

    def type(self, command):
        """Run a command to its end; return what it prints."""
        done = subprocess.run(
            ['/bin/bash', '-c', self._with_real_names(command)],
            cwd=self.folder, env=self._environment(command), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=replicating.SECONDS,
        )
        assert done.returncode == 0, done.stdout
        assert 'Traceback' not in done.stdout
        return done.stdout

    def path(self, documented):
        """Return where a file of the documentation is here."""
        return self.folder / documented.lstrip('/')

    def _with_real_names(self, command):
        names = {
            '<image>': self.image_id,
            '8a0c...': self.image_id,
            '/etc/glance': str(self.clouds.north.conf.parent),
            '/etc/bash_completion.d': str(self.path('etc/bash_completion.d')),
            '/media/disk': str(self.path('media/disk')),
        }
        return re.sub(
            '|'.join(map(re.escape, names)),
            lambda found: names[found.group()], command,
        )

    def _environment(self, command):
        north = self.clouds.north
        here = str(pathlib.Path(sys.executable).parent)
        kept = {
            name: value for name, value in os.environ.items()
            if not name.startswith('OS_') and 'proxy' not in name.lower()
        }
        client = {
            'glance': {'OS_AUTH_TOKEN': TOKEN, 'OS_IMAGE_URL': north.url},
            'openstack': {'OS_CLOUD': 'north'},
        }
        return {
            **kept, 'PATH': f'{here}:{os.environ["PATH"]}',
            'GLANCE': north.url, 'TOKEN': TOKEN,
            'OS_CLIENT_CONFIG_FILE': str(self.folder / 'clouds.yaml'),
            'OS_GLANCE_CONFIG_DIR': str(north.conf.parent),
            'PYTHONPATH': str(replicating.process.ROOT),
            **client.get(command.split()[0], {}),
        }


@pytest.mark.parametrize('command', covered.of_kind(covered.Run))
def test_a_command_does_what_the_page_says(reader, command):
    how = covered.COVERED[command]
    reader.make_image(how.stores)
    before = set(reader.client.stores(reader.image_id))
    if how.before:
        reader.type(how.before)
        helpers.wait_until(
            lambda: all(
                task['status'] in ('success', 'failure')
                for task in reader.client.tasks(reader.image_id)
            ), 'the end of the copies',
        )
        before = set(reader.client.stores(reader.image_id))
    said = reader.type(command)
    assert re.search(how.says, said), said
    wanted = (before | set(how.copied)) - set(how.removed)
    helpers.wait_until(
        lambda: set(reader.client.stores(reader.image_id)) == wanted,
        f'the image to be in {wanted}',
    )
    if how.writes:
        assert reader.path(how.writes).stat().st_size
