# SPDX-License-Identifier: Apache-2.0

"""Glance with the driver ``cinder_multi``: requests, and what is left."""

import json
import os
import re
import signal
import threading

import pytest
import requests

from tests.cloud import cinder_parts
from tests.cloud import helpers as cloud_helpers
from tests.cloud.cinder_parts import DRIVER
from tests.cloud.services import cinder as block_storage
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')


@pytest.fixture(scope='module')
def server(cloud, start_glance):
    """A Glance with good stores, and with some of each kind of bad ones."""
    return start_glance('cinder-multi', {
        'local': given.file(),
        'fast': given.cinder(cloud, 'glance-fast', driver=DRIVER),
        'slow': given.cinder(cloud, 'glance-slow', driver=DRIVER),
        'nowhere': given.cinder(cloud, 'no-such-type', driver=DRIVER),
        'private': given.cinder(
            cloud, block_storage.PRIVATE_TYPE, driver=DRIVER
        ),
    })


@pytest.fixture
def client(server, as_user):
    return as_user(server)


def url_of(server, image_id, store):
    return helpers.rows(server, image_id)[store]


def relocate(server, image_id, url, store):
    """Make a URL the image's only location, as an operator could."""
    server.execute(
        'UPDATE image_locations SET value = :value, meta_data = :metadata '
        'WHERE image_id = :image AND NOT deleted', value=url,
        image=image_id,
        metadata=json.dumps({'store': store} if store else {}),
    )


class Download:
    """A download that stops after its first bytes until it may go on."""

    def __init__(self, client, image_id):
        self.answer = client.session.get(
            f'{client.server.url}/v2/images/{image_id}/file', stream=True,
            headers={'X-Auth-Token': client.token}, timeout=300,
        )
        assert self.answer.ok, self.answer.text
        self._chunks = self.answer.iter_content(64 * 1024)
        self.got = next(self._chunks)

    def rest(self):
        return b''.join(self._chunks)


class Upload(threading.Thread):
    """An upload that stops in the middle, for ever."""

    def __init__(self, client, image_id, store, size=64 * MIB):
        super().__init__(daemon=True)
        self._client, self._image_id, self._store = client, image_id, store
        self._size = size
        self.begun = threading.Event()
        self.end = threading.Event()

    def _chunks(self):
        for number in range(self._size // MIB):
            if number == self._size // MIB // 2:
                self.begun.set()
                self.end.wait(300)
                return
            yield bytes(MIB)

    def run(self):
        try:
            self._client.request(
                'PUT', f'/images/{self._image_id}/file',
                data=self._chunks(), headers={
                    'Content-Type': 'application/octet-stream',
                    'X-Image-Meta-Store': self._store,
                    'x-openstack-image-size': str(self._size),
                },
            )
        except requests.RequestException:
            """Glance is killed meanwhile."""


# Types.

@pytest.mark.fails_with_stock('it is a 500')
def test_a_store_whose_type_cannot_be_used_refuses_images(server, client):
    image_id = client.new_image()
    answer = client.request(
        'PUT', f'/images/{image_id}/file', data=b'1234', headers={
            'Content-Type': 'application/octet-stream',
            'X-Image-Meta-Store': 'private',
        },
    )
    assert 400 <= answer.status_code < 500, answer.text
    client.delete(image_id)


def test_an_image_in_a_store_whose_type_cannot_be_used_is_not_deleted(
    server, client
):
    store = 'nowhere'
    content = helpers.data(MIB)
    image_id = client.create_image(content, store='fast')
    url = url_of(server, image_id, 'fast')
    relocate(server, image_id, url.replace('fast', store), store)
    answer = client.request('DELETE', f'/images/{image_id}')
    assert answer.status_code == 403, answer.text
    assert client.download(image_id) == content
    relocate(server, image_id, url, 'fast')
    client.delete(image_id)


@pytest.mark.fails_with_stock('it does not say which store')
def test_one_sentence_in_the_log_tells_which_type_is_missing(server):
    lines = [
        line for line in helpers.log_of(server).splitlines()
        if 'no-such-type' in line and 'DEBUG' not in line
    ]
    assert len(lines) == 1, lines
    assert 'nowhere' in lines[0]
    assert 'does not exist' in lines[0]


# Reading.

@pytest.mark.fails_with_stock('it is a 500')
def test_an_image_that_is_being_downloaded_is_not_deleted(client):
    content = helpers.data(48 * MIB)
    image_id = client.create_image(content, store='fast')
    download = Download(client, image_id)
    answer = client.request('DELETE', f'/images/{image_id}')
    assert answer.status_code == 409, answer.text
    assert client.image(image_id)['status'] == 'active'
    assert download.got + download.rest() == content
    client.delete(image_id)


@pytest.mark.fails_with_stock('the others get a 500 after 24 s')
def test_a_slow_reader_keeps_no_other_away(server, client, as_user):
    content = helpers.data(48 * MIB)
    image_id = client.create_image(content, store='fast')
    download = Download(client, image_id)
    for _ in range(2):
        assert as_user(server).download(image_id) == content
    assert download.got + download.rest() == content
    client.delete(image_id)


def test_a_client_that_goes_away_leaves_the_volume_free(client, block):
    image_id = client.create_image(helpers.data(48 * MIB), store='fast')
    Download(client, image_id).answer.close()
    (volume,) = block('glance').volumes.list()
    cloud_helpers.wait_status(block('glance'), volume, 'available')
    client.delete(image_id)


# Killed in the middle.

@pytest.mark.fails_with_stock('the volume stays for ever')
def test_an_upload_that_was_killed_is_found_by_the_audit(
    server, client, block
):
    image_id = client.new_image()
    upload = Upload(client, image_id, 'fast')
    upload.start()
    assert upload.begun.wait(300)
    helpers.wait_until(
        lambda: [v for v in block('glance').volumes.list()
                 if v.status == 'in-use'], 'the volume to be written',
    )
    for pid in server.worker_pids:
        os.kill(pid, signal.SIGKILL)
    server.kill()
    upload.end.set()
    server.start()
    client.delete(image_id)
    (volume,) = block('glance').volumes.list(
        search_opts={'name': f'image-{image_id}'}
    )
    found = server.invariants.audit(stores=['fast'], ways=['fix'])
    assert [
        (row['kind'], row['store'], row['action']) for row in found
    ] == [('unfinished-object', 'fast', 'removed')]
    cinder_parts.wait_gone(block('glance'), volume.id)
    assert server.temporary_files() == []


@pytest.mark.fails_with_stock('the first volume stays for ever')
def test_a_copy_that_was_killed_is_made_anew_and_leaves_one_volume(
    server, client, block
):
    content = helpers.data(160 * MIB)
    image_id = client.create_image(content)
    task_id = helpers.start(client, image_id, ['fast'])
    (first,) = helpers.wait_until(
        lambda: [v for v in block('glance').volumes.list()
                 if v.status == 'in-use'], 'the volume to be written',
    )
    server.kill()
    server.start()
    task = client.wait_copy(image_id, task_id, timeout=240)
    assert task['status'] == 'success', task
    cinder_parts.wait_gone(block('glance'), first.id)
    (volume,) = block('glance').volumes.list()
    assert url_of(server, image_id, 'fast').endswith(volume.id)
    client.delete(image_id, store='local')
    assert client.download(image_id) == content
    client.delete(image_id)


# Secrets.

def test_no_secret_is_in_the_log(cloud, server):
    log = helpers.log_of(server)
    assert cloud.password('glance') not in log
    assert not re.search(r'key = [A-Za-z0-9+/]{20,}==', log)
