# SPDX-License-Identifier: Apache-2.0

"""Copies that iRODS makes, when something goes wrong."""

import pytest

from tests.functional import auditing
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.parts import irods

pytestmark = [pytest.mark.functional, pytest.mark.long]

IMAGE = helpers.data(5 * MIB + 3)
# As the catalog writes times.
LONG_AGO = '01000000000'


@pytest.fixture(scope='module')
def start(start_glance, zone):
    """Give a function that starts a Glance with these further options."""
    return lambda name, **more: start_glance(
        name, {
            'archive': zone.settings(),
            'vault': zone.settings(path=zone.vault),
            'copy_image': {'recovery_interval': 0.5, **more},
        }, backends={'archive': 'irods', 'vault': 'irods'},
    )


@pytest.fixture(scope='module')
def glance(start):
    return start('irods-copies')


@pytest.fixture
def image(zone, glance):
    """An image that only the archive holds."""
    client = Client(glance)
    image_id = client.create_image(IMAGE, store='archive')
    zone.server.counters.reset()
    yield client, image_id
    if client.request('GET', f'/images/{image_id}').status_code == 200:
        client.delete(image_id)


def in_vault(zone):
    return zone.server.objects(zone.vault)


def test_instead_of_a_spoiled_object_another_location_is_copied(
    zone, glance, image
):
    client, image_id = image
    helpers.copy(client, image_id, ['s1'])
    zone.server.corrupt(f'{zone.collection}/{image_id}')
    task = helpers.copy(client, image_id, ['vault'])
    assert task['status'] == 'success', task['message']
    assert zone.server.content(f'{zone.vault}/{image_id}') == IMAGE


def test_a_full_zone_fails_the_copy_and_nothing_stays(zone, glance, image):
    client, image_id = image
    zone.server.faults.fail_on('copy', -513028)
    task = helpers.copy(client, image_id, ['vault', 's1'])
    assert task['status'] == 'failure'
    assert 'store vault: ' in task['message']
    assert 'no space left' in task['message']
    helpers.assert_unlocked(glance, client, image_id, failed=['vault'])
    assert in_vault(zone) == []
    helpers.assert_untouched(glance, image_id, ['s1'])


def test_a_connection_that_is_lost_is_tried_again(zone, glance, image):
    client, image_id = image
    zone.server.faults.drop_on('checksum')
    task = helpers.copy(client, image_id, ['vault'])
    assert task['status'] == 'success', task['message']
    assert len(in_vault(zone)) == 1
    glance.invariants.assert_hold()


def test_a_killed_glance_finishes_the_copy(zone, glance, image):
    client, image_id = image
    hanging = zone.server.faults.hang_on('copy')
    task_id = helpers.start(client, image_id, ['vault'])
    hanging.wait_until_reached()
    glance.kill()
    hanging.release()
    glance.start()
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    assert in_vault(zone) == [f'{zone.vault}/{image_id}']
    glance.invariants.assert_hold()


def test_a_killed_glance_does_not_wait_for_what_the_zone_still_copies(
    zone, glance, image
):
    client, image_id = image
    hanging = zone.server.faults.hang_on('copy', after_bytes=MIB)
    task_id = helpers.start(client, image_id, ['vault'])
    hanging.wait_until_reached()
    [locked] = in_vault(zone)
    glance.kill()
    glance.start()
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    assert zone.server.content(f'{zone.vault}/{image_id}') == IMAGE
    assert locked in in_vault(zone)
    hanging.release()
    helpers.wait_until(
        lambda: in_vault(zone) == [f'{zone.vault}/{image_id}'],
        'the first copy is removed', 300,
    )
    glance.invariants.assert_hold()


@pytest.mark.parametrize(('source', 'api'), [
    ('archive', 'copy'), ('archive', 'checksum'), ('s1', 'write'),
    ('s1', 'close'),
])
@pytest.mark.parametrize('at_once', [True, False])
def test_a_restart_of_the_zone_fails_no_copy_and_leaves_nothing(
    zone, glance, source, api, at_once
):
    """It may be down for longer than a few quick tries take."""
    client = Client(glance)
    image_id = client.create_image(IMAGE, store=source)
    hanging = zone.server.faults.hang_on(api, path='.part')
    said = len(helpers.log_of(glance))
    task_id = helpers.start(client, image_id, ['vault'])
    hanging.wait_until_reached()
    zone.server.stop()
    if not at_once:
        helpers.wait_until(
            lambda: 'Waiting for it' in helpers.log_of(glance)[said:],
            'the server is missed',
        )
    zone.server.start()
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    assert in_vault(zone) == [f'{zone.vault}/{image_id}']
    assert zone.server.content(f'{zone.vault}/{image_id}') == IMAGE
    client.delete(image_id)
    assert in_vault(zone) == []


def test_a_dead_agent_fails_no_copy_and_an_administrator_is_told_what_to_do(
    zone, glance, image
):
    client, image_id = image
    zone.server.faults.agent_dies_on('copy', after_bytes=MIB)
    task = helpers.copy(client, image_id, ['vault'])
    assert task['status'] == 'success', task['message']
    [locked] = set(in_vault(zone)) - {f'{zone.vault}/{image_id}'}
    _status, [found], _said = auditing.command(glance)
    assert found['Kind'] == 'unfinished-object'
    assert 'of unknown size' in found['Detail']
    assert f'iadmin modrepl logical_path {locked} ' in found['Detail']
    # What the administrator does.
    zone.server.set_replica(locked, status=0)
    _status, [found], _said = auditing.command(glance, '--fix')
    assert found['Action'] == 'removed'
    assert in_vault(zone) == [f'{zone.vault}/{image_id}']
    glance.invariants.assert_hold()


@pytest.mark.parametrize('status', ['queued', 'saving', 'gone'])
def test_what_a_dead_upload_left_is_removed_at_the_next_look(
    zone, glance, status
):
    client, set_replica = Client(glance), zone.server.set_replica
    image_id = client.new_image()
    if status == 'saving':
        glance.execute(
            'UPDATE images SET status = :status WHERE id = :image',
            status=status, image=image_id,
        )
    elif status == 'gone':
        client.delete(image_id)
    place = f'{zone.vault}/{image_id}.0123456789ab.part'
    locked = f'{zone.vault}/{image_id}.ba9876543210.part'
    glance.stop()
    for path, state in ((place, 0), (locked, 2)):
        zone.server.put(path, IMAGE, user=irods.USER)
        set_replica(path, status=state, size=0, modified=LONG_AGO)
    if status != 'gone':
        # What may be a whole image is shown, and touched by nobody.
        set_replica(place, status=1, size=len(IMAGE))
        rows = auditing.command(glance, '--fix')[1]
        assert len(rows) == 2
        assert 'removed' not in [row['Action'] for row in rows]
        assert place in in_vault(zone)
        set_replica(place, status=0, size=0, modified=LONG_AGO)
    _status, rows, _said = auditing.command(glance)
    assert [row['Detail'].partition(';')[0] for row in rows][0] == (
        f'{len(IMAGE)} bytes'
    )
    said = len(helpers.log_of(glance))
    glance.start()
    helpers.wait_until(lambda: in_vault(zone) == [locked], 'it is removed')
    helpers.wait_until(
        lambda: f'{locked} ' in helpers.log_of(glance)[said:],
        'the locked one is told',
    )
    set_replica(locked, status=0)
    assert auditing.command(glance, '--fix')[1][0]['Action'] == 'removed'
    assert in_vault(zone) == []
    if status != 'gone':
        glance.execute(
            'UPDATE images SET status = :status WHERE id = :image',
            status='queued', image=image_id,
        )
        client.delete(image_id)


def upload(client, image_id):
    """Return the answer."""
    return client.request(
        'PUT', f'/images/{image_id}/file', data=IMAGE, headers={
            'Content-Type': 'application/octet-stream',
            'X-Image-Meta-Store': 'vault',
        },
    )


def test_an_upload_to_a_zone_that_is_away_is_answered_503_in_a_sentence(
    zone, glance
):
    client = Client(glance)
    image_id = client.new_image()
    said = len(helpers.log_of(glance))
    zone.server.stop()
    answer = upload(client, image_id)
    zone.server.start()
    assert answer.status_code == 503, answer.text
    assert 'cannot be reached' in answer.text
    zone.server.permit(zone.vault, irods.USER, 'none')
    answer = upload(client, image_id)
    zone.server.permit(zone.vault, irods.USER, 'own')
    assert answer.status_code == 503, answer.text
    assert 'Traceback' not in helpers.log_of(glance)[said:]
    client.delete(image_id)


def test_check_asks_the_zone_and_calls_copies_in_it_server_side(
    zone, glance
):
    done = auditing.glance_copy(glance, 'check')
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('| server-side irods |') == 2
    zone.server.permit(zone.vault, irods.USER, 'read')
    done = auditing.glance_copy(glance, 'check')
    zone.server.permit(zone.vault, irods.USER, 'own')
    assert done.returncode == 1
    [sentence] = done.stderr.strip().splitlines()[-1:]
    assert 'store vault cannot be written: ' in sentence
    assert in_vault(zone) == []


def test_a_zone_that_does_not_tell_whether_it_can_copy_is_streamed_to(
    zone, start
):
    glance = start('irods-impatient', store_timeout=5)
    client = Client(glance)
    image_id = client.create_image(IMAGE, store='archive')
    zone.server.counters.reset()
    # Other servers may ask for their images now.
    hanging = zone.server.faults.hang_on('query', path=image_id)
    task = helpers.copy(client, image_id, ['vault'])
    hanging.release()
    assert task['status'] == 'success', task['message']
    assert zone.server.bytes_written == len(IMAGE)
    client.delete(image_id)
