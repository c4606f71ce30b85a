# SPDX-License-Identifier: Apache-2.0

"""All services together."""

from concurrent import futures
import contextlib
import fcntl
import shutil

from tests.cloud.services import ceph
from tests.cloud.services import cinder
from tests.cloud.services import errors
from tests.cloud.services import identity
from tests.cloud.services import install
from tests.cloud.services import keystone
from tests.cloud.services import link
from tests.cloud.services import mariadb
from tests.cloud.services import place as places
from tests.cloud.services import processes
from tests.cloud.services import rabbitmq
from tests.cloud.services import radosgw
from tests.cloud.services import swift

SERVICES = (
    'cinder', 'cinder-scheduler', 'cinder-volume', 'keystone', 'rabbitmq',
    'mariadb', 'ceph-osd', 'ceph-mgr', 'ceph-mon', 'epmd',
)
# In the order in which they are stopped: who uses others first.
STOP = (SERVICES[:4], SERVICES[4:8], SERVICES[8:])
DATA = (
    'cache', 'ceph', 'cinder', 'done', 'edge', 'far', 'glance', 'keystone',
    'mariadb', 'rabbitmq', 'radosgw', 'radosgw-2', 'record', 'run', 'shares',
    'swift', 'tmp',
)
READY = 'ready'
# Seconds of one way to the cluster far away.
LINK_DELAY = 0.0125


class Cloud:
    """A real OpenStack on 127.0.0.1 without Glance, below one folder.

    :param folder: ``.cloud`` in the checkout by default, or what the
        environment variable ``CLOUD_FOLDER`` names
    """

    def __init__(self, folder=None):
        self.place = places.Place(folder)
        self.processes = processes.Processes(self.place)
        self.ceph = ceph.Ceph(self.processes)
        # Clusters at other sites: beside it, and at the end of a slow link.
        self.edge = ceph.Ceph(self.processes, 'edge')
        self.far = ceph.Ceph(
            self.processes, 'far', link.Link(self.processes, LINK_DELAY)
        )
        # What has stores in S3 or Swift starts these; a second one is for a
        # test to stop.
        self.radosgw = radosgw.Radosgw(self.processes, self.ceph)
        self.radosgw_2 = radosgw.Radosgw(
            self.processes, self.ceph, 'radosgw-2'
        )
        self.swift = swift.Swift(self.processes)
        self.swift_2 = swift.Swift(self.processes, 'swift-2')
        self.database = mariadb.MariaDB(self.processes)
        self.broker = rabbitmq.RabbitMQ(self.processes)
        self.keystone = keystone.Keystone(self.processes, self.database)
        self.block = cinder.Cinder(
            self.processes, self.database, self.broker, self.ceph
        )

    def up(self, wait=False):
        """Install and start what is missing; return once all is ready.

        :param wait: for somebody else who starts or stops it
        :raises Unavailable: where this machine cannot have it
        :raises CloudError: when something fails; all is stopped again then
        """
        install.require()
        with self.place.locked(wait):
            if self._is_ready():
                return
            self.processes.allow()
            try:
                self._up()
            except BaseException:
                self._down()
                raise

    def _is_ready(self):
        """Tell whether a start came to its end and all still runs."""
        return self.place.is_done(READY) and not self.missing()

    def _up(self):
        if self.missing() == list(SERVICES):
            self._put_logs_aside()
        venv = install.install(self.processes)
        install.write_sudo(self.place)
        self._check_ports()

        def identity_up():
            anew = self.database.up()
            return self.keystone.up(venv) or anew

        with self._threads() as pool:
            steps = [
                pool.submit(step)
                for step in (
                    self.ceph.up_for_cinder, self.broker.up, identity_up,
                )
            ]
            done, _ = futures.wait(
                steps, return_when=futures.FIRST_EXCEPTION
            )
            anew = [step.result() for step in done]
        self.block.up(venv, any(anew))
        self.place.done(READY)

    def _put_logs_aside(self):
        """Keep the logs of one earlier run, and no temporary files."""
        before = self.place.folder / 'logs.before'
        shutil.rmtree(before, ignore_errors=True)
        self.place.make('logs').rename(before)
        shutil.rmtree(self.place.make('tmp'))

    @contextlib.contextmanager
    def _threads(self):
        """Give an executor whose threads soon end if something goes wrong."""
        with futures.ThreadPoolExecutor() as pool:
            try:
                yield pool
            except BaseException:
                self.processes.cancel()
                raise

    def down(self, wipe=False, wait=False):
        """Stop everything.

        :param wipe: remove all data as well, but for the virtual environment
            and the logs
        :param wait: for somebody else who starts or stops it
        """
        with self.place.locked(wait):
            self._down()
            if wipe:
                for name in DATA:
                    shutil.rmtree(
                        self.place.folder / name, ignore_errors=True
                    )

    def start(self, service):
        """Start what is not started with the others, unless it runs.

        :param service: ``self.edge``, ``self.far``, ``self.radosgw``,
            ``self.radosgw_2``, ``self.swift`` or ``self.swift_2``
        """
        with self.place.locked(wait=True):
            service.up()

    def _down(self):
        self.place.path('done', READY).unlink(missing_ok=True)
        # What a test has started, or a Glance to try things with.
        more = set(self.processes.recorded()) - set(SERVICES)
        for group in (more, *STOP):
            self.processes.stop(*group, timeout=60)
        self.ceph.forget_key()

    @contextlib.contextmanager
    def used(self):
        """Have it while something uses it; stop it then, unless it is kept.
        """
        with self.stopped_in_the_end():
            self.up(wait=True)
            yield self

    @contextlib.contextmanager
    def stopped_in_the_end(self):
        """Stop in the end what runs then, unless it is kept.

        It is not stopped either while others are in here. Whoever waits for
        it to be stopped starts it again.
        """
        with self.place.path('users').open('w') as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            try:
                yield
            finally:
                if (self.processes.recorded() and not self.is_kept()
                        and _is_last(stream)):
                    self.down(wait=True)

    @contextlib.contextmanager
    def shared(self):
        """Have accounts that nobody else uses meanwhile; start it first."""
        self.up(wait=True)
        with self.place.shared():
            identity.create_share(self.place)
            yield self

    def keep(self, wanted):
        """Say whether tests are to leave it running when they end."""
        mark = self.place.path('keep')
        if wanted:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)

    def is_kept(self):
        """Tell whether somebody wants it to run on."""
        return self.place.path('keep').exists()

    def missing(self):
        """Return the names of the services that do not run."""
        return [
            name for name in SERVICES if not self.processes.alive(name)
        ]

    def session(self, user='admin'):
        """Return a keystoneauth session of a user."""
        return identity.new_session(self.place, user)

    def password(self, user):
        """Return the password of a user."""
        return identity.password_of(self.place, user)

    def token(self, user='admin'):
        """Return a token of a user."""
        return self.session(user).get_token()

    def application_credential(self, user, name):
        """Make an application credential; return its id and its secret."""
        return identity.application_credential(self.place, user, name)

    def cinder(self, user='admin'):
        """Return a client of Cinder as a user."""
        return cinder.connect(self.place, user)

    def _check_ports(self):
        """Refuse early if a port was taken while nothing ran."""
        for name in places.PORTS:
            service = {
                'amqp': 'rabbitmq', 'erlang': 'rabbitmq',
            }.get(name, name.partition('-v')[0].removesuffix('-tls'))
            port = self.place.port(name)
            if name == 'glance' or self.processes.members(service):
                continue
            if not places.is_free(port):
                raise errors.CloudError(
                    f'Port {port} of {service} is used by another program; '
                    'end that one, or choose other ports with '
                    '"python -m tests.cloud.services down --wipe".'
                )


def _is_last(stream):
    """Tell whether nobody else holds the lock of a file, and take it."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
