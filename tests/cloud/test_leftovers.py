# SPDX-License-Identifier: Apache-2.0

"""What tests leave behind is found, each kind of it, and removed."""

import contextlib

import pytest

from tests.cloud import helpers
from tests.cloud.services import leftovers

pytestmark = pytest.mark.usefixtures('nothing_left')


def attach(cinder, volume):
    """Attach a volume, as far as Cinder knows."""
    cinder.attachments.create(
        volume.id, {'host': 'a test', 'initiator': 'iqn.test'}, None
    )


def leave_attached(cloud, cinder):
    attach(cinder, helpers.new_volume(cinder, 'glance-fast', name='attached'))


def leave_snapshot(cloud, cinder):
    volume = helpers.new_volume(cinder, 'glance-slow', name='copied')
    made = cinder.volume_snapshots.create(volume.id)
    helpers.wait_until(
        lambda: cinder.volume_snapshots.get(made.id).status == 'available',
        'a snapshot',
    )


def leave_orphan(cloud, cinder):
    cloud.ceph.run('rbd', 'create', '--size', '1M', 'images-b/orphan')


def leave_protected(cloud, cinder):
    leave_orphan(cloud, cinder)
    cloud.ceph.run('rbd', 'snap', 'create', 'images-b/orphan@snap')
    cloud.ceph.run('rbd', 'snap', 'protect', 'images-b/orphan@snap')


def leave_trash(cloud, cinder):
    leave_orphan(cloud, cinder)
    cloud.ceph.run('rbd', 'trash', 'mv', 'images-b/orphan')


@pytest.mark.parametrize('leave, expected', [
    (leave_attached, {'volume', 'attachment', 'rbd'}),
    (leave_snapshot, {'volume', 'snapshot', 'rbd'}),
    (leave_orphan, {'rbd'}),
    (leave_protected, {'rbd'}),
    (leave_trash, {'rbd'}),
])
def test_what_is_left_is_told_and_removed(cloud, block, leave, expected):
    assert leftovers.find(cloud) == []
    leave(cloud, block('glance2'))
    with pytest.raises(AssertionError) as told:
        leftovers.assert_none(cloud, timeout=1)
    lines = str(told.value).splitlines()[1:]
    assert {line.split()[0] for line in lines} == expected
    assert leftovers.find(cloud) == []


def test_a_temporary_file_of_a_glance_is_told_and_removed(cloud, glance):
    path = glance.temporary / 'brickrbd_left'
    path.write_text('key = not to be left lying about')
    try:
        with pytest.raises(AssertionError, match='temporary file .*_left'):
            leftovers.assert_none(cloud, [glance], timeout=0)
        assert not path.exists()
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
