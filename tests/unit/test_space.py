# SPDX-License-Identifier: Apache-2.0

import json
import multiprocessing
import os
import signal

import pytest

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import space
from tests.parts import filesystems
from tests.parts import threads

MIB = 1024 * 1024


@pytest.fixture
def area():
    with filesystems.small(8 * MIB) as folder:
        yield folder


@pytest.fixture
def reserve(area):
    """Return a function that reserves space for a copy of that name."""
    def get(size, name='one', token=None, on_wait=no_waiting):
        return space.StagingSpace(str(area)).reserve(
            size, folder=str(area / name),
            cancel=token or cancel_token.CancelToken(), on_wait=on_wait,
        )

    return get


def no_waiting():
    raise AssertionError('it has to wait')


def stage(area, name, size):
    (area / name).mkdir(exist_ok=True)
    (area / name / 'segment').write_bytes(bytes(size))


def waiting(reserve, *arguments, token=None):
    """Begin to reserve in a thread that has to wait; return the thread."""
    said = multiprocessing.Event()
    running = threads.Running(
        reserve, *arguments, on_wait=said.set, token=token
    )
    assert said.wait(threads.PATIENCE)
    return running


def test_space_that_was_given_back_is_given_again(reserve):
    first = reserve(5 * MIB, 'one')
    second = waiting(reserve, 5 * MIB, 'two')
    first.release()
    second.result().release()
    reserve(7 * MIB, 'three')


def test_what_is_staged_already_counts_once(reserve, area):
    reserve(4 * MIB, 'one')
    stage(area, 'one', 4 * MIB)
    reserve(3 * MIB, 'two')


def test_what_others_keep_there_counts(reserve, area):
    stage(area, 'of nobody', 5 * MIB)
    with pytest.raises(errors.StagingError, match='bytes free'):
        reserve(4 * MIB)


def test_what_can_never_fit_is_refused_while_others_run(reserve, area):
    reserve(4 * MIB, 'one')
    stage(area, 'one', 4 * MIB)
    with pytest.raises(errors.StagingError, match='staging_window'):
        reserve(9 * MIB, 'two')


def test_what_fits_when_others_have_ended_waits_for_them(reserve, area):
    first = reserve(4 * MIB, 'one')
    stage(area, 'one', 4 * MIB)
    second = waiting(reserve, 6 * MIB, 'two')
    (area / 'one' / 'segment').unlink()
    first.release()
    second.result()


def test_who_came_first_is_served_first(reserve):
    given = []

    def noting(size, name, **options):
        held = reserve(size, name, **options)
        given.append(name)
        return held

    first = reserve(5 * MIB, 'one')
    large = waiting(noting, 6 * MIB, 'large')
    small = waiting(noting, MIB, 'small')
    assert given == []
    first.release()
    # It could have had its MiB all the time.
    assert small.result().path > large.result().path
    assert given == ['large', 'small']


def test_who_stops_waiting_holds_up_nobody(reserve):
    reserve(5 * MIB, 'one')
    token = cancel_token.CancelToken()
    large = waiting(reserve, 6 * MIB, 'large', token=token)
    token.cancel(errors.Cancelled('for the test'))
    with pytest.raises(errors.Cancelled):
        large.result()
    reserve(2 * MIB, 'small')


def _reserve_and_die(area, size):
    held = space.StagingSpace(area).reserve(
        size, folder=f'{area}/dead', cancel=cancel_token.CancelToken(),
        on_wait=no_waiting,
    )
    with open(held.path, encoding='utf-8') as file:
        assert json.load(file)['size'] == size
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_dead_process_held_is_free(reserve, area):
    process = multiprocessing.get_context('spawn').Process(
        target=_reserve_and_die, args=[str(area), 7 * MIB]
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    shared = space.StagingSpace(str(area))
    assert list(shared.reservations().values()) == [f'{area}/dead']
    reserve(7 * MIB).release()
    assert shared.reservations() == {}


def test_reservations_are_listed_until_they_are_given_back(reserve, area):
    shared = space.StagingSpace(str(area))
    assert shared.reservations() == {}
    held = [reserve(MIB, name) for name in ('one', 'two')]
    assert shared.reservations() == {
        held[0].path: str(area / 'one'), held[1].path: str(area / 'two'),
    }
    shared.forget_dead()
    assert len(shared.reservations()) == 2
    held[0].release()
    assert list(shared.reservations()) == [held[1].path]


def test_nothing_stays_behind(reserve, area):
    reserve(MIB).release()
    with pytest.raises(errors.StagingError):
        reserve(9 * MIB)
    assert not list((area / 'copy-image' / 'space').glob('0*'))


def test_a_staging_area_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'area').write_text('a file')
    with pytest.raises(errors.StagingError, match='staging_dir'):
        space.StagingSpace(str(tmp_path / 'area')).reserve(
            1, folder='', cancel=cancel_token.CancelToken(),
            on_wait=no_waiting,
        )
