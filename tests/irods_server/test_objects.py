# SPDX-License-Identifier: Apache-2.0

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import access
from irods import exception
from irods import meta
from irods import models

from tests.irods_server import clients


def test_unlink_by_force_removes_the_object_and_its_file(
    server, session, path, tmp_path
):
    server.put(path, b'data')
    session.data_objects.unlink(path, force=True)
    assert server.objects() == []
    assert list(tmp_path.rglob('image*')) == []
    assert server.resource().vault.used == 0


def test_unlink_without_force_moves_to_the_trash(server, session, path):
    server.put(path, b'data')
    session.data_objects.unlink(path)
    assert server.objects() == ['/tempZone/trash/home/rods/image']
    assert server.content('/tempZone/trash/home/rods/image') == b'data'


def test_the_trash_keeps_two_objects_of_one_name(server, session, path):
    for content in (b'first', b'second'):
        server.put(path, content)
        session.data_objects.unlink(path)
    trashed = server.objects('/tempZone/trash')
    assert {server.content(each) for each in trashed} == {b'first', b'second'}


def test_an_unregistered_object_leaves_its_file(server, session, path):
    file = server.put(path, b'data').path
    session.data_objects.unregister(path)
    assert server.objects() == []
    with open(file, 'rb') as left:
        assert left.read() == b'data'


def test_a_move_keeps_the_object_and_changes_its_path(
    server, session, path
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    before = server.replica(path)
    session.data_objects.move(path, f'{server.home}/other')
    after = server.replica(f'{server.home}/other')
    assert server.objects() == [f'{server.home}/other']
    assert (after.checksum, after.size) == (before.checksum, before.size)
    assert after.path.endswith('/home/rods/other')
    assert clients.read(session, f'{server.home}/other') == b'data'


def test_a_name_may_hold_what_xml_does_not(server, session):
    name = 'a&b<c>d"e\'f \u00e9\u4e2d'
    path = f'{server.home}/{name}'
    clients.create(session, path, b'data')
    assert server.objects() == [path]
    session.data_objects.get(path).metadata.add('k&', '<v>', '"u"')
    found = session.data_objects.get(path)
    assert (found.path, found.size) == (path, 4)
    avu, = found.metadata.items()
    assert (avu.name, avu.value, avu.units) == ('k&', '<v>', '"u"')
    session.data_objects.copy(path, f'{path}2')
    assert clients.read(session, f'{path}2') == b'data'


def test_a_move_to_a_collection_goes_into_it(server, session, path):
    server.put(path, b'data')
    session.collections.create(f'{server.home}/sub')
    session.data_objects.move(path, f'{server.home}/sub')
    assert server.objects() == [f'{server.home}/sub/image']


def test_collections_are_made_with_those_above_them(server, session):
    session.collections.create(f'{server.home}/a/b/c')
    assert server.collections(server.home) == [
        f'{server.home}/a', f'{server.home}/a/b', f'{server.home}/a/b/c',
    ]
    assert session.collections.get(f'{server.home}/a/b').name == 'b'


def test_making_a_collection_again_changes_nothing(server, session):
    first = session.collections.create(f'{server.home}/a')
    assert session.collections.create(f'{server.home}/a').id == first.id
    code = clients.code_of(
        session.collections.create, f'{server.home}/a', recurse=False
    )
    assert code == -809000


def test_a_collection_lists_what_is_in_it(server, session):
    server.put(f'{server.home}/a/one', b'1')
    server.put(f'{server.home}/a/sub/two', b'22')
    found = session.collections.get(f'{server.home}/a')
    assert [each.name for each in found.data_objects] == ['one']
    assert [each.path for each in found.subcollections] == [
        f'{server.home}/a/sub'
    ]


def test_a_collection_is_removed_with_all_that_is_in_it(server, session):
    server.put(f'{server.home}/a/b/one', b'1')
    code = clients.code_of(
        session.collections.remove, f'{server.home}/a', recurse=False
    )
    assert code == -821000
    session.collections.remove(f'{server.home}/a', force=True)
    assert server.objects() == []
    assert server.collections(server.home) == []


def test_a_collection_is_renamed_with_all_that_is_in_it(server, session):
    server.put(f'{server.home}/a/b/one', b'1')
    session.collections.move(f'{server.home}/a', f'{server.home}/z')
    assert server.objects() == [f'{server.home}/z/b/one']
    assert server.collections(server.home) == [
        f'{server.home}/z', f'{server.home}/z/b'
    ]
    assert clients.read(session, f'{server.home}/z/b/one') == b'1'


def test_avus_are_added_and_removed(server, session, path):
    server.put(path, b'')
    avus = session.data_objects.get(path).metadata
    avus.add('key', 'value', 'unit')
    avus.add('key', 'second')
    assert sorted(server.avus(path)) == [
        ('key', 'second', ''), ('key', 'value', 'unit')
    ]
    assert clients.code_of(avus.add, 'key', 'second') == -809000
    avus.remove('key', 'value', 'unit')
    assert server.avus(path) == [('key', 'second', '')]
    assert clients.code_of(avus.remove, 'no', 'such') == -808000
    avus.set(meta.iRODSMeta('key', 'only'))
    found = session.data_objects.get(path).metadata.items()
    assert [(each.name, each.value) for each in found] == [('key', 'only')]


def test_avus_are_changed_all_at_once_or_not_at_all(server, session, path):
    server.put(path, b'')

    def apply(*operations):
        session.metadata.apply_atomic_operations(
            models.DataObject, path, *(
                meta.AVUOperation(operation=name, avu=meta.iRODSMeta(*avu))
                for name, avu in operations
            )
        )

    apply(('add', ('a', '1')), ('add', ('b', '2', 'u')))
    assert server.avus(path) == [('a', '1', ''), ('b', '2', 'u')]
    apply(('remove', ('a', '1')), ('add', ('c', '3')), ('add', ('c', '3')))
    assert server.avus(path) == [('b', '2', 'u'), ('c', '3', '')]
    server.faults.fail_on('atomic_metadata', -818000)
    assert clients.code_of(apply, ('add', ('d', '4'))) == -818000
    assert len(server.avus(path)) == 2


def test_collections_and_resources_have_avus_too(server, session):
    session.metadata.add(
        models.Collection, server.home, meta.iRODSMeta('k', 'v')
    )
    session.metadata.add(
        models.Resource, 'demoResc', meta.iRODSMeta('r', 'w')
    )
    for model, name, expected in (
        (models.Collection, server.home, ('k', 'v')),
        (models.Resource, 'demoResc', ('r', 'w')),
    ):
        found, = session.metadata.get(model, name)
        assert (found.name, found.value) == expected


def test_touch_makes_an_object_and_sets_its_time(server, session, path):
    session.data_objects.touch(path)
    assert clients.statuses(server, path) == [1]
    session.data_objects.touch(path, seconds_since_epoch=1_000_000_000)
    found = session.data_objects.get(path)
    assert found.modify_time.year == 2001
    session.data_objects.touch(f'{path}2', no_create=True)
    assert server.objects() == [path]


@pytest.mark.parametrize(('level', 'may_read', 'may_write', 'may_unlink'), [
    ('null', False, False, False),
    ('read', True, False, False),
    ('write', True, True, False),
    ('delete_object', True, True, True),
    ('own', True, True, True),
])
def test_a_client_sets_what_another_one_may_do(
    server, session, connect, path, level, may_read, may_write, may_unlink
):
    server.put(path, b'data')
    server.add_user('ann', 'secret')
    session.acls.set(access.iRODSAccess('read', server.home, 'ann'))
    session.acls.set(access.iRODSAccess(level, path, 'ann'))
    hers = connect(server, user='ann', password='secret')
    assert hers.data_objects.exists(path) == may_read
    for allowed, action in (
        (may_read, lambda: clients.read(hers, path)),
        (may_write, lambda: hers.data_objects.open(path, 'w').close()),
        (may_unlink, lambda: hers.data_objects.unlink(path, force=True)),
    ):
        if allowed:
            action()
        else:
            with pytest.raises(exception.iRODSException):
                action()
    assert (server.objects() == []) == may_unlink


def test_the_permissions_of_an_object_can_be_asked_for(
    server, session, path
):
    server.put(path, b'data')
    server.add_user('ann', 'secret')
    server.permit(path, 'ann', 'read')
    found = session.acls.get(session.data_objects.get(path))
    assert {(each.user_name, each.access_name) for each in found} == {
        ('rods', 'own'), ('ann', 'read_object'),
    }


def test_permissions_are_set_for_all_that_is_in_a_collection(
    server, session, connect
):
    server.put(f'{server.home}/a/b/one', b'data')
    server.add_user('ann', 'secret')
    session.acls.set(
        access.iRODSAccess('read', f'{server.home}/a', 'ann'), recursive=True
    )
    hers = connect(server, user='ann', password='secret')
    assert clients.read(hers, f'{server.home}/a/b/one') == b'data'


def test_an_administrator_sets_permissions_of_what_others_own(
    server, session, connect
):
    server.add_user('ann', 'secret')
    server.add_user('bob', 'secret')
    home = '/tempZone/home/ann'
    rights = access.iRODSAccess('own', home, 'bob')
    bobs = connect(server, user='bob', password='secret')
    assert clients.code_of(bobs.acls.set, rights) == -818000
    session.acls.set(rights, admin=True)
    bobs.acls.set(access.iRODSAccess('null', home, 'bob'))


@pytest.mark.parametrize(('level', 'user', 'code'), [
    ('read', 'nobody', -827000),
])
def test_permissions_are_for_users_that_there_are(
    server, session, level, user, code
):
    rights = access.iRODSAccess(level, server.home, user)
    assert clients.code_of(session.acls.set, rights) == code


def test_a_collection_hands_its_permissions_on(server, session, connect):
    server.add_user('ann', 'secret')
    inner = f'{server.home}/inner'
    session.collections.create(inner)
    session.acls.set(access.iRODSAccess('read', inner, 'ann'))
    session.acls.set(access.iRODSAccess('inherit', inner))
    clients.create(session, f'{inner}/object', b'data')
    hers = connect(server, user='ann', password='secret')
    assert clients.read(hers, f'{inner}/object') == b'data'


def test_only_an_administrator_sets_a_replica_s_status(
    server, session, connect, path
):
    server.put(path, b'data')
    session.data_objects.modDataObjMeta(
        {'objPath': path, 'replNum': 0}, {'replStatus': 0}
    )
    assert clients.statuses(server, path) == [0]
    server.add_user('ann', 'secret')
    hers = connect(server, user='ann', password='secret')
    code = clients.code_of(
        hers.data_objects.modDataObjMeta, {'objPath': path, 'replNum': 0},
        {'replStatus': 1},
    )
    assert code == -830000
    assert clients.statuses(server, path) == [0]
