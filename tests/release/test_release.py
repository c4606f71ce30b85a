# SPDX-License-Identifier: Apache-2.0
"""The sdist and the wheel, and the wheel beside a Glance from PyPI."""

import configparser
import os
import pathlib
import shutil
import subprocess
import tarfile
import zipfile

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness import moments
from tests.harness import token_filter
from tests.harness.process import run
from tests.harness.wsgi import gunicorn
from tests.release.conftest import Environment
from tests.release.conftest import ROOT

pytestmark = pytest.mark.long

PACKAGES = (
    'glance_copy_plugin', 'glance_copy_plugin_tempest', 'glance_replicate',
    'glance_store_cinder', 'glance_store_irods',
)
# pbr leaves it out, since it means nothing outside of git.
NOT_IN_SDIST = {'.gitignore'}


def modules():
    return {
        str(path.relative_to(ROOT)) for package in PACKAGES
        for path in (ROOT / package).rglob('*.py')
    }


def members(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_every_module_and_nothing_of_the_tests(wheel):
    found = {name for name in members(wheel) if '.dist-info/' not in name}
    assert found == modules()


def test_the_wheel_has_the_licence_and_the_entry_points(wheel):
    content = {
        name.partition('.dist-info/')[2]: data
        for name, data in members(wheel).items() if '.dist-info/' in name
    }
    assert content['licenses/LICENSE'] == (ROOT / 'LICENSE').read_bytes()
    points = configparser.ConfigParser(delimiters='=')
    points.optionxform = str
    points.read_string(content['entry_points.txt'].decode())
    wanted = configparser.ConfigParser(delimiters='=')
    wanted.optionxform = str
    wanted.read(ROOT / 'setup.cfg')
    for group, names in wanted['entry_points'].items():
        for name in names.strip().splitlines():
            name, _, target = (part.strip() for part in name.partition('='))
            assert points[group][name] == target


@pytest.mark.skipif(
    not (ROOT / '.git').exists(), reason='only git knows what belongs to it'
)
def test_the_sdist_has_every_file_of_the_repository(built):
    (path,) = built.glob('*.tar.gz')
    with tarfile.open(path) as archive:
        found = {
            member.name.partition('/')[2] for member in archive
            if member.isfile()
        }
    tracked = set(run('git', 'ls-files', cwd=ROOT).splitlines())
    assert tracked - found == NOT_IN_SDIST


def test_the_wheel_leaves_glance_and_its_libraries_as_they_were(
    beside_glance,
):
    after = beside_glance.versions()
    assert beside_glance.before.items() <= after.items()
    assert set(after) - set(beside_glance.before) <= {'glance-copy-plugin'}
    run(beside_glance.python, '-m', 'pip', 'check')


@pytest.fixture(scope='module')
def server(beside_glance, tmp_path_factory):
    """A Glance of that environment, which sees nothing of this folder."""
    folder = tmp_path_factory.mktemp('release')
    _copy_token_filter(folder / 'path')
    server = GlanceServer(
        folder / 'glance',
        wsgi=gunicorn.Gunicorn(python=str(beside_glance.python)),
        environment={'PYTHONPATH': str(folder / 'path')},
    )
    with server:
        yield server


def _copy_token_filter(folder):
    """Make the filter and what it needs importable, and nothing else."""
    inner = folder / 'tests' / 'harness'
    inner.mkdir(parents=True)
    for package in (inner, inner.parent):
        (package / '__init__.py').touch()
    for module in (moments, token_filter):
        shutil.copy(module.__file__, inner)


def ask(environment, server, *command):
    """Run a program of the environment as an operator would."""
    return subprocess.run(
        [str(environment.bin / command[0]), *command[1:]],
        env={
            **server.process_environment(),
            'PATH': f'{environment.bin}:{os.environ["PATH"]}',
        },
        cwd=server.folder, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )


def test_the_modules_are_those_of_the_wheel(beside_glance, server):
    code = 'import glance_copy_plugin as a, glance_store_irods as b; ' \
           'print(a.__file__, b.__file__)'
    said = ask(beside_glance, server, 'python', '-c', code).stdout
    for path in said.split():
        assert pathlib.Path(path).is_relative_to(beside_glance.bin.parent)


def test_glance_copy_check_is_content(beside_glance, server):
    done = ask(beside_glance, server, 'glance-copy', 'check')
    assert done.returncode == 0, done.stdout
    assert done.stdout.count('| copier file |') == 4


def test_an_image_is_copied(server):
    client = Client(server)
    image_id = client.create_image(helpers.data(3 * MIB + 1))
    task = client.copy_and_wait(image_id, ['s1', 's2', 's3'])
    assert task['status'] == 'success'
    helpers.assert_copied(server, client, image_id, ['s1', 's2', 's3'])
    assert 'Images are copied by glance-copy-plugin' in helpers.log_of(server)


def test_the_audit_finds_nothing(beside_glance, server):
    done = ask(beside_glance, server, 'glance-copy', 'audit', '--verify')
    assert done.returncode == 0, done.stdout


def test_the_extras_bring_what_the_drivers_need(with_extras, server):
    # A worker chooses its backend of oslo.service before it loads a driver.
    code = 'from oslo_service import backend; ' \
           'backend.init_backend(backend.BackendType.THREADING); ' \
           'from glance_copy_plugin.jobboard import redis_board, ' \
           'etcd_board, zookeeper_board; ' \
           'from glance_copy_plugin.worker import launcher, endpoint; ' \
           'import glance_store._drivers.s3, glance_store_irods.store, ' \
           'glance_store_cinder.store as c; ' \
           'import boto3, irods, os_brick, cinderclient, openstack, rich; ' \
           'print("all there")'
    done = ask(with_extras, server, 'python', '-c', code)
    assert done.stdout.splitlines()[-1:] == ['all there'], done.stdout
    done = ask(with_extras, server, 'glance-copy-worker', 'status')
    assert 'jobboard_connection is not set' in done.stdout
    run(with_extras.python, '-m', 'pip', 'check')


def test_the_client_brings_no_library_of_a_server(tmp_path, wheel):
    client = Environment(tmp_path / 'venv')
    client.install(f'{wheel}[replicator]')
    servers = {
        'alembic', 'glance', 'glance-store', 'glance_store', 'oslo.db',
        'sqlalchemy', 'taskflow', 'webob',
    }
    assert not servers & {name.lower() for name in client.versions()}
    nowhere = 'http://127.0.0.1:9'
    done = subprocess.run(
        [client.bin / 'glance-replicate', 'size', nowhere],
        capture_output=True, text=True,
    )
    assert done.returncode == 1
    assert 'be reached' in done.stderr
    assert 'Traceback' not in done.stderr
