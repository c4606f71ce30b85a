# SPDX-License-Identifier: Apache-2.0

"""What a real iRODS 5.0.2 was seen to refuse, the double refuses too.

A driver that asks for something impossible must not pass its tests. Whatever
a test of the driver expects to be refused is shown there.
"""

from concurrent import futures

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import models

from tests.irods_server import clients

HOME = '/tempZone/home/rods'
HERS = '/tempZone/home/ann'
THERE, NONE, TAKEN = f'{HOME}/there', f'{HOME}/none', f'{HOME}/taken'


def write(session, path, content=b'data', **options):
    with session.data_objects.open(path, 'w', **options) as file:
        file.raw.write(content)


def refused(session, method, *args, **options):
    return clients.code_of(
        getattr(session.data_objects, method), *args, **options
    )


@pytest.fixture
def ann(server, connect):
    """Another user, who may look into the administrator's home."""
    server.add_user('ann', 'secret')
    server.permit(HOME, 'ann', 'read')
    return connect(server, user='ann', password='secret')


@pytest.fixture(autouse=True)
def filled(server):
    """Nothing that is refused may do anything."""
    server.put(THERE, b'data')
    server.put(TAKEN, b'taken')
    yield
    assert server.content(TAKEN) == b'taken'
    assert clients.statuses(server, TAKEN) == [1]


# What is not there, or in the way.

@pytest.mark.parametrize(('code', 'method', 'args', 'options'), [
    (-358000, 'open', (NONE, 'r'), {}),
    (-358000, 'open', (NONE, 'r+'), {}),
    (-814000, 'open', (f'{HOME}/no/such', 'w'), {}),
    (-78000, 'open', (NONE, 'w'), {'destRescName': 'none'}),
    (-833000, 'open', (HOME, 'w'), {}),
    (-164000, 'open', (THERE, 'r'), {'replNum': '7'}),
    (-78000, 'open', (THERE, 'r'), {'rescName': 'none'}),
    (-31000, 'open', ('tempZone/home/rods/there', 'r'), {}),
    (-808000, 'unlink', (NONE,), {'force': True}),
    (-808000, 'chksum', (NONE,), {}),
    (-808000, 'replicate', (NONE,), {'resource': 'demoResc'}),
    (-808000, 'move', (NONE, f'{HOME}/x'), {}),
    (-834000, 'move', (THERE, TAKEN), {}),
    (-814000, 'move', (THERE, f'{HOME}/no/such'), {}),
    (-109000, 'move', (THERE, '/otherZone/home/rods#tempZone/x'), {}),
    (-317000, 'copy', (NONE, f'{HOME}/x'), {}),
    (-312000, 'copy', (THERE, TAKEN), {}),
    (-312000, 'copy', (THERE, THERE), {'forceFlag': ''}),
    (-78000, 'copy', (THERE, NONE), {'destRescName': 'none'}),
    (-78000, 'replicate', (THERE,), {'resource': 'none'}),
    (-169000, 'replicate', (THERE,), {'resource': 'demoResc'}),
])
def test_what_cannot_be_done_is_refused(
    server, session, code, method, args, options
):
    server.add_zone('otherZone')
    before = server.objects()
    assert refused(session, method, *args, **options) == code
    assert server.objects() == before
    assert clients.statuses(server, THERE) == [1]


def test_an_exclusive_create_leaves_an_object_as_it_is(server, session):
    before = server.replica(TAKEN)
    assert clients.code_of(
        clients.open_object, session, TAKEN, clients.EXCLUSIVE
    ) == -510017
    assert server.replica(TAKEN) == before


@pytest.mark.parametrize(('code', 'flags', 'use'), [
    (-513009, 0, lambda connection: connection.write_file(3, b'x')),
    (-345000, 0, lambda connection: connection.read_file(7, 10)),
    (-345000, 0, lambda connection: connection.close_file(7)),
])
def test_an_open_object_is_used_only_as_it_was_opened(
    session, code, flags, use
):
    assert clients.open_object(session, THERE, flags) == 3
    with session.pool.get_connection() as connection:
        assert clients.code_of(use, connection) == code
        connection.close_file(3)


def test_a_checksum_that_is_wrong_at_the_close_leaves_a_stale_object(
    server, session
):
    number = clients.open_object(
        session, NONE, clients.EXCLUSIVE,
        verifyChksum=session.data_objects.chksum(THERE),
    )
    connection = session.pool.get_connection()
    connection.write_file(number, b'other')
    assert clients.code_of(connection.close_file, number) == -314000
    wrong = server.replica(NONE)
    assert (wrong.status, wrong.size) == (0, 0)


# What a user may not do.

@pytest.mark.parametrize(('code', 'method', 'args'), [
    (-358000, 'open', (THERE, 'r')),
    (-808000, 'unlink', (THERE,)),
    (-808000, 'chksum', (THERE,)),
    (-808000, 'move', (THERE, f'{HERS}/x')),
    (-317000, 'copy', (THERE, f'{HERS}/x')),
])
def test_what_may_not_be_read_is_as_if_it_were_missing(
    ann, code, method, args
):
    assert not ann.data_objects.exists(THERE)
    assert refused(ann, method, *args) == code
    assert refused(ann, method, NONE, *args[1:]) == code


@pytest.mark.parametrize(('code', 'method', 'args', 'options'), [
    (-818000, 'open', (THERE, 'r+'), {}),
    (-818000, 'open', (f'{HOME}/new', 'w'), {}),
    (-818000, 'unlink', (THERE,), {'force': True}),
    (-818000, 'move', (THERE, f'{HERS}/x'), {}),
    (-818000, 'copy', (THERE, f'{HOME}/new'), {}),
    (-814000, 'copy', (THERE, f'{HOME}/none/new'), {}),
    (-818000, 'copy', (THERE, TAKEN), {'forceFlag': ''}),
    (-121000, 'replicate', (THERE,), {}),
])
def test_what_may_only_be_read_is_not_changed(
    server, ann, code, method, args, options
):
    for each in (THERE, TAKEN):
        server.permit(each, 'ann', 'read')
    before = server.objects()
    assert refused(ann, method, *args, **options) == code
    assert server.objects() == before
    assert server.content(THERE) == b'data'


def test_an_administrator_sees_everything_and_may_not_read_it(
    server, session, ann
):
    write(ann, f'{HERS}/object')
    assert session.data_objects.exists(f'{HERS}/object')
    assert refused(session, 'open', f'{HERS}/object', 'r') == -818000


def test_an_object_in_a_collection_that_may_not_be_read_is_not_seen(
    server, ann
):
    server.permit(THERE, 'ann', 'read')
    assert ann.data_objects.exists(THERE)
    server.permit(HOME, 'ann', 'none')
    assert not ann.data_objects.exists(THERE)
    assert refused(ann, 'open', THERE, 'r') == -358000
    assert clients.code_of(ann.collections.remove, HOME) == -808000


def test_only_an_administrator_sets_the_status_of_a_replica(
    server, session, ann
):
    place = {'objPath': THERE, 'replNum': 0}
    session.data_objects.modDataObjMeta(place, {'replStatus': 0})
    assert clients.statuses(server, THERE) == [0]
    assert refused(
        ann, 'modDataObjMeta', place, {'replStatus': 1}
    ) == -13000
    assert clients.statuses(server, THERE) == [0]


def test_permissions_hold_across_zones(server, session):
    theirs = '/otherZone/home/rods'
    other = server.add_zone('otherZone')
    other.put(f'{theirs}/object', b'data')
    assert refused(session, 'open', f'{theirs}/mine', 'w') == -818000
    assert not session.data_objects.exists(f'{theirs}/object')
    for path in (theirs, f'{theirs}/object'):
        other.permit(path, 'rods', 'read', zone='tempZone')
    assert clients.read(session, f'{theirs}/object') == b'data'
    assert refused(session, 'open', '/noZone/home/x', 'r') == -358000


# What somebody else is writing.

@pytest.mark.parametrize(('code', 'method', 'args'), [
    (-1803000, 'open', (THERE, 'r')),
    (-1803000, 'open', (THERE, 'w')),
    (-1803000, 'copy', (THERE, NONE)),
    (-1803000, 'chksum', (THERE,)),
    (-1803000, 'unlink', (THERE, False)),
    (-406000, 'unlink', (THERE, True)),
])
def test_an_object_that_is_being_written_is_locked(
    server, session, connect, code, method, args
):
    with session.data_objects.open(THERE, 'r+') as file:
        assert clients.statuses(server, THERE) == [2]
        assert refused(connect(server), method, *args) == code
        file.raw.write(b'D')
    assert clients.read(session, THERE) == b'Data'


@pytest.mark.parametrize('taken_away', [
    lambda other: other.data_objects.move(f'{HOME}/in/new', f'{HOME}/moved'),
    lambda other: other.collections.remove(f'{HOME}/in', force=True),
])
def test_what_is_taken_away_while_it_is_written_fails_its_writer(
    server, session, connect, taken_away
):
    session.collections.create(f'{HOME}/in')
    number = clients.open_object(
        session, f'{HOME}/in/new', clients.EXCLUSIVE
    )
    connection = session.pool.get_connection()
    connection.write_file(number, b'data')
    taken_away(connect(server))
    assert clients.code_of(connection.close_file, number) == -516002
    if f'{HOME}/moved' in server.objects():
        assert clients.statuses(server, f'{HOME}/moved') == [0]


def test_a_replica_beside_a_locked_one_can_be_written(
    server, other, session
):
    session.data_objects.replicate(THERE, resource='other')
    server.set_replica(THERE, 1, status=2)
    write(session, THERE, b'new', replNum='0')
    assert server.content(THERE) == b'new'


def test_who_loses_a_race_for_a_name_may_hear_that_it_is_registered(
    server, session, connect
):
    hang = server.faults.hang_on('register', path=NONE)
    with futures.ThreadPoolExecutor(1) as beside:
        slow = beside.submit(
            clients.code_of, clients.create, session, NONE, b'slow'
        )
        hang.wait_until_reached()
        clients.create(connect(server), NONE, b'quick')
        hang.release()
        assert slow.result() == -809000
    assert server.content(NONE) == b'quick'


# What a query tells.

def test_a_query_tells_only_what_fulfils_its_conditions_and_may_be_read(
    server, session, ann
):
    server.permit(TAKEN, 'ann', 'read')

    def names(asking, *conditions):
        query = asking.query(models.DataObject.name, models.DataObject.size)
        query = query.filter(models.Collection.name == HOME, *conditions)
        return [row[models.DataObject.name] for row in query]

    assert names(session) == ['taken', 'there']
    assert names(session, models.DataObject.name == 'taken') == ['taken']
    assert names(session, models.DataObject.size < 5) == ['there']
    assert names(ann) == ['taken']
