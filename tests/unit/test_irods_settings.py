# SPDX-License-Identifier: Apache-2.0

import json
import logging
import subprocess
import sys

from glance_store import capabilities
from glance_store import exceptions
from irods import password_obfuscation
from oslo_config import cfg
import pytest

from glance_store_irods import options
from glance_store_irods import settings
from glance_store_irods import store as driver
from tests import irods_server
from tests.functional import helpers
from tests.parts import irods

SECRET = 'xyzzy plugh'
RIGHT = {
    'host': 'irods.example.org', 'zone': 'tempZone', 'user': 'glance',
    'password': SECRET, 'path': '/tempZone/home/glance/images',
}
MULTIPLE = cfg.DictOpt('enabled_backends')


def read(**changes):
    """Return the Settings of a store with these options."""
    made = irods.unconfigured('s1', **{**RIGHT, **changes})
    return settings.read(made.conf, 's1')


def refused(**changes):
    """Return what is said about options that cannot work."""
    with pytest.raises(exceptions.BadStoreConfiguration) as caught:
        read(**changes)
    said = str(caught.value)
    assert SECRET not in said
    assert 's1' in said
    return said


def enable(tmp_path, **groups):
    """Return a configuration with several stores, from a file."""
    path = tmp_path / 'glance.conf'
    lines = ['[DEFAULT]', 'enabled_backends = ' + ','.join(
        f'{group}:irods' for group in groups
    )]
    for group, told in groups.items():
        lines.append(f'[{group}]')
        lines += [f'irods_store_{name} = {told[name]}' for name in told]
    path.write_text('\n'.join(lines))
    conf = cfg.ConfigOpts()
    conf.register_opt(MULTIPLE)
    for group in groups:
        conf.register_opts(options.OPTIONS, group=group)
    conf([], default_config_files=[str(path)])
    return conf


# Options.

def test_the_options_of_earlier_times_suffice():
    read_ = read()
    assert read_.account.address == 'irods.example.org:1247'
    assert (read_.zone, read_.collection) == ('tempZone', RIGHT['path'])
    assert (read_.primary, read_.replica) == (None, None)
    assert read_.chunk_size == 4 * 1024 * 1024


def test_no_repr_shows_the_password():
    assert SECRET not in repr(read())
    assert SECRET not in repr(vars(read().account.tls))


@pytest.mark.parametrize(('missing', 'empty'), [
    ('host', None), ('zone', None), ('user', None), ('password', None),
    ('path', None), ('zone', ''), ('user', ''), ('password', ''), ('path', ''),
])
def test_an_option_that_is_needed_is_named(missing, empty):
    said = refused(**{missing: empty})
    assert f'irods_store_{missing} is not set' in said


@pytest.mark.parametrize(('wrong', 'named'), [
    ({'path': 'tempZone/home/glance'}, 'irods_store_path'),
    ({'path': '/'}, 'irods_store_path'),
    ({'path': '/tempZone'}, 'irods_store_path'),
    ({'path': '/tempZone/home/../glance'}, 'irods_store_path'),
    ({'path': '/tempZone//home'}, 'irods_store_path'),
    ({'path': "/tempZone/o'neill"}, 'irods_store_path'),
    ({'zone': 'temp/Zone'}, 'irods_store_zone'),
    ({'primary_res': 'a', 'replica_res': 'a'}, 'the same resource'),
    ({'auth_scheme': 'pam_password'}, 'irods_store_tls'),
    ({'ca_file': '/etc/hosts'}, 'irods_store_tls'),
    ({'ca_path': '/etc'}, 'irods_store_tls'),
    ({'tls': True, 'ca_file': '/none'}, '/none cannot be used'),
    ({'tls': True, 'ca_file': '/etc/hosts'}, '/etc/hosts cannot be used'),
    ({'tls': True, 'ca_path': '/none'}, '/none is not a directory'),
    ({'authentication_file': '/x'}, 'irods_store_environment_file'),
    ({'environment_file': '/x'}, 'exclude each other'),
    ({'environment_file': '/none', 'host': None, 'zone': None, 'user': None,
      'password': None}, '/none cannot be read'),
])
def test_an_option_that_cannot_work_is_named(wrong, named):
    assert named in refused(**wrong)


@pytest.mark.parametrize(('name', 'value'), [
    ('auth_scheme', 'kerberos'), ('tls_verify', 'maybe'), ('port', '99999'),
    ('port', 'http'), ('pool_size', '0'), ('chunk_size', '1'),
    ('timeout', '0'), ('connection_timeout', '-1'), ('long_timeout', 'x'),
    ('tls', 'perhaps'), ('host', 'a b'), ('password', 'x$plugh'),
])
def test_a_value_in_the_file_that_is_no_value_is_named(tmp_path, name, value):
    conf = enable(tmp_path, s1={**RIGHT, name: value})
    with pytest.raises(exceptions.BadStoreConfiguration) as caught:
        settings.read(conf, 's1')
    assert f'irods_store_{name} is not valid' in str(caught.value)
    assert SECRET not in str(caught.value)
    assert 'plugh' not in str(caught.value)


@pytest.mark.parametrize(('other', 'is_right'), [
    ('/tempZone/home/glance/images', False),
    ('/tempZone/home/glance/images/', False),
    ('/tempZone/home/glance/images/more', False),
    ('/tempZone/home/glance', False),
    ('/tempZone/home/glance/images2', True),
    ('/otherZone/home/glance/images', True),
])
def test_a_location_cannot_belong_to_two_stores(tmp_path, other, is_right):
    conf = enable(tmp_path, s1=RIGHT, s2={**RIGHT, 'path': other})
    for group in ('s1', 's2'):
        if is_right:
            settings.read(conf, group)
            continue
        with pytest.raises(
            exceptions.BadStoreConfiguration, match='lie in each other'
        ):
            settings.read(conf, group)


def test_a_collection_may_lie_in_a_federated_zone():
    assert read(path='/otherZone/home/glance').zone == 'otherZone'


def test_the_sample_configuration_shows_every_option():
    done = subprocess.run(
        [
            sys.executable, '-m', 'oslo_config.generator', '--namespace',
            'glance_store_irods',
        ], text=True, capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    missing = [
        option.name for option in options.OPTIONS
        if f'\n#{option.name} = ' not in done.stdout
    ]
    assert missing == []


def test_every_option_says_to_an_operator_what_it_does():
    assert [
        option.name for option in options.OPTIONS
        if len((option.help or '').strip()) < 20
    ] == []


def test_glance_does_not_show_the_password():
    [password] = [
        each for each in options.OPTIONS if each.name.endswith('password')
    ]
    assert password.secret


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


def test_the_authentication_file_can_be_an_option(
    zone, environment, tmp_path
):
    told = environment(irods_authentication_file=None)
    store = zone.store(
        **told, authentication_file=str(tmp_path / 'irodsA')
    )
    irods.add(store, b'data')


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


# The zone, when the store is configured and later.

def configured(of, caplog, **changes):
    """Return a store that begins with a complaint, and the complaint."""
    caplog.clear()
    store = of.store(**changes)
    assert store.is_capable(capabilities.BitMasks.WRITE_ACCESS)
    [said] = [
        record.getMessage() for record in caplog.records
        if record.name.startswith('glance_store_irods')
        and record.levelno >= logging.ERROR
    ]
    assert irods.PASSWORD not in said
    nobody_is_connected(of)
    return store, said


def nobody_is_connected(zone):
    helpers.wait_until(
        lambda: zone.server.active_connections == 0,
        'all connections are closed', 5,
    )


def test_configuring_leaves_no_connection_open(zone, store):
    nobody_is_connected(zone)


def test_a_zone_that_is_down_at_the_start_is_used_when_it_is_up(
    zone, caplog
):
    zone.server.stop()
    store, said = configured(zone, caplog)
    assert 'cannot be reached' in said
    assert store.url_prefix == f'irods:/{zone.collection}/'
    zone.server.start()
    irods.add(store, b'data')


def test_a_wrong_password_is_named_until_it_is_put_right(zone, caplog):
    store, said = configured(zone, caplog, password=SECRET)
    assert 'did not accept user glance' in said
    for _ in range(2):
        with pytest.raises(exceptions.BadStoreConfiguration) as caught:
            irods.add(store, b'data')
        assert 's1' in str(caught.value)
        assert SECRET not in str(caught.value)
    zone.server.catalog.users[(irods.USER, zone.server.zone)].passwords = [
        SECRET
    ]
    irods.add(store, b'data')


@pytest.mark.parametrize(('wrong', 'named'), [
    ({'user': 'nobody'}, 'nobody'),
    ({'zone': 'noZone'}, 'noZone'),
    ({'path': '/tempZone/home/glance/none'}, 'no collection'),
    ({'path': '/tempZone/home/rods'}, 'no collection'),
    ({'primary_res': 'none'}, 'no resource none'),
    ({'replica_res': 'none'}, 'no resource none'),
])
def test_what_the_zone_does_not_have_is_named_at_the_start(
    zone, caplog, wrong, named
):
    _store, said = configured(zone, caplog, **wrong)
    assert named in said


def test_what_is_there_when_it_is_needed_is_used(zone, caplog):
    path = f'{zone.collection}2'
    store, _said = configured(zone, caplog, path=path, primary_res='late')
    zone.add_collection('images2')
    zone.server.add_resource('late')
    irods.add(store, b'data')
    assert zone.server.replica(f'{path}/image').resource == 'late'


def test_a_server_that_answers_with_nonsense_does_not_stop_the_service(
    zone, caplog
):
    zone.server.faults.fail_on('query', -1234567000)
    _store, said = configured(zone, caplog)
    assert '-1234567000' in said


def test_options_that_cannot_work_disable_the_store_and_say_so(caplog):
    made = irods.unconfigured('s1', **{**RIGHT, 'path': 'x'})
    made.configure()
    assert 'irods_store_path' in caplog.text
    assert not made.is_capable(capabilities.BitMasks.WRITE_ACCESS)
    url = 'irods://tempZone/home/glance/images/image'
    with pytest.raises(exceptions.StoreAddDisabled):
        irods.add(made, b'data')
    for ask in (irods.read, irods.get_size):
        with pytest.raises(
            exceptions.BadStoreConfiguration, match='irods_store_path'
        ):
            ask(made, url)


def test_a_store_that_was_never_configured_says_so():
    made = driver.Store(cfg.ConfigOpts(), backend='s1')
    with pytest.raises(
        exceptions.BadStoreConfiguration, match='not been configured'
    ):
        made.list()


# How the driver is found.

def test_without_the_client_the_driver_says_what_is_missing():
    code = '''
import sys
sys.modules['irods'] = None
from oslo_config import cfg
from glance_store_irods import store
conf = cfg.ConfigOpts()
made = store.Store(conf, backend='s1')
conf([], default_config_files=[])
for name, value in dict(
    host='h', zone='z', user='u', password='p', path='/z/c',
).items():
    conf.set_override('irods_store_' + name, value, group='s1')
try:
    made.configure_add()
except Exception as exc:
    print(type(exc).__name__, exc)
'''
    done = subprocess.run(
        [sys.executable, '-c', code], text=True, capture_output=True
    )
    assert 'BadStoreConfiguration' in done.stdout, done.stderr
    assert 'python-irodsclient' in done.stdout


def test_the_driver_needs_nothing_of_the_plugin():
    code = '''
import sys
from glance_store_irods import store
from glance_store_irods import zone
print([name for name in sys.modules if name.startswith('glance_copy')])
'''
    done = subprocess.run(
        [sys.executable, '-c', code], text=True, capture_output=True
    )
    assert done.stdout == '[]\n', done.stderr


# TLS and the ways to log in.

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
