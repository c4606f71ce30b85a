# SPDX-License-Identifier: Apache-2.0

import contextlib

import pytest

from tests import irods_server


@pytest.fixture
def serve(tmp_path):
    """Start servers, and stop them when all clients are gone."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            irods_server.IrodsServer(tmp_path, **options)
        )


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def other(server):
    """A second resource; whoever connects after this knows of it."""
    return server.add_resource('other')


@pytest.fixture
def connect(serve):
    """Make sessions of the real client, and end them with the test."""
    from irods import session

    made = []

    def make(server, **changes):
        options = {
            'host': server.host, 'port': server.port, 'zone': server.zone,
            'user': server.admin, 'password': server.password,
            'connection_timeout': 30,
        }
        made.append(session.iRODSSession(**options | changes))
        return made[-1]

    yield make
    for each in made:
        each.cleanup()


@pytest.fixture
def session(server, connect):
    return connect(server)


@pytest.fixture
def path(server):
    return f'{server.home}/image'
