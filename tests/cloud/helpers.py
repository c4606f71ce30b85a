# SPDX-License-Identifier: Apache-2.0

"""What the tests with a real OpenStack share."""

import contextlib
import json
import random
import threading
import time

import psutil

from tests.functional import helpers as functional
from tests.functional.helpers import wait_until

LOOKS = 20
PAUSE = 0.5


def wait_status(cinder, volume, status):
    """Wait until a volume has a status; return the volume."""
    def reached():
        found = cinder.volumes.get(volume.id)
        assert status == found.status or 'error' not in found.status, (
            f'volume {volume.id} is {found.status}'
        )
        return found if found.status == status else None

    return wait_until(reached, f'volume {volume.id} {status}')


def new_volume(cinder, volume_type, **more):
    """Make a volume of 1 GiB; return it when it is available."""
    volume = cinder.volumes.create(1, volume_type=volume_type, **more)
    return wait_status(cinder, volume, 'available')


def images(cloud, pool):
    """Return the names of the images in a pool of Ceph."""
    return json.loads(cloud.ceph.run('rbd', 'ls', pool, '--format', 'json'))


def volume_of(server, image_id, store):
    """Return the id of the volume that an image is in."""
    (url,) = [
        row['url'] for row in server.locations(image_id)
        if row['store'] == store
    ]
    return url.rpartition('/')[2]


def attachments(cloud, volume_id):
    """Return the attachments of a volume, whoever has made them."""
    return cloud.cinder().attachments.list(search_opts={
        'all_tenants': 1, 'volume_id': volume_id,
    })


@contextlib.contextmanager
def limited(cloud, **limits):
    """Limit what the project of the stores may have, which is nothing now.

    :param limits: ``volumes``, ``gigabytes``
    """
    project_id = cloud.session('glance').get_project_id()
    quotas = cloud.cinder().quotas
    quotas.update(project_id, **{
        name: limit + _miscounted(quotas, project_id, name)
        for name, limit in limits.items()
    })
    try:
        yield
    finally:
        quotas.delete(project_id)


def _miscounted(quotas, project_id, name):
    """Return how many Cinder counts of what a project has none of.

    A volume is counted a moment longer than it is shown, and now and then
    Cinder goes on to count one that is gone.
    """
    for _look in range(LOOKS):
        usage = getattr(quotas.get(project_id, usage=True), name)
        counted = usage['in_use'] + usage['reserved']
        if not counted:
            break
        time.sleep(PAUSE)
    return counted


def kill_until_interrupted(server, begin, half_written, count):
    """Kill Glance at random moments until so many copies were interrupted.

    :param begin: begins some copies, and returns the ids of their images
    :param half_written: true as soon as one of them writes
    :returns: the images' ids; all their copies have succeeded
    """
    dice = random.Random()  # noqa: S311
    images, interrupted = set(), 0
    while interrupted < count:
        begun = begin()
        images.update(begun)
        wait_until(half_written, 'an unfinished copy')
        threading.Event().wait(dice.uniform(0, 2))
        server.kill()
        statuses = [server.tasks(each)[-1]['status'] for each in begun]
        assert 'processing' in statuses
        interrupted += statuses.count('processing')
        server.start()
        server.invariants.wait_settled(300)
    server.invariants.assert_hold()
    for image_id in images:
        (task,) = server.tasks(image_id)
        assert task['status'] == 'success', task
    return images


def moved(server):
    """Return how many bytes Glance's processes have read and written."""
    counts = [
        psutil.Process(pid).io_counters() for pid in server.worker_pids
    ]
    return sum(each.read_chars + each.write_chars for each in counts)


@contextlib.contextmanager
def uploading(client, size):
    """Give a function that makes an image in a store: its id and bytes.

    They are deleted in the end.
    """
    made = []

    def make(store='local', size=size):
        content = functional.data(size)
        made.append(client.create_image(content, store=store))
        return made[-1], content

    yield make
    for image_id in made:
        client.delete(image_id)
