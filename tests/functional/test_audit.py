# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""``glance-copy audit`` finds what does not fit, and repairs only its own."""

import json
import os
import pathlib
import subprocess
import sys
import uuid

import pytest

from tests.functional import helpers
from tests.harness import Client

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(sys.executable).with_name('glance-copy')


@pytest.fixture(scope='module')
def server(start_glance):
    """A server whose stores hold nothing of other tests."""
    return start_glance('audit')


@pytest.fixture
def image(server):
    client = Client(server)
    image_id = client.create_image(helpers.data(3000))
    assert client.copy_and_wait(image_id, ['s1'])['status'] == 'success'
    yield client, image_id
    client.delete(image_id)


def audit(server, *arguments):
    """Run the command; return its status and what it found."""
    done = subprocess.run(
        [PROGRAM, 'audit', '-f', 'json', *arguments],
        capture_output=True, text=True, cwd=ROOT,
        env={
            **os.environ,
            'OS_GLANCE_CONFIG_DIR': str(server.conf.parent),
            'PYTHONPATH': str(ROOT),
        },
    )
    assert 'Traceback' not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout or '[]'), done.stderr


def found(server, *arguments):
    _status, rows, _text = audit(server, *arguments)
    return [(row['Kind'], row['Store'], row['Image']) for row in rows]


def fix(server):
    status, rows, _text = audit(server, '--fix')
    return status, [row['Action'] for row in rows]


def test_nothing_is_found_where_all_is_well(server, image):
    assert audit(server, '--verify')[:2] == (0, [])


def test_an_object_without_a_location_is_removed(server, image):
    _client, image_id = image
    path = server.store_file('s2', image_id)
    path.write_bytes(b'left by a crash')
    assert found(server) == [('object-without-location', 's2', image_id)]
    assert path.exists()
    assert fix(server) == (0, ['removed'])
    assert not path.exists()
    assert audit(server)[0] == 0


def test_an_unfinished_object_is_removed(server, image):
    _client, image_id = image
    path = server.places['s2'] / f'.{image_id}.{uuid.uuid4().hex}.part'
    path.write_bytes(b'unfinished')
    assert found(server) == [('unfinished-object', 's2', image_id)]
    assert fix(server) == (0, ['removed'])
    assert not path.exists()


def test_an_object_of_a_deleted_image_is_removed(server, image):
    client, _other = image
    image_id = client.create_image(b'soon gone')
    client.delete(image_id)
    path = server.store_file('s3', image_id)
    path.write_bytes(b'orphan')
    assert found(server) == [('object-without-location', 's3', image_id)]
    assert fix(server) == (0, ['removed'])
    assert not path.exists()


def test_what_cannot_be_proved_to_be_ours_is_left_alone(server, image):
    stranger = str(uuid.uuid4())
    path = server.store_file('s2', stranger)
    path.write_bytes(b'of another service')
    other = server.places['s2'] / 'README'
    other.write_text('not an image')
    try:
        assert found(server) == [('object-without-location', 's2', stranger)]
        status, actions = fix(server)
        assert status == 1
        assert actions == ['left alone: it cannot be proved to be ours']
        assert path.exists()
    finally:
        path.unlink()
        other.unlink()


def test_a_location_without_an_object_is_shown_and_left_alone(server, image):
    _client, image_id = image
    server.store_file('s1', image_id).unlink()
    assert found(server) == [('location-without-object', 's1', image_id)]
    assert fix(server)[0] == 1
    assert 's1' in helpers.rows(server, image_id)


def test_an_object_of_another_size_is_shown(server, image):
    _client, image_id = image
    with open(server.store_file('s1', image_id), 'ab') as file:
        file.write(b'more')
    assert found(server) == [('size-differs', 's1', image_id)]


def test_a_flipped_byte_is_shown_when_hashes_are_compared(server, image):
    _client, image_id = image
    path = server.store_file('s1', image_id)
    content = bytearray(path.read_bytes())
    content[17] ^= 1
    path.write_bytes(content)
    assert found(server) == []
    assert found(server, '--verify') == [('hash-differs', 's1', image_id)]
    assert found(server, '--verify', '--store', 's2') == []


def test_a_lock_without_a_task_is_removed(server, image):
    client, image_id = image
    server.execute(
        'INSERT INTO image_properties (image_id, name, value, created_at,'
        ' deleted) VALUES (:image, :name, :value, :now, :no)',
        image=image_id, name=helpers.LOCK, value=str(uuid.uuid4()),
        now='2026-01-01 00:00:00', no=False,
    )
    assert found(server) == [('stale-lock', '', image_id)]
    assert fix(server) == (0, ['unlocked'])
    assert helpers.LOCK not in client.image(image_id)


def test_a_property_that_nothing_stands_behind_is_emptied(server, image):
    client, image_id = image
    server.execute(
        'UPDATE image_properties SET value = :value'
        ' WHERE image_id = :image AND name = :name',
        image=image_id, name=helpers.IMPORTING, value='s2,s3',
    )
    assert found(server) == [('stale-property', '', image_id)]
    assert fix(server) == (0, ['emptied'])
    assert client.image(image_id)[helpers.IMPORTING] == ''


def test_what_a_copy_has_left_in_the_staging_area_is_removed(server, image):
    folder = server.staging / 'copy-image' / str(uuid.uuid4())
    folder.mkdir(parents=True)
    (folder / '7f-000000').write_bytes(b'staged')
    assert found(server) == [('staging-leftover', '', '')]
    assert fix(server) == (0, ['removed'])
    assert not folder.exists()


def test_a_copy_that_runs_is_left_alone(slow):
    client = Client(slow)
    image_id = client.create_image(helpers.data(4 * helpers.MIB))
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    helpers.wait_until(
        lambda: helpers.staged_files(slow)
        or helpers.left_in(slow, 's1', image_id), 'a copy under way',
    )
    status, rows, _text = audit(slow, '--fix')
    assert (status, rows) == (0, [])
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    helpers.assert_copied(slow, client, image_id, ['src', 's1', 's2'])


def test_an_unknown_store_is_refused_in_a_sentence(server):
    status, rows, text = audit(server, '--store', 'nowhere')
    assert (status, rows) == (1, [])
    assert 'there is no store nowhere here' in text
