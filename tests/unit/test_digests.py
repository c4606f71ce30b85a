# SPDX-License-Identifier: Apache-2.0

import hashlib

import pytest

from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from tests.parts import data


def of_image(**changes):
    record = {
        'size': 3, 'os_hash_algo': 'sha512', 'os_hash_value': 'a' * 128,
        'checksum': 'b' * 32,
    }
    return digests.Expected.of_image(**record | changes)


def test_the_hash_that_the_image_was_given_comes_first():
    expected = of_image()
    assert expected == digests.Expected(
        size=3, algorithm='sha512', value='a' * 128
    )
    assert expected.algorithms == ('sha512',)


def test_another_algorithm_of_the_record_is_used_as_it_is():
    assert of_image(os_hash_algo='sha3_256').algorithm == 'sha3_256'


@pytest.mark.parametrize('changes', [
    {'os_hash_algo': 'from-the-future'},
    {'os_hash_algo': None, 'os_hash_value': None},
    {'os_hash_value': None},
    {'os_hash_value': ''},
])
def test_the_checksum_stands_in_for_a_hash_that_cannot_be_computed(changes):
    expected = of_image(**changes)
    assert (expected.algorithm, expected.value) == ('md5', 'b' * 32)


def test_an_image_without_any_digest_has_only_its_size():
    expected = of_image(
        os_hash_algo=None, os_hash_value=None, checksum=None
    )
    assert expected == digests.Expected(size=3)
    assert expected.algorithms == ()
    expected.check({}, store='src')


def test_several_digests_are_made_of_one_stream():
    made = digests.Digests(['md5', 'sha512'])
    made.update(b'ab')
    made.update(memoryview(b'c'))
    assert made.hexdigests() == {
        'md5': data.md5(b'abc'), 'sha512': data.sha512(b'abc'),
    }


def test_the_right_digest_is_accepted():
    data.expected(b'abc').check({'sha512': data.sha512(b'abc')}, store='src')


def test_a_wrong_digest_names_the_store_and_the_algorithm():
    with pytest.raises(errors.SourceMismatch, match='sha512') as raised:
        data.expected(b'abc').check(
            {'sha512': data.sha512(b'abd')}, store='src'
        )
    assert raised.value.store == 'src'


def test_the_cheapest_algorithm_is_a_sound_one_that_hashlib_has():
    name = digests.cheapest_algorithm()
    assert name in ('sha256', 'sha512', 'blake2b')
    assert name in hashlib.algorithms_available
    assert digests.Digests([name]).hexdigests()[name] == (
        hashlib.new(name).hexdigest()
    )


def test_the_cheapest_algorithm_stays_the_same_in_one_process():
    names = {digests.cheapest_algorithm() for _each in range(5)}
    assert len(names) == 1
