# SPDX-License-Identifier: Apache-2.0

import ssl

import pytest

from tests.irods_server import certificate

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import exception

from tests.irods_server import clients


@pytest.fixture
def secure(serve):
    return serve(tls='require')


@pytest.fixture
def trusting(secure):
    return clients.TLS | {'ssl_ca_certificate_file': str(secure.ca_file)}


def test_the_client_logs_in_and_learns_the_version(session):
    assert session.server_version == (5, 0, 2)
    assert session.collections.exists('/tempZone/home/rods')


@pytest.mark.parametrize(('changes', 'code'), [
    ({'password': 'wrong'}, -826000),
    ({'password': ''}, -826000),
    ({'user': 'nobody'}, -827000),
    ({'zone': 'nowhere'}, -827000),
])
def test_who_is_not_known_is_refused(server, connect, changes, code):
    stranger = connect(server, **changes)
    assert clients.code_of(lambda: stranger.server_version) == code


def test_a_password_of_any_digest_is_accepted(server, connect):
    """Digests hold a NUL now and then, which goes as 1 on the wire."""
    server.add_user('ann', 'a' * 42)
    for _ in range(40):
        session = connect(server, user='ann', password='a' * 42)
        assert session.server_version
        session.cleanup()


def test_an_administrator_may_act_for_another_user(server, connect):
    server.add_user('ann', 'secret')
    session = connect(server, client_user='ann', client_zone='tempZone')
    session.data_objects.create('/tempZone/home/ann/hers')
    assert server.objects('/tempZone/home/ann') == ['/tempZone/home/ann/hers']


def test_another_user_may_not_act_for_anybody(server, connect):
    server.add_user('ann', 'secret')
    session = connect(
        server, user='ann', password='secret', client_user='rods',
        client_zone='tempZone',
    )
    assert clients.code_of(lambda: session.server_version) == -39000


@pytest.mark.parametrize('password', ['rods', 'wrong'])
def test_servers_before_4_3_have_a_login_of_their_own(
    serve, connect, password
):
    server = serve(version='rods4.2.11')
    session = connect(server, password=password)
    if password == 'wrong':
        assert clients.code_of(lambda: session.server_version) == -826000
    else:
        assert session.server_version == (4, 2, 11)
        assert session.collections.exists(server.home)
    assert {call.api for call in server.calls} >= {
        'auth_request', 'auth_response'
    }


def test_with_tls_everything_goes_through_it(secure, connect, trusting):
    session = connect(secure, **trusting)
    data = bytes(range(256)) * 40_000
    with session.data_objects.open(f'{secure.home}/o', 'w') as file:
        file.write(data)
    with session.data_objects.open(f'{secure.home}/o', 'r') as file:
        assert file.read() == data
        assert isinstance(file.raw.conn.socket, ssl.SSLSocket)


def test_a_client_that_trusts_someone_else_does_not_connect(
    secure, connect, tmp_path
):
    (tmp_path / 'other').mkdir()
    _, other = certificate.make(tmp_path / 'other')
    session = connect(
        secure, **clients.TLS, ssl_ca_certificate_file=str(other)
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        assert session.server_version


def test_a_certificate_is_for_certain_hosts_only(
    secure, connect, trusting, monkeypatch
):
    monkeypatch.setattr(secure, 'host', '127.0.0.2')
    secure.listen(False)
    secure.listen(True)
    session = connect(secure, **trusting)
    with pytest.raises(ssl.SSLCertVerificationError, match='127.0.0.2'):
        assert session.server_version


def test_without_a_ca_the_client_verifies_nothing(secure, connect):
    session = connect(secure, **clients.TLS)
    assert session.collections.exists(secure.home)


def test_a_server_that_requires_tls_refuses_plain_tcp(secure, connect):
    session = connect(secure)
    with pytest.raises(KeyError, match='-1825000'):
        assert session.server_version


@pytest.mark.parametrize(('client', 'server', 'tls'), [
    ('CS_NEG_REQUIRE', 'accept', True),
    ('CS_NEG_REFUSE', 'accept', False),
    ('CS_NEG_REFUSE', None, False),
])
def test_client_and_server_agree_on_tls(
    serve, connect, client, server, tls
):
    session = connect(
        serve(tls=server), **clients.TLS | {'client_server_policy': client}
    )
    with session.pool.get_connection() as connection:
        assert isinstance(connection.socket, ssl.SSLSocket) == tls


@pytest.mark.parametrize(('client', 'server'), [
    ('CS_NEG_REQUIRE', None), ('CS_NEG_REFUSE', 'require'),
])
def test_client_and_server_that_cannot_agree_part(
    serve, connect, client, server
):
    session = connect(
        serve(tls=server), **clients.TLS | {'client_server_policy': client}
    )
    with pytest.raises(exception.NetworkException, match='negotiation'):
        assert session.server_version


def test_a_pam_password_is_good_for_a_login(secure, connect, trusting):
    secure.add_user('ann', pam_password='known to PAM')
    session = connect(
        secure, user='ann', password='known to PAM',
        authentication_scheme='pam_password', **trusting
    )
    assert session.collections.exists('/tempZone/home/ann')


@pytest.mark.parametrize(('changes', 'code'), [
    ({'password': 'wrong'}, -993000),
    ({'user': 'rods'}, -993000),
    ({'user': 'nobody'}, -827000),
])
def test_what_pam_does_not_know_is_refused(
    secure, connect, trusting, changes, code
):
    secure.add_user('ann', pam_password='known to PAM')
    session = connect(secure, **{
        'user': 'ann', 'password': 'known to PAM',
        'authentication_scheme': 'pam_password', **trusting, **changes,
    })
    assert clients.code_of(lambda: session.server_version) == code


def test_the_client_does_not_use_pam_without_tls(server, connect):
    session = connect(server, authentication_scheme='pam_password')
    with pytest.raises(RuntimeError, match='secure communications'):
        assert session.server_version
