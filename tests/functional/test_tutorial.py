# SPDX-License-Identifier: Apache-2.0


"""The tutorial's package: written to files, installed, tested and used."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from tests.documentation import pages
from tests.functional import helpers
from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness.process import run

pytestmark = [pytest.mark.functional, pytest.mark.long]

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / 'doc' / 'source' / 'contributor' / 'tutorial.rst'
FOLDERS = '/var/lib/glance'


@pytest.fixture(scope='module')
def package(tmp_path_factory):
    """The folder of the package, as a reader of the page has it."""
    folder = tmp_path_factory.mktemp('glance-shelf')
    for name, content in pages.captioned(PAGE):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder


@pytest.fixture(scope='module')
def installed(package, tmp_path_factory):
    """The folder that the package is installed in, and nothing else."""
    folder = tmp_path_factory.mktemp('site')
    run(
        sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps',
        '--no-build-isolation', '--target', folder, package,
    )
    return folder


@pytest.fixture(scope='module')
def environment(installed, tmp_path_factory):
    paths = [str(installed), str(ROOT), os.environ.get('PYTHONPATH', '')]
    return {
        **os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths)),
        # Of entry points, so that it does not know of ours elsewhere.
        'XDG_CACHE_HOME': str(tmp_path_factory.mktemp('cache')),
        # What it prints is read.
        'PYTEST_ADDOPTS': '',
    }


def test_the_store_and_the_copier_pass_the_conformance_suite(
    package, environment
):
    said = run(
        sys.executable, '-m', 'pytest', '-q', '-rs', '-p', 'no:cacheprovider',
        package / 'test_shelf.py', env=environment, cwd=ROOT,
    )
    end = said.splitlines()[-1]
    assert 'failed' not in end
    assert int(end.split()[0]) > 100, said
    reasons = {
        line.rpartition(': ')[2] for line in said.splitlines()
        if line.startswith('SKIPPED')
    }
    assert reasons == {
        'this store cannot be made full',
        'what copies compares sizes only, unless told more',
    }


@pytest.fixture(scope='module')
def server(environment, tmp_path_factory):
    """A Glance with the configuration of the page."""
    folder = tmp_path_factory.mktemp('shelves')
    told = textwrap.dedent(pages.code(PAGE, 'ini')[-1])
    settings = pages.options(told.replace(FOLDERS, str(folder)))
    backends = dict(
        each.strip().split(':') for each in
        settings['DEFAULT'].pop('enabled_backends').split(',')
    )
    for name in backends:
        (folder / name).mkdir()
    with GlanceServer(
        folder / 'glance', stores=(), backends=backends, settings=settings,
        environment={
            key: environment[key] for key in ('PYTHONPATH', 'XDG_CACHE_HOME')
        },
    ) as started:
        yield folder, started


def test_a_glance_copies_an_image_by_a_hard_link(server):
    folder, glance = server
    client = Client(glance)
    content = helpers.data(3 * helpers.MIB + 1)
    image_id = client.create_image(content)
    task = client.copy_and_wait(image_id, ['bottom'])
    assert task['status'] == 'success', task['message']
    assert client.stores(image_id) == ['bottom', 'top']
    assert (folder / 'bottom' / image_id).read_bytes() == content
    assert os.path.samefile(
        folder / 'top' / image_id, folder / 'bottom' / image_id
    )
    client.delete(image_id)
    assert not list((folder / 'bottom').iterdir())


def command(glance, *words):
    """Run glance-copy; return its status and words."""
    done = subprocess.run(
        [pathlib.Path(sys.executable).with_name('glance-copy'), *words],
        env=glance.process_environment(), cwd=glance.folder, text=True,
        stdin=subprocess.DEVNULL, capture_output=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_check_names_the_copier(server):
    status, said = command(server[1], 'check')
    assert status == 0, said
    assert said.count('| server-side shelf |') == 2


def test_the_audit_removes_what_a_killed_process_left(server):
    folder, glance = server
    client = Client(glance)
    image_id = client.create_image(b'whole')
    left = folder / 'bottom' / f'.{image_id}.part'
    left.write_bytes(b'ha')
    status, said = command(glance, 'audit')
    assert status == 1
    assert 'unfinished-object' in said
    assert command(glance, 'audit', '--fix')[0] == 0
    assert not left.exists()
    assert client.download(image_id) == b'whole'
