# SPDX-License-Identifier: Apache-2.0
"""Tempest, its own tests and ours, against a real Keystone and Glance."""

import configparser
import os
import re
import subprocess
import sys

import pytest

from tests.cloud import services
from tests.cloud.services import conf
from tests.cloud.services import identity
from tests.cloud.services import stores
from tests.functional import helpers

pytestmark = pytest.mark.usefixtures('nothing_left')

IMAGES = 'tempest.api.image.v2'
# Each has at least one test that must not be skipped here.
OFFICIAL = (
    f'{IMAGES}.admin.test_images.ImportCopyImagesTest',
    f'{IMAGES}.admin.test_images.MultiStoresImagesTest',
    f'{IMAGES}.test_images.ImportImagesTest',
    f'{IMAGES}.test_images.MultiStoresImportImagesTest',
)
COPIES = 'glance_copy_plugin_tempest.tests.test_copies.CopiesTest'
PARTIAL = 'glance_copy_plugin_tempest.tests.test_copies.PartialFailureTest'
# In the order of the alphabet, which Tempest expects of an image's stores.
STORES = ('archive', 'fast', 'last', 'slow')
FAILING = 'last'
# The type image is that of a Glance which somebody has started by hand.
KIND = 'image-tempest'
# Glance downloads nothing from 127.0.0.1, and nothing here listens elsewhere.
NOT_HERE = 'test_image_web_download_import'
LINE = re.compile(r'^\{\d+\} (\S+?)(?:\[.*\])? \[.*s\] \.\.\. (\w+)', re.M)


@pytest.fixture(scope='module')
def server(cloud):
    """A Glance with four file stores, in the catalogue under its own type."""
    server = services.CloudGlance(
        cloud, 'tempest',
        {name: stores.file() for name in STORES},
        # Tempest copies to all of them.
        settings={'copy_image': {'all_stores': 'missing'}},
    )
    with server, identity.connect(cloud.place) as connection:
        catalogue = connection.identity
        for left in catalogue.services(type=KIND):  # by a killed session
            catalogue.delete_service(left)
        service = catalogue.create_service(type=KIND, name=KIND)
        catalogue.create_endpoint(
            service_id=service.id, interface='public', url=server.url,
            region_id=conf.REGION,
        )
        yield server
        catalogue.delete_service(service)


@pytest.fixture
def tempest(cloud, server, tmp_path):
    """Give a function that runs tests; it returns {test: outcome}."""

    def run(*wanted, **options):
        workspace = tmp_path / 'tempest'
        if not workspace.exists():
            _tempest('init', workspace, cwd=tmp_path)
        path = workspace / 'etc' / 'tempest.conf'
        _write(path, cloud, workspace, options)
        regex = '|'.join(re.escape(f'{name}.') for name in wanted)
        said = _tempest(
            'run', '--concurrency', '1', '--regex', regex,
            '--exclude-regex', NOT_HERE, cwd=workspace,
        )
        print(said[said.rfind('Totals'):])
        return dict(LINE.findall(said)), said

    return run


def _tempest(*words, cwd):
    """Run Tempest; return what it prints."""
    done = subprocess.run(
        [sys.executable, '-m', 'tempest.cmd.main', *map(str, words)],
        cwd=cwd, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={
            **os.environ, 'HOME': str(cwd),
            'PATH': f'{os.path.dirname(sys.executable)}:{os.environ["PATH"]}',
        },
    )
    return done.stdout


def _write(path, cloud, workspace, options):
    """Write the configuration, which holds a password."""
    parser = configparser.RawConfigParser()
    parser.read_dict({
        'auth': {
            'use_dynamic_credentials': 'true',
            'admin_username': 'admin',
            'admin_project_name': 'admin',
            'admin_domain_name': conf.DOMAIN,
            'admin_password': cloud.place.password('admin'),
        },
        'identity': {
            'uri_v3': cloud.place.url('keystone', '/v3'),
            'auth_version': 'v3',
            'region': conf.REGION,
        },
        'image': {
            'catalog_type': KIND, 'build_interval': '1',
            'build_timeout': '60',
        },
        'image-feature-enabled': {
            'import_image': 'true', 'os_glance_reserved': 'true',
        },
        'image-copy': options,
        'oslo_concurrency': {'lock_path': str(workspace / 'locks')},
        'service_available': {
            'cinder': 'false', 'glance': 'true', 'neutron': 'false',
            'nova': 'false', 'swift': 'false',
        },
    })
    with open(path, 'w', opener=_private) as stream:
        parser.write(stream)


def _private(path, flags):
    return os.open(path, flags, 0o600)


def test_tempests_own_tests_of_imports_and_copies_pass(tempest):
    outcomes, said = tempest(*OFFICIAL)
    assert set(outcomes.values()) <= {'ok', 'SKIPPED'}, said
    for name in OFFICIAL:
        assert 'ok' in {
            outcome for test, outcome in outcomes.items()
            if test.startswith(f'{name}.')
        }, said
    skipped = {
        test.rpartition('.')[2] for test, outcome in outcomes.items()
        if outcome == 'SKIPPED'
    }
    # They need a second Glance.
    assert not [
        name for name in skipped
        if not name.startswith((
            'test_image_glance_download', 'test_remote',
        ))
    ], said


def test_copies_of_a_real_size_pass(tempest):
    outcomes, said = tempest(COPIES, PARTIAL, size=64)
    ours = {
        test: outcome for test, outcome in outcomes.items()
        if test.startswith(COPIES)
    }
    assert len(ours) == 5, said
    assert set(ours.values()) == {'ok'}, said


def test_copies_that_fail_in_part_pass(tempest, server):
    with helpers.replaced_by_file(server.places[FAILING]):
        outcomes, said = tempest(PARTIAL, size=16, failing_store=FAILING)
    assert len(outcomes) == 2, said
    assert set(outcomes.values()) == {'ok'}, said
