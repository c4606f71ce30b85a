# SPDX-License-Identifier: Apache-2.0

"""What an agent of a real iRODS 5.0.2 knows, and what it does not see."""

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import exception
from irods import message

from tests import irods_server
from tests.irods_server import clients


def refused(session, method, *args, **options):
    return clients.code_of(
        getattr(session.data_objects, method), *args, **options
    )


def code_of_open(session, path):
    """Open to read, and keep the connection when that is refused."""
    return clients.code_of(clients.open_object, session, path, 0)


def test_an_agent_sees_the_resources_as_they_were_when_it_began(
    server, session, connect, path
):
    server.put(path, b'data')
    resource = server.resource()
    resource.up = False
    late = connect(server)
    assert code_of_open(late, path) == -1803000
    resource.up = True
    assert code_of_open(late, path) == -1803000
    assert clients.read(connect(server), path) == b'data'


def test_an_agent_does_not_know_a_resource_that_was_made_later(
    server, session, connect, path
):
    assert session.data_objects.exists(path) is False
    server.add_resource('other')
    assert refused(session, 'open', path, 'w', destRescName='other') == -78000
    clients.create(connect(server), path, b'data', destRescName='other')
    assert server.replica(path).resource == 'other'


def test_what_cannot_go_where_it_should_goes_to_the_default_resource(
    server, other, connect, path
):
    other.up = False
    clients.create(connect(server), path, b'data', destRescName='other')
    assert server.replica(path).resource == 'demoResc'
    server.resource().up = False
    assert refused(connect(server), 'open', f'{path}-2', 'w') == -130000
    assert refused(connect(server), 'open', path, 'w') == -130000


def test_a_replica_that_is_asked_for_by_number_is_out_of_reach(
    server, other, session, connect, path
):
    server.put(path, b'data')
    session.data_objects.replicate(path, resource='other')
    server.resource().up = False
    late = connect(server)
    assert refused(late, 'open', path, 'r', replNum='0') == -168000
    assert clients.read(late, path) == b'data'


def test_a_replica_that_fits_only_partly_is_refused_and_stale(
    server, connect, path
):
    server.add_resource('small', capacity=2)
    server.put(path, b'data')
    code = refused(connect(server), 'replicate', path, resource='small')
    assert code == -27000
    assert clients.statuses(server, path) == [1, 0]


def test_a_user_sees_all_agents_with_the_names_of_their_programs(
    server, connect
):
    server.add_user('ann', 'secret')
    clients_of_it = [
        connect(server, application_name='one'),
        connect(
            server, user='ann', password='secret', application_name='two',
            client_server_negotiation='request_server_negotiation',
        ),
    ]
    for each in clients_of_it:
        each.data_objects.exists('/tempZone/home/rods/image')
    with clients_of_it[1].pool.get_connection() as connection:
        answer = clients.ask(
            connection, 'PROC_STAT_AN', ProcStatRequest()
        ).get_main_message(message.GenQueryResponse)
    columns = {
        each.attriInx: list(each.value)
        for each in answer.SqlResult_PI[:9]
    }
    assert columns[1000003] == ['rods', 'ann']
    assert columns[1000008] == ['one', 'two']
    assert len(set(columns[1000001])) == 2


class ProcStatRequest(message.Message):
    _name = 'ProcStatInp_PI'
    addr = message.StringProperty()
    rodsZone = message.StringProperty()
    KeyValPair_PI = message.SubmessageProperty(message.StringStringMap)

    def __init__(self):
        super().__init__()
        self.addr = self.rodsZone = ''
        self.KeyValPair_PI = message.StringStringMap()


def test_a_checksum_that_is_too_long_is_cut_and_ends_in_garbage(
    serve, connect, path
):
    server = serve(zone='longZone', hash_scheme='sha512')
    path = f'{server.home}/image'
    server.put(path, b'data')
    session = connect(server)
    told = session.data_objects.chksum(path)
    again = session.data_objects.chksum(path, forceChksum='')
    assert told.startswith('sha512:')
    assert told[:64] == again[:64]
    assert told != again


def test_an_offset_behind_the_end_is_the_end(server, session, path):
    server.put(path, b'data')
    number = clients.open_object(session, path, 0)
    with session.pool.get_connection() as connection:
        assert connection.seek_file(number, 9, 0) == 4
        connection.close_file(number)


def test_a_server_that_requires_tls_resets_who_does_not_ask_for_it(
    tmp_path, connect
):
    with irods_server.IrodsServer(tmp_path, tls='require') as server, (
        pytest.raises(exception.NetworkException)
    ):
        connect(server).data_objects.exists('/tempZone/home/rods/image')
