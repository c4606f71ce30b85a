# SPDX-License-Identifier: Apache-2.0

"""The ways to log in: environment files, PAM, TLS, and older servers."""

import json

from glance_store import exceptions
from irods import password_obfuscation
import pytest

from glance_store_irods import account
from tests import irods_server
from tests.parts import irods

SECRET = 'xyzzy plugh'


# An environment file.

@pytest.fixture
def environment(zone, tmp_path):
    """Return a function that writes one; the right one without changes."""
    def write(password=irods.PASSWORD, **changes):
        secret = tmp_path / 'irodsA'
        secret.write_text(password_obfuscation.encode(password))
        content = {
            'irods_host': zone.server.host, 'irods_port': zone.server.port,
            'irods_user_name': irods.USER,
            'irods_zone_name': zone.server.zone,
            'irods_authentication_file': str(secret), **changes,
        }
        path = tmp_path / 'irods_environment.json'
        path.write_text(json.dumps({
            name: value for name, value in content.items()
            if value is not None
        }))
        return {
            **dict.fromkeys(('host', 'zone', 'user', 'password', 'port')),
            'environment_file': str(path),
        }

    return write


def test_an_environment_file_is_as_good_as_options(zone, environment):
    store = zone.store(**environment())
    url = irods.add(store, b'data')[0]
    assert irods.read(store, url) == b'data'


@pytest.mark.parametrize('scheme', ['native', 'PAM', 'pam_password'])
def test_with_pam_the_authentication_file_has_a_native_password(
    zone, environment, scheme
):
    store = zone.store(**environment(irods_authentication_scheme=scheme))
    irods.add(store, b'data')


@pytest.mark.parametrize('place', ['option', 'variable', 'home'])
def test_the_authentication_file_can_be_named_elsewhere(
    zone, environment, tmp_path, monkeypatch, place
):
    told = environment(irods_authentication_file=None)
    path = tmp_path / 'irodsA'
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    if place == 'option':
        told['authentication_file'] = str(path)
    elif place == 'variable':
        monkeypatch.setenv('IRODS_AUTHENTICATION_FILE', str(path))
    else:
        (tmp_path / 'home' / '.irods').mkdir(parents=True)
        path.rename(tmp_path / 'home' / '.irods' / '.irodsA')
    irods.add(zone.store(**told), b'data')


def test_a_renewed_authentication_file_is_read(zone, environment, tmp_path):
    store = zone.store(**environment('expired'))
    with pytest.raises(exceptions.BadStoreConfiguration):
        irods.add(store, b'data')
    environment()
    irods.add(store, b'data')


@pytest.mark.parametrize(('changes', 'named'), [
    ({'irods_host': None}, 'irods_host'),
    ({'irods_user_name': ''}, 'irods_user_name'),
    ({'irods_zone_name': 5}, 'irods_zone_name'),
    ({'irods_port': 'x'}, 'number'),
    ({'irods_encryption_key_size': 'x'}, 'number'),
    ({'irods_authentication_scheme': 'gsi'}, 'gsi'),
    ({'irods_authentication_file': '/none'}, '/none cannot be read'),
    ({'irods_authentication_file': '/dev/null'}, 'is empty'),
    ({'irods_client_server_policy': 'x'}, 'irods_client_server_policy'),
    ({'irods_ssl_verify_server': 'x'}, 'irods_ssl_verify_server'),
    ({'irods_client_server_policy': 'CS_NEG_REQUIRE',
      'irods_ssl_ca_certificate_file': '/none'}, '/none cannot be used'),
])
def test_what_is_wrong_in_an_environment_file_is_named(
    zone, environment, changes, named
):
    with pytest.raises(exceptions.BadStoreConfiguration) as caught:
        zone.store(**environment(**changes))
    zone.stores.clear()
    assert named in str(caught.value)


@pytest.mark.parametrize('text', ['', '{', '[]', '"x"', '{"a": ' + SECRET])
def test_a_file_that_is_no_environment_is_named(
    zone, environment, tmp_path, text
):
    told = environment()
    (tmp_path / 'irods_environment.json').write_text(text)
    with pytest.raises(
        exceptions.BadStoreConfiguration, match='not a JSON object'
    ):
        zone.store(**told)
    zone.stores.clear()


@pytest.mark.parametrize('text', [None, 'x', '\udcff'])
def test_an_authentication_file_that_breaks_is_named(
    zone, environment, tmp_path, text
):
    store = zone.store(**environment())
    (tmp_path / 'irodsA').unlink()
    if text is not None:
        (tmp_path / 'irodsA').write_text(text, errors='surrogateescape')
    with pytest.raises(exceptions.BadStoreConfiguration, match='irodsA'):
        irods.add(store, b'data')
    environment()
    irods.add(store, b'data')


# TLS, and other servers.

@pytest.fixture
def secure(tmp_path):
    """Yield a zone whose server requires TLS."""
    with irods_server.IrodsServer(tmp_path, tls='require') as server:
        made = irods.Irods(server)
        yield made
        made.end()


def trusted(zone, **more):
    return {'tls': True, 'ca_file': str(zone.server.ca_file), **more}


@pytest.mark.parametrize('more', [
    {}, {'host': 'localhost'}, {'tls_verify': 'cert'},
    {'tls_verify': 'none', 'ca_file': None},
    {'auth_scheme': 'pam_password', 'password': irods.PAM_PASSWORD},
])
def test_images_are_kept_over_tls(secure, more):
    store = secure.store(**trusted(secure, **more))
    content = bytes(range(256)) * 1024
    url = irods.add(store, content)[0]
    assert irods.read(store, url) == content
    irods.delete(store, url)
    assert secure.server.active_connections == 1


@pytest.mark.parametrize(('more', 'named'), [
    ({'ca_file': None}, 'certificate'),
    # The same address by a name that is not in the certificate.
    ({'host': '0x7f000001'}, 'certificate'),
    ({'auth_scheme': 'pam_password', 'password': SECRET}, 'did not accept'),
])
def test_over_tls_everything_is_verified(secure, more, named):
    store = secure.store(**trusted(secure, **more))
    with pytest.raises(exceptions.BadStoreConfiguration) as caught:
        irods.add(store, b'data')
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_environment_file_without_authorities_trusts_the_systems(
    secure, tmp_path
):
    """The client itself would verify nothing then."""
    secret = tmp_path / 'irodsA'
    secret.write_text(password_obfuscation.encode(irods.PASSWORD))
    path = tmp_path / 'irods_environment.json'
    content = {
        'irods_host': secure.server.host, 'irods_port': secure.server.port,
        'irods_user_name': irods.USER, 'irods_zone_name': 'tempZone',
        'irods_authentication_file': str(secret),
        'irods_client_server_policy': 'CS_NEG_REQUIRE',
    }
    path.write_text(json.dumps(content))
    told = {
        **dict.fromkeys(('host', 'zone', 'user', 'password', 'port')),
        'environment_file': str(path),
    }
    store = secure.store(**told)
    with pytest.raises(
        exceptions.BadStoreConfiguration, match='certificate'
    ):
        irods.add(store, b'data')
    content['irods_ssl_ca_certificate_file'] = str(secure.server.ca_file)
    path.write_text(json.dumps(content))
    irods.add(secure.store(**told), b'data')


@pytest.mark.parametrize('told', [{}, {
    'irods_encryption_algorithm': 'AES-128-CBC',
    'irods_encryption_key_size': 16, 'irods_encryption_salt_size': 4,
    'irods_encryption_num_hash_rounds': '20',
}])
def test_the_traffic_is_encrypted_as_the_environment_says(environment, told):
    path = environment(**told)['environment_file']
    tls = account.of_environment(path).tls
    assert (
        tls.algorithm, tls.key_size, tls.salt_size, tls.hash_rounds
    ) == (('AES-128-CBC', 16, 4, 20) if told else ('AES-256-CBC', 32, 8, 16))


def test_authorities_that_vanish_are_named(secure, tmp_path):
    copied = tmp_path / 'ca.pem'
    copied.write_text(secure.server.ca_file.read_text())
    store = secure.store(tls=True, ca_file=str(copied))
    copied.unlink()
    with pytest.raises(
        exceptions.BadStoreConfiguration, match='authorities'
    ):
        irods.add(store, b'data')


def test_a_store_without_tls_does_not_agree_with_a_zone_that_needs_it(secure):
    store = secure.store()
    with pytest.raises(exceptions.BadStoreConfiguration, match='TLS'):
        irods.add(store, b'data')


def test_a_store_with_tls_does_not_do_without(zone):
    store = zone.store(tls=True)
    with pytest.raises(exceptions.BadStoreConfiguration, match='TLS'):
        irods.add(store, b'data')


def test_a_zone_of_an_older_release_is_as_good(tmp_path):
    with irods_server.IrodsServer(
        tmp_path, version='rods4.2.12'
    ) as server:
        made = irods.Irods(server)
        store = made.store()
        assert irods.read(store, irods.add(store, b'data')[0]) == b'data'
        made.end()
