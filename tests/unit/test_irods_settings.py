# SPDX-License-Identifier: Apache-2.0

import logging
import subprocess
import sys

from glance_store import capabilities
from glance_store import exceptions
from oslo_config import cfg
from oslo_config import generator
import pytest

from glance_store_irods import options
from glance_store_irods import settings
from glance_store_irods import store as driver
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


def test_the_sample_configuration_shows_every_option(tmp_path):
    sample = tmp_path / 'sample.conf'
    generator.main([
        '--namespace', 'glance_store_irods', '--output-file', str(sample),
    ])
    text = sample.read_text()
    missing = [
        option.name for option in options.OPTIONS
        if f'\n#{option.name} = ' not in text
    ]
    assert missing == []


def test_glance_does_not_show_the_password():
    [password] = [
        each for each in options.OPTIONS if each.name.endswith('password')
    ]
    assert password.secret


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
        'all connections are closed',
    )


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
print([name for name in sys.modules if name.startswith('glance_copy')])
'''
    done = subprocess.run(
        [sys.executable, '-c', code], text=True, capture_output=True
    )
    assert done.stdout == '[]\n', done.stderr
