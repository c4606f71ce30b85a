# SPDX-License-Identifier: Apache-2.0

"""What a test has left behind in Cinder, in Ceph and in temporary folders."""

import json
import time

from tests.cloud.services import identity

EVERYBODY = {'all_tenants': 1}
SETTLE_SECONDS = 180
INTERVAL = 0.5


class Leftovers:
    """What is there that belongs to the users of a share.

    :param cloud: ``Cloud``
    """

    def __init__(self, cloud):
        self._ceph = cloud.ceph
        self._cinder = cloud.cinder()
        self._projects = {
            cloud.session(user).get_project_id() for user in identity.OWNERS
        }

    def find(self, servers=(), pools=()):
        """Return a line for each thing that is there now.

        :param servers: ``CloudGlance`` servers whose files are looked at
        :param pools: of Ceph, those that nobody else uses
        """
        return [
            *self._in_cinder(),
            *(line for pool in pools for line in self._in_ceph(pool)),
            *(f'temporary file {path}' for server in servers
              for path in server.temporary_files()),
        ]

    def assert_none(self, servers=(), pools=(), timeout=SETTLE_SECONDS):
        """Wait until nothing is there; fail with a list if it never happens.

        What is being deleted takes its time. What is left is removed, so that
        the next test does not find it.
        """
        deadline = time.monotonic() + timeout
        while left := self.find(servers, pools):
            if time.monotonic() > deadline:
                self.remove(servers, pools)
                raise AssertionError(
                    f'left behind after {timeout} s:\n  ' + '\n  '.join(left)
                )
            time.sleep(INTERVAL)

    def remove(self, servers=(), pools=()):
        """Remove everything that :meth:`find` finds, and all limits."""
        for project_id in self._projects:
            self._cinder.quotas.delete(project_id)
        self._remove_from_cinder()
        for pool in pools:
            for image in self._ask('ls', pool):
                self._remove_image(f'{pool}/{image}')
            self._ceph.run('rbd', 'trash', 'purge', pool)
        for server in servers:
            for path in server.temporary_files():
                path.unlink()

    def _volumes(self):
        return [
            volume for volume in self._cinder.volumes.list(
                search_opts=EVERYBODY
            )
            if getattr(volume, 'os-vol-tenant-attr:tenant_id')
            in self._projects
        ]

    def _of(self, things, volumes):
        """Return snapshots or attachments of volumes."""
        ids = {volume.id for volume in volumes}
        return [
            each for each in things.list(search_opts=EVERYBODY)
            if each.volume_id in ids
        ]

    def _in_cinder(self):
        # What has no volume any more has gone before it.
        if not (volumes := self._volumes()):
            return
        for volume in volumes:
            yield f'volume {volume.id} {volume.name} {volume.status}'
        for each in self._of(self._cinder.volume_snapshots, volumes):
            yield f'snapshot {each.id} {each.status}'
        for each in self._of(self._cinder.attachments, volumes):
            yield f'attachment {each.id} of {each.volume_id} {each.status}'

    def _remove_from_cinder(self):
        cinder = self._cinder
        volumes = self._volumes()
        if not volumes:
            return
        for attachment in self._of(cinder.attachments, volumes):
            cinder.attachments.delete(attachment.id)
        for snapshot in self._of(cinder.volume_snapshots, volumes):
            cinder.volume_snapshots.delete(snapshot, force=True)
        # A volume is not deleted before its snapshots are.
        _wait_gone(lambda: self._of(cinder.volume_snapshots, volumes))
        for volume in volumes:
            if volume.status != 'deleting':
                cinder.volumes.reset_state(volume, 'error', 'detached')
                cinder.volumes.delete(volume)
        _wait_gone(self._volumes)

    def _in_ceph(self, pool):
        for image in self._ask('ls', pool):
            yield f'rbd image {pool}/{image}'
        for each in self._ask('trash', 'ls', pool):
            yield f'rbd image {pool}/{each["name"]} in the trash'

    def _ask(self, *words):
        return json.loads(self._ceph.run('rbd', '--format', 'json', *words))

    def _remove_image(self, name):
        for snapshot in self._ask('snap', 'ls', name):
            if snapshot['protected'] == 'true':
                self._ceph.run(
                    'rbd', 'snap', 'unprotect', f'{name}@{snapshot["name"]}'
                )
        self._ceph.run('rbd', 'snap', 'purge', name)
        self._ceph.run('rbd', 'rm', name)


def _wait_gone(find):
    deadline = time.monotonic() + SETTLE_SECONDS
    while found := find():
        if time.monotonic() > deadline:
            raise AssertionError(f'cannot be removed: {found}')
        time.sleep(INTERVAL)
