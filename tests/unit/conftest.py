# SPDX-License-Identifier: Apache-2.0

import pytest

from tests import irods_server
from tests.parts import irods


@pytest.fixture
def zone(tmp_path):
    """Yield a running zone; no store may keep a connection in use."""
    with irods_server.IrodsServer(tmp_path) as server:
        made = irods.Irods(server)
        yield made
        made.end()


@pytest.fixture
def server(zone):
    return zone.server


@pytest.fixture
def store(zone):
    return zone.store()


@pytest.fixture
def impatient(monkeypatch):
    """Try again at once what is tried again."""
    monkeypatch.setattr('glance_store_irods.reading.PAUSES', (0, 0, 0))
    monkeypatch.setattr('glance_store_irods.writing.PAUSE', 0.01)
