# SPDX-License-Identifier: Apache-2.0

import pathlib
import subprocess
import sys

from oslo_config import cfg
import pytest

from glance_copy_plugin.options import copy_image


@pytest.fixture
def conf():
    made = cfg.ConfigOpts()
    made.register_opts([
        cfg.StrOpt('engine_mode', default='parallel'),
        cfg.IntOpt('max_workers', default=10),
    ], group='taskflow_executor')
    copy_image.register_opts(made)
    made([])
    return made


def test_the_sample_configuration_shows_every_option():
    tool = pathlib.Path(sys.executable).with_name('oslo-config-generator')
    done = subprocess.run(
        [tool, '--namespace', 'glance_copy_plugin'], text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert '[copy_image]' in done.stdout
    missing = [
        option.name for option in copy_image.COPY_IMAGE_OPTS
        if f'\n#{option.name} =' not in done.stdout
    ]
    assert missing == []


def test_every_option_says_to_an_operator_what_it_does():
    undocumented = [
        option.name for option in copy_image.COPY_IMAGE_OPTS
        if len((option.help or '').strip()) < 20
    ]
    assert undocumented == []


def test_registering_again_is_harmless(conf):
    copy_image.register_opts(conf)


def test_without_any_setting_the_defaults_hold(conf):
    assert copy_image.copy_options(conf, '/staging') == copy_image.CopyOptions(
        staging_dir='/staging', staging_window=None,
        copiers=('file', 'irods', 'cinder', 'rbd', 's3', 'swift'),
        verify='backend', max_parallel_stores=None, bandwidth_limit=None,
        progress_interval=1.0, workers=10,
    )


def test_a_staging_directory_of_our_own_comes_first(conf):
    conf.set_override('staging_dir', '/big', group=copy_image.GROUP)
    assert copy_image.copy_options(conf, '/staging').staging_dir == '/big'


@pytest.mark.parametrize(('mode', 'workers', 'most', 'stores'), [
    ('parallel', 10, None, 10),
    ('parallel', 10, 3, 3),
    ('parallel', 2, 3, 2),
    ('serial', 10, None, 1),
    ('serial', 10, 3, 1),
])
def test_stores_are_written_at_once_as_far_as_workers_allow(
    conf, mode, workers, most, stores
):
    conf.set_override('engine_mode', mode, group='taskflow_executor')
    conf.set_override('max_workers', workers, group='taskflow_executor')
    conf.set_override('max_parallel_stores', most, group=copy_image.GROUP)
    assert copy_image.copy_options(conf, '/staging').parallel_stores == stores


@pytest.mark.parametrize(('name', 'value'), [
    ('staging_window', 4095), ('max_parallel_stores', 0),
    ('max_concurrent_copies', 0), ('bandwidth_limit', 0),
    ('store_bandwidth_limits', 's1:0'), ('store_bandwidth_limits', 's1:fast'),
    ('store_bandwidth_limits', 's1'),
    ('progress_interval', 0), ('progress_interval', 61),
    ('verify', 'maybe'), ('all_stores', 'every'),
])
def test_a_value_that_makes_no_sense_is_refused(conf, name, value):
    with pytest.raises(ValueError, match=r'\S'):
        conf.set_override(name, value, group=copy_image.GROUP)
