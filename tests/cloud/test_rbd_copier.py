# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Copies that the manager of a Ceph cluster makes."""

import pytest

from glance_copy_plugin import stores
from glance_copy_plugin.copiers import base
from glance_copy_plugin.copiers import rbd as rbd_copier
from tests.cloud import pools
from tests.stores import conformance
from tests.stores import server_side


class RbdCopierConformance(
    pools.InPools, server_side.ServerSideConformance
):
    """The source is an image of another pool."""

    copier = rbd_copier.RbdCopier()

    @pytest.fixture(autouse=True)
    def look_often(self, monkeypatch):
        monkeypatch.setattr(rbd_copier, 'LOOK', 0.05)

    @pytest.fixture
    def source(self, make):
        """Return a function that makes a Held; it stays untouched."""
        made = []

        def put(content, store='origin', *, breaks_at=None):
            # What breaks about an image is that the rest of it is gone.
            content = content[:breaks_at]
            target = make(store)
            url = target.plant(conformance.IMAGE_ID, content)
            made.append((target.pool, content))
            return server_side.Held(base.Location(
                store=store, driver=stores.driver(store), url=url
            ))

        yield put
        for pool, content in made:
            assert pool.names() == [conformance.IMAGE_ID]
            assert pool.content(conformance.IMAGE_ID) == content

    def test_the_copy_depends_on_no_other_image(self, make, source, copy):
        target = make('s1')
        self.succeed(copy([target], [source(conformance.IMAGE)]), target)
        assert target.pool.parent(conformance.IMAGE_ID) is None


class TestCopying(RbdCopierConformance):
    """What is copied is right; Ceph has no checksum to compare."""

    proves_bytes = False


class TestCopyingAndReadingBack(RbdCopierConformance):
    verify = 'full'
