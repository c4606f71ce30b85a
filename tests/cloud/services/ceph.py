# SPDX-License-Identifier: Apache-2.0

"""Ceph: monitor, manager and one OSD that keeps its data in a file."""

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
    """A cluster.

    :param processes: ``Processes``
    :param name: of its folder and processes: ``ceph``, ``edge`` or ``far``
    :param link: the :class:`~link.Link` that leads to it; it is on the
        loopback if None
    """

    def __init__(self, processes, name='ceph', link=None):
        self._processes = processes
        self._place = processes.place
        self.name = name
        self.link = link
        self.folder = self._place.make(name)

    @property
    def _address(self):
        return self.link.address if self.link else '127.0.0.1'

    @property
    def conf(self):
        """The configuration file, for clients as well."""
        return self.folder / 'ceph.conf'

    def run(self, program, *words, timeout=300):
        """Run ``ceph``, ``rbd`` or ``rados`` as administrator.

        :returns: what it prints
        """
        return self._processes.run(f'{self.name}-commands', [
            program, '-c', self.conf, '-n', 'client.admin', *words,
        ], timeout)

    def up(self):
        """Start what does not run; return once there is free space."""
        if self.link:
            self.link.up()
        self._write_conf()
        self._once('mon', self._make_monitor)
        started = [self._start('mon', 'a')]
        self._processes.wait(f'{self.name}-mon', self._monitor_answers)
        started.append(self._start('mgr', 'x'))
        self._once('osd', self._make_osd)
        started.append(self.start_osd())
        return any(started)

    def up_for_cinder(self):
        """The same for the cluster that Cinder uses, with its pools."""
        started = self.up()
        self._once('pools', self._make_pools)
        self._publish_key()
        # Cinder's scheduler would take what is not known for no space.
        self._processes.wait(f'{self.name}-mgr', self._knows_space)
        return started

    def start_osd(self):
        """Start the OSD, unless it runs; return once it is up."""
        started = self._start('osd', '0')
        self._processes.wait(f'{self.name}-osd', self._osd_is_up)
        return started

    def stop_osd(self):
        """Stop the OSD; whoever reads or writes waits for it then."""
        self._processes.stop(f'{self.name}-osd')

    def _once(self, step, make):
        step = f'{self.name}-{step}'
        if not self._place.is_done(step):
            make()
            self._place.done(step)

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
        where = self.link.inside() if self.link else ()
        return self._processes.start(f'{self.name}-{kind}', [
            *where, f'ceph-{kind}', '-f', '-c', self.conf, '-i', name,
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
        printed = self._processes.try_run(
            f'{self.name}-commands', command, 60
        )
        return None if printed is None else json.loads(printed)

    def _write_conf(self):
        self.conf.write_text(ceph_conf.text(
            self._place, self.name, self._address, self.folder, self._fsid()
        ))

    def _fsid(self):
        return self._place.remember(f'{self.name}-fsid', str(uuid.uuid4()))

    def _make_monitor(self):
        """Make the monitor's data, with everybody's key from the start."""
        for name in ('mon', 'mgr', 'osd'):
            # What an interrupted attempt has left would be refused.
            shutil.rmtree(self.folder / name, ignore_errors=True)
            self._place.make(self.name, name)
        main = self.folder / 'mon.keyring'
        for entity, (name, rights) in (DAEMONS | _users()).items():
            path = self.folder / name
            self._keyring('-C', path, '-g', '-n', entity, *_caps(rights))
            path.chmod(0o600)
            if path != main:
                self._keyring(main, '--import-keyring', path)
        addresses = ceph_conf.monitor_addresses(
            self._place, self.name, self._address
        )
        monmap = self.folder / 'monmap'
        self._mkfs([
            'monmaptool', '--create', '--clobber', '--fsid', self._fsid(),
            '--addv', 'a', addresses, monmap,
        ])
        self._mkfs([
            'ceph-mon', '-c', self.conf, '--mkfs', '-i', 'a',
            '--monmap', monmap, '--keyring', main,
        ])

    def _keyring(self, *words):
        self._mkfs(['ceph-authtool', *words])

    def _mkfs(self, words):
        self._processes.run(f'{self.name}-mkfs', words)

    def _make_osd(self):
        identifier = self._place.remember(
            f'{self.name}-osd', str(uuid.uuid4())
        )
        self.run('ceph', 'osd', 'new', identifier)
        self._mkfs([
            'ceph-osd', '-c', self.conf, '-i', '0', '--mkfs',
            '--osd-uuid', identifier,
            '--keyring', self.folder / 'osd' / 'keyring',
        ])

    def _make_pools(self):
        for pool in POOLS:
            self.make_pool(pool)

    def make_pool(self, name):
        """Make a pool for images."""
        self.run('ceph', 'osd', 'pool', 'create', name, '8', '8')
        self.run('ceph', 'osd', 'pool', 'application', 'enable', name, 'rbd')

    def remove_pool(self, name):
        """Remove a pool with all that is in it."""
        self.run('ceph', 'osd', 'pool', 'delete', name, name,
                 '--yes-i-really-really-mean-it')

    def make_user(self, name, pools):
        """Make a user of some pools, or say anew which these are."""
        rights = _rights(pools)
        self.run('ceph', 'auth', 'get-or-create', f'client.{name}')
        self.run('ceph', 'auth', 'caps', f'client.{name}', *rights)
        self._place.write_private(
            self.user_keyring(name),
            self.run('ceph', 'auth', 'get', f'client.{name}'),
        )


def _users():
    """Return the clients as ``DAEMONS`` has the daemons."""
    found = {}
    for user, pools in USERS.items():
        found[f'client.{user}'] = (f'client.{user}.keyring', _rights(pools))
    return found


def _rights(pools):
    return [
        'mon', 'profile rbd', 'mgr', 'profile rbd',
        'osd', ', '.join(f'profile rbd pool={pool}' for pool in pools),
    ]


def _caps(rights):
    pairs = zip(rights[::2], rights[1::2], strict=True)
    return [word for kind, right in pairs for word in ('--cap', kind, right)]
