# SPDX-License-Identifier: Apache-2.0

"""``glance-copy migrate-locations``, beside a real Glance.

Without one: tests/unit/test_legacy_locations.py.
"""

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.harness import Client

pytestmark = [pytest.mark.functional, pytest.mark.long]

PASSWORD = 'sesame-opens'


@pytest.fixture(scope='module')
def glance(start_glance, zone):
    return start_glance(
        'migrate', {'archive': zone.settings()},
        backends={'archive': 'irods'},
    )


def set_url(glance, image_id, url, metadata):
    glance.execute(
        'UPDATE image_locations SET value = :value, meta_data = :metadata '
        'WHERE image_id = :image',
        value=url, image=image_id, metadata=metadata,
    )


def url_of(glance, image_id):
    (row,) = glance.locations(image_id)
    return row['url'], row['store']


def test_credentials_are_removed_from_locations(zone, glance):
    client = Client(glance)
    ids = [
        client.create_image(helpers.data(), store='archive') for _ in range(3)
    ]
    image, today, lost = ids
    right = {each: url_of(glance, each) for each in ids}
    data = client.download(image)
    before = f'irods://rods:{PASSWORD}@irods.example.org:1247'
    old, elsewhere = (
        f'{before}{zone.collection}/{image}', f'{before}/tempZone/home/else/x',
    )
    set_url(glance, image, old, '{}')
    set_url(glance, lost, elsewhere, '{"store": "archive"}')
    for more, what, after in (
        (['--dry-run'], 'would update', (old, None)),
        ([], 'updated', (f'irods:/{zone.collection}/{image}', 'archive')),
    ):
        done = replicating.migrate_locations(glance, *more)
        # What no store fits is reported and left alone.
        assert done.status == 1, done
        assert done.by_image() == {image: what, lost: 'failed'}
        assert PASSWORD not in done.out + done.err
        assert url_of(glance, image) == after
        assert url_of(glance, lost)[0] == elsewhere
        assert url_of(glance, today) == right[today]
    assert client.download(image) == data
    set_url(glance, lost, right[lost][0], '{"store": "archive"}')
    for each in ids:
        client.delete(each)
