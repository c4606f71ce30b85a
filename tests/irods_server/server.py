# SPDX-License-Identifier: Apache-2.0

"""A server of one zone, listening on a port of its own."""

import pathlib
import socket
import threading

from tests.irods_server import agent
from tests.irods_server import catalog
from tests.irods_server import certificate
from tests.irods_server import counters
from tests.irods_server import faults
from tests.irods_server import inspection
from tests.irods_server import negotiation


class IrodsServer(inspection.Inspection):
    """A zone of iRODS, with one administrator and one resource."""

    host = '127.0.0.1'

    def __init__(
        self, folder, zone='tempZone', admin='rods',
        password='rods',  # noqa: S107 - of a server for one test
        resource='demoResc', version='rods5.0.2', tls=None, port=0,
        hash_scheme='sha2',
    ):
        """Make the zone ``zone``, with its files below ``folder``.

        ``tls`` is None (there is none), 'accept' or 'require';
        ``hash_scheme`` is that of the checksums.
        """
        folder = pathlib.Path(folder) / zone
        folder.mkdir(parents=True, exist_ok=True)
        self.zone = zone
        self.admin = admin
        self.password = password
        self.version = version
        self.catalog = catalog.Catalog(zone, folder, admin, hash_scheme)
        self.catalog.add_user(admin, password, type='rodsadmin')
        self.catalog.add_resource(resource)
        self.counters = counters.Counters()
        self.stopping = threading.Event()
        self.faults = faults.Faults(self)
        self.defects = []
        self.policy = negotiation.policy_of(tls)
        self.tls = self.ca_file = None
        if tls:
            self.tls, self.ca_file = certificate.make(folder)
        self.port = port
        self.others = []
        self._folder = folder.parent
        self._lock = threading.Lock()
        self._agents = set()
        self._listener = None

    @property
    def home(self):
        """The home collection of the administrator."""
        return f'/{self.zone}/home/{self.admin}'

    def add_user(self, name, password=None, **more):
        """Add a user: type='rodsadmin', quota=bytes, pam_password=..."""
        return self.catalog.add_user(name, password, **more)

    def add_resource(self, name, capacity=None):
        """Add a resource with room for ``capacity`` bytes."""
        return self.catalog.add_resource(name, capacity)

    def resource(self, name=None):
        """Return a resource, to set its ``up`` or ``vault.capacity``."""
        return self.catalog.resource(name)

    def add_zone(self, zone, **more):
        """Return the server of another zone, running and federated."""
        other = IrodsServer(self._folder, zone, **more)
        self.federate(other)
        self.others.append(other)
        other.start()
        return other

    def federate(self, other):
        """Let this zone and ``other`` know each other and their users."""
        for mine, theirs in ((self, other), (other, self)):
            mine.catalog.zones[theirs.zone] = theirs.catalog
            for user in list(theirs.catalog.users.values()):
                if user.zone == theirs.zone:
                    mine.catalog.add_user(user.name, zone=user.zone)

    def start(self):
        """Begin to listen, on the port of before if there was one."""
        self.stopping.clear()
        self.listen(True)
        return self

    def listen(self, on):
        """Accept connections, or have the system refuse them."""
        with self._lock:
            if on and self._listener is None and not self.stopping.is_set():
                self._listener = socket.create_server((self.host, self.port))
                self.port = self._listener.getsockname()[1]
                threading.Thread(
                    target=self._accept, args=(self._listener,),
                    name=f'irods-{self.zone}', daemon=True,
                ).start()
            elif not on and self._listener is not None:
                # Closing alone would leave it to the thread that accepts.
                self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # It was closed, which is how listening ends.
            with self._lock:
                if self.stopping.is_set():
                    connection.close()
                    return
                new = agent.Agent(self, connection)
                self._agents.add(new)
            new.start()

    def agents(self):
        """Return the agents that run, in the order of their numbers."""
        with self._lock:
            return sorted(self._agents, key=lambda each: each.number)

    def forget(self, ended):
        """Take an agent off the list of those that run."""
        with self._lock:
            self._agents.discard(ended)

    def stop(self, kill=False):
        """Go down: refuse connections, and end those that there are.

        With ``kill`` the agents die as by SIGKILL, and what they were
        writing keeps status 2.
        """
        self.stopping.set()
        self.listen(False)
        agents = self.agents()
        for each in agents:
            if kill:
                each.kill()
            else:
                each.stream.interrupt()
        self.faults.release_all()
        for each in agents:
            each.join(30)
            if each.is_alive():
                raise RuntimeError(f'an agent of {self.zone} does not end')

    @property
    def active_connections(self):
        """How many clients are connected."""
        with self._lock:
            return len(self._agents)

    @property
    def open_files(self):
        """How many data objects clients have open."""
        with self._lock:
            return sum(len(each.descriptors) for each in self._agents)

    @property
    def calls(self):
        """The calls of all APIs so far, each with api, path and code."""
        return list(self.counters.calls)

    def calls_of(self, api):
        """Return the calls of one API."""
        return [call for call in self.calls if call.api == api]

    @property
    def bytes_read(self):
        """How many bytes of data clients have been sent."""
        return self.counters.bytes['read']

    @property
    def bytes_written(self):
        """How many bytes of data clients have sent."""
        return self.counters.bytes['write']

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, traceback):
        for other in self.others:
            other.__exit__(kind, value, traceback)
        self.stop()
        if self.defects and value is None:
            raise RuntimeError('the test server failed') from self.defects[0]
