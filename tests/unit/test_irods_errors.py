# SPDX-License-Identifier: Apache-2.0

import ssl
import struct
from xml.etree import ElementTree

from glance_store import exceptions
from irods import exception
from irods import message
from irods import session
import pytest

from glance_store_irods import account
from glance_store_irods import errors

PATH = '/tempZone/home/glance/image'
SECRET = 'xyzzy'
ACCOUNT = account.Account(
    host='irods.example.org', port=1247, zone='tempZone', user='glance',
    password=SECRET,
)


def of_code(code):
    """Return what the client raises for an error of the server."""
    try:
        return exception.get_exception_by_code(code, SECRET)
    except KeyError as exc:
        return exc


def translated(error, action='read'):
    made = errors.translated(error, action, PATH, 's1')
    assert SECRET not in repr(made)
    assert SECRET not in str(made)
    return made


@pytest.mark.parametrize(('code', 'action', 'kind'), [
    (-358000, 'read', exceptions.NotFound),
    (-808000, 'delete', exceptions.NotFound),
    (-808000, 'move', exceptions.NotFound),
    (-317000, 'copy', exceptions.NotFound),
    (-510002, 'read', exceptions.NotFound),
    (-358000, 'create', errors.Misconfigured),
    (-814000, 'create', errors.Misconfigured),
    (-78000, 'replicate', errors.Misconfigured),
    (-312000, 'copy', exceptions.Duplicate),
    (-834000, 'move', exceptions.Duplicate),
    (-510017, 'create', exceptions.Duplicate),
    (-818000, 'create', exceptions.StorageWriteDenied),
    (-818000, 'move', exceptions.StorageWriteDenied),
    (-818000, 'delete', exceptions.Forbidden),
    (-513013, 'write', exceptions.StorageWriteDenied),
    (-513028, 'write', exceptions.StorageFull),
    (-513028, 'copy', exceptions.StorageFull),
    (-513122, 'write', exceptions.StorageFull),
    (-110000, 'create', exceptions.StorageFull),
    (-1803000, 'read', errors.Unavailable),
    (-406000, 'read', errors.Unavailable),
    (-105000, 'read', errors.Unavailable),
    (-1803000, 'delete', exceptions.InUseByStore),
    (-406000, 'delete', exceptions.InUseByStore),
    (-105000, 'delete', exceptions.InUseByStore),
    (-809000, 'create', exceptions.Duplicate),
    (-833000, 'create', exceptions.Duplicate),
    (-27000, 'replicate', exceptions.StorageFull),
    (-121000, 'replicate', exceptions.StorageWriteDenied),
    (-13000, 'read', exceptions.Forbidden),
    (-130000, 'create', errors.Unavailable),
    (-164000, 'read', errors.Unavailable),
    (-168000, 'read', errors.Unavailable),
    (-169000, 'replicate', exceptions.BackendException),
    (-314000, 'replicate', exceptions.BackendException),
    (-516002, 'close', exceptions.BackendException),
    (-513005, 'write', exceptions.BackendException),
    (-510002, 'create', exceptions.BackendException),
    (-99000, 'read', exceptions.BackendException),
    (-1234567000, 'read', exceptions.BackendException),
])
def test_an_error_of_the_zone_becomes_one_of_glance_store(
    code, action, kind
):
    error = of_code(code)
    made = translated(error, action)
    assert type(made) is kind
    assert PATH in str(made)
    if kind not in (exceptions.NotFound, exceptions.Duplicate):
        assert str(code) in str(made)
    # The server has answered, so that the connection can be used on.
    assert errors.answered(error)


def test_a_descriptor_that_is_lost_makes_the_connection_useless():
    error = of_code(-345000)
    assert type(translated(error)) is errors.Unavailable
    assert not errors.answered(error)


@pytest.mark.parametrize('error', [
    exception.NetworkException(SECRET), ConnectionResetError(SECRET),
    TimeoutError(SECRET), ssl.SSLError(SECRET), OSError(5, SECRET),
])
def test_a_lost_connection_is_an_unavailable_service(error):
    made = translated(error)
    assert type(made) is errors.Unavailable
    assert not errors.answered(error)


@pytest.mark.parametrize('error', [
    exception.DataObjectDoesNotExist(), exception.CollectionDoesNotExist(),
])
def test_what_the_client_does_not_find_is_not_found(error):
    assert type(translated(error)) is exceptions.NotFound
    assert errors.answered(error)


@pytest.mark.parametrize('error', [
    ElementTree.ParseError(SECRET), struct.error(SECRET),
    exception.QueryException(SECRET),
    message.iRODSMessage.ResponseNotParseable(SECRET),
])
def test_an_answer_that_makes_no_sense_is_an_unavailable_service(error):
    made = translated(error)
    assert type(made) is errors.Unavailable
    assert type(error).__name__ in str(made)
    assert not errors.answered(error)


@pytest.mark.parametrize('error', [
    KeyError('x'), KeyError(), KeyError(5), ValueError('x'), TypeError(),
    exceptions.NotFound(image='x'),
])
def test_a_bug_stays_what_it_is(error):
    assert errors.translated(error, 'read', PATH, 's1') is error
    assert not errors.answered(error)


def login_failed(error):
    made = errors.login_failed(error, ACCOUNT, 's1')
    assert SECRET not in repr(made)
    assert SECRET not in str(made)
    assert 'irods.example.org:1247' in str(made)
    return made


def invalid_certificate():
    error = ssl.SSLCertVerificationError(1, SECRET)
    error.verify_message = 'self-signed certificate'
    return error


@pytest.mark.parametrize(('error', 'kind'), [
    (of_code(-826000), errors.Misconfigured),
    (of_code(-827000), errors.Misconfigured),
    (of_code(-840000), errors.Misconfigured),
    (of_code(-993000), errors.Misconfigured),
    (of_code(-1825000), errors.Misconfigured),
    (exception.NetworkException('Client-Server negotiation failure: x'),
     errors.Misconfigured),
    (session.NonAnonymousLoginWithoutPassword(SECRET),
     errors.Misconfigured),
    (invalid_certificate(), errors.Misconfigured),
    (of_code(-1234567000), errors.Unavailable),
    (of_code(-13000), errors.Unavailable),
    (exception.NetworkException(SECRET),
     errors.Unavailable),
    (ssl.SSLError(SECRET), errors.Unavailable),
    (TimeoutError(SECRET), errors.Unavailable),
    (AttributeError(SECRET), errors.Unavailable),
    (ElementTree.ParseError(SECRET), errors.Unavailable),
])
def test_a_login_that_fails_says_whose_fault_that_is(error, kind):
    assert type(login_failed(error)) is kind


def test_a_bug_in_a_login_stays_what_it_is():
    error = TypeError('x')
    assert errors.login_failed(error, ACCOUNT, 's1') is error
