# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate fill`` and ``watch``, inside one real cloud."""

import signal

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional


@pytest.fixture
def cloud(cloud_a):
    with replicating.emptied(cloud_a):
        yield cloud_a


@pytest.fixture
def slow_cloud(slow):
    with replicating.emptied(slow):
        yield slow


def start(server, *given):
    return replicating.start(
        *given, '--server', server.url, '--token', replicating.ADMIN
    )


def run(server, *given):
    return replicating.finish(start(server, *given))


def test_every_image_gets_into_the_store(cloud):
    client = Client(cloud)
    here = client.create_image(helpers.data(), store='s1')
    ids = replicating.small(client, 6)
    done = run(cloud, 'fill', 's1')
    assert done.status == 0, done
    assert done.by_image() == {here: 'same', **dict.fromkeys(ids, 'copied')}
    for image_id in ids:
        helpers.assert_copied(cloud, client, image_id, ['s1'])
    assert set(run(cloud, 'fill', 's1').by_image().values()) == {'same'}


def test_several_stores_get_what_each_lacks(cloud):
    client = Client(cloud)
    image_id = client.create_image(helpers.data(MIB), store='s1')
    done = run(cloud, 'fill', 's1', 's2', 's3')
    assert done.rows[0]['Bytes'] == 2 * MIB
    assert sorted(client.stores(image_id)) == ['s1', 's2', 's3']


def test_a_dry_run_tells_the_bytes_and_copies_nothing(cloud):
    client = Client(cloud)
    image_id = client.create_image(helpers.data(MIB))
    done = run(cloud, 'fill', 's1', 's2', '--dry-run')
    assert done.status == 0
    (row,) = done.rows
    assert (row['Result'], row['Bytes']) == ('would copy', 2 * MIB)
    assert client.stores(image_id) == ['src']
    assert client.tasks(image_id) == []


def test_only_images_that_a_filter_means_are_copied(cloud):
    client = Client(cloud)
    image_id = client.create_image(helpers.data(), tags=['x'])
    other = client.create_image(helpers.data())
    done = run(cloud, 'fill', 's1', '--tag=x')
    assert done.by_image() == {image_id: 'copied'}
    assert client.stores(other) == ['src']


@pytest.mark.parametrize('order', ['smallest', 'newest', 'oldest'])
def test_images_come_in_the_order_that_is_asked_for(cloud, order):
    client = Client(cloud)
    sizes = (3000, 1000, 2000)
    ids = [client.create_image(helpers.data(size)) for size in sizes]
    for number, image_id in enumerate(ids):
        cloud.execute(
            'UPDATE images SET created_at = :when WHERE id = :id',
            when=f'2026-01-0{number + 1} 00:00:00', id=image_id,
        )
    done = run(cloud, 'fill', 's1', f'--order={order}', '--workers=1')
    assert [row['Image'] for row in done.rows] == {
        'smallest': [ids[1], ids[2], ids[0]],
        'newest': ids[::-1], 'oldest': ids,
    }[order]


def test_an_unknown_store_is_one_sentence_and_nothing_is_done(cloud):
    client = Client(cloud)
    image_id = client.create_image(helpers.data())
    done = run(cloud, 'fill', 's1', 'nowhere')
    assert done.status == 1
    assert 'has no store nowhere' in done.err
    assert client.stores(image_id) == ['src']


def test_a_store_that_cannot_be_written_fails_with_its_reason(cloud):
    client = Client(cloud)
    image_id = client.create_image(helpers.data())
    with helpers.replaced_by_file(cloud.places['s2']):
        done = run(cloud, 'fill', 's1', 's2')
    assert done.status == 1
    (row,) = done.rows
    assert row['Result'] == 'failed'
    assert 'not copied to s2' in row['Detail']
    assert 's2' in row['Detail'].partition(': ')[2]
    assert 's1' in client.stores(image_id)
    done = run(cloud, 'fill', 's1', 's2')
    assert done.by_image() == {image_id: 'copied'}


def test_a_user_who_may_not_copy_is_told_so(cloud):
    mine = Client(cloud, 'alice:demo:member,reader').create_image(
        helpers.data()
    )
    done = replicating.run(
        'fill', 's1', '--server', cloud.url,
        '--token=alice:demo:member,reader',
    )
    assert done.status == 1
    assert done.by_image() == {mine: 'failed'}
    assert 'answers 403' in done.rows[0]['Detail']


def test_no_more_copies_are_asked_for_than_allowed(slow_cloud):
    client = Client(slow_cloud)
    ids = replicating.small(client, 3, size=MIB)
    running = start(slow_cloud, 'fill', 's1', '--workers=1')
    most = 0

    def ended():
        nonlocal most
        held = [i for i in ids if client.copy_task(i)]
        most = max(most, len(held))
        return running.poll() is not None

    helpers.wait_until(ended, 'the end')
    assert replicating.finish(running).status == 0
    assert most == 1


def test_stopped_copies_go_on_and_running_again_follows_them(slow_cloud):
    client = Client(slow_cloud)
    ids = replicating.small(client, 3, size=2 * MIB)
    running = start(slow_cloud, 'fill', 's1', '--workers=2')
    helpers.wait_until(
        lambda: any(client.copy_task(i) for i in ids), 'a copy'
    )
    running.send_signal(signal.SIGINT)
    done = replicating.finish(running, timeout=20)
    assert done.status == 130
    assert 'run the same command again' in done.err
    done = run(slow_cloud, 'fill', 's1')
    assert done.status == 0, done
    for image_id in ids:
        helpers.assert_copied(slow_cloud, client, image_id, ['s1'])
        assert len(client.tasks(image_id)) == 1


def test_it_is_killed_and_run_again_until_all_is_there(slow_cloud):
    client = Client(slow_cloud)
    ids = replicating.small(client, 5, size=MIB)
    for wanted in (1, 3):
        running = start(slow_cloud, 'fill', 's1')
        helpers.wait_until(
            lambda count=wanted: sum(
                's1' in client.stores(i) for i in ids
            ) >= count, f'{wanted} copies',
        )
        running.kill()
        running.communicate()
    assert run(slow_cloud, 'fill', 's1').status == 0
    for image_id in ids:
        helpers.assert_copied(slow_cloud, client, image_id, ['s1'])


def test_an_image_that_is_deleted_meanwhile_is_no_failure(slow_cloud):
    client = Client(slow_cloud)
    image_id = client.create_image(helpers.data(8 * MIB))
    running = start(slow_cloud, 'fill', 's1')
    helpers.wait_until(lambda: client.copy_task(image_id), 'the copy')
    client.delete(image_id)
    done = replicating.finish(running)
    assert done.by_image() == {image_id: 'vanished'}
    assert done.status == 0


def test_watch_follows_a_copy_to_its_end(cloud, source):
    client = Client(cloud)
    image_id, offer = helpers.held_image(cloud, client, source)
    task_id = helpers.start(client, image_id, ['s1'])
    running = start(cloud, 'watch', image_id)
    assert any('bytes/s' in line for line in running.stderr)
    assert client.copy_task(image_id) == task_id
    offer.release()
    done = replicating.finish(running)
    assert done.status == 0, done
    (row,) = done.rows
    assert (row['Task'], row['Status']) == (task_id, 'success')
    assert 's1' in row['Stores']
    assert client.copy_task(image_id) is None


def test_watch_of_a_copy_that_failed_has_the_status_1(cloud):
    client = Client(cloud)
    image_id = client.create_image(helpers.data())
    with helpers.replaced_by_file(cloud.places['s2']):
        helpers.copy(client, image_id, ['s2'])
    done = run(cloud, 'watch', image_id)
    assert done.status == 1
    assert done.rows[0]['Status'] == 'failure'
    assert 's2' in done.rows[0]['Message']


def test_watch_of_an_image_without_a_copy_is_one_sentence(cloud):
    image_id = Client(cloud).create_image(helpers.data())
    done = run(cloud, 'watch', image_id)
    assert done.status == 1
    assert f'No copy of the image {image_id}' in done.err


def test_a_stock_glance_is_filled_too(stock):
    with replicating.emptied(stock):
        client = Client(stock)
        ids = replicating.small(client, 2)
        done = run(stock, 'fill', 's1', 's2', '--workers=1')
        assert done.status == 0, done
        for image_id in ids:
            assert sorted(client.stores(image_id)) == ['s1', 's2', 'src']


def test_a_copy_that_somebody_else_has_asked_for_is_waited_for(
    cloud, source
):
    client = Client(cloud)
    image_id, offer = helpers.held_image(cloud, client, source)
    helpers.start(client, image_id, ['s1'])
    running = start(cloud, '-vv', 'fill', 's1', 's2')
    assert any('RESP: [409]' in line for line in running.stderr)
    offer.release()
    done = replicating.finish(running)
    assert done.status == 0, done
    assert {'s1', 's2'} <= set(client.stores(image_id))
    # The first store was asked for once only.
    assert len(client.tasks(image_id)) == 2
