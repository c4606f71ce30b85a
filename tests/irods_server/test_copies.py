# SPDX-License-Identifier: Apache-2.0

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import data_object
from irods import exception
from irods import message
from irods.manager import data_object_manager

from tests.irods_server import clients
from tests.parts import data

MIB = 1024 * 1024


@pytest.fixture
def target(path):
    return f'{path}-copy'


@pytest.mark.parametrize('size', [0, 1, MIB, 9 * MIB + 1])
def test_a_copy_has_the_same_bytes_and_none_pass_through_the_client(
    server, session, path, target, size
):
    content = data.some(size)
    server.put(path, content)
    session.data_objects.copy(path, target)
    assert server.content(target) == content
    copied = server.replica(target)
    assert (copied.status, copied.size) == (1, size)
    assert server.bytes_read == server.bytes_written == 0
    call, = server.calls_of('copy')
    assert (call.path, call.code) == (target, 0)


def test_a_copy_brings_no_checksum_and_no_avus(
    server, session, path, target
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    session.data_objects.get(path).metadata.add('k', 'v')
    session.data_objects.copy(path, target)
    assert server.replica(target).checksum == ''
    assert server.avus(target) == []


def test_a_copy_makes_the_collections_above_it(server, session, path):
    server.put(path, b'data')
    session.data_objects.copy(path, f'{server.home}/new/deep/copy')
    assert server.content(f'{server.home}/new/deep/copy') == b'data'


def test_a_copy_goes_to_the_resource_asked_for(
    server, session, path, target
):
    server.add_resource('other')
    server.put(path, b'data')
    session.data_objects.copy(path, target, destRescName='other')
    assert server.replica(target).resource == 'other'


def test_a_forced_copy_replaces_the_object(server, session, path, target):
    server.put(path, b'new')
    server.put(target, b'old and long')
    session.data_objects.copy(path, target, forceFlag='')
    assert server.content(target) == b'new'
    assert server.replica(target).size == 3


@pytest.mark.parametrize('stored', [True, False])
def test_a_verified_copy_has_a_checksum(
    server, session, path, target, stored
):
    server.put(path, b'data')
    if stored:
        session.data_objects.chksum(path)
    session.data_objects.copy(path, target, verifyChksum='')
    assert server.replica(target).checksum == session.data_objects.chksum(path)


def test_a_copy_registers_the_checksum_of_what_it_has(
    server, session, path, target
):
    server.put(path, b'data')
    right = session.data_objects.chksum(path)
    server.faults.corrupt(path)
    session.data_objects.copy(path, target, regChksum='')
    assert server.replica(target).status == 1
    assert server.replica(target).checksum not in ('', right)


def test_a_checksum_is_computed_once_and_stored(server, session, path):
    server.put(path, b'hello wire' * 10)
    value = session.data_objects.chksum(path)
    assert value == 'sha2:aNW7nVUQoPR20kr5ApmdhCejAxqnwQP+T+lqYLJopmk='
    assert server.replica(path).checksum == value
    server.faults.corrupt(path)
    assert session.data_objects.chksum(path) == value
    assert session.data_objects.chksum(path, forceChksum='') != value


def test_verifying_a_checksum_that_is_right_says_nothing(
    server, session, path
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    assert session.data_objects.chksum(path, verifyChksum='') == ''


@pytest.mark.parametrize(('spoil', 'code', 'text'), [
    (lambda server, path: server.faults.corrupt(path), -314000,
     'ERROR: Computed checksum does not match what is in the catalog for '
     'replica [0].'),
    (lambda server, path: server.faults.wrong_checksum(path), -314000,
     'ERROR: Computed checksum does not match what is in the catalog for '
     'replica [0].'),
    (lambda server, path: server.set_replica(path, checksum=''), -862000,
     'WARNING: No checksum available for replica [0].'),
    (lambda server, path: server.set_replica(path, size=3), -315000,
     'ERROR: Physical size does not match size in catalog for replica [0].'),
])
def test_verifying_a_checksum_tells_what_is_wrong(
    server, session, path, spoil, code, text
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    spoil(server, path)
    errors = message.RErrorStack()
    with pytest.raises(data_object_manager.Server_Checksum_Warning) as caught:
        session.data_objects.chksum(path, verifyChksum='', r_error=errors)
    said, = caught.value.response
    assert (said['error_code'], said['message']) == (code, text)
    assert errors[0].status == code


def test_verifying_fails_oddly_without_a_place_for_the_errors(
    server, session, path
):
    server.put(path, b'data')
    with pytest.raises(AttributeError):
        session.data_objects.chksum(path, verifyChksum='')


def test_nothing_good_cannot_be_verified(server, session, path):
    server.put(path, b'data')
    server.set_replica(path, status=0)
    with pytest.raises(KeyError, match='-166000'):
        session.data_objects.chksum(path, verifyChksum='')


def test_a_replica_is_made_on_another_resource(server, session, path):
    server.add_resource('other')
    server.put(path, b'data')
    session.data_objects.chksum(path)
    session.data_objects.replicate(path, resource='other')
    first, second = server.replicas(path)
    assert (second.number, second.resource, second.status) == (1, 'other', 1)
    assert (second.size, second.checksum) == (first.size, first.checksum)
    assert server.content(path, 1) == b'data'
    assert len(session.data_objects.get(path).replicas) == 2


def test_the_checksums_of_all_replicas_are_computed_at_once(
    server, session, path
):
    server.add_resource('other')
    server.put(path, b'data')
    session.data_objects.replicate(path, resource='other')
    value = session.data_objects.chksum(path, ChksumAll='')
    assert {each.checksum for each in server.replicas(path)} == {value}


@pytest.mark.parametrize(('prepare', 'code'), [
    (lambda server, path: None, -169000),
    (lambda server, path: server.set_replica(path, status=2), -1803000),
])
def test_a_replica_is_not_made_where_there_is_a_good_one(
    server, session, path, prepare, code
):
    server.put(path, b'data')
    prepare(server, path)
    assert clients.code_of(
        session.data_objects.replicate, path, resource='demoResc'
    ) == code


def test_a_corrupted_replica_is_not_replicated_as_good(
    server, session, path
):
    server.add_resource('other')
    server.put(path, b'data')
    session.data_objects.chksum(path)
    server.faults.corrupt(path)
    code = clients.code_of(
        session.data_objects.replicate, path, resource='other'
    )
    assert code == -314000
    assert clients.statuses(server, path) == [1, 0]


def test_writing_one_replica_makes_the_other_ones_stale(
    server, session, path
):
    server.add_resource('other')
    server.put(path, b'data')
    session.data_objects.replicate(path, resource='other')
    with session.data_objects.open(path, 'r+') as file:
        assert clients.statuses(server, path) == [2, 4]
        file.raw.write(b'D')
    assert clients.statuses(server, path) == [1, 0]
    session.data_objects.replicate(path, resource='other')
    assert clients.statuses(server, path) == [1, 1]
    assert server.content(path, 1) == b'Data'


def test_a_stale_replica_becomes_as_short_as_the_good_one(
    server, session, path
):
    server.add_resource('other')
    server.put(path, b'long data')
    session.data_objects.replicate(path, resource='other')
    with session.data_objects.open(path, 'w') as file:
        file.write(b'short')
    session.data_objects.replicate(path, resource='other')
    assert server.content(path, 1) == b'short'
    assert server.replica(path, 1).size == 5


def test_opening_for_update_and_writing_nothing_changes_nothing(
    server, session, path
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    before = server.replica(path)
    session.data_objects.open(path, 'r+').close()
    assert server.replica(path) == before


def test_writing_forgets_the_stored_checksum(server, session, path):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    with session.data_objects.open(path, 'r+') as file:
        file.raw.write(b'D')
    assert server.replica(path).checksum == ''


@pytest.mark.parametrize(('options', 'left'), [
    ({}, [0, 1]),
    ({'replNum': '0', 'copies': '1'}, [1, 2]),
    ({'rescName': 'third', 'copies': '1'}, [0, 1]),
    ({'copies': '1'}, [0]),
])
def test_trim_removes_replicas_and_leaves_enough(
    server, session, path, options, left
):
    server.put(path, b'data')
    for name in ('second', 'third'):
        server.add_resource(name)
        session.data_objects.replicate(path, resource=name)
    session.data_objects.trim(path, **options)
    assert [each.number for each in server.replicas(path)] == left


def test_the_good_replica_is_read_of_several(server, session, path):
    server.add_resource('other')
    server.put(path, b'stale')
    session.data_objects.replicate(path, resource='other')
    with open(server.replica(path, 1).path, 'wb') as file:
        file.write(b'good!')
    server.set_replica(path, status=0)
    assert clients.read(session, path) == b'good!'
    with session.data_objects.open(path, 'r', rescName='demoResc') as file:
        assert file.read() == b'stale'


def test_what_the_client_says_of_an_object_is_that_of_the_first_row(
    server, session, path
):
    server.add_resource('other')
    server.put(path, b'data')
    session.data_objects.replicate(path, resource='other')
    server.set_replica(path, status=0, size=1)
    found = session.data_objects.get(path)
    assert isinstance(found, data_object.iRODSDataObject)
    assert found.size == 1
    assert [each.size for each in found.replicas] == [1, 4]


def test_a_copy_of_what_is_being_written_is_refused(
    server, session, path, target
):
    with (
        session.data_objects.open(path, 'w'),
        pytest.raises(exception.HIERARCHY_ERROR),
    ):
        session.data_objects.copy(path, target)
    assert server.objects() == [path]
