# SPDX-License-Identifier: Apache-2.0

"""Where the board is, and what is said when that cannot be."""

from oslo_config import cfg
import pytest

from glance_copy_plugin.options import copy_image
from glance_copy_plugin.options import jobboard


@pytest.fixture
def settings_of():
    """Give a function that reads these options as ``[copy_image]``."""
    conf = cfg.ConfigOpts()
    copy_image.register_opts(conf)
    conf([])

    def read(**given):
        for name, value in given.items():
            conf.set_override(
                f'jobboard_{name}', value, group=copy_image.GROUP
            )
        return jobboard.settings(conf[copy_image.GROUP])

    return read


def test_without_an_address_copies_stay_where_they_were():
    conf = cfg.ConfigOpts()
    copy_image.register_opts(conf)
    conf([])
    assert not jobboard.is_enabled(conf[copy_image.GROUP])


def test_the_address_says_all_that_is_needed(settings_of):
    found = settings_of(connection='redis://copier:p%40ss@board:6380/2')
    assert (found.kind, found.database) == ('redis', 2)
    assert found.hosts == (('board', 6380),)
    assert (found.username, found.password) == ('copier', 'p@ss')
    assert not found.tls


def test_the_usual_port_and_the_first_database_need_not_be_said(settings_of):
    found = settings_of(connection='redis://board')
    assert (found.hosts, found.database) == ((('board', 6379),), 0)
    assert (found.username, found.password) == (None, None)


def test_each_kind_has_its_usual_port(settings_of):
    assert settings_of(connection='etcd://board').hosts == (('board', 2379),)
    assert settings_of(connection='zookeeper://a,b:7,[::1]').hosts == (
        ('a', 2181), ('b', 7), ('::1', 2181),
    )


def test_a_password_of_its_own_option_is_taken_as_it_is(settings_of):
    found = settings_of(
        connection='redis://board', password='a/b@c:d%20#e',
    )
    assert found.password == 'a/b@c:d%20#e'


def test_the_password_is_not_printed(settings_of):
    assert 'secret' not in repr(
        settings_of(connection='redis://:secret@board')
    )


@pytest.mark.parametrize('address', [
    'board:6379', 'http://board', 'redis://', 'redis://u:secret@board:port',
    'redis://u:secret@board/two', 'redis://board/-1', 'redis://board?db=1',
    'redis://[::1', 'redis://u:secret@a,b', 'etcd://u:secret@a,b',
    'etcd://u:secret@board/1', 'zookeeper://u:secret@a,,b',
    'zookeeper://u:secret@a/path', 'mysql://u:secret@board',
])
def test_an_address_that_is_none_is_refused_without_showing_it(
    settings_of, address,
):
    with pytest.raises(RuntimeError) as refusal:
        settings_of(connection=address)
    assert 'redis://[USER@]HOST' in str(refusal.value)
    assert 'secret' not in str(refusal.value)


def test_a_certificate_needs_its_key(settings_of):
    with pytest.raises(RuntimeError, match='set both, or none'):
        settings_of(
            connection='redis://board', tls=True, tls_cert_file='/cert'
        )


def test_files_for_tls_without_tls_are_refused(settings_of):
    with pytest.raises(RuntimeError, match='jobboard_tls is false'):
        settings_of(connection='redis://board', tls_ca_file='/ca')
