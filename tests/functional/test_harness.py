# SPDX-License-Identifier: Apache-2.0

"""The harness itself: what other tests take for granted."""

import psutil
import pytest

from tests.functional import helpers
from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness import invariants
from tests.harness import MEMBER
from tests.harness import postgres
from tests.harness import RequestFailed
from tests.harness import ServerError

pytestmark = pytest.mark.functional
DATA = b'some data ' * 100_000


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """A stock Glance, with the plugin installed but not switched on."""
    folder = tmp_path_factory.mktemp('stock')
    with GlanceServer(folder, plugin=False, backends={'ro': 'http'}) as found:
        yield found


def test_stock_copies(server):
    client = Client(server)
    image_id = client.create_image(DATA)
    task = client.copy_and_wait(image_id, ['s1', 's2'])
    assert task['status'] == 'success'
    assert task['message'] == 'Copied 0 MiB'
    found = [place['store'] for place in server.locations(image_id)]
    assert found == ['src', 's1', 's2'] == client.stores(image_id)
    assert server.store_file('s2', image_id).read_bytes() == DATA
    assert client.wait_unlocked(image_id)['status'] == 'active'


def test_data_of_tests_is_no_image_that_glance_refuses(server, monkeypatch):
    broken = b'\x01' * 510 + b'\x55\xaa' + b'\x01' * 512
    with pytest.raises(RequestFailed, match='safety checks'):
        Client(server).create_image(broken)
    noise = [DATA, broken, broken]
    with monkeypatch.context() as patched:
        patched.setattr(helpers.os, 'urandom', lambda size: noise.pop())
        assert helpers.data() == DATA


def test_upload_into_a_store(server):
    client = Client(server)
    image_id = client.create_image(DATA, store='s3', name='there')
    assert client.stores(image_id) == ['s3']
    assert client.download(image_id) == DATA
    client.delete(image_id)
    assert client.request('GET', f'/images/{image_id}').status_code == 404


def test_tokens(server):
    client = Client(server)
    image_id = client.new_image(visibility='private')
    path = f'/images/{image_id}'
    member = client.as_user(MEMBER)
    assert client.request('GET', path).status_code == 200
    assert member.request('GET', path).status_code == 404
    assert client.request('GET', path, token='nobody').status_code == 401


def test_identity_headers_are_not_believed(server):
    headers = {
        'X-Identity-Status': 'Confirmed',
        'X-User-Id': 'eve',
        'X-Project-Id': 'eve',
        'X-Roles': 'admin',
    }
    answer = Client(server).request(
        'GET', '/images', headers=headers, token='nobody'
    )
    assert answer.status_code == 401


def test_what_does_not_hold_is_told_in_words(server):
    """Also where the plugin is not switched on."""
    client = Client(server)
    image_id = client.create_image(DATA)
    server.invariants.assert_hold()
    path = server.store_file('s2', image_id)
    path.write_bytes(b'left behind')
    with pytest.raises(AssertionError, match=f'object-.* s2 {image_id}: 11'):
        server.invariants.assert_hold()
    path.unlink()
    server.invariants.assert_hold_soon()


def test_what_still_goes_on_is_told_in_words(server):
    """A live task, or an entry in the journal."""
    entry = server.staging / 'copy-image' / 'journal' / ('0' * 36)
    entry.parent.mkdir(parents=True)
    entry.touch()
    with pytest.raises(invariants.NotSettled, match=f"after 0 s.*{'0' * 36}"):
        server.invariants.wait_settled(timeout=0)
    server.invariants.wait_settled(timeout=0, image_id='another')
    entry.unlink()
    server.invariants.wait_settled(timeout=0)


def test_an_audit_that_is_impossible_is_told_in_words(tmp_path):
    with GlanceServer(tmp_path, plugin=False) as server:
        server.conf.unlink()
        with pytest.raises(invariants.CheckerFailed, match='glance-api.conf'):
            server.invariants.check()


def test_an_audit_that_fails_is_told_and_can_be_repeated(server):
    with pytest.raises(invariants.CheckerFailed, match='TypeError'):
        server.invariants.audit(stores=5)
    server.invariants.check()


def checkers():
    """Return the processes that audit a server each."""
    (parent,) = (
        child for child in psutil.Process().children()
        if 'tests.harness.checker' in child.cmdline()
    )
    return set(parent.children())


def test_the_process_that_audits_ends_with_the_server(server, tmp_path):
    server.invariants.check()
    before = checkers()
    with GlanceServer(tmp_path, plugin=False) as other:
        other.invariants.check()
        (checker,) = checkers() - before
    helpers.wait_until(lambda: not checker.is_running(), 'its end')


def test_kill_and_restart(tmp_path):
    with GlanceServer(tmp_path, plugin=False, workers=2) as server:
        client = Client(server)
        image_id = client.create_image(DATA)
        url = server.url
        assert len(server.worker_pids) == 2
        server.kill()
        assert not server.running()
        server.restart()
        assert server.url == url
        assert client.image(image_id)['status'] == 'active'
    assert not server.running()


def test_broken_configuration_is_told(tmp_path):
    settings = {'glance_store': {'default_backend': 'nowhere'}}
    server = GlanceServer(tmp_path, plugin=False, settings=settings)
    with pytest.raises(ServerError, match='identifier nowhere not found'):
        server.start()
    assert not server.running()


def test_store_in_another_folder(tmp_path):
    elsewhere = tmp_path / 'elsewhere'
    folder = tmp_path / 'glance'
    with GlanceServer(
        folder, plugin=False, store_dirs={'s1': elsewhere}
    ) as server:
        image_id = Client(server).create_image(DATA, store='s1')
        assert (elsewhere / image_id).read_bytes() == DATA


@pytest.mark.postgresql
def test_a_postgresql_that_runs_is_not_started_again():
    try:
        database = postgres.Postgres().start()
    except postgres.Unavailable as reason:
        pytest.skip(str(reason))
    folder = database.folder
    with database:
        assert database.folder == folder
    assert not folder.exists()


@pytest.mark.postgresql
def test_postgresql(tmp_path):
    try:
        database = postgres.Postgres().start()
    except postgres.Unavailable as reason:
        pytest.skip(str(reason))
    try:
        url = database.url('harness')
        with GlanceServer(
            tmp_path, plugin=False, database_url=url
        ) as server:
            client = Client(server)
            image_id = client.create_image(DATA)
            task = client.copy_and_wait(image_id, ['s1'])
            assert task['status'] == 'success'
            assert len(server.locations(image_id)) == 2
    finally:
        database.stop()
    assert not database.folder.exists()
