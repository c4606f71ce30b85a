# SPDX-License-Identifier: Apache-2.0

"""One connection, served by one thread, as by an agent of iRODS."""

import itertools
import os
import socket
import threading

from tests.irods_server import apis
from tests.irods_server import codes
from tests.irods_server import handlers
from tests.irods_server import negotiation
from tests.irods_server import packing
from tests.irods_server import replies
from tests.irods_server import resources
from tests.irods_server import rules
from tests.irods_server import wire

SYS_INTERNAL_ERR = -154000
# In place of the numbers of processes.
_NUMBERS = itertools.count(1001)


class Request:
    """A call of an API; the raw bytes are still on the wire."""

    def __init__(self, stream, header):
        self.stream = stream
        self.number = header.info
        self.api = apis.name_of(header.info)
        self.input = packing.Structure.parse(stream.receive(header.message))
        stream.receive(header.error)
        self.left = header.body
        # Of two paths, as of a copy, the second one is where it goes; of a
        # query, what it looks for.
        self.path = (
            self.input.text('objPath') or self.input.text('collName')
            or self.input.text('arg2') or self.input.text('path')
            or ''.join(
                each.text('objPath')
                for each in self.input.all('DataObjInp_PI')[1:]
            )
            or ' '.join(
                each for _column, each
                in self.input.pairs('InxValPair_PI', 'inx', 'svalue')
            )
        )

    def receive_into(self, view):
        """Fill ``view`` with the next of the raw bytes."""
        self.stream.receive_into(view)
        self.left -= len(view)

    def drain(self, buffer):
        """Take the rest of the raw bytes off the wire."""
        while self.left:
            self.receive_into(buffer[:self.left])


class Agent(threading.Thread):
    """Serves one client until it leaves."""

    def __init__(self, server, connection):
        super().__init__(name=f'irods-agent-{server.zone}', daemon=True)
        self.server = server
        self.number = next(_NUMBERS)
        self.catalog = server.catalog
        self.faults = server.faults
        self.stream = wire.Stream(connection)
        self.buffer = memoryview(bytearray(wire.BUFFER))
        self.descriptors = {}
        self.queries = {}
        self.user = None
        self.api = ''
        self.killed = False
        self.challenge = ''
        self.startup = None
        self._resources = {}
        self.resources(self.catalog)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self):
        try:
            if negotiation.welcome(self):
                self._serve()
        except (wire.PeerGone, rules.Cut):
            pass  # Clients leave like this, and tests make them.
        except rules.Killed:
            self.killed = True
        except Exception as error:
            self.server.defects.append(error)
        finally:
            self._end()

    def _serve(self):
        while True:
            header = self.stream.receive_header()
            if header.type == 'RODS_DISCONNECT':
                self.stream.say_goodbye()
                return
            self._answer(Request(self.stream, header))

    def _answer(self, request):
        opened = self.descriptors.get(request.input.number('l1descInx'))
        if opened:
            request.path = opened.path
        call = self.server.counters.begin(request.api, request.path)
        self.api = request.api
        try:
            self.faults.check(request.api, 'before', request.path)
            reply = self._perform(request)
            request.drain(self.buffer)
            self.faults.check(request.api, 'after', request.path)
        except codes.IrodsError as error:
            request.drain(self.buffer)
            reply = replies.Reply(error.code, error.message)
        except (rules.Cut, rules.Killed, wire.PeerGone):
            raise  # The connection ends here, and with it the agent.
        except Exception as error:
            self.server.defects.append(error)
            reply = replies.Reply(SYS_INTERNAL_ERR)
        call.code, call.path = reply.info, request.path
        self._send(request, reply)

    def _perform(self, request):
        if self.user is None and request.number not in apis.BEFORE_LOGIN:
            raise codes.IrodsError(codes.SYS_NO_API_PRIV)
        try:
            handler = handlers.TABLE[request.number]
        except KeyError:
            raise codes.IrodsError(codes.SYS_API_INPUT_ERR) from None
        return handler(self, request) or replies.Reply()

    def _send(self, request, reply):
        body = reply.body
        self.stream.send_message(
            'RODS_API_REPLY', reply.message, info=reply.info,
            body=body.count if body else 0,
        )
        while body and body.count:
            count = self.faults.take(request.api, body.count, request.path)
            # A client that has them may look at the count at once.
            self.server.counters.passed(request.api, count)
            self.stream.send_file(body.descriptor, body.offset, count)
            body.offset += count
            body.count -= count

    def at(self, path):
        """Return the catalog that ``path`` is in, and the user there."""
        catalog = self.catalog.of(path)
        return catalog, catalog.known(self.user)

    def resources(self, catalog):
        """Return what this agent knows of the resources of a zone.

        It learns of those of its own as it begins, and of another zone's
        when it first has to do with that.
        """
        if catalog not in self._resources:
            self._resources[catalog] = resources.ResourceTable(catalog)
        return self._resources[catalog]

    def add(self, descriptor):
        """Keep an open file, and return its number for the client."""
        number = min(set(range(3, 1026)) - set(self.descriptors))
        self.descriptors[number] = descriptor
        return number

    def descriptor(self, request):
        """Return the open file that a request is about."""
        try:
            return self.descriptors[request.input.number('l1descInx')]
        except KeyError:
            raise codes.IrodsError(codes.BAD_INPUT_DESC_INDEX) from None

    def passed(self, api, path):
        """Return a function to report bytes that a long job has done."""
        def report(count):
            while count:
                count -= self.faults.take(api, count, path)
                if self.killed:
                    raise rules.Killed
        return report

    def kill(self):
        """Die at once: nothing is cleaned up in the catalog."""
        self.killed = True
        self.stream.interrupt()

    def _end(self):
        for descriptor in self.descriptors.values():
            os.close(descriptor.file)
            if descriptor.opening and not self.killed:
                descriptor.opening.abandon()
        self.descriptors.clear()
        self.stream.close()
        self.server.forget(self)
