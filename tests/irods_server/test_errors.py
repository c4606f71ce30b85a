# SPDX-License-Identifier: Apache-2.0

"""The codes of errors, as a real iRODS 5.0.2 was seen to give them."""

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import exception
from irods import meta
from irods import models

from tests.irods_server import clients

HOME = '/tempZone/home/rods'
HERS = '/tempZone/home/ann'
THERE, NONE, TAKEN = f'{HOME}/there', f'{HOME}/none', f'{HOME}/taken'


def write(session, path, content=b'data', **options):
    with session.data_objects.open(path, 'w', **options) as file:
        file.raw.write(content)


def refused(session, method, *args, **options):
    return clients.code_of(
        getattr(session.data_objects, method), *args, **options
    )


@pytest.fixture
def ann(server, connect):
    """Another user, who may look into the administrator's home."""
    server.add_user('ann', 'secret')
    server.permit(HOME, 'ann', 'read')
    return connect(server, user='ann', password='secret')


@pytest.fixture(autouse=True)
def filled(server):
    server.put(THERE, b'data')
    server.put(TAKEN, b'taken')


@pytest.fixture(autouse=True)
def unharmed(server, filled):
    """Nothing that is refused may do anything."""
    yield
    assert server.content(TAKEN) == b'taken'
    assert clients.statuses(server, TAKEN) == [1]


@pytest.mark.parametrize(('code', 'method', 'args', 'options'), [
    (-358000, 'open', (NONE, 'r'), {}),
    (-358000, 'open', (NONE, 'r+'), {}),
    (-358000, 'open', (f'{HOME}/no/such', 'r'), {}),
    (-814000, 'open', (f'{HOME}/no/such', 'w'), {}),
    (-814000, 'create', (f'{HOME}/no/such',), {}),
    (-78000, 'open', (NONE, 'w'), {'destRescName': 'none'}),
    (-78000, 'create', (NONE,), {'resource': 'none'}),
    (-833000, 'open', (HOME, 'w'), {}),
    (-317000, 'open', ('relative', 'r'), {}),
    (-1803000, 'open', (THERE, 'r'), {'rescName': 'none'}),
    (-1803000, 'open', (THERE, 'r'), {'replNum': '7'}),
    (-808000, 'unlink', (NONE,), {}),
    (-808000, 'unlink', (NONE,), {'force': True}),
    (-808000, 'chksum', (NONE,), {}),
    (-808000, 'replicate', (NONE,), {'resource': 'demoResc'}),
    (-808000, 'trim', (NONE,), {}),
    (-808000, 'move', (NONE, f'{HOME}/x'), {}),
    (-834000, 'move', (THERE, TAKEN), {}),
    (-814000, 'move', (THERE, f'{HOME}/no/such'), {}),
    (-317000, 'copy', (NONE, f'{HOME}/x'), {}),
    (-317000, 'copy', (THERE, THERE), {}),
    (-312000, 'copy', (THERE, TAKEN), {}),
    (-78000, 'copy', (THERE, NONE), {'destRescName': 'none'}),
    (-78000, 'replicate', (THERE,), {'resource': 'none'}),
    (-402000, 'chksum', (THERE,), {'verifyChksum': '', 'forceChksum': ''}),
])
def test_what_cannot_be_done_is_refused(
    server, session, code, method, args, options
):
    before = server.objects()
    assert refused(session, method, *args, **options) == code
    assert server.objects() == before
    assert clients.statuses(server, THERE) == [1]


@pytest.mark.parametrize(('code', 'method', 'args'), [
    (-358000, 'open', (THERE, 'r')),
    (-808000, 'unlink', (THERE,)),
    (-808000, 'chksum', (THERE,)),
    (-808000, 'move', (THERE, f'{HERS}/x')),
    (-317000, 'copy', (THERE, f'{HERS}/x')),
])
def test_what_may_not_be_read_is_as_if_it_were_missing(
    ann, code, method, args
):
    assert not ann.data_objects.exists(THERE)
    assert refused(ann, method, *args) == code
    assert refused(ann, method, NONE, *args[1:]) == code


@pytest.mark.parametrize(('method', 'args', 'options'), [
    ('open', (THERE, 'w'), {}),
    ('open', (THERE, 'r+'), {}),
    ('open', (f'{HOME}/new', 'w'), {}),
    ('create', (f'{HOME}/new',), {}),
    ('unlink', (THERE,), {}),
    ('unlink', (THERE,), {'force': True}),
    ('move', (THERE, f'{HERS}/x'), {}),
    ('copy', (THERE, f'{HOME}/new'), {}),
    ('copy', (THERE, f'{HOME}/no/such'), {}),
    ('copy', (THERE, TAKEN), {'forceFlag': ''}),
    ('replicate', (THERE,), {}),
    ('trim', (THERE,), {}),
])
def test_what_may_only_be_read_is_not_changed(
    server, ann, method, args, options
):
    for each in (THERE, TAKEN):
        server.permit(each, 'ann', 'read')
    before = server.objects()
    assert refused(ann, method, *args, **options) == -818000
    assert server.objects() == before
    assert server.content(THERE) == b'data'


@pytest.mark.parametrize(('code', 'action'), [
    (-818000, lambda ann: ann.collections.create(f'{HOME}/new')),
    (-814000, lambda ann: ann.collections.create(
        f'{HERS}/a/b', recurse=False)),
    (-818000, lambda ann: ann.collections.remove(HOME)),
    (-814000, lambda ann: ann.collections.remove(f'{HERS}/none')),
    (-818000, lambda ann: ann.metadata.add(
        models.Collection, HOME, meta.iRODSMeta('k', 'v'))),
    (-830000, lambda ann: ann.metadata.add(
        models.Resource, 'demoResc', meta.iRODSMeta('k', 'v'))),
])
def test_collections_are_guarded_too(server, ann, code, action):
    before = server.collections()
    assert clients.code_of(action, ann) == code
    assert server.collections() == before


def test_a_collection_that_may_not_be_seen_is_as_if_it_were_missing(
    session, ann
):
    hidden = session.collections.create(f'{HOME}/hidden').path
    session.data_objects.create(f'{hidden}/object')
    assert clients.code_of(ann.collections.remove, hidden) == -814000
    for model, path, code in (
        (models.Collection, hidden, -814000),
        (models.DataObject, f'{hidden}/object', -808000),
    ):
        assert clients.code_of(
            ann.metadata.add, model, path, meta.iRODSMeta('k', 'v')
        ) == code


def test_what_is_missing_is_not_there_for_a_stat(session):
    with pytest.raises(exception.DataObjectDoesNotExist):
        session.data_objects.get(NONE)
    with pytest.raises(exception.CollectionDoesNotExist):
        session.data_objects.get(f'{HOME}/no/such')
    with pytest.raises(exception.CollectionDoesNotExist):
        session.collections.get(NONE)


@pytest.mark.parametrize(('method', 'args'), [
    ('open', (THERE, 'r')), ('open', (THERE, 'w')), ('open', (THERE, 'r+')),
    ('copy', (THERE, NONE)), ('chksum', (THERE,)),
])
def test_an_object_that_is_being_written_is_not_opened(
    server, session, connect, method, args
):
    with session.data_objects.open(THERE, 'r+') as file:
        assert clients.statuses(server, THERE) == [2]
        assert refused(connect(server), method, *args) == -1803000
        file.raw.write(b'D')
    assert clients.read(session, THERE) == b'Data'


@pytest.mark.parametrize(('method', 'args'), [
    ('unlink', (THERE,)), ('move', (THERE, NONE)), ('trim', (THERE,)),
])
def test_an_object_that_is_being_written_is_locked(
    server, session, connect, method, args
):
    with session.data_objects.open(THERE, 'r+'):
        assert refused(connect(server), method, *args) == -406000
    assert server.content(THERE) == b'data'


def test_a_collection_with_an_object_that_is_being_written_is_locked(
    server, session, connect
):
    path = f'{HOME}/sub/object'
    server.put(path, b'data')
    with session.data_objects.open(path, 'r+'):
        code = clients.code_of(
            connect(server).collections.remove, f'{HOME}/sub'
        )
        assert code == -406000
    assert server.content(path) == b'data'


def test_a_replica_beside_one_that_is_locked_is_not_written(server, session):
    server.add_resource('other')
    session.data_objects.replicate(THERE, resource='other')
    server.set_replica(THERE, 1, status=2)
    assert refused(session, 'open', THERE, 'r+') == -1803000
    assert clients.read(session, THERE) == b'data'


@pytest.mark.parametrize(('code', 'method', 'args', 'options'), [
    (-1803000, 'open', (THERE, 'r'), {}),
    (-1803000, 'open', (THERE, 'w'), {}),
    (-1803000, 'open', (NONE, 'w'), {}),
    (-1803000, 'copy', (THERE, NONE), {}),
    (-1803000, 'unlink', (THERE,), {}),
    (-105000, 'unlink', (THERE,), {'force': True}),
])
def test_a_resource_that_is_down_serves_nothing(
    server, session, code, method, args, options
):
    server.resource().up = False
    assert refused(session, method, *args, **options) == code


def test_an_unlink_goes_on_behind_a_resource_that_is_down(server, session):
    server.add_resource('other')
    session.data_objects.replicate(THERE, resource='other')
    server.resource().up = False
    assert refused(session, 'unlink', THERE, force=True) == -105000
    assert server.objects() == [TAKEN]
    assert server.resource('other').vault.used == 0


def test_a_physical_file_that_is_lost_is_told_of(server, session):
    server.lose(THERE)
    assert refused(session, 'open', THERE, 'r') == -510002
    assert refused(session, 'open', THERE, 'r+') == -510002
    assert refused(session, 'chksum', THERE) == -510002
    assert clients.statuses(server, THERE) == [1]
    session.data_objects.unlink(THERE, force=True)
    assert server.objects() == [TAKEN]


@pytest.mark.parametrize('room', [0, 1, 100])
def test_a_full_disk_is_told_of_when_writing(server, session, room):
    server.faults.full(room=room)
    number = clients.open_object(session, NONE, clients.EXCLUSIVE)
    connection = session.pool.get_connection()
    code = clients.code_of(connection.write_file, number, b'x' * 101)
    assert code == -513028
    connection.close_file(number)
    assert server.replica(NONE).size == room


def test_a_full_disk_is_told_of_when_copying(server, session):
    server.faults.full(room=3)
    assert refused(session, 'copy', THERE, NONE) == -513028
    left = server.replica(NONE)
    assert (left.status, left.size) == (0, 3)


def test_a_full_disk_is_told_of_when_replicating(server, session):
    server.add_resource('other', capacity=3)
    assert refused(session, 'replicate', THERE, resource='other') == -513028
    assert clients.statuses(server, THERE) == [1, 0]


def test_room_is_there_again_when_something_is_removed(server, session):
    server.faults.full()
    session.data_objects.unlink(THERE, force=True)
    write(session, NONE, b'DATA')
    with pytest.raises(exception.UNIX_FILE_WRITE_ERR):
        write(session, f'{HOME}/more')


def test_what_has_no_room_on_one_resource_has_it_on_another(server, session):
    server.add_resource('other', capacity=3)
    with pytest.raises(exception.UNIX_FILE_WRITE_ERR):
        write(session, NONE, destRescName='other')
    write(session, f'{HOME}/more')


def test_a_quota_is_kept(server, connect):
    server.add_user('ann', 'secret', quota=10)
    server.add_resource('other')
    hers = connect(server, user='ann', password='secret')
    write(hers, f'{HERS}/one', b'12345678')
    server.permit(HOME, 'ann', 'read')
    server.permit(THERE, 'ann', 'read')
    assert refused(hers, 'copy', THERE, f'{HERS}/two') == -110000
    # What a stream will bring is not known: it is noticed the next time.
    write(hers, f'{HERS}/two', b'12345678')
    assert refused(hers, 'open', f'{HERS}/three', 'w') == -110000
    assert refused(
        hers, 'replicate', f'{HERS}/one', resource='other'
    ) == -110000
    assert server.objects(HERS) == [f'{HERS}/one', f'{HERS}/two']
