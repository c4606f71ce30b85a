# SPDX-License-Identifier: Apache-2.0
"""The DevStack plugin, phase by phase, with a real Glance's files."""

import re
import stat

import pytest

from tests import devstack_host
from tests.devstack_host import host
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

STORES = ('fast', 'slow', 'archive')
OPTION_OF = {
    'cinder_multi': 'cinder_volume_type',
    'file': 'filesystem_store_datadir',
    'irods': 'irods_store_path',
    'rbd': 'rbd_store_pool',
}
SAMPLES = sorted((host.PLUGIN / 'samples').glob('*.local.conf'))


@pytest.fixture
def make(tmp_path):
    """Give a function that makes a DevStack whose own part is done."""
    all_made = []

    def made(localrc='', stores='', **options):
        devstack = devstack_host.DevStack(
            tmp_path / 'stack', localrc, **options
        )
        all_made.append(devstack)
        devstack.configure_glance(stores)
        return devstack

    yield made
    for devstack in all_made:
        devstack.end()


def lines(path):
    return path.read_text().splitlines()


@pytest.mark.long
def test_a_stacked_glance_copies_images(make):
    devstack = make()
    devstack.make_database()
    devstack.run(*host.STACK)
    with devstack_host.DevStackGlance(devstack, stores=STORES) as server:
        assert 'Images are copied by glance-copy-plugin' in (
            helpers.log_of(server)
        )
        client = Client(server)
        image_id = client.create_image(helpers.data(2 * MIB + 1))
        task = client.copy_and_wait(image_id, ['slow', 'archive'])
        assert task['status'] == 'success'
        helpers.assert_copied(server, client, image_id, STORES)


def test_the_filter_is_behind_the_context_in_every_pipeline(make):
    devstack = make()
    devstack.run('stack post-config')
    pipelines = {
        line.partition(' =')[0]: line.split()
        for line in lines(devstack.paste) if line.endswith(' rootapp')
    }
    assert set(pipelines) == {
        'default', 'caching', 'cachemanagement', 'keystone',
        'keystone+caching', 'keystone+cachemanagement',
    }
    for names in pipelines.values():
        before = names[names.index('copy_image') - 1]
        assert before in ('context', 'unauthenticated-context')


def test_a_pipeline_in_a_section_of_its_own_gets_the_filter_too(make):
    devstack = make()
    devstack.paste.write_text(
        '[pipeline:glance-api-keystone]\n'
        'pipeline = authtoken  context  rootapp\n'
    )
    before = devstack.files()
    devstack.run('stack post-config')
    assert devstack.value(
        'pipeline:glance-api-keystone', 'pipeline', devstack.paste
    ) == 'authtoken  context copy_image  rootapp'
    devstack.run('unstack')
    assert devstack.files() == before


def test_a_paste_file_without_a_context_fails_in_one_sentence(make):
    devstack = make()
    devstack.paste.write_text('[app:healthcheck]\nbackends = none\n')
    with pytest.raises(devstack_host.PhaseFailed, match='has a context'):
        devstack.run('stack post-config')


def test_stores_and_options_of_local_conf_are_added_to_those_of_devstack(
    make,
):
    devstack = make(
        'GLANCE_COPY_STORES=one:file,two:file,more:file\n'
        'GLANCE_COPY_OPTIONS="retries=5 staging_window=65536"',
        stores='one,own',
    )
    devstack.run('stack post-config')
    assert devstack.value('DEFAULT', 'enabled_backends') == (
        'one:file,own:file,two:file,more:file'
    )
    assert devstack.value('glance_store', 'default_backend') == 'one'
    assert devstack.value('one', 'filesystem_store_datadir') == (
        f'{devstack.data}/one/'
    )
    assert devstack.value('copy_image', 'retries') == '5'
    assert devstack.value('copy_image', 'staging_window') == '65536'
    devstack.localrc = 'GLANCE_COPY_DEFAULT_STORE=slow'
    devstack.run('stack post-config')
    assert devstack.value('glance_store', 'default_backend') == 'slow'


@pytest.mark.parametrize('given, expected', [
    (None, '[glance-direct,web-download,copy-image]'),
    ('[glance-direct]', '[glance-direct,copy-image]'),
    ('["copy-image","glance-direct"]', '["copy-image","glance-direct"]'),
])
def test_the_import_method_is_enabled_beside_others(make, given, expected):
    devstack = make()
    option = 'DEFAULT enabled_import_methods'
    if given:
        devstack.run_shell(f"iniset {devstack.conf} {option} '{given}'")
    devstack.run('stack post-config')
    assert devstack.value(*option.split()) == expected


def test_unstack_twice_or_without_stack_changes_nothing(make):
    devstack = make()
    before = devstack.files()
    devstack.run('unstack')
    devstack.run('stack post-config')
    devstack.run('unstack')
    devstack.run('unstack', 'clean')
    assert devstack.files() == before


def test_unstack_keeps_what_somebody_else_has_set_since(make):
    devstack = make()
    before = lines(devstack.conf)
    devstack.run('stack post-config')
    devstack.run_shell(
        f'iniset {devstack.conf} copy_image retries 7\n'
        f'iniset {devstack.conf} glance_store default_backend slow'
    )
    devstack.run('unstack')
    assert devstack.value('copy_image', 'retries') == '7'
    assert devstack.value('copy_image', 'staging_window') is None
    assert devstack.value('glance_store', 'default_backend') == 'slow'
    added = set(lines(devstack.conf)) - set(before)
    assert added == {
        '[copy_image]', 'retries = 7', 'default_backend = slow',
    }


@pytest.mark.parametrize('stores', [
    '', pytest.param('own,other', marks=pytest.mark.long),
])
def test_a_second_run_of_stack_changes_nothing_more(make, stores):
    devstack = make(stores=stores)
    before = devstack.files()
    devstack.run(*host.CONFIGURE)
    assert devstack.calls('setup_develop') == [
        f'setup_develop {host.process.ROOT} glance'
    ]
    once = devstack.files()
    assert once != before
    # It keeps glance-api.conf, and makes the paste file anew.
    devstack.configure_glance(stores)
    devstack.run(*host.CONFIGURE)
    assert devstack.files() == once
    # A phase may be repeated, too.
    devstack.run('stack post-config')
    assert devstack.files() == once
    devstack.run('unstack')
    assert devstack.files() == before


def test_a_run_with_other_stores_leaves_nothing_of_the_one_before(make):
    devstack = make('GLANCE_COPY_STORES=new:file', stores='own')
    before = devstack.files()
    devstack.run('stack post-config')
    expected = devstack.files()
    devstack.run('unstack')
    devstack.localrc = 'GLANCE_COPY_STORES=old:file,older:irods'
    devstack.run('stack post-config')
    assert devstack.value('older', 'irods_store_host') == '127.0.0.1'
    devstack.localrc = 'GLANCE_COPY_STORES=new:file'
    devstack.run('stack post-config')
    assert devstack.files() == expected
    devstack.run('unstack')
    assert devstack.files() == before


def test_what_the_plugin_keeps_is_private_and_goes_with_clean(make):
    devstack = make(
        'GLANCE_COPY_STORES=fast:cinder_multi\n'
        'GLANCE_COPY_CINDER_BACKENDS=fast:lvmdriver-1'
    )
    devstack.run('stack post-config')
    folder = devstack.data / 'glance-copy-plugin'
    record = folder / 'changed-settings'
    assert 'devstack-secret' in record.read_text()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    devstack.run('unstack', 'clean')
    assert not folder.exists()


def test_nothing_happens_on_a_host_without_glance(make):
    devstack = make(services=('n-cpu',))
    before = devstack.files()
    devstack.run(*host.STACK, 'unstack', 'clean')
    assert devstack.files() == before
    assert devstack.calls('setup_develop') == []


@pytest.mark.long
def test_a_configuration_that_cannot_work_fails_the_stack(make):
    devstack = make()
    devstack.run('stack post-config')
    devstack.run_shell(f'iniset {devstack.conf} copy_image copiers nonsense')
    devstack.make_database()
    with pytest.raises(devstack_host.PhaseFailed, match='nonsense') as failed:
        devstack.run('stack extra')
    assert 'cannot work with this configuration' in str(failed.value)


CINDER = (
    'GLANCE_COPY_STORES=local:file,fast:cinder_multi,slow:cinder_multi\n'
    'GLANCE_COPY_CINDER_BACKENDS=fast:lvmdriver-1,slow:lvmdriver-2\n'
    # Without Cinder's libraries these stores cannot be loaded.
    'function glance-copy { :; }\nGLANCE_BIN_DIR='
)


def test_stores_in_cinder_get_options_and_volume_types(make):
    devstack = make(CINDER, services=('g-api', 'c-api', 'tls-proxy'))
    devstack.run('stack install', 'stack post-config')
    devstack.run_shell(f'{CINDER}\nsource {host.PLUGIN}/settings\n'
                       f'source {host.PLUGIN}/lib/stores\n'
                       'create_glance_copy_volume_types\n'
                       'create_glance_copy_volume_types')
    asked = 'openstack --os-cloud devstack-admin --os-region-name RegionOne'
    assert devstack.calls('openstack') == [
        f'{asked} volume type show glance-fast',
        f'{asked} volume type create --property '
        'volume_backend_name=lvmdriver-1 glance-fast',
        f'{asked} volume type show glance-slow',
        f'{asked} volume type create --property '
        'volume_backend_name=lvmdriver-2 glance-slow',
        f'{asked} volume type show glance-fast',
        f'{asked} volume type show glance-slow',
    ]
    assert devstack.calls('setup_develop')[0].endswith(' glance,cinder')
    for store in ('fast', 'slow'):
        assert devstack.value(store, 'cinder_volume_type') == f'glance-{store}'
        assert devstack.value(store, 'cinder_store_password') == (
            'devstack-secret'
        )
        assert devstack.value(store, 'cinder_ca_certificates_file')


def test_a_store_in_cinder_without_a_backend_fails_in_one_sentence(make):
    devstack = make('GLANCE_COPY_STORES=fast:cinder_multi')
    with pytest.raises(devstack_host.PhaseFailed, match='for the store fast'):
        devstack.run('stack post-config')


def test_there_are_samples():
    assert len(SAMPLES) > 1


@pytest.mark.long
@pytest.mark.parametrize('sample', SAMPLES, ids=lambda path: path.name)
def test_a_sample_configures_the_stores_that_it_names(make, sample):
    localrc = sample.read_text().partition('[[local|localrc]]')[2]
    localrc = localrc.partition('[[')[0]
    devstack = make(f'function enable_plugin {{ :; }}\n{localrc}')
    before = devstack.files()
    devstack.run('stack install', 'stack post-config')
    named = re.search('GLANCE_COPY_STORES=(.*)', localrc)[1]
    assert devstack.value('DEFAULT', 'enabled_backends') == named
    places = set()
    for store, driver in (pair.split(':') for pair in named.split(',')):
        places.add((driver, devstack.value(store, OPTION_OF[driver])))
    assert len(places) == len(named.split(','))
    assert not [place for place in places if not place[1]]
    devstack.run('unstack')
    assert devstack.files() == before
