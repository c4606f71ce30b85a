# SPDX-License-Identifier: Apache-2.0

"""Real Glance servers for tests, started once each when one needs them."""

import contextlib
import os
import subprocess
import warnings

import pytest

from tests import real_irods
from tests.functional import helpers
from tests.functional import replicating
from tests.harness import Client
from tests.harness import database
from tests.harness import GlanceServer
from tests.harness import loaded
from tests.harness import postgres
from tests.harness.wsgi import gunicorn
from tests.harness.wsgi import uwsgi
from tests.parts import boards
from tests.parts import starting

# Looking often makes tests short; the default is a second.
INTERVAL = '0.5'
NOTIFYING = {'oslo_messaging_notifications': {'driver': 'log'}}
BROKEN = {
    'web': 'http',
    # Its library is not installed, so that it is not configured.
    'ceph': 'rbd',
}


@pytest.fixture(scope='module')
def zone(tmp_path_factory):
    """A zone of iRODS with the collections of two stores."""
    folder = tmp_path_factory.mktemp('irods')
    with real_irods.zone_or_double(folder) as made:
        made.vault = made.add_collection('vault')
        yield made


@pytest.fixture(scope='session')
def databases():
    """A PostgreSQL for servers that do many things at once, or None."""
    try:
        with postgres.Postgres() as server:
            yield server
    except postgres.Unavailable:
        yield None


@pytest.fixture(scope='session')
def make_glance(tmp_path_factory, databases):
    """Give a function that makes a server, for others to start.

    It has a database in PostgreSQL where there is one, since with SQLite
    Glance itself loses a task now and then; ``sqlite=True`` insists.
    """
    def make(name, settings=None, sqlite=False, folder=None, **options):
        merged = {
            'copy_image': {
                'progress_interval': INTERVAL, 'recovery_interval': '3',
                'retry_interval': '0.1',
            },
            # Read before file stores, but for the default one.
            'web': {'weight': 10},
        }
        for group, values in (settings or {}).items():
            merged.setdefault(group, {}).update(values)
        folder = folder or tmp_path_factory.mktemp(name)
        if databases and not sqlite:
            options.setdefault('database_url', databases.url(folder.name))
        return GlanceServer(
            folder,
            settings=merged,
            graceful_timeout=5,
            **{'backends': BROKEN, **options},
        )

    return make


@pytest.fixture(scope='session')
def usual():
    """Options of a server that is served as most people do: by uWSGI."""
    found = uwsgi.Uwsgi()
    if reason := found.missing():
        warnings.warn(f'gunicorn is used instead: {reason}', stacklevel=1)
        found = gunicorn.Gunicorn()
    return {'wsgi': found}


@pytest.fixture(scope='session')
def audited():
    """The servers that are audited, each with what was in it the last time."""
    return {}


@contextlib.contextmanager
def starter(make_glance, audited):
    """Give a function that starts servers, until this is left.

    One that is started with ``audit=True`` is audited with all hashes before
    it is stopped, and at the end of each module that did something with it.
    """
    with contextlib.ExitStack() as stack:

        def start(name, settings=None, sqlite=False, audit=False, **options):
            server = make_glance(name, settings, sqlite, **options)
            stack.enter_context(server)
            if audit:
                audited[server] = None
                stack.callback(audited.pop, server)
                stack.callback(server.invariants.assert_hold)
            return server

        yield start


@pytest.fixture(scope='session')
def start_for_all(make_glance, audited):
    """Give a function that starts a server for all modules."""
    with starter(make_glance, audited) as start:
        yield start


@pytest.fixture(scope='module')
def start_glance(make_glance, audited):
    """Give a function that starts a server until the module ends."""
    with starter(make_glance, audited) as start:
        yield start


@pytest.fixture(scope='module', autouse=True)
def nothing_is_found(audited):
    """A net below all tests of a module: what they left must be in order."""
    yield
    for server in audited:
        (content,) = server.execute(
            'SELECT count(*) AS images, max(updated_at) AS last FROM images'
        )
        if audited[server] != content:
            server.invariants.assert_hold(verify=False)
            audited[server] = content


@pytest.fixture(scope='session')
def glance(start_for_all):
    """The plugin as it comes."""
    settings = {'s2': {'filesystem_store_file_perm': 640}, **NOTIFYING}
    return start_for_all('glance', settings, audit=True)


@pytest.fixture(scope='session')
def client(glance):
    return Client(glance)


@pytest.fixture(scope='session')
def streaming(start_for_all, usual):
    """The plugin without server-side copiers."""
    return start_for_all(
        'streaming', {'copy_image': {'copiers': ''}}, audit=True, **usual
    )


@pytest.fixture(scope='session')
def slow(start_for_all):
    """Copies take a second for two MiB in each store, one by one."""
    return start_for_all('slow', {'copy_image': {
        'bandwidth_limit': 2 * helpers.MIB,
        'staging_window': helpers.MIB,
        'max_parallel_stores': 1,
    }}, audit=True)


@pytest.fixture(scope='session')
def stock(start_for_all):
    """Glance without the filter, with the package installed.

    What is set for the package is nonsense, and means nothing to it.
    """
    return start_for_all('stock', {**NOTIFYING, 'copy_image': {
        'copiers': 'no-such-copier', 'max_concurrent_copies': 0,
    }}, plugin=False)


@pytest.fixture(scope='session')
def cloud_a(start_for_all, usual):
    """A cloud that images are copied from; its properties may be null."""
    schema = dict.fromkeys(('kernel_id', 'ramdisk_id'), {
        'type': ['null', 'string'],
    })
    return start_for_all('cloud-a', schema=schema, **usual)


@pytest.fixture(scope='session')
def cloud_b(start_for_all, usual):
    """Another cloud, which images are copied to."""
    return start_for_all('cloud-b', **usual)


@pytest.fixture
def clouds(cloud_a, cloud_b):
    """Two clouds that are empty, and are emptied again."""
    with replicating.emptied(cloud_a, cloud_b):
        yield cloud_a, cloud_b


@pytest.fixture(scope='session', autouse=True)
def end_loaded():
    """Wait for what has been started: its CPU time is that of the tests."""
    yield
    loaded.end()


@pytest.fixture(scope='session')
def tables(tmp_path_factory):
    """A database that nothing is in but Glance's tables."""
    folder = tmp_path_factory.mktemp('tables')
    url = database.sqlite_url(folder)
    made = starting.Configuration(folder / 'glance', url)
    database.sync(made.write() / 'glance-api.conf', url)
    return url


@pytest.fixture
def configuration(tmp_path, tables):
    """The configuration of a Glance, to be spoiled."""
    return starting.Configuration(tmp_path / 'glance', tables)


@pytest.fixture(scope='module')
def switch(tmp_path_factory):
    """The file that says where a process of the module kills itself."""
    return tmp_path_factory.mktemp('switch') / 'at'


@pytest.fixture(scope='module')
def board(tmp_path_factory):
    """A board on which copies wait for workers."""
    folder = tmp_path_factory.mktemp('redis')
    with boards.started('redis', folder) as server:
        yield server


@pytest.fixture(scope='module', params=boards.KINDS)
def each_board(request, tmp_path_factory):
    """The same, of each kind."""
    folder = tmp_path_factory.mktemp(request.param)
    with boards.started(request.param, folder) as server:
        yield server


@pytest.fixture(params=['copier', 'stream'])
def either(request):
    """Each of the two ways in which bytes reach a store."""
    name = {'copier': 'glance', 'stream': 'streaming'}[request.param]
    return request.getfixturevalue(name)


@pytest.fixture
def source():
    """A HTTP server for images that are read slowly."""
    with helpers.Source() as server:
        yield server


@pytest.fixture(scope='session')
def mount_tmpfs(tmp_path_factory):
    """Give a function that mounts a small file system; root only."""
    mounted = []

    def mount(size, folder=None):
        if os.geteuid() != 0:
            pytest.skip('only root can mount a small file system')
        folder = folder or tmp_path_factory.mktemp('tmpfs')
        done = subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', folder],
            capture_output=True, text=True,
        )
        if done.returncode:
            pytest.skip(f'cannot mount a file system: {done.stderr.strip()}')
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(['umount', '--lazy', folder], check=True)
