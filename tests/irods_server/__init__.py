# SPDX-License-Identifier: Apache-2.0

"""A test double of an iRODS server, on the wire.

It is **not** iRODS. It speaks iRODS's protocol over TCP, as much of it as
python-irodsclient uses for data objects, so that the real client can be on
the other end in tests and in the demo. How it behaves was taken from a real
iRODS 5.0.2 server. What it serves must work with a real server too, so
nothing but a test may know that it is this one.

A server, and a client of it::

    with irods_server.IrodsServer(tmp_path) as server:
        session = iRODSSession(
            host=server.host, port=server.port, zone=server.zone,
            user=server.admin, password=server.password,
        )
        with session.data_objects.open(f'{server.home}/image', 'w') as file:
            file.write(b'data')
        assert server.content(f'{server.home}/image') == b'data'

What there is in the zone
    ``IrodsServer(folder, zone=, admin=, password=, resource=, version=,
    tls=None|'accept'|'require', port=0)`` has one administrator, whose home
    is ``server.home``, and one resource. ``add_user(name, password, type=,
    quota=, pam_password=)``, ``add_resource(name, capacity=)``,
    ``add_zone(zone)`` (another IrodsServer, federated and running, on a
    port of its own), ``federate(server)`` (with the users there are by
    then). With TLS, ``ca_file`` is what a client must trust. A ``version``
    before rods4.3 has the older login.

Looking into it, without being a client
    ``objects(collection)``, ``replicas(path)`` and ``replica(path,
    number)`` (number, resource, path, status, size, checksum),
    ``content(path)``; ``calls`` and ``calls_of('copy')`` (api, path, code);
    ``bytes_read`` and ``bytes_written`` (what went through clients: 0 for a
    copy on the server), ``counters.bytes[api]``, ``counters.reset()``;
    ``active_connections``, ``open_files``.

Changing it, without being a client
    ``put(path, data)`` (bytes, or a size for a file that is one hole),
    ``set_replica(path, number, status=, size=, checksum=)``,
    ``corrupt(path)`` flips one bit on the disk and tells nobody,
    ``lose(path)`` deletes the file, ``permit(path, user,
    'own'|'modify'|'read'|'none')``; ``resource(name).up = False``;
    ``resource(name).vault.capacity = n`` (bytes; ``.used`` is what is
    taken); ``add_user(...).quota = n``.

Making it fail (``server.faults``)
    APIs go by name: connect, auth, open, create, read, write, lseek, close,
    unlink, copy, rename, checksum, replicate, mkcoll, rmcoll, query,
    metadata, atomic_metadata, modify. ``fail_on(api, code)``,
    ``drop_on(api)``, ``drop_after_bytes(n, api)``, ``agent_dies_on(api,
    after_bytes=)``, ``agent_dies_while_writing(after_bytes=)``, and
    ``hang_on(api, after_bytes=)``, which returns something to
    ``wait_until_reached()`` and to ``release()``. All take ``times=`` (1),
    ``skip=`` (calls to let through first) and ``path=`` (a part of it);
    those without bytes take ``after=True``: it was done, and only the
    answer goes wrong. Bytes count for read, write, copy, checksum,
    replicate and close (a checksum).
    The path of a copy or a rename is where it goes.
    ``refuse_connections()``; ``clear()``.

Down and up
    ``stop()`` refuses and ends all connections, ``stop(kill=True)`` kills
    the agents so that what they wrote keeps status 2, ``start()`` comes
    back on the same port with the same catalog, which is in memory only.

Traps of iRODS that it has on purpose
    Closing a partly written object makes it good. A client that is gone
    leaves status 0, which is served for reading all the same; an agent that
    is killed leaves status 2, which nobody but an administrator can unlink
    (-406000) or open (-1803000). Checksums are stored ones. A copy passes
    corrupted bytes on as good, and goes on without its client. A checksum
    that is given at close, not at open, is ignored. A page of a query that
    is just full promises another one. An unknown API answers -12000.
"""

from tests.irods_server.server import IrodsServer

__all__ = ['IrodsServer']
