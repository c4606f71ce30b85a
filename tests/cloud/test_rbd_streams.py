# SPDX-License-Identifier: Apache-2.0

"""Images of Ceph read and written natively, beside glance_store's driver."""

import io

import glance_store
from oslo_config import cfg
import pytest

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import rbd_objects
from glance_copy_plugin.backends import rbd_streams
from glance_copy_plugin.transfer import errors
from tests.cloud import pools
from tests.parts import data
from tests.stores import copies

MIB = 1024 * 1024
OBJECT = MIB  # of the stores here
IMAGE = data.some(5 * MIB + 3)


class TestStreams(pools.InPools, copies.Copying):
    """Stores in pools of one cluster; the image is streamed."""

    writer = rbd_streams.RbdWriter()

    def source_in(self, target, url):
        return rbd_streams.RbdReader().source(
            base.Location(
                store=target.name, driver=drivers.of_store(target.name),
                url=url,
            ), None,
        )

    def read(self, target, url, offset=0):
        return b''.join(self.source_in(target, url).read_from(offset))

    def add_with_driver(self, target, content):
        """Return the URL of what glance_store's own driver has made."""
        return glance_store.add_with_multihash(
            cfg.CONF, copies.IMAGE_ID, io.BytesIO(content), len(content),
            target.name, 'sha256',
        )[0]

    @pytest.mark.parametrize('size', [
        1, OBJECT - 1, OBJECT, OBJECT + 1, 4 * MIB, 9 * MIB + 7,
    ])
    def test_what_the_driver_made_is_read(self, make, size):
        target, content = make('s1'), data.some(size)
        url = self.add_with_driver(target, content)
        for offset in {0, 1, size // 2, size - 1, size}:
            assert self.read(target, url, offset) == content[offset:]

    def test_the_driver_reads_what_was_written(self, make, source, copy):
        target, url = self.keep(make, source, copy, IMAGE)
        assert target.read(url) == IMAGE
        assert url.endswith(f'/{target.pool.name}/{copies.IMAGE_ID}/snap')

    @pytest.mark.parametrize('content', [
        b'', bytes(3 * MIB), bytes(2 * MIB) + IMAGE + bytes(7 * MIB),
        IMAGE + bytes(MIB + 1),
    ], ids=['empty', 'zeroes', 'in the middle', 'at the end'])
    def test_zeroes_are_neither_written_nor_read(
        self, make, source, copy, content
    ):
        target, url = self.keep(make, source, copy, content)
        assert target.pool.objects_of(copies.IMAGE_ID) <= 7
        assert self.read(target, url) == content
        again = make('s2')
        copied = copy(
            [again], [self.source_in(target, url)], content=content
        )
        self.succeed(copied, again, content=content)
        assert again.pool.objects_of(copies.IMAGE_ID) <= 7

    def test_a_snapshot_that_is_not_protected_is_read(self, make):
        target = make('s1')
        url = target.plant(copies.IMAGE_ID, IMAGE)
        target.pool.unprotect(copies.IMAGE_ID)
        assert self.read(target, url) == IMAGE

    @pytest.mark.parametrize('url', [
        'rbd://{fsid}/{pool}/{image}/none', 'rbd://{fsid}/{pool}/none/snap',
        'rbd://{fsid}/no-such-pool/{image}/snap',
        'rbd://12345678-1234-1234-1234-123456789012/{pool}/{image}/snap',
    ])
    def test_what_is_not_there_is_not_tried_again(self, make, url):
        target = make('s1')
        good = target.plant(copies.IMAGE_ID, IMAGE)
        fsid = good.split('/')[2]
        with pytest.raises(errors.SourceGone):
            self.read(target, url.format(
                fsid=fsid, pool=target.pool.name, image=copies.IMAGE_ID,
            ))

    def test_a_reader_that_stops_leaves_nothing_open(self, make):
        target = make('s1')
        url = target.plant(copies.IMAGE_ID, data.some(40 * MIB))
        reading = self.source_in(target, url).read_from(0)
        next(reading)
        reading.close()
        target.pool.empty()

    def test_a_client_that_is_evicted_leaves_nothing(
        self, make, source, copy, new_pools
    ):
        target = make('s1')
        content = data.some(64 * MIB)
        copied = copy([target], [source(content)], content=content)
        evicted = []

        def evict(store, count):
            if not evicted and count > 8 * MIB:
                (partial,) = target.objects()
                evicted.append(partial)
                new_pools.evict(target.pool, partial)

        copied.progress.when_copied = evict
        copied.run()
        assert evicted
        assert isinstance(copied.errors['s1'], errors.TargetError)
        assert target.objects() == []

    def test_a_full_pool_is_told_and_keeps_nothing(
        self, make, source, copy, new_pools
    ):
        target = make('s1')
        with new_pools.quota(target.pool, 4 * MIB):
            content = data.some(64 * MIB)
            copied = copy([target], [source(content)], content=content)
            copied.run()
        assert 'no space left' in str(copied.errors['s1'])
        assert not copied.errors['s1'].retryable
        assert target.objects() == []

    def test_an_image_in_the_way_is_a_duplicate(self, make):
        target = make('s1')
        target.plant(copies.IMAGE_ID, IMAGE)
        with rbd_objects.module().connected(
            drivers.of_store('s1')
        ) as cluster:
            assert not cluster.rename(copies.IMAGE_ID, copies.IMAGE_ID)
            cluster.create('other', MIB, MIB)
            assert not cluster.rename('other', copies.IMAGE_ID)

    def test_a_volume_can_be_cloned_from_the_copy(self, make, source, copy):
        target, _url = self.keep(make, source, copy, IMAGE)
        target.pool.clone(copies.IMAGE_ID, 'volume')
        assert target.pool.content('volume', None) == IMAGE
        target.pool.flatten('volume')
        assert target.pool.parent('volume') is None
        target.pool.remove('volume')
