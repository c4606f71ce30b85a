# SPDX-License-Identifier: Apache-2.0

"""Images between two real Ceph clusters, natively, and what goes wrong there.

Stores are made in this order: one beside Cinder, two at another site.
"""

import contextlib
import errno
import mmap
import threading

import pytest

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import rbd_copier
from glance_copy_plugin.backends import rbd_objects
from glance_copy_plugin.backends import rbd_streams
from glance_copy_plugin.transfer import errors
from tests.cloud import pools
from tests.functional.helpers import wait_until
from tests.parts import data
from tests.parts import threads
from tests.stores import copies

MIB = 1024 * 1024
OBJECT = MIB  # of the stores here
IMAGE = data.some(5 * MIB + 3)
LARGE = data.some(96 * MIB)
GIBIBYTES = 3 * 1024 * MIB
PLACES = ('central', 'edge', 'archive')


@pytest.fixture(scope='module')
def site_pools(conformance_pools, edge_pools):
    """Pools of both sites."""
    return [conformance_pools[0], *pools.for_conformance(edge_pools)[:2]]


class TestSites(pools.InPools, copies.Copying):
    """An image of the cluster ``central`` goes to the site."""

    writer = rbd_streams.RbdWriter()

    @pytest.fixture
    def free_pools(self, site_pools):
        return site_pools

    @pytest.fixture
    def sites(self, make):
        """Three stores: ``central``, ``edge`` and ``archive``."""
        return [make(name) for name in PLACES]

    def location(self, target, url):
        return base.Location(
            store=target.name, driver=drivers.of_store(target.name), url=url,
        )

    def planted(self, target, content):
        """Return a source: an image in a store."""
        url = target.plant(copies.IMAGE_ID, content)
        return rbd_streams.RbdReader().source(
            self.location(target, url), None
        )

    @pytest.mark.parametrize('size', [
        0, 1, OBJECT - 1, OBJECT, OBJECT + 1, 9 * MIB + 7,
    ])
    def test_an_image_of_any_size_reaches_another_cluster(
        self, sites, copy, size
    ):
        central, edge, _archive = sites
        content = data.some(size)
        copied = copy([edge], [self.planted(central, content)], content)
        self.succeed(copied, edge, content=content)
        assert edge.pool.ceph is not central.pool.ceph

    def test_a_sparse_image_of_gibibytes_costs_what_is_in_it(
        self, sites, copy, tmp_path
    ):
        central, edge, _archive = sites
        central.pool.put_sparse(copies.IMAGE_ID, GIBIBYTES, IMAGE)
        location = self.location(central, central.pool.url(copies.IMAGE_ID))
        with (tmp_path / 'sparse').open('w+b') as sparse:
            sparse.write(IMAGE)
            sparse.truncate(GIBIBYTES)
            with mmap.mmap(sparse.fileno(), 0) as content:
                copied = copy(
                    [edge],
                    [rbd_streams.RbdReader().source(location, None)],
                    content, verify='full',
                )
                copied.run()
        assert copied.errors == {}
        assert edge.pool.size_of(copies.IMAGE_ID) == GIBIBYTES
        assert edge.pool.objects_of(copies.IMAGE_ID) <= 8

    def test_two_stores_of_a_site_are_written_while_one_is_read_once(
        self, sites, copy
    ):
        central, edge, archive = sites
        source = Watched(self.planted(central, IMAGE))
        self.succeed(copy([edge, archive], [source]), edge, archive)
        assert source.offsets == [0]

    def test_the_cluster_itself_copies_what_it_has_and_no_other(self, sites):
        central, edge, archive = sites
        copier = rbd_copier.RbdCopier()
        for source, target, can in (
            (edge, archive, True), (central, edge, False),
        ):
            planted = source.plant(copies.IMAGE_ID, IMAGE)
            # Without a URL: whatever lies in that store.
            for url in (planted, ''):
                assert can == copier.can_copy(
                    (self.location(source, url),), drivers.target(target.name)
                )

    def test_a_location_of_another_cluster_is_not_tried_again(self, sites):
        central, edge, _archive = sites
        url = central.plant(copies.IMAGE_ID, IMAGE)
        source = rbd_streams.RbdReader().source(
            self.location(edge, url), None
        )
        with pytest.raises(errors.SourceGone, match='another Ceph cluster'):
            next(source.read_from(0))

    def test_a_reader_who_is_evicted_goes_on_where_it_was(
        self, sites, copy, new_pools, monkeypatch
    ):
        central, edge, _archive = sites
        source = Watched(self.planted(central, LARGE))
        clients = note_clients(monkeypatch, central)

        def evict():
            reader = clients[-1]
            new_pools.evict_client(reader.get_addrs())
            wait_until(
                lambda: is_refused(reader, central.pool.name),
                'the end of a client',
            )

        source.when_read_first = evict
        self.succeed(copy([edge], [source], LARGE), edge, content=LARGE)
        assert len(source.offsets) == 2
        assert source.offsets[1] > 0

    def test_a_site_that_stands_still_does_not_keep_others_waiting(
        self, sites, copy, source, cloud
    ):
        """And it is waited for."""
        central, edge, _archive = sites
        copied = copy([edge, central], [source(LARGE)], LARGE)
        with standstill(copied, edge.name, cloud.edge):
            running = threads.Running(copied.run)
            wait_until(
                lambda: central.objects() == [copies.IMAGE_ID],
                'the copy beside it',
            )
            assert running.is_alive()
        running.result()
        assert copied.errors == {}
        for each in (edge, central):
            assert each.read(copied.stored[each.name].url) == LARGE

    def test_a_site_that_is_away_for_too_long_fails_and_keeps_nothing(
        self, sites, copy, source, cloud
    ):
        _central, edge, _archive = sites
        copied = copy([edge], [source(LARGE)], LARGE, store_timeout=2)
        with standstill(copied, edge.name, cloud.edge):
            copied.run()
        assert isinstance(copied.errors[edge.name], errors.TargetHangs)
        copied.lease.wait_until_free()
        assert edge.objects() == []

    @pytest.mark.parametrize('place', ['central', 'edge'])
    def test_a_wrong_key_is_told_with_the_store(
        self, sites, copy, new_pools, edge_pools, place
    ):
        central, edge, _archive = sites
        source = self.planted(central, IMAGE)
        at = {'central': new_pools, 'edge': edge_pools}[place]
        with at.wrong_key(pools.USER):
            copied = copy([edge], [source])
            copied.run()
        error = copied.errors[edge.name]
        assert error.store == place
        assert 'permission' in str(error).lower()
        assert edge.objects() == []

    def test_what_the_site_has_can_be_cloned_and_flattened(
        self, sites, copy
    ):
        central, edge, _archive = sites
        self.succeed(copy([edge], [self.planted(central, IMAGE)]), edge)
        edge.pool.clone(copies.IMAGE_ID, 'volume')
        edge.pool.flatten('volume')
        assert edge.pool.content('volume', None) == IMAGE
        edge.pool.remove('volume')


def note_clients(monkeypatch, target):
    """Return a list that gets each connection to the cluster of a store."""
    kind = type(drivers.of_store(target.name))
    connect, clients = kind.get_connection, []

    @contextlib.contextmanager
    def noting(driver, **given):
        with connect(driver, **given) as connection:
            if driver.conf_file == str(target.pool.ceph.conf):
                clients.append(connection)
            yield connection

    monkeypatch.setattr(kind, 'get_connection', noting)
    return clients


def is_refused(client, pool):
    """Tell whether the cluster refuses what a client asks."""
    with client.open_ioctx(pool) as ioctx:
        try:
            ioctx.stat('rbd_directory')
        except rbd_objects.module().ERRORS as exc:
            return exc.errno == errno.ESHUTDOWN
    return False


@contextlib.contextmanager
def standstill(copied, store, ceph):
    """Stop the OSD of a cluster when a copy to a store is under way.

    It is started again in the end.
    """
    stopped = threading.Event()

    def stop(to, count):
        if to == store and count > 8 * MIB and not stopped.is_set():
            ceph.stop_osd()
            stopped.set()

    copied.progress.when_copied = stop
    try:
        yield
    finally:
        assert stopped.wait(threads.PATIENCE)
        ceph.start_osd()


class Watched:
    """A source that tells from where it was read.

    ``when_read_first`` is called once, after the first bytes.
    """

    when_read_first = None

    def __init__(self, source):
        self.store = source.store
        self.local_file = source.local_file
        self.offsets = []
        self._source = source

    def read_from(self, offset):
        self.offsets.append(offset)
        for chunk in self._source.read_from(offset):
            yield chunk
            if self.when_read_first is not None:
                call, self.when_read_first = self.when_read_first, None
                call()
