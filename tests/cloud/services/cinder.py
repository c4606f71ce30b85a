# SPDX-License-Identifier: Apache-2.0

"""Cinder: its API, scheduler, and a volume service with two backends."""

from cinderclient import api_versions
from cinderclient import exceptions
from cinderclient.v3 import client
import kombu

from tests.cloud.services import cinder_conf
from tests.cloud.services import conf
from tests.cloud.services import identity
from tests.cloud.services import wsgi

API, SCHEDULER, VOLUME = 'cinder', 'cinder-scheduler', 'cinder-volume'
# {volume type: backend}, which is a pool of the same name too.
TYPES = {'glance-fast': 'fast', 'glance-slow': 'slow'}
# A type of `fast` that no project has been given access to.
PRIVATE_TYPE = 'glance-private'
VERSION = '3.70'


def connect(place, user='admin'):
    """Return a client of Cinder as a user."""
    return client.Client(
        session=identity.new_session(place, user),
        service_type='block-storage', region_name=conf.REGION,
        api_version=api_versions.APIVersion(VERSION), connect_retries=2,
    )


class Cinder:
    """The three services.

    :param processes: ``Processes``
    :param database: ``MariaDB``
    :param broker: ``RabbitMQ``
    :param ceph: ``Ceph``
    """

    def __init__(self, processes, database, broker, ceph):
        self._processes = processes
        self._place = processes.place
        self._database = database
        self._broker = broker
        self._ceph = ceph
        self._application = wsgi.Application(
            processes, API, API, 'cinder.wsgi.api'
        )

    def up(self, venv, anew):
        """Start what does not run; return once volumes can be made.

        :param anew: stop them first, since what they use was stopped
        """
        if anew:
            self.down()
        path = self._place.make(API) / 'cinder.conf'
        conf.write(self._place, path, cinder_conf.groups(
            self._place, venv, self._database, self._broker, self._ceph
        ))
        cinder_conf.write_rootwrap(self._place, venv)
        if not self._place.is_done('cinder-database'):
            self._run(venv, 'cinder-manage', '--config-file', path, 'db',
                      'sync')
            self._place.done('cinder-database')
        self._application.start(venv, ['--config-file', path])
        if self._start(venv, SCHEDULER, path):
            # It knows the pools only from what volume services report when
            # they start, and then once a minute.
            self._processes.stop(VOLUME)
        self._processes.wait(SCHEDULER, self._scheduler_listens)
        self._start(venv, VOLUME, path)
        self._application.wait('/healthcheck')
        self._create_types()
        self._processes.wait(VOLUME, self._knows_pools)

    def down(self):
        self._processes.stop(API, SCHEDULER, VOLUME)

    def _start(self, venv, name, path):
        return self._processes.start(
            name, [venv / 'bin' / name, '--config-file', path],
            self._processes.environment(venv),
        )

    def _run(self, venv, program, *words):
        self._processes.run(
            program, [venv / 'bin' / program, *words], 300,
            self._processes.environment(venv),
        )

    def _scheduler_listens(self):
        """Tell whether what is sent to all schedulers reaches one."""
        address = f'amqp://{self._broker.url}'
        with kombu.Connection(address, connect_timeout=60) as broker:
            exchange = kombu.Exchange(
                f'{SCHEDULER}_fanout', 'fanout', channel=broker.channel()
            )
            try:
                exchange.declare(passive=True)
            except broker.channel_errors:
                return False  # the queue is not there yet
        return True

    def _create_types(self):
        """Make the volume types that are missing."""
        types = connect(self._place).volume_types
        known = {found.name for found in types.list(is_public=None)}
        for name, backend in {**TYPES, PRIVATE_TYPE: 'fast'}.items():
            if name not in known:
                made = types.create(name, is_public=name != PRIVATE_TYPE)
                made.set_keys({'volume_backend_name': backend})

    def _knows_pools(self):
        try:
            pools = connect(self._place).pools.list(detailed=False)
        except exceptions.ClientException as error:
            if error.code < 500:
                raise
            return False  # the scheduler did not answer in time
        names = {pool.name.rpartition('#')[2] for pool in pools}
        return set(TYPES.values()) <= names
