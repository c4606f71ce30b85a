# SPDX-License-Identifier: Apache-2.0

"""A zone that is restarted, changed, or loses its processes meanwhile."""

import threading
import time

from glance_store import exceptions
import pytest

from glance_store_irods import copying
from glance_store_irods import location
from glance_store_irods import sessions
from glance_store_irods import writing
from tests.parts import data
from tests.parts import irods
from tests.parts import threads
from tests.parts.irods import CHUNK
from tests.parts.irods import IMAGE


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(copying, 'LOOK', 0.02)
    monkeypatch.setattr(sessions, 'PAUSE', 0.02)
    monkeypatch.setattr(writing, 'REMOVAL_SECONDS', 0.2)


@pytest.fixture
def target(zone):
    """A second store of the zone."""
    return zone.store('s2', path=zone.add_collection('second'))


def copy(target, zone, beat=lambda: None, **more):
    return target.copy_here(
        zone.image_path, 'copied', len(IMAGE), beat=beat,
        check=lambda found, path: None, **more,
    )


def copied(zone):
    """Return {name: statuses of the replicas} of the second collection."""
    folder = f'/{zone.server.zone}/home/{irods.USER}/second'
    return {
        path.removeprefix(f'{folder}/'): [
            replica.status for replica in zone.server.replicas(path)
        ] for path in zone.server.objects(folder)
    }


class Down:
    """Takes a server down, and up again once somebody has missed it."""

    def __init__(self, server):
        self._server = server
        self._missed = threading.Event()

    def wait(self, seconds):
        self._missed.set()
        time.sleep(seconds)

    def up_when_missed(self):
        assert self._missed.wait(threads.PATIENCE)
        self._server.start()


# Resources.

def test_a_resource_that_was_down_when_connections_were_made_is_found_up(
    zone, image
):
    zone.server.resource().up = False
    store = zone.store()
    with pytest.raises(exceptions.RemoteServiceUnavailable, match='is down'):
        irods.read(store, image)
    zone.server.resource().up = True
    assert irods.read(store, image) == IMAGE


def test_an_old_connection_learns_of_a_resource_that_came_up(
    zone, store, image
):
    with store.sessions.lease() as lease:
        zone.server.resource().up = False
        lease.link()
    zone.server.resource().up = True
    irods.add(store, IMAGE, 'another')
    assert irods.read(store, image) == IMAGE


def test_a_resource_that_was_made_later_is_written_to(zone, store):
    store = zone.store('s2', primary_res='later')
    store.list()
    zone.server.add_resource('later')
    url, *_rest = irods.add(store, IMAGE, 'another')
    [replica] = zone.server.replicas(location.path_of(url))
    assert replica.resource == 'later'


def test_another_replica_is_read_if_the_resource_of_one_is_down(zone):
    zone.server.add_resource('second')
    store = zone.store(replica_res='second')
    url, *_rest = irods.add(store, IMAGE)
    zone.server.set_replica(zone.image_path, 0, status=0)
    zone.server.resource().up = False
    store.sessions.close()
    assert irods.read(store, url) == IMAGE


def test_an_image_that_went_to_another_resource_is_refused_and_removed(zone):
    zone.server.add_resource('fast').up = False
    store = zone.store(primary_res='fast')
    error = zone.fails(store, exceptions.RemoteServiceUnavailable, IMAGE)
    assert 'demoResc and not to fast (irods_store_primary_res)' in str(error)


def test_only_a_file_that_stayed_is_called_unreachable(zone, caplog):
    zone.server.add_resource('second')
    store = zone.store(replica_res='second')
    url, *_rest = irods.add(store, IMAGE)
    stayed, gone = zone.server.replicas(zone.image_path)
    zone.server.resource().up = False
    store.sessions.close()
    irods.delete(store, url)
    assert zone.objects() == []
    assert stayed.path in caplog.text
    assert gone.path not in caplog.text


# Connections that are old, or that nobody uses.

def test_a_connection_that_nobody_uses_is_closed(zone):
    store = zone.store(connection_idle=0.1)
    store.list()
    zone.wait_connected(0)


def test_a_connection_that_is_old_is_not_used_again(zone):
    store = zone.store()
    with store.sessions.lease() as lease:
        lease.link().made -= store.settings.connection_max_age
    zone.server.counters.reset()
    store.list()
    assert len(zone.server.calls_of('auth')) == 2
    zone.wait_connected(1)


# Restarts of the server.

@pytest.mark.parametrize('kill', [False, True])
def test_a_download_goes_on_after_a_restart(zone, store, image, kill):
    chunks, _size = store.get(irods.location_of(store, image))
    read = [next(chunks)]
    zone.server.stop(kill=kill)
    rest = threads.Running(lambda: list(chunks))
    zone.server.start()
    assert b''.join(read + rest.result()) == IMAGE


def test_a_copy_that_the_zone_finished_in_a_restart_is_used(
    zone, target, image
):
    """The client's connection is gone; the agent ends its work and goes."""
    down = Down(zone.server)
    hang = zone.server.faults.hang_on('copy', after=True)
    running = threads.Running(copy, target, zone, wait=down.wait)
    hang.wait_until_reached()
    zone.server.stop()
    down.up_when_missed()
    url = running.result()
    assert irods.read(target, url) == IMAGE
    assert len(zone.server.calls_of('copy')) == 1
    assert copied(zone) == {'copied': [1]}


def test_whoever_waits_for_a_zone_may_give_up(zone, target, image):
    class GivenUp(Exception):
        pass

    def give_up(seconds):
        zone.server.start()
        raise GivenUp

    hang = zone.server.faults.hang_on('copy', after=True)
    running = threads.Running(copy, target, zone, wait=give_up)
    hang.wait_until_reached()
    zone.server.stop()
    with pytest.raises(GivenUp):
        running.result()
    assert copied(zone) == {}


# Agents that die.

def test_a_copy_whose_agent_dies_is_made_again_under_another_name(
    zone, target, image, caplog
):
    zone.server.faults.agent_dies_on('copy', after_bytes=CHUNK)
    url = copy(target, zone)
    assert irods.read(target, url) == IMAGE
    left = copied(zone)
    assert left.pop('copied') == [1]
    [(partial, statuses)] = left.items()
    assert partial.startswith('copied.')
    assert statuses == [2]
    assert 'died' in caplog.text
    assert partial in caplog.text


def test_a_zone_whose_agents_always_die_is_said_so(zone, target, image):
    zone.server.faults.agent_dies_on('copy', after_bytes=CHUNK, times=99)
    with pytest.raises(exceptions.RemoteServiceUnavailable, match='died'):
        copy(target, zone)
    assert len(copied(zone)) == copying.ATTEMPTS


def test_a_copy_goes_on_whose_answer_alone_was_lost(zone, target, image):
    """The agent lives, and is waited for."""
    hang = zone.server.faults.hang_on('copy', after_bytes=CHUNK)
    seen = threading.Semaphore(0)
    running = threads.Running(copy, target, zone, beat=seen.release)
    hang.wait_until_reached()
    [agent] = [
        each for each in zone.server.agents() if each.api == 'copy'
    ]
    agent.stream.interrupt()
    for _ in range(10):
        assert seen.acquire(timeout=threads.PATIENCE)
    hang.release()
    assert irods.read(target, running.result()) == IMAGE
    assert len(zone.server.calls_of('copy')) == 1


def test_a_server_that_does_not_list_its_agents_is_believed_to_copy(
    zone, image
):
    target = zone.store(
        's2', path=zone.add_collection('second'), long_timeout=1
    )
    zone.server.faults.fail_on('processes', -13000, times=99)
    zone.server.faults.agent_dies_on('copy', after_bytes=CHUNK)
    with pytest.raises(exceptions.RemoteServiceUnavailable, match='lost'):
        copy(target, zone)
    assert len(zone.server.calls_of('copy')) == 1


# Many at once.

def test_of_many_that_race_for_a_name_one_wins(zone):
    store = zone.store(pool_size=30)
    images = [data.some(CHUNK + number) for number in range(30)]
    racing = [threads.Running(irods.add, store, each) for each in images]
    won = []
    for number, each in enumerate(racing):
        try:
            each.result()
            won.append(number)
        except exceptions.Duplicate:
            continue
    assert len(won) == 1
    assert zone.objects() == ['image']
    assert zone.server.content(zone.image_path) == images[won[0]]


@pytest.mark.parametrize('code', [-809000, -510017])
def test_who_loses_a_race_is_told_that_the_image_is_there(zone, store, code):
    zone.server.faults.fail_on('rename', code)
    zone.fails(store, exceptions.Duplicate, IMAGE)


# What is not finished.

def test_an_object_whose_client_is_gone_is_known_to_be_stale(zone, store):
    for name, status in (('a', 0), ('b', 1), ('c', 2)):
        zone.put(f'{name}.part', IMAGE)
        zone.server.set_replica(
            f'{zone.collection}/{name}.part', status=status
        )
    zone.put('whole', IMAGE)
    found = {
        each.path.rpartition('/')[2]: each for each in store.unfinished()
    }
    assert {name: each.is_stale for name, each in found.items()} == {
        'a.part': True, 'b.part': False, 'c.part': False,
    }
    assert [name for name, each in found.items() if each.advice] == ['c.part']
    assert (
        f'iadmin modrepl logical_path {zone.collection}/c.part '
        f'replica_number 0 DATA_REPL_STATUS 0'
    ) in found['c.part'].advice


def test_what_has_been_locked_for_very_long_is_stale(zone):
    store = zone.store(long_timeout=100)
    for name, status in (('b', 1), ('c', 2)):
        zone.put(f'{name}.part', IMAGE)
        zone.server.set_replica(
            f'{zone.collection}/{name}.part', status=status,
            modified=f'{int(time.time()) - 301:011d}',
        )
    # What may be a whole image is never given up because of its age.
    assert {
        each.path.rpartition('/')[2]: each.is_stale
        for each in store.unfinished()
    } == {'b.part': False, 'c.part': True}
    assert all(each.is_old for each in store.unfinished())


def test_the_size_of_what_is_not_finished_is_that_of_the_file(zone, store):
    zone.put('a.part', IMAGE)
    path = f'{zone.collection}/a.part'
    zone.server.set_replica(path, status=0, size=0)
    assert store.size_on_disk(path) == len(IMAGE)
    zone.server.set_replica(path, status=2)
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        store.size_on_disk(path)


# Checking a store.

def test_a_store_that_can_be_written_passes_its_check(zone):
    zone.server.add_resource('second')
    store = zone.store(replica_res='second')
    store.check()
    assert zone.objects() == []


@pytest.mark.parametrize(('options', 'says'), [
    ({'primary_res': 'none'}, 'has no resource none'),
    ({'path': '/tempZone/home/glance/none'}, 'sees no collection'),
    ({'password': 'wrong'}, 'did not accept user glance of zone tempZone'),
    ({'user': 'nobody'}, 'did not accept user nobody'),
    ({'zone': 'noZone'}, 'did not accept user glance of zone noZone'),
])
def test_a_check_says_what_is_wrong(zone, options, says):
    with pytest.raises(exceptions.BadStoreConfiguration, match=says):
        zone.store(**options).check()


def test_a_check_finds_a_collection_that_may_only_be_read(zone):
    zone.server.permit(zone.collection, irods.USER, 'read')
    with pytest.raises(exceptions.StorageWriteDenied):
        zone.store().check()


def test_a_check_finds_a_zone_that_is_away(zone):
    zone.server.stop()
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        zone.store().check()
