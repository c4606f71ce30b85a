# SPDX-License-Identifier: Apache-2.0

import datetime

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import column
from irods import exception
from irods import models

from tests.irods_server import clients

OBJECT, COLLECTION = models.DataObject, models.Collection


@pytest.fixture
def filled(server):
    """Put five objects into a collection, and return its path."""
    for number, name in enumerate(('a', 'b', 'c_1', 'c%2', "d'3")):
        server.put(f'{server.home}/q/{name}', b'x' * number * 50)
    return f'{server.home}/q'


@pytest.fixture
def ask(session, filled):
    """Return the names of the objects that fulfil some conditions."""
    def names(*conditions):
        query = session.query(OBJECT.name, OBJECT.size)
        query = query.filter(COLLECTION.name == filled, *conditions)
        return [row[OBJECT.name] for row in query]
    return names


@pytest.mark.parametrize(('condition', 'names'), [
    (OBJECT.name == 'a', ['a']),
    (OBJECT.name == "d'3", ["d'3"]),
    (OBJECT.name != 'a', ['b', 'c%2', 'c_1', "d'3"]),
    (OBJECT.name < 'c', ['a', 'b']),
    (OBJECT.size > 90, ['c%2', 'c_1', "d'3"]),
    (OBJECT.size >= 150, ['c%2', "d'3"]),
    (OBJECT.size <= 50, ['a', 'b']),
    (column.Like(OBJECT.name, 'c%'), ['c%2', 'c_1']),
    (column.Like(OBJECT.name, 'c\\%%'), ['c%2']),
    (column.Like(OBJECT.name, '_'), ['a', 'b']),
    (column.NotLike(OBJECT.name, 'c%'), ['a', 'b', "d'3"]),
    (column.In(OBJECT.name, ['a', 'b', 'z']), ['a', 'b']),
    (column.Between(OBJECT.size, (50, 100)), ['b', 'c_1']),
    (OBJECT.name == 'none', []),
])
def test_conditions_pick_the_rows(ask, condition, names):
    assert sorted(ask(condition)) == names


def test_all_conditions_must_hold(ask):
    assert ask(OBJECT.size > 10, column.Like(OBJECT.name, 'c%')) == [
        'c%2', 'c_1'
    ]


@pytest.mark.parametrize(('sensitive', 'names'), [
    (True, []), (False, ['MiXeD']),
])
def test_case_may_be_left_aside(session, server, sensitive, names):
    server.put(f'{server.home}/MiXeD', b'')
    query = session.query(OBJECT.name, case_sensitive=sensitive)
    rows = query.filter(OBJECT.name == 'mixed')
    assert [row[OBJECT.name] for row in rows] == names


@pytest.mark.parametrize(('order', 'sizes'), [
    ('asc', [0, 50, 100, 150, 200]), ('desc', [200, 150, 100, 50, 0]),
])
def test_rows_are_sorted_as_numbers(session, filled, order, sizes):
    query = session.query(OBJECT.name, OBJECT.size).filter(
        COLLECTION.name == filled
    ).order_by(OBJECT.size, order=order)
    assert [row[OBJECT.size] for row in query] == sizes


@pytest.mark.parametrize(('count', 'calls'), [
    (499, 1), (500, 2), (501, 2), (1001, 3),
])
def test_many_rows_come_in_pages(server, session, count, calls):
    with server.catalog.lock:
        for number in range(count):
            server.put(f'{server.home}/many/{number:04}', 0)
    server.counters.reset()
    query = session.query(OBJECT.name).filter(
        COLLECTION.name == f'{server.home}/many'
    )
    names = [row[OBJECT.name] for row in query]
    assert names == [f'{number:04}' for number in range(count)]
    assert len(server.calls_of('query')) == calls


def test_a_query_that_is_not_read_to_its_end_is_closed(
    server, session, filled
):
    query = session.query(OBJECT.name).filter(COLLECTION.name == filled)
    server.counters.reset()
    assert query.first()[OBJECT.name] == 'a'
    assert [call.code for call in server.calls_of('query')] == [0, 0]
    agent, = server._agents
    assert agent.queries == {}


def test_rows_before_an_offset_are_left_out(session, filled):
    query = session.query(OBJECT.name).filter(COLLECTION.name == filled)
    found = query.offset(3).limit(1).execute()
    assert [row[OBJECT.name] for row in found] == ['c_1']


@pytest.mark.parametrize(('function', 'value'), [
    ('count', 5), ('min', 0), ('max', 200), ('sum', 500), ('avg', 100.0),
])
def test_rows_are_counted_and_summed_up(session, filled, function, value):
    query = session.query().filter(COLLECTION.name == filled)
    row = getattr(query, function)(OBJECT.size).one()
    assert float(row[OBJECT.size]) == value


def test_an_object_is_joined_with_collection_and_resource(
    server, session, filled
):
    row = session.query(
        OBJECT, COLLECTION, models.Resource.name, models.Resource.status,
    ).filter(COLLECTION.name == filled, OBJECT.name == 'b').one()
    assert row[OBJECT.size] == 50
    assert row[OBJECT.replica_status] == '1'
    assert row[OBJECT.path] == server.replica(f'{filled}/b').path
    assert row[COLLECTION.id] == row[OBJECT.collection_id]
    assert row[models.Resource.name] == 'demoResc'
    assert row[OBJECT.resc_id] == str(
        session.resources.get('demoResc').id
    )
    assert row[OBJECT.owner_name] == 'rods'
    now = datetime.datetime.now(datetime.UTC)
    assert abs((now - row[OBJECT.create_time]).total_seconds()) < 3600


def test_resources_can_be_asked_for(server, session):
    server.add_resource('other')
    server.resource('other').up = False
    other = session.resources.get('other')
    assert (other.status, other.type) == ('down', 'unixfilesystem')
    assert session.resources.get('demoResc').status in (None, '')
    with pytest.raises(exception.ResourceDoesNotExist):
        session.resources.get('none')


def test_users_and_zones_can_be_asked_for(server, session):
    server.add_user('ann', 'secret')
    server.add_zone('otherZone')
    assert session.users.get('ann').type == 'rodsuser'
    assert session.users.get('rods').type == 'rodsadmin'
    assert {
        (row[models.Zone.name], row[models.Zone.type])
        for row in session.query(models.Zone.name, models.Zone.type)
    } == {('tempZone', 'local'), ('otherZone', 'remote')}


def test_avus_find_objects(server, session, filled):
    session.data_objects.get(f'{filled}/b').metadata.add('key', 'value')
    query = session.query(OBJECT.name).filter(
        models.DataObjectMeta.name == 'key',
        models.DataObjectMeta.value == 'value',
    )
    assert [row[OBJECT.name] for row in query] == ['b']


def test_a_user_sees_only_what_it_may_read(server, connect, filled):
    server.add_user('ann', 'secret')
    hers = connect(server, user='ann', password='secret')
    query = hers.query(OBJECT.name).filter(COLLECTION.name == filled)
    assert list(query) == []
    assert not hers.collections.exists(filled)
    server.permit(f'{filled}/b', 'ann', 'read')
    assert [row[OBJECT.name] for row in query] == ['b']


def test_an_administrator_sees_everything(server, session, connect):
    server.add_user('ann', 'secret')
    hers = connect(server, user='ann', password='secret')
    clients.create(hers, '/tempZone/home/ann/object')
    assert session.data_objects.exists('/tempZone/home/ann/object')
    assert clients.code_of(
        session.data_objects.open, '/tempZone/home/ann/object', 'r'
    ) == -358000


def test_a_column_that_the_server_does_not_have_is_refused(session):
    query = session.query(models.TicketQuery.Ticket.id)
    assert clients.code_of(query.execute) == -816000
