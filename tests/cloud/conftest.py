# SPDX-License-Identifier: Apache-2.0
"""A real OpenStack for the tests of this folder, started once.

Under pytest-xdist each process has accounts of its own in the same one.
"""

import contextlib
import functools
import signal
import threading

import pytest

from tests.cloud import buckets as object_stores
from tests.cloud import cinder_parts
from tests.cloud import containers as swift_containers
from tests.cloud import pools
from tests.cloud import services
from tests.cloud import stock
from tests.cloud.services import errors
from tests.cloud.services import install
from tests.cloud.services import leftovers
from tests.cloud.services import place
from tests.cloud.services import stores
from tests.functional import helpers as data
from tests.harness import Client
from tests.parts.configured import configured

__all__ = ['configured']

CLOUD = pytest.StashKey()
STOPPING = pytest.StashKey()
SERVERS = pytest.StashKey()
TOLD = ('cinder', 'cinder-scheduler', 'cinder-volume')


def pytest_configure(config):
    """See to it that the services are stopped, whoever has started them.

    Under pytest-xdist that is done by the process which outlives the others.
    """
    if hasattr(config, 'workerinput') or install.missing_reason():
        return
    if threading.current_thread() is threading.main_thread():
        # Without this the services would survive.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(errors.Unavailable):
        config.stash[STOPPING] = stack = contextlib.ExitStack()
        stack.enter_context(services.Cloud().stopped_in_the_end())


def pytest_unconfigure(config):
    if STOPPING in config.stash:
        config.stash[STOPPING].close()


@pytest.fixture(scope='session')
def cloud(request):
    """The services without Glance: :class:`services.Cloud`.

    They are stopped in the end, unless they were started by hand.
    """
    try:
        made = services.Cloud()
        with made.shared():
            request.config.stash[CLOUD] = made
            # What a process that was killed has left.
            leftovers.Leftovers(made).remove()
            yield made
    except errors.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope='session')
def found(cloud):
    """What is there that belongs to this process of tests."""
    return leftovers.Leftovers(cloud)


@pytest.fixture(scope='session', autouse=True)
def bindings():
    """Have rados and rbd importable, here and in programs started here.

    Before all else: servers are copies of the first one that was loaded.
    """
    with pytest.MonkeyPatch.context() as patch:
        try:
            folder = str(install.own_bindings(place.Place()))
        except errors.Unavailable:
            yield  # a Glance that needs them says so
            return
        patch.syspath_prepend(folder)
        patch.setenv('PYTHONPATH', folder, prepend=':')
        yield


@pytest.fixture(scope='session')
def block(cloud):
    """Give a function that returns a client of Cinder as a user."""
    return functools.cache(cloud.cinder)


@pytest.fixture(scope='session')
def start_glance(cloud, request):
    """Give a function that starts a Glance until the session ends.

    Its parameters are those of :class:`services.CloudGlance` after the cloud.
    """
    request.config.stash[SERVERS] = servers = []
    with contextlib.ExitStack() as stack:

        def start(name, given, settings=None, **options):
            try:
                server = services.CloudGlance(
                    cloud, name, given, settings, **options
                )
            except errors.Unavailable as error:
                pytest.skip(str(error))
            stack.enter_context(server)
            servers.append(server)
            return server

        yield start


@pytest.fixture(scope='session')
def as_user(cloud):
    """Give a function that returns a client of a Glance as a user."""
    token = functools.cache(cloud.token)

    def client(server, user='admin'):
        return Client(server, token(user))

    return client


@pytest.fixture(scope='session')
def glance(cloud, start_glance):
    """Glance with the plugin and the stock drivers."""
    return start_glance('usual', {
        'local': stores.file(),
        'other': stores.file(),
        'fast': stores.cinder(cloud, 'glance-fast'),
        'slow': stores.cinder(cloud, 'glance-slow'),
    }, threads=12)


@pytest.fixture(scope='package')
def new_pools(cloud, bindings):
    """Pools of Ceph that only this process uses: :class:`pools.Pools`."""
    with contextlib.closing(pools.Pools(cloud.place, cloud.ceph)) as made:
        yield made


@pytest.fixture(scope='package')
def edge_pools(cloud, bindings):
    """The same in the Ceph cluster of another site."""
    cloud.start(cloud.edge)
    with contextlib.closing(pools.Pools(cloud.place, cloud.edge)) as made:
        yield made


@pytest.fixture(scope='package')
def buckets(cloud):
    """Buckets of S3 that only this process uses: :class:`Buckets`."""
    return object_stores.Buckets(cloud)


@pytest.fixture(scope='package')
def containers(cloud):
    """Containers of Swift that only this process uses: :class:`Containers`."""
    return swift_containers.Containers(cloud)


@pytest.fixture(scope='package')
def conformance_pools(new_pools):
    """One pool for each store that a test of the suite may make."""
    return pools.for_conformance(new_pools)


def pytest_collection_modifyitems(items):
    stock.expect_failures(items)


@pytest.fixture
def own_pools():
    """The names of the pools that a test may not leave anything in."""
    return []


@pytest.fixture
def nothing_left(found, own_pools, request):
    """A test leaves nothing behind; it may call this to see that early."""
    def servers():
        return request.config.stash.get(SERVERS, [])

    def look():
        found.assert_none(servers(), own_pools, stock.PATIENCE)

    yield look
    if stock.fails(request.node):
        # It may have stopped in the middle.
        found.remove(servers(), own_pools)
    look()


@pytest.fixture(scope='session')
def own_environment(cloud, tmp_path_factory):
    """Let drivers run in this process; give their temporary folder."""
    folder = tmp_path_factory.mktemp('drivers')
    with cinder_parts.environment(cloud, folder) as temporary:
        yield temporary


@pytest.fixture
def open_stores(cloud, own_environment, tmp_path):
    """Give a function that loads drivers: {store: {option: value}}."""
    made = []

    def load(**given):
        folder = tmp_path / f'stores-{len(list(tmp_path.iterdir()))}'
        folder.mkdir()
        made.append(cinder_parts.Stores(cloud, folder, given))
        return made[-1]

    yield load
    for each in made:
        each.close()


@pytest.fixture
def both(cloud, open_stores):
    """Two stores in Cinder, with the two types, used without Glance."""
    return open_stores(**{
        name: stores.cinder(cloud, volume_type, driver=cinder_parts.DRIVER)
        for name, volume_type in (
            ('fast', 'glance-fast'), ('slow', 'glance-slow'),
        )
    })


@pytest.fixture
def gated(cloud, open_stores, gate):
    """One store that reaches Cinder through the gate, without Glance."""
    return open_stores(fast=stores.cinder(
        cloud, 'glance-fast', driver=cinder_parts.DRIVER,
        **cinder_parts.through_gate(cloud),
    ))


@pytest.fixture
def image(both, request):
    """An image of several chunks: its URL, its volume, and its bytes."""
    content = data.data(20 * data.MIB)
    _, url = both.add('fast', content)
    yield url, cinder_parts.volume_of(url), content
    if not stock.fails(request.node):
        both.delete('fast', url)


@pytest.fixture(scope='session')
def gate_server(cloud):
    """A way to Cinder that can fail, in a region of its own."""
    with cinder_parts.Gate(cloud) as made:
        cinder_parts.point_region_to(cloud, made.url)
        yield made


@pytest.fixture
def gate(gate_server):
    """The same, without failures and with nothing counted."""
    gate_server.requests.clear()
    yield gate_server
    gate_server.heal()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the ends of the logs with what failed."""
    report = yield
    cloud = item.config.stash.get(CLOUD, None)
    if report.failed and cloud:
        for name in TOLD:
            report.sections.append(
                (f'end of {cloud.place.log(name)}', cloud.processes.tail(name))
            )
        for server in item.config.stash.get(SERVERS, []):
            report.sections.append(
                (f'end of {server.log}', server.log_end())
            )
    return report
