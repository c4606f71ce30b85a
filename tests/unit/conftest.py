# SPDX-License-Identifier: Apache-2.0

import os

import pytest

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import limits
from glance_copy_plugin.transfer import sources
from glance_copy_plugin.transfer import spool
from glance_copy_plugin.transfer import staging
from glance_copy_plugin.transfer import timeouts
from tests import irods_server
from tests.parts import data
from tests.parts import irods
from tests.parts import staged
from tests.parts import threads


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
def image(zone):
    """The URL of an image that lies in the zone."""
    return zone.put('image', irods.IMAGE)


@pytest.fixture
def impatient(monkeypatch):
    """Try again at once what is tried again."""
    monkeypatch.setattr('glance_store_irods.reading.PAUSES', (0, 0, 0))
    monkeypatch.setattr('glance_store_irods.writing.PAUSE', 0.01)


@pytest.fixture
def token():
    """What says that a copy is to stop."""
    return cancel_token.CancelToken()


@pytest.fixture
def staging_folder(tmp_path):
    return tmp_path / 'staging'


@pytest.fixture
def stage(staging_folder, token, monkeypatch):
    """Return a function that makes a Staging, closed after the test."""
    # However slow the machine is: what can end is not left behind.
    monkeypatch.setattr(staging, '_STOP_SECONDS', threads.PATIENCE)
    monkeypatch.setattr(timeouts, '_GRACE_SECONDS', threads.PATIENCE)
    made = []

    def staging_of(
        candidates, expected=None, *, followers=('a', 'b'), window=None,
        algorithms=(), on_bytes=None, reserve=None, **options,
    ):
        made.append(staging.Staging(
            candidates, expected or data.expected(staged.IMAGE), followers,
            options=staging.StagingOptions(
                folder=str(staging_folder), window=window,
                algorithms=algorithms, retry_interval=0.01, **options,
            ),
            limit=limits.BandwidthLimit(None, token), cancel=token,
            on_bytes=on_bytes, reserve=reserve,
        ))
        return made[-1]

    yield staging_of
    for each in made:
        each.close()
    assert not staging_folder.exists()


@pytest.fixture
def local(tmp_path):
    """Return a function that makes a source which is a local file."""

    def source(content, store, in_place=True):
        path = tmp_path / f'in-{store}'
        path.write_bytes(content)
        made = sources.FileSource(str(path), store)
        if not in_place:
            made.local_file = lambda: None
        return made

    return source


@pytest.fixture
def folder(tmp_path):
    """Where a copy stages."""
    return tmp_path / 'staging' / 'of-this-copy'


@pytest.fixture
def spool_of(folder, token):
    """Return a function that makes a spool, closed after the test."""
    made = []

    def make(
        size, *, followers=('a',), memory=1024 ** 2, place=folder, **options
    ):
        made.append(spool.Spool(
            str(place), size=size, cancel=token, followers=followers,
            memory=memory, **options,
        ))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def borrowed(tmp_path):
    """Return a function that opens a file with the given bytes."""

    def opened(content):
        path = tmp_path / 'source-file'
        path.write_bytes(content)
        return os.open(path, os.O_RDONLY)

    return opened
