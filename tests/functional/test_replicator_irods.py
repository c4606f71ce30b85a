# SPDX-License-Identifier: Apache-2.0

"""``livecopy --via-irods`` between two Glances that share a zone."""

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.parts import irods

pytestmark = [pytest.mark.functional, pytest.mark.long]

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
    """A cloud as it comes: it reads what it is told of, to see its hash."""
    return start_glance('irods-to', {
        'vault': zone.settings(path=zone.vault),
    }, backends={'vault': 'irods'})


@pytest.fixture
def image(zone, source, target):
    with replicating.emptied(source, target):
        client = Client(source)
        data = helpers.data(SIZE)
        image_id = client.create_image(
            data, store='archive', name='in iRODS', tags=['x'], kind='y',
            visibility='public',
        )
        zone.server.counters.reset()
        yield image_id


def livecopy(source, target, *more):
    return replicating.run(
        *replicating.arguments('livecopy', source, target, token=SERVICE),
        '--via-irods', f'--irods-config={target.conf}',
        '--irods-store=vault', *more,
    )


def in_vault(zone):
    return zone.server.objects(zone.vault)


def test_a_refusal_tells_the_setting_and_leaves_no_object(
    zone, source, target, image
):
    done = livecopy(source, target, f'--to-token={replicating.ADMIN}')
    assert done.status == 1
    detail = done.rows[0]['Detail']
    assert 'answers 403' in detail
    assert 'role service' in detail
    assert in_vault(zone) == []
    done = livecopy(source, target)
    assert done.by_image() == {image: 'copied'}, done
    assert in_vault(zone) == [f'{zone.vault}/{image}']
    # Glance has read it once; the tool has not.
    assert zone.server.bytes_written == 0
    assert zone.server.bytes_read == SIZE
    # Glance finds out the virtual size of what is uploaded only.
    replicating.assert_replicated(
        source, target, image, but=('virtual_size',)
    )


def test_a_copy_that_the_zone_has_locked_is_made_under_another_name(
    zone, source, target, image
):
    """A run that was killed has left one; the agent of another dies."""
    left = f'{zone.vault}/{image}.0123456789ab.part'
    faults = zone.server.faults
    zone.server.put(left, b'half of it', user=irods.USER)
    zone.server.set_replica(left, status=2)
    faults.agent_dies_on('copy', after_bytes=MIB)
    done = livecopy(source, target)
    assert done.by_image() == {image: 'copied'}, done
    assert zone.server.content(f'{zone.vault}/{image}') == (
        zone.server.content(f'{zone.collection}/{image}')
    )
    for path in in_vault(zone):
        zone.server.set_replica(path, status=1)
        if path.endswith('.part'):
            zone.server.catalog.objects.pop(path)


def test_a_wrong_object_is_found_by_a_careful_target(
    zone, source, target, image
):
    # Another object with a right checksum of its own, as long as the image.
    other = zone.add_collection('others')
    zone.server.put(f'{other}/{image}', helpers.data(SIZE), user=irods.USER)
    done = livecopy(source, target, f'--irods-from={other}')
    assert done.status == 1
    assert 'did not accept the location' in done.rows[0]['Detail']
    assert in_vault(zone) == []
