# SPDX-License-Identifier: Apache-2.0

"""``livecopy --via-irods`` between two Glances that share a zone."""

import hashlib
import signal

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.parts import irods

pytestmark = pytest.mark.functional

SERVICE = 'admin:admin:admin,member,reader,service'
SIZE = 5 * MIB + 3


@pytest.fixture(scope='module')
def source(start_glance, zone):
    return start_glance(
        'irods-from', {'archive': zone.settings()},
        backends={'archive': 'irods'},
    )


@pytest.fixture(scope='module')
def target(start_glance, zone):
    """A cloud that believes the hashes that it is told."""
    return start_glance('irods-to', {
        'vault': zone.settings(path=zone.vault),
        'DEFAULT': {'do_secure_hash': 'false'},
    }, backends={'vault': 'irods'})


@pytest.fixture(scope='module')
def careful(start_glance, zone):
    """A cloud as it comes: it reads what it is told of, to see its hash."""
    return start_glance('irods-careful', {
        'vault': zone.settings(path=zone.vault),
    }, backends={'vault': 'irods'})


@pytest.fixture
def image(zone, source, target, careful):
    with replicating.emptied(source, target, careful):
        client = Client(source)
        data = helpers.data(SIZE)
        image_id = client.create_image(
            data, store='archive', name='in iRODS', tags=['x'], kind='y',
            visibility='public',
        )
        zone.server.counters.reset()
        yield image_id


def livecopy(source, target, *more, token=SERVICE):
    return replicating.run(*given(source, target, *more, token=token))


def given(source, target, *more, token=SERVICE):
    return (
        *replicating.arguments('livecopy', source, target, token=token),
        '--via-irods', f'--irods-config={target.conf}',
        '--irods-store=vault', *more,
    )


def in_vault(zone):
    return zone.server.objects(zone.vault)


def test_no_byte_passes_through_any_client(zone, source, target, image):
    done = livecopy(source, target)
    assert done.status == 0, done
    assert done.by_image() == {image: 'copied'}
    assert zone.server.bytes_read == zone.server.bytes_written == 0
    found = Client(target).image(image)
    ours = Client(source).image(image)
    for name in ('os_hash_algo', 'os_hash_value', 'size', 'name', 'tags',
                 'visibility', 'kind'):
        assert found[name] == ours[name], name
    assert found['stores'] == 'vault'
    data = Client(target).download(image)
    assert hashlib.sha512(data).hexdigest() == ours['os_hash_value']
    assert in_vault(zone) == [f'{zone.vault}/{image}']


def test_a_target_that_hashes_by_itself_has_the_checksum_too(
    zone, source, careful, image
):
    done = livecopy(source, careful)
    assert done.status == 0, done
    # Glance has read it once; the tool has not.
    assert zone.server.bytes_written == 0
    assert zone.server.bytes_read == SIZE
    # Glance finds out the virtual size of what is uploaded only.
    replicating.assert_replicated(
        source, careful, image, but=('virtual_size',)
    )


def test_what_is_there_is_skipped(zone, source, target, image):
    livecopy(source, target)
    zone.server.counters.reset()
    assert livecopy(source, target).by_image() == {image: 'same'}
    assert zone.server.bytes_read == zone.server.bytes_written == 0


def test_the_collection_of_the_source_can_be_named(
    zone, source, target, image
):
    # Without the role service nobody is told of locations.
    member = '--from-token=alice:demo:member,reader'
    done = livecopy(source, target, member)
    assert done.status == 1
    assert '--irods-from' in done.rows[0]['Detail']
    done = livecopy(
        source, target, member, f'--irods-from={zone.collection}'
    )
    assert done.status == 0, done
    assert zone.server.bytes_read == 0


def test_a_refusal_tells_the_setting_and_leaves_no_object(
    zone, source, target, image
):
    done = livecopy(source, target, f'--to-token={replicating.ADMIN}')
    assert done.status == 1
    detail = done.rows[0]['Detail']
    assert 'answers 403' in detail
    assert 'role service' in detail
    assert 'add_image_location' in detail
    assert in_vault(zone) == []
    done = livecopy(source, target)
    assert done.by_image() == {image: 'copied'}, done
    assert in_vault(zone) == [f'{zone.vault}/{image}']


def test_after_one_refusal_nothing_more_is_copied(
    zone, source, target, image
):
    client = Client(source)
    for _number in range(3):
        client.create_image(helpers.data(1000), store='archive')
    zone.server.counters.reset()
    done = livecopy(
        source, target, f'--to-token={replicating.ADMIN}', '--workers=1'
    )
    assert set(done.by_image().values()) == {'failed'}
    assert len(done.rows) == 4
    assert in_vault(zone) == []


def test_a_spoiled_object_is_not_taken(zone, source, target, image):
    zone.server.corrupt(f'{zone.collection}/{image}')
    done = livecopy(source, target)
    assert done.status == 1
    assert 'iRODS did not copy it' in done.rows[0]['Detail']
    assert in_vault(zone) == []
    assert all(
        record['status'] == 'queued'
        for record in replicating.images(target).values()
    )


def test_a_wrong_object_is_found_by_a_careful_target(
    zone, source, careful, image
):
    # Another object with a right checksum of its own, as long as the image.
    other = zone.add_collection('others')
    zone.server.put(f'{other}/{image}', helpers.data(SIZE), user=irods.USER)
    done = livecopy(source, careful, f'--irods-from={other}')
    assert done.status == 1
    assert 'did not take the location' in done.rows[0]['Detail']
    assert in_vault(zone) == []


def test_an_image_outside_of_irods_is_one_sentence(zone, source, target):
    with replicating.emptied(source, target):
        Client(source).create_image(helpers.data())
        done = livecopy(source, target)
        assert done.status == 1
        assert 'no object in iRODS' in done.rows[0]['Detail']


def test_a_killed_run_that_had_copied_goes_on(zone, source, target, image):
    hanging = zone.server.faults.hang_on('copy')
    running = replicating.start(*given(source, target))
    hanging.wait_until_reached()
    running.kill()
    running.communicate()
    hanging.release()
    # Nobody can tell the zone to stop: what it made is left unfinished.
    helpers.wait_until(lambda: in_vault(zone), 'what was copied for nobody')
    done = livecopy(source, target)
    assert done.status == 0, done
    assert Client(target).image(image)['status'] == 'active'
    assert in_vault(zone) == [f'{zone.vault}/{image}']


def test_an_object_that_was_never_registered_is_replaced(
    zone, source, target, image
):
    zone.server.put(
        f'{zone.vault}/{image}', b'left behind', user=irods.USER
    )
    done = livecopy(source, target)
    assert done.status == 0, done
    assert Client(target).download(image) == Client(source).download(image)


def test_a_signal_ends_it(zone, source, target, image):
    hanging = zone.server.faults.hang_on('copy')
    running = replicating.start(*given(source, target))
    hanging.wait_until_reached()
    running.send_signal(signal.SIGINT)
    hanging.release()
    done = replicating.finish(running, timeout=60)
    assert done.status == 130, done
    assert livecopy(source, target).status == 0
    assert in_vault(zone) == [f'{zone.vault}/{image}']


@pytest.mark.parametrize(('change', 'told'), [
    ('--irods-store=absent', 'absent'),
    ('--irods-config=/nowhere', '/nowhere'),
    ('--store=s1', '--store has no meaning'),
])
def test_options_that_cannot_work_are_one_sentence(
    source, target, change, told
):
    done = livecopy(source, target, change)
    assert done.status == 1
    assert told in done.err
    assert len(done.err.strip().splitlines()) == 1, done


def test_the_password_of_the_zone_is_seen_nowhere(
    zone, source, target, image
):
    zone.server.faults.fail_on('copy', -513028)
    done = livecopy(source, target, '--debug')
    assert done.status == 1
    assert irods.PASSWORD not in done.out + done.err
