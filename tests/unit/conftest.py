# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
