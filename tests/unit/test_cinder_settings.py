# SPDX-License-Identifier: Apache-2.0

import pytest

pytest.importorskip('os_brick', reason='the extra cinder is not installed')

from glance_store import driver
from glance_store import exceptions
from oslo_config import cfg

from glance_store_cinder import settings
from glance_store_cinder import store

SECRET = 'xyzzy plugh'
PASSWORD = {
    'cinder_store_auth_address': 'https://cloud.example.org/identity/v3',
    'cinder_store_user_name': 'glance',
    'cinder_store_password': SECRET,
    'cinder_store_project_name': 'service',
}
APPLICATION = {
    'cinder_store_auth_address': 'https://cloud.example.org/identity/v3',
    'cinder_store_application_credential_id': 'an id',
    'cinder_store_application_credential_secret': SECRET,
}


def read(**given):
    """Return the Settings of a store with these options."""
    conf = cfg.ConfigOpts()
    conf.register_opts(store.Store.OPTIONS, group='s1')
    conf.register_opts(
        store.Store.OPTIONS, group=driver.SHARED_CONF_GROUP
    )
    conf([])
    for name, value in given.items():
        conf.set_override(name, value, group='s1')
    return settings.read(driver.BackendGroupConfiguration(
        store.Store.OPTIONS, 's1', conf=conf
    ), 's1')


def refused(**given):
    """Return what is said about options that cannot work."""
    with pytest.raises(exceptions.BadStoreConfiguration) as caught:
        read(**given)
    said = str(caught.value)
    assert SECRET not in said
    assert 's1' in said
    return said


def test_the_defaults_ask_cinder_as_the_user_of_the_request():
    told = read()
    assert (told.login, told.has_own_login) == ('context', False)
    assert told.volume_type is None
    assert told.verify is True
    assert (told.service_type, told.service_name, told.interface) == (
        'volumev3', None, 'public'
    )


@pytest.mark.parametrize('value, expected', [
    ('glance-old', 'glance-old'), ('', None), (None, None),
    ('glance-old # as per old cinder.conf', 'glance-old'), ('a#b', 'a#b'),
])
def test_a_comment_behind_a_volume_type_is_no_part_of_it(value, expected):
    assert read(cinder_volume_type=value).volume_type == expected


def test_a_user_with_a_password_logs_in():
    assert read(**PASSWORD).login == 'password'


def test_an_application_credential_goes_before_a_password():
    assert read(**APPLICATION).login == 'application'
    assert read(**{**PASSWORD, **APPLICATION}).login == 'application'


@pytest.mark.parametrize('given, needed', [
    (PASSWORD, [*PASSWORD]), (APPLICATION, [*APPLICATION]),
])
def test_what_is_missing_of_a_login_is_named(given, needed):
    for name in needed:
        if name == 'cinder_store_project_name' or name in given:
            rest = {key: given[key] for key in given if key != name}
            assert name in refused(**rest)


@pytest.mark.parametrize('value', [
    'volumev3', 'volumev3:publicURL', '::publicURL', 'volumev3::secretURL',
    'a:b:c:publicURL', '',
])
def test_catalog_info_of_another_form_is_named(value):
    assert 'cinder_catalog_info' in refused(cinder_catalog_info=value)


@pytest.mark.parametrize('value, expected', [
    ('volumev2::publicURL', ('block-storage', None, 'public')),
    ('volume::adminURL', ('block-storage', None, 'admin')),
    ('volumev3:cinderv3:internalURL', ('volumev3', 'cinderv3', 'internal')),
    ('block-storage::internal', ('block-storage', None, 'internal')),
])
def test_catalog_info_says_where_cinder_is(value, expected):
    told = read(cinder_catalog_info=value)
    assert (
        told.service_type, told.service_name, told.interface
    ) == expected


@pytest.mark.parametrize('name', [
    'cinder_store_auth_address', 'cinder_endpoint_template',
])
@pytest.mark.parametrize('value', [
    'cloud.example.org', 'ftp://cloud.example.org', 'https://', 'http://[',
    f'https://glance:{SECRET}@cloud.example.org',
])
def test_an_address_that_is_none_is_named(name, value):
    assert name in refused(**{**PASSWORD, name: value})


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path):
    path = tmp_path / 'ca.pem'
    for content, words in ((None, 'cannot be read'), ('x', 'certificate')):
        if content:
            path.write_text(content)
        said = refused(cinder_ca_certificates_file=str(path))
        assert str(path) in said
        assert words in said


def test_certificates_are_verified_with_the_file_unless_that_is_switched_off(
    tmp_path
):
    path = tmp_path / 'ca.pem'
    path.write_text('-----BEGIN CERTIFICATE-----')
    given = {'cinder_ca_certificates_file': str(path)}
    assert read(**given).verify == str(path)
    assert read(**given, cinder_api_insecure=True).verify is False


def test_a_relative_mount_point_is_named():
    assert 'cinder_mount_point_base' in refused(cinder_mount_point_base='mnt')


def test_among_others_a_store_needs_a_type_and_a_login():
    told = read(**PASSWORD)
    settings.check_several(told, [])
    with pytest.raises(exceptions.BadStoreConfiguration) as caught:
        settings.check_several(told, ['s2'])
    assert 'cinder_volume_type must be set' in str(caught.value)
    assert 's2' in str(caught.value)
    settings.check_several(
        read(**PASSWORD, cinder_volume_type='fast'), ['s2']
    )
    with pytest.raises(
        exceptions.BadStoreConfiguration, match='cinder_store_password'
    ):
        settings.check_several(read(cinder_volume_type='fast'), ['s2'])


def test_what_is_hardly_meant_is_said(tmp_path):
    path = tmp_path / 'rootwrap.conf'
    given = {'rootwrap_config': str(path), 'cinder_api_insecure': True}
    said = list(settings.doubts(read(**given)))
    assert len(said) == 2
    assert str(path) in said[0]
    assert 'cinder_api_insecure' in said[1]
    path.touch()
    assert list(settings.doubts(read(rootwrap_config=str(path)))) == []


def test_a_password_is_not_shown():
    assert SECRET not in repr(read(**PASSWORD))


def test_an_option_that_a_release_of_glance_store_lacks_is_there_once():
    names = [option.dest for option in store.Store.OPTIONS]
    assert len(set(names)) == len(names)
    assert {*APPLICATION, *PASSWORD} <= set(names)
    older = [
        option for option in store.Store.OPTIONS
        if option.dest not in APPLICATION
    ]
    added = settings.complete(older)[len(older):]
    assert [option.dest for option in added] == list(APPLICATION)[1:]
    assert [option.secret for option in added] == [False, True]
