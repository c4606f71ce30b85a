# SPDX-License-Identifier: Apache-2.0

import errno

import pytest

from glance_copy_plugin.transfer import errors

SECRET = 'Hunter2hunter2'


@pytest.mark.parametrize('text', [
    f'GET swift+https://tenant%3Auser:{SECRET}@auth.example/v3/c/o failed',
    f's3+https://AKIA:{SECRET}/with/slashes+x@s3.example/bucket/object',
    f'rbd://user:p@{SECRET}@monitor.example/pool',
    f'irods://rods:{SECRET}@ies.example:1247/zone/home',
    f'https://{SECRET}@registry.example/x',
    f'cannot open "cinder://admin:{SECRET}@type/volume"',
    f"{{'password': '{SECRET}'}}",
    f'{{"auth_token": "{SECRET}"}}',
    f'password={SECRET}',
    f'password = {SECRET}',
    f'x-auth-token={SECRET}',
])
def test_secrets_never_survive(text):
    assert SECRET not in errors.redact(text)
    assert SECRET not in str(errors.CopyError(text, store='s1'))
    assert SECRET not in errors.TargetError(text).reason
    assert SECRET not in repr(errors.SourceError(text))


@pytest.mark.parametrize('header', [
    'X-Auth-Token: ', 'x-subject-token:', 'X-Service-Token: ',
    'Authorization: Bearer ', 'authorization: Basic ', 'Authorization: ',
])
def test_a_token_in_a_header_does_not_survive(header):
    assert SECRET not in errors.redact(f'> {header}{SECRET}\n> Accept: */*')


def test_the_part_after_the_last_at_sign_of_a_secret_is_hidden():
    text = errors.redact('rbd://user:one@two@monitor.example/pool')
    assert 'one' not in text
    assert 'two' not in text


def test_text_without_secrets_stays_as_it_is():
    text = 'no space left in /srv/images; free some, or ask ops@example.org'
    assert errors.redact(text) == text


def test_what_is_not_a_string_is_redacted_too():
    error = OSError(5, f'password={SECRET}')
    assert SECRET not in errors.redact(error)


def test_an_error_says_where_it_came_from_and_which_store():
    assert str(errors.TargetError('no space left', store='s1')) == (
        'store s1: no space left'
    )
    assert str(errors.SourceError('is gone', store='src')) == (
        'source store src: is gone'
    )
    assert str(errors.StagingError('is full')) == 'staging area: is full'


def test_only_a_source_that_could_not_be_read_may_be_tried_again():
    assert errors.SourceError('reset').retryable
    assert not errors.SourceMismatch('wrong bytes').retryable
    assert not errors.TargetError('full').retryable


@pytest.mark.parametrize(('error', 'passes'), [
    (OSError(errno.EIO, 'x'), True),
    (OSError(errno.ESTALE, 'x'), True),
    (FileNotFoundError(errno.ENOENT, 'x'), True),
    (ConnectionResetError(), True),
    (TimeoutError(), True),
    (OSError('an error of a library for HTTP'), True),
    (RuntimeError('whatever'), True),
    (OSError(errno.ENOSPC, 'x'), False),
    (OSError(errno.EDQUOT, 'x'), False),
    (OSError(errno.EROFS, 'x'), False),
    (PermissionError(errno.EACCES, 'x'), False),
    (NotADirectoryError(errno.ENOTDIR, 'x'), False),
    (TypeError('a mistake'), False),
    (KeyError('a mistake'), False),
])
def test_what_may_pass_is_worth_another_try(error, passes):
    assert errors.may_pass(error) is passes
    assert errors.target_error(error, 'x', store='s').retryable is passes


def test_a_source_that_is_not_there_is_not_asked_again():
    error = FileNotFoundError(errno.ENOENT, 'x')
    assert not errors.source_error(error, 'x', store='s').retryable
    assert errors.source_error(OSError(5, 'x'), 'x', store='s').retryable


@pytest.mark.parametrize(('kind', 'retryable'), [
    (errors.SourceError, True), (errors.SourceGone, False),
    (errors.SourceHangs, False), (errors.SourceMismatch, False),
    (errors.StagingError, False), (errors.TargetError, False),
    (errors.TargetUnavailable, True), (errors.TargetHangs, False),
    (errors.RecordsError, False), (errors.Cancelled, False),
])
def test_each_kind_of_error_says_if_a_retry_can_help(kind, retryable):
    assert kind('x').retryable is retryable
