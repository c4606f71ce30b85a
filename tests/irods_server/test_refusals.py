# SPDX-License-Identifier: Apache-2.0

"""What a real iRODS 5.0.2 was seen to refuse, the double refuses too.

A driver that asks for something impossible must not pass its tests.
"""

import ssl

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import exception
from irods import models

from tests.irods_server import certificate
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


def login_of(session):
    return lambda: session.server_version


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
    (-1803000, 'open', (THERE, 'r'), {'replNum': '7'}),
    (-808000, 'unlink', (NONE,), {'force': True}),
    (-808000, 'chksum', (NONE,), {}),
    (-808000, 'replicate', (NONE,), {'resource': 'demoResc'}),
    (-808000, 'move', (NONE, f'{HOME}/x'), {}),
    (-834000, 'move', (THERE, TAKEN), {}),
    (-814000, 'move', (THERE, f'{HOME}/no/such'), {}),
    (-109000, 'move', (THERE, '/otherZone/home/rods#tempZone/x'), {}),
    (-317000, 'copy', (NONE, f'{HOME}/x'), {}),
    (-312000, 'copy', (THERE, TAKEN), {}),
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
    (-512009, 1, lambda connection: connection.read_file(3, 1)),
    (-19000, 0, lambda connection: connection.read_file(7, 10)),
    (-19000, 0, lambda connection: connection.close_file(7)),
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


@pytest.mark.parametrize(('method', 'args', 'options'), [
    ('open', (THERE, 'r+'), {}),
    ('open', (f'{HOME}/new', 'w'), {}),
    ('unlink', (THERE,), {'force': True}),
    ('move', (THERE, f'{HERS}/x'), {}),
    ('copy', (THERE, f'{HOME}/new'), {}),
    ('copy', (THERE, TAKEN), {'forceFlag': ''}),
    ('replicate', (THERE,), {}),
])
def test_what_may_only_be_read_is_not_changed(
    server, ann, method, args, options
):
    for each in (THERE, TAKEN):
        server.permit(each, 'ann', 'read')
    before = server.objects()
    assert refused(ann, method, *args, **options) == -818000
    assert server.objects() == before
    assert server.content(THERE) == b'data'


def test_an_administrator_sees_everything_and_may_not_read_it(
    server, session, ann
):
    write(ann, f'{HERS}/object')
    assert session.data_objects.exists(f'{HERS}/object')
    assert refused(session, 'open', f'{HERS}/object', 'r') == -358000


def test_only_an_administrator_sets_the_status_of_a_replica(
    server, session, ann
):
    place = {'objPath': THERE, 'replNum': 0}
    session.data_objects.modDataObjMeta(place, {'replStatus': 0})
    assert clients.statuses(server, THERE) == [0]
    assert refused(
        ann, 'modDataObjMeta', place, {'replStatus': 1}
    ) == -830000
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


def test_a_quota_is_kept(server, connect):
    server.add_user('ann', 'secret', quota=10)
    hers = connect(server, user='ann', password='secret')
    write(hers, f'{HERS}/one', b'12345678')
    for path in (HOME, THERE):
        server.permit(path, 'ann', 'read')
    assert refused(hers, 'copy', THERE, f'{HERS}/two') == -110000
    # What a stream will bring is not known: it is noticed the next time.
    write(hers, f'{HERS}/two', b'12345678')
    assert refused(hers, 'open', f'{HERS}/three', 'w') == -110000
    assert server.objects(HERS) == [f'{HERS}/one', f'{HERS}/two']


# What somebody else is writing, and what has no room or no disk.

@pytest.mark.parametrize(('code', 'method', 'args'), [
    (-1803000, 'open', (THERE, 'r')),
    (-1803000, 'open', (THERE, 'w')),
    (-1803000, 'copy', (THERE, NONE)),
    (-1803000, 'chksum', (THERE,)),
    (-406000, 'unlink', (THERE,)),
    (-406000, 'move', (THERE, NONE)),
])
def test_an_object_that_is_being_written_is_locked(
    server, session, connect, code, method, args
):
    with session.data_objects.open(THERE, 'r+') as file:
        assert clients.statuses(server, THERE) == [2]
        assert refused(connect(server), method, *args) == code
        file.raw.write(b'D')
    assert clients.read(session, THERE) == b'Data'


@pytest.mark.parametrize(('code', 'method', 'args', 'options'), [
    (-1803000, 'open', (THERE, 'r'), {}),
    (-1803000, 'open', (NONE, 'w'), {}),
    (-1803000, 'copy', (THERE, NONE), {}),
    (-105000, 'unlink', (THERE,), {'force': True}),
])
def test_a_resource_that_is_down_serves_nothing(
    server, session, code, method, args, options
):
    server.resource().up = False
    assert refused(session, method, *args, **options) == code


def test_a_physical_file_that_is_lost_is_told_of(server, session):
    server.lose(THERE)
    assert refused(session, 'open', THERE, 'r') == -510002
    assert refused(session, 'chksum', THERE) == -510002
    session.data_objects.unlink(THERE, force=True)
    assert server.objects() == [TAKEN]


def test_a_full_disk_is_told_of_wherever_it_is_written(server, session):
    server.add_resource('small', capacity=3)
    assert refused(session, 'replicate', THERE, resource='small') == -513028
    assert clients.statuses(server, THERE) == [1, 0]
    vault = server.resource().vault
    vault.capacity = vault.used + 3
    assert refused(session, 'copy', THERE, NONE) == -513028
    left = server.replica(NONE)
    assert (left.status, left.size) == (0, 3)
    session.data_objects.unlink(NONE, force=True)
    with pytest.raises(exception.UNIX_FILE_WRITE_ERR):
        write(session, NONE)
    assert server.replica(NONE).size == 3


# Who may come in at all.

@pytest.mark.parametrize('version', ['rods5.0.2', 'rods4.2.11'])
@pytest.mark.parametrize(('changes', 'code'), [
    ({'password': 'wrong'}, -826000),
    ({'user': 'nobody'}, -827000),
])
def test_who_is_not_known_is_refused(
    serve, connect, version, changes, code
):
    server = serve(zone='guarded', version=version)
    assert connect(server).server_version
    assert clients.code_of(login_of(connect(server, **changes))) == code


def test_a_server_that_requires_tls_refuses_plain_tcp(serve, connect):
    secure = serve(zone='secure', tls='require')
    with pytest.raises(KeyError, match='-1825000'):
        assert connect(secure).server_version
    known = {'ssl_ca_certificate_file': str(secure.ca_file)}
    session = connect(secure, **clients.TLS, **known)
    with session.pool.get_connection() as connection:
        assert isinstance(connection.socket, ssl.SSLSocket)


def test_another_authority_does_not_vouch_for_the_server(
    serve, connect, tmp_path
):
    _, other = certificate.make(tmp_path)
    session = connect(
        serve(zone='secure', tls='require'), **clients.TLS,
        ssl_ca_certificate_file=str(other),
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        assert session.server_version


@pytest.mark.parametrize(('client', 'tls'), [
    ('CS_NEG_REQUIRE', None), ('CS_NEG_REFUSE', 'require'),
])
def test_client_and_server_that_cannot_agree_on_tls_part(
    serve, connect, client, tls
):
    session = connect(
        serve(zone='other', tls=tls),
        **clients.TLS | {'client_server_policy': client},
    )
    with pytest.raises(exception.NetworkException, match='negotiation'):
        assert session.server_version


def test_pam_lets_nobody_in_with_another_password(serve, connect):
    secure = serve(zone='secure', tls='require')
    secure.add_user('ann', pam_password='known to PAM')
    told = {
        'user': 'ann', 'authentication_scheme': 'pam_password',
        'ssl_ca_certificate_file': str(secure.ca_file), **clients.TLS,
    }
    assert connect(secure, password='known to PAM', **told).server_version
    wrong = connect(secure, password='wrong', **told)
    assert clients.code_of(login_of(wrong)) == -993000


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


def test_a_page_of_rows_that_is_just_full_promises_another_one(
    server, session
):
    names = [f'{number:04}' for number in range(500)]
    with server.catalog.lock:
        for name in names:
            server.put(f'{HOME}/many/{name}', 0)
    query = session.query(models.DataObject.name).filter(
        models.Collection.name == f'{HOME}/many'
    )
    assert [row[models.DataObject.name] for row in query] == names
    assert len(server.calls_of('query')) == 2
