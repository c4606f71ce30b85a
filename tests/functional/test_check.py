# SPDX-License-Identifier: Apache-2.0

"""``glance-copy check`` and ``audit`` with a Glance that is not ready."""

import pytest

from tests.parts import starting

pytestmark = pytest.mark.functional


def test_a_good_configuration_shows_how_each_store_is_written(configuration):
    folder = configuration.write()
    status, said = starting.check(folder)
    assert status == 0, said
    assert said.count('| copier file |') == 4
    assert starting.glance(folder) == 0


def test_a_filter_in_another_pipeline_than_the_one_in_use_is_missed(
    configuration,
):
    text = configuration.paste.read_text()
    configuration.paste.write_text(
        text.replace('context copy_image rootapp', 'context rootapp')
        + '\n[pipeline:other]\npipeline = context copy_image rootapp\n'
    )
    status, said = starting.check(configuration.write())
    assert status == 1
    assert 'not in the paste pipeline in use' in said.splitlines()[-1]


@pytest.mark.parametrize('group, options, says', [
    ('DEFAULT', {'enabled_backends': 'nonsense'}, 'enabled_backends'),
    ('paste_deploy', {'flavor': 'salty'}, 'glance-api-salty'),
    ('paste_deploy', {'config_file': '/no/such.ini'}, 'paste config file'),
    ('database', {'connection': 'sqlite:////no/such/folder/db'},
     'cannot be used'),
])
def test_what_glance_does_not_start_with_is_one_sentence(
    configuration, group, options, says
):
    configuration.set(group, **options)
    status, said = starting.check(configuration.write())
    assert status == 1
    assert 'Traceback' not in said
    assert says in said.splitlines()[-1]


@pytest.mark.parametrize('command', ['check', 'audit'])
def test_an_empty_database_is_one_sentence_with_the_command(
    configuration, tmp_path, command
):
    configuration.set('database', connection=f'sqlite:///{tmp_path}/empty.db')
    status, said = starting.glance_copy(command, configuration.write())
    assert status == 1
    assert 'Traceback' not in said
    assert said.strip().splitlines()[-1] == (
        'the database of the Image service is empty: run glance-manage db sync'
    )
