# SPDX-License-Identifier: Apache-2.0

"""A check that was content with what Glance, or its users, were not."""

import subprocess
import sys

import pytest

from glance_copy_plugin.options import copy_image
from tests.harness import process
from tests.parts import starting

pytestmark = pytest.mark.functional


def asked(configuration):
    """Return the status of the check, its words, and if Glance starts."""
    folder = configuration.write()
    status, said = starting.check(folder)
    assert 'Traceback' not in said
    assert 'NoneType' not in said
    return status, said, starting.glance(folder) == 0


def test_copies_were_refused_as_the_method_was_not_enabled(configuration):
    configuration.set('DEFAULT', enabled_import_methods='[glance-direct]')
    status, said, starts = asked(configuration)
    assert (status, starts) == (1, True), said
    assert 'copy-image is not among the enabled_import_methods' in said


@pytest.mark.parametrize('names', [
    'versionnegotiation copy_image context rootapp',
    'versionnegotiation copy_image authtoken context rootapp',
    'copy_image versionnegotiation test_token context rootapp',
])
def test_each_copy_was_answered_500_as_the_filter_stood_before_another(
    configuration, names
):
    text = configuration.paste.read_text()
    before = 'versionnegotiation test_token context copy_image rootapp'
    assert before in text
    configuration.paste.write_text(text.replace(before, names))
    status, said, starts = asked(configuration)
    assert (status, starts) == (1, False), said
    assert 'the filter copy_image stands before the filter context' in said


@pytest.mark.parametrize('group, options, says', [
    ('glance_store', {'default_backend': None}, 'default_backend'),
    ('glance_store', {'default_backend': 's9'}, 'default_backend'),
    ('DEFAULT', {'enabled_backends': None}, 'enabled_backends is not set'),
    ('DEFAULT', {'enabled_backends': 'os_glance_a:file'}, 'reserved'),
    ('wsgi', {'task_pool_threads': 'many'}, 'task_pool_threads'),
])
def test_the_check_was_content_and_glance_did_not_start(
    configuration, group, options, says
):
    configuration.set(group, **options)
    status, said, starts = asked(configuration)
    assert (status, starts) == (1, False), said
    assert says in said.splitlines()[-1], said


@pytest.mark.parametrize('group, name, value', [
    ('copy_image', 'retries', 'many'),
    ('copy_image', 'retries', '-1'),
    ('copy_image', 'verify', 'perhaps'),
    ('copy_image', 'staging_window', '1 GiB'),
    ('copy_image', 'staging_window', '17'),
    ('copy_image', 'store_timeout', '$nothing'),
    ('copy_image', 'jobboard_tls', 'maybe'),
    ('taskflow_executor', 'max_workers', 'some'),
])
def test_each_copy_failed_with_a_path_as_a_value_could_not_be_read(
    configuration, group, name, value
):
    configuration.set(group, **{name: value})
    status, said, starts = asked(configuration)
    assert (status, starts) == (1, False), said
    assert f'[{group}] {name} has a value that cannot be used: ' in said
    assert str(configuration.folder) not in said


def test_a_misspelt_option_was_ignored_without_a_word(configuration):
    configuration.set('copy_image', staging_windows=1 << 20, wrong='x')
    status, said, starts = asked(configuration)
    assert (status, starts) == (1, True), said
    assert (
        '[copy_image] has no option staging_windows, did you mean '
        'staging_window?' in said
    )
    assert '[copy_image] has no option wrong: take it out' in said


@pytest.mark.parametrize('kind, options, why', [
    # Also root cannot make a directory there.
    ('file', {'filesystem_store_datadir': '/proc/sys/images'},
     'Unable to create datadir: /proc/sys/images'),
    ('no-such-driver', {}, 'its driver no-such-driver could not be loaded'),
])
def test_a_store_that_could_not_be_written_was_found_by_a_user(
    configuration, kind, options, why
):
    configuration.set(
        'DEFAULT', enabled_backends=f'src:file, s1:{kind}, web:http'
    )
    configuration.set('s1', **options)
    status, said, starts = asked(configuration)
    assert (status, starts) == (1, True), said
    assert f'store s1 cannot be written: {why}' in said
    assert '| False    | -           |' in said
    # That one is of a kind which is only read.
    assert 'store web' not in said


# As a suite of tests does it that has a Glance without a paste pipeline.
ACTIVATED = """
import sys
from glance.api.v2 import images
from glance.common import wsgi_app
import glance.context
import glance_store
from oslo_config import cfg
from stevedore import driver
from glance_copy_plugin import activation

activation.activate()
cfg.CONF([], project='glance', default_config_files=[sys.argv[1]])
for call in glance_store.register_store_opts, glance_store.create_multi_stores:
    call(cfg.CONF, reserved_stores=wsgi_app.RESERVED_STORES)
flow = driver.DriverManager(
    'glance.flows', 'api_image_import', invoke_on_load=True, invoke_kwds={
        'context': glance.context.get_admin_context(), 'task_repo': None,
        'image_id': '3d9f5b7e-1c8a-4042-9d9f-5b7e1c8a6042',
        'task_id': 'task', 'backend': ['s1'],
        'import_req': {'method': {'name': 'copy-image'}},
    },
).driver
print(flow.name)
"""


def test_a_suite_that_only_activates_it_met_options_that_were_not_there(
    configuration
):
    folder = configuration.write()
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', ACTIVATED,
         folder / 'glance-api.conf'],
        cwd=process.ROOT, text=True, capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'copy-image-task\n'


def test_the_sample_gave_a_default_to_an_option_that_has_none():
    (option,) = (
        each for each in copy_image.COPY_IMAGE_OPTS
        if each.name == 'staging_window'
    )
    assert option.default is None
    # What a sample, and a page of documentation, shows instead.
    assert option.sample_default is None
