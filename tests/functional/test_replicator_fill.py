# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate fill`` and ``watch``, inside one real cloud."""

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

LIMIT = 120  # seconds for what has to come


@pytest.fixture
def cloud(cloud_a):
    with replicating.emptied(cloud_a):
        yield cloud_a


def given(server, *words):
    return *words, '--server', server.url, '--token', replicating.ADMIN


def begin(server, *words):
    """Begin a command in this process."""
    return replicating.begin(*given(server, *words))


def test_every_image_gets_into_the_stores_that_it_lacks(cloud):
    client = Client(cloud)
    here = client.create_image(helpers.data(MIB), store='s1', tags=['x'])
    ids = [*replicating.small(client, 3), here]
    done = replicating.on(cloud, 'fill', 's1', 's2', '--dry-run', '--tag=x')
    assert done.status == 0, done
    (row,) = done.rows
    assert (row['Image'], row['Result'], row['Bytes']) == (
        here, 'would copy', MIB,
    )
    done = replicating.on(cloud, 'fill', 's1', 'nowhere')
    assert done.status == 1
    assert 'has no store nowhere' in done.err
    assert client.tasks(here) == client.tasks(ids[0]) == []
    done = replicating.on(cloud, 'fill', 's1', '--workers=2')
    assert done.status == 0, done
    assert done.by_image() == {
        **dict.fromkeys(ids, 'copied'), here: 'same',
    }
    for image_id in ids:
        helpers.assert_copied(cloud, client, image_id, ['s1'])
    done = replicating.on(cloud, 'fill', 's1', 's2', 's3', '--tag=x')
    assert (len(done.rows), done.rows[0]['Bytes']) == (1, 2 * MIB)
    assert client.stores(here) == ['s1', 's2', 's3']
    assert client.stores(ids[0]) == ['s1', 'src']


def test_a_store_that_cannot_be_written_fails_with_its_reason(cloud):
    client = Client(cloud)
    image_id = client.create_image(helpers.data())
    with helpers.replaced_by_file(cloud.places['s2']):
        done = replicating.on(cloud, 'fill', 's1', 's2')
        alone = replicating.on(cloud, 'fill', 's2')
    for each in (done, alone):
        assert each.status == 1
        (row,) = each.rows
        assert row['Result'] == 'failed'
        assert 'not copied to s2' in row['Detail']
        assert 's2' in row['Detail'].partition(': ')[2]
    assert client.stores(image_id) == ['s1', 'src']
    watched = replicating.on(cloud, 'watch', image_id)
    assert watched.status == 1
    assert watched.rows[0]['Status'] == 'failure'
    assert 's2' in watched.rows[0]['Message']
    done = replicating.on(cloud, 'fill', 's1', 's2')
    assert done.by_image() == {image_id: 'copied'}


def test_no_more_copies_are_asked_for_than_allowed(cloud, source):
    client = Client(cloud)
    held = dict(helpers.held_image(cloud, client, source) for _ in range(3))
    running = begin(cloud, 'fill', 's1', '--workers=1')
    left = dict(held)
    while left:
        (image_id,) = helpers.wait_until(
            lambda: [i for i in left if left[i].reached.is_set()],
            'a copy that reads', LIMIT,
        )
        assert [i for i in left if client.tasks(i)] == [image_id]
        left.pop(image_id).release()
    assert running.finish().by_image() == dict.fromkeys(held, 'copied')


def test_copies_go_on_without_it_and_running_again_follows_them(
    cloud, source
):
    client = Client(cloud)
    image_id, offer = helpers.held_image(cloud, client, source)
    running = replicating.start(*given(cloud, 'fill', 's1'))
    assert offer.reached.wait(LIMIT)
    running.kill()
    running.communicate()
    again = begin(cloud, '-vv', 'fill', 's1', 's2')
    helpers.wait_until(
        lambda: 'RESP: [409]' in again.err, 'a refusal', LIMIT
    )
    offer.release()
    done = again.finish()
    assert done.status == 0, done
    helpers.assert_copied(cloud, client, image_id, ['s1', 's2'])
    # The first store was asked for once only.
    assert len(client.tasks(image_id)) == 2


def test_watch_follows_a_copy_to_its_end(cloud, source):
    client = Client(cloud)
    image_id, offer = helpers.held_image(cloud, client, source)
    done = replicating.on(cloud, 'watch', image_id)
    assert done.status == 1
    assert f'no copy of the image {image_id}' in done.err
    task_id = helpers.start(client, image_id, ['s1'])
    running = begin(cloud, 'watch', image_id)
    helpers.wait_until(lambda: 'bytes/s' in running.err, 'a line', LIMIT)
    assert client.copy_task(image_id) == task_id
    offer.release()
    done = running.finish()
    assert done.status == 0, done
    (row,) = done.rows
    assert (row['Task'], row['Status']) == (task_id, 'success')
    assert 's1' in row['Stores']
    assert client.copy_task(image_id) is None


@pytest.mark.long
def test_a_stock_glance_is_filled_too(stock):
    with replicating.emptied(stock):
        client = Client(stock)
        ids = replicating.small(client, 2)
        done = replicating.on(stock, 'fill', 's1', 's2', '--workers=1')
        assert done.status == 0, done
        for image_id in ids:
            assert client.stores(image_id) == ['s1', 's2', 'src']
