# SPDX-License-Identifier: Apache-2.0

import os
import threading

import pytest

from tests.irods_server import vault


class Intruder:
    """A lock that lets somebody else in first."""

    def __init__(self, act):
        self._act = act
        self._lock = threading.Lock()

    def __enter__(self):
        self._act()
        return self._lock.__enter__()

    def __exit__(self, *args):
        return self._lock.__exit__(*args)


@pytest.fixture
def place(tmp_path):
    return vault.Vault(tmp_path / 'vault')


@pytest.fixture
def opened(place):
    descriptor = os.open(place.path_for('/zone/a'), os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def test_a_write_takes_nothing_from_one_further_on(place, opened):
    place._lock = Intruder(lambda: os.pwrite(opened, b'late', 100))
    place.write(opened, memoryview(b'early'), 0)
    assert os.pread(opened, 200, 0) == b'early' + bytes(95) + b'late'


@pytest.mark.parametrize('content', [
    b'\0' + b'x' * vault.BLOCK, bytes(vault.BLOCK) + b'x', b'\0x', b'x\0',
    bytes(vault.BLOCK + 1), b'',
])
def test_only_zeros_are_left_out(place, opened, content):
    place.write(opened, memoryview(content), 3)
    assert os.pread(opened, 3 * vault.BLOCK, 3) == content


def test_what_is_taken_is_known_whoever_writes_where(place, opened):
    place.write(opened, memoryview(b'12345'), 10)
    assert place.used == 15
    place.write(opened, memoryview(b'12345'), 12)
    assert place.used == 17
    place.write(opened, memoryview(b'12345'), 0)
    assert place.used == 17
    place.truncate(opened, 4)
    assert place.used == 4
    place.forget(place.folder / 'a')
    assert place.used == 0


def test_a_hole_in_the_middle_stays_one(place, opened, tmp_path):
    data = b'x' * vault.BLOCK
    for block in (0, 3):
        place.write(opened, memoryview(data), block * vault.BLOCK)
    place.grow(opened, 6 * vault.BLOCK)
    passed = []
    target = os.open(tmp_path / 'copy', os.O_RDWR | os.O_CREAT)
    try:
        place.copy(opened, target, passed.append)
        found = os.pread(target, 9 * vault.BLOCK, 0)
        assert os.fstat(target).st_blocks <= os.fstat(opened).st_blocks
    finally:
        os.close(target)
    zeros = bytes(2 * vault.BLOCK)
    assert found == data + zeros + data + zeros
    assert sum(passed) == 6 * vault.BLOCK
