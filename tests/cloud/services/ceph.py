# SPDX-License-Identifier: Apache-2.0

"""Ceph: a monitor, a manager and one OSD that keeps its data in a file."""

import json
import pathlib
import shutil
import uuid

from tests.cloud.services import ceph_conf

POOLS = ('fast', 'slow', 'images-a', 'images-b')
# {user: (the pools that it may use)}; its key is its password.
USERS = {
    'cinder': ('fast', 'slow'),
    'images-a': ('images-a',),
    'images-b': ('images-b',),
}
ETC = pathlib.Path('/etc/ceph')
DAEMONS = {
    'mon.': ('mon.keyring', ['mon', 'allow *']),
    'client.admin': ('client.admin.keyring', [
        'mon', 'allow *', 'osd', 'allow *', 'mgr', 'allow *',
    ]),
    'mgr.x': ('mgr/keyring', ['mon', 'allow profile mgr', 'osd', 'allow *']),
    'osd.0': ('osd/keyring', [
        'mon', 'allow profile osd', 'mgr', 'allow profile osd',
        'osd', 'allow *',
    ]),
}


class Ceph:
    """The cluster.

    :param processes: ``Processes``
    """

    def __init__(self, processes):
        self._processes = processes
        self._place = processes.place
        self.folder = self._place.make('ceph')

    @property
    def conf(self):
        """The configuration file, for clients as well."""
        return self.folder / 'ceph.conf'

    def run(self, program, *words, timeout=300):
        """Run ``ceph``, ``rbd`` or ``rados`` as administrator.

        :returns: what it prints
        """
        return self._processes.run('ceph-commands', [
            program, '-c', self.conf, '-n', 'client.admin', *words,
        ], timeout)

    def up(self):
        """Start what does not run; return once there is free space."""
        self._write_conf()
        fresh = not self._place.is_done('ceph')
        if fresh and not self._place.is_done('ceph-mon'):
            self._make_monitor()
            self._place.done('ceph-mon')
        started = [self._start('mon', 'a')]
        self._processes.wait('ceph-mon', self._monitor_answers)
        started.append(self._start('mgr', 'x'))
        if fresh and not self._place.is_done('ceph-osd'):
            self._make_osd()
            self._place.done('ceph-osd')
        started.append(self._start('osd', '0'))
        self._processes.wait('ceph-osd', self._osd_is_up)
        if fresh:
            self._make_pools()
            self._place.done('ceph')
        self._publish_key()
        # Cinder's scheduler would take what is not known for no space.
        self._processes.wait('ceph-mgr', self._knows_space)
        return any(started)

    def user_keyring(self, user):
        """Return the file with a user's key."""
        return self.folder / f'client.{user}.keyring'

    def forget_key(self):
        """Remove the key that os-brick reads."""
        self._published_key().unlink(missing_ok=True)

    def _published_key(self):
        return ETC / f'{self._place.cluster}.client.cinder.keyring'

    def _publish_key(self):
        ETC.mkdir(exist_ok=True)
        self._place.write_private(
            self._published_key(), self.user_keyring('cinder').read_text()
        )

    def _start(self, kind, name):
        return self._processes.start(f'ceph-{kind}', [
            f'ceph-{kind}', '-f', '-c', self.conf, '-i', name,
        ])

    def _monitor_answers(self):
        return self._ask('mon', 'stat') is not None

    def _osd_is_up(self):
        found = self._ask('osd', 'stat')
        return found is not None and found['num_up_osds'] == 1

    def _knows_space(self):
        found = self._ask('df') or {}
        pools = {
            pool['name']: pool['stats']['max_avail']
            for pool in found.get('pools', [])
        }
        return all(pools.get(name) for name in POOLS)

    def _ask(self, *words):
        """Return the answer of the monitor, or None if there is none yet."""
        command = [
            'ceph', '-c', self.conf, '-n', 'client.admin',
            '--connect-timeout', '30', '--format', 'json', *words,
        ]
        printed = self._processes.try_run('ceph-commands', command, 60)
        return None if printed is None else json.loads(printed)

    def _write_conf(self):
        identifier = self._place.remember('fsid', str(uuid.uuid4()))
        self.conf.write_text(
            ceph_conf.text(self._place, self.folder, identifier)
        )

    def _make_monitor(self):
        """Make the monitor's data, with everybody's key from the start."""
        for name in ('mon', 'mgr', 'osd'):
            # What an interrupted attempt has left would be refused.
            shutil.rmtree(self.folder / name, ignore_errors=True)
            self._place.make('ceph', name)
        main = self.folder / 'mon.keyring'
        for entity, (name, rights) in (DAEMONS | _users()).items():
            path = self.folder / name
            self._keyring('-C', path, '-g', '-n', entity, *_caps(rights))
            path.chmod(0o600)
            if path != main:
                self._keyring(main, '--import-keyring', path)
        addresses = ceph_conf.monitor_addresses(self._place)
        monmap = self.folder / 'monmap'
        identifier = self._place.remember('fsid', '')
        self._processes.run('ceph-mkfs', [
            'monmaptool', '--create', '--clobber', '--fsid', identifier,
            '--addv', 'a', addresses, monmap,
        ])
        self._processes.run('ceph-mkfs', [
            'ceph-mon', '-c', self.conf, '--mkfs', '-i', 'a',
            '--monmap', monmap, '--keyring', main,
        ])

    def _keyring(self, *words):
        self._processes.run('ceph-mkfs', ['ceph-authtool', *words])

    def _make_osd(self):
        identifier = self._place.remember('osd', str(uuid.uuid4()))
        self.run('ceph', 'osd', 'new', identifier)
        self._processes.run('ceph-mkfs', [
            'ceph-osd', '-c', self.conf, '-i', '0', '--mkfs',
            '--osd-uuid', identifier,
            '--keyring', self.folder / 'osd' / 'keyring',
        ])

    def _make_pools(self):
        for pool in POOLS:
            self.run('ceph', 'osd', 'pool', 'create', pool, '8', '8')
            self.run('ceph', 'osd', 'pool', 'application', 'enable', pool,
                     'rbd')


def _users():
    """Return the clients as ``DAEMONS`` has the daemons."""
    found = {}
    for user, pools in USERS.items():
        rights = ', '.join(f'profile rbd pool={pool}' for pool in pools)
        found[f'client.{user}'] = (f'client.{user}.keyring', [
            'mon', 'profile rbd', 'mgr', 'profile rbd', 'osd', rights,
        ])
    return found


def _caps(rights):
    pairs = zip(rights[::2], rights[1::2], strict=True)
    return [word for kind, right in pairs for word in ('--cap', kind, right)]
