# SPDX-License-Identifier: Apache-2.0

"""What every store has to do with an image, however the bytes reach it.

A class that inherits :class:`StoreConformance` says in what way the image is
written (``copier``, ``local``, ``window``) and gives one fixture, ``make``: a
function that makes an empty store and returns its :class:`Target`. Whatever
can be wrong with a source is in ``sourced.py``: it concerns the staging, and
not the store.
"""

import abc
import io
import threading

import glance_store
import pytest

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.flow import store_calls
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import timeouts
from tests.parts import data
from tests.parts import threads
from tests.parts.sources import Stream
from tests.stores import copies
from tests.stores import reading

CHUNK, WINDOW = copies.CHUNK, copies.WINDOW
IMAGE_ID, IMAGE = copies.IMAGE_ID, copies.IMAGE
OTHERS = [f'{digit}1c675ab-d94f-49cd-a114-e12490b328d9' for digit in '1234']


class Target(abc.ABC):
    """An empty store to write to; a new kind of store inherits this.

    :param name: its name in the configuration
    """

    def __init__(self, name):
        self.name = name

    def read(self, url):
        """Return the bytes of an object, as its driver reads them."""
        chunks, _size = glance_store.get(url, self.name)
        return b''.join(chunks)

    def content(self, url):
        """Return the bytes of an object, as the storage has them."""
        return self.read(url)

    @abc.abstractmethod
    def objects(self):
        """List everything that the store holds, half-written parts too."""

    @abc.abstractmethod
    def plant(self, image_id, content):
        """Put an object there, as a crash leaves it; return its URL."""

    @abc.abstractmethod
    def refuse_writing(self):
        """Make every further write fail, or skip the test with a reason."""

    def wait_gone(self):  # noqa: B027  most need not wait
        """Wait until what was deleted is gone, if that takes a while."""


class StoreConformance(copies.Copying):
    """Inherit this, and say how the image reaches the store."""

    # What goes well.

    @pytest.mark.parametrize('size', [0, 1, CHUNK, 5 * CHUNK + 3])
    def test_an_image_of_any_size_arrives(self, make, source, copy, size):
        self.keep(make, source, copy, data.some(size))

    def test_several_stores_get_the_image_at_the_same_time(
        self, make, source, copy
    ):
        targets = [make(name) for name in ('s1', 's2', 's3')]
        self.succeed(copy(targets, [source(IMAGE)]), *targets)

    @pytest.mark.parametrize('verify', ['backend', 'full', 'none'])
    def test_every_kind_of_verification_accepts_a_right_copy(
        self, make, source, copy, verify
    ):
        target = make('s1')
        self.succeed(copy([target], [source(IMAGE)], verify=verify), target)

    def test_progress_reaches_the_size_of_the_image(
        self, make, source, copy
    ):
        target = make('s1')
        counts = []
        copied = copy([target], [source(IMAGE)])
        copied.progress.when_copied = lambda store, n: counts.append(n)
        self.succeed(copied, target)
        assert counts == sorted(counts)
        assert counts[-1] == len(IMAGE)

    def test_what_a_crash_left_is_replaced(self, make, source, copy):
        target = make('s1')
        target.plant(IMAGE_ID, b'half of an image')
        self.succeed(copy([target], [source(IMAGE)]), target)

    def test_another_copy_does_not_replace_one_that_is_in_use(
        self, make, source, copy
    ):
        target, url = self.keep(make, source, copy)
        location = base.Location(
            store='s1', driver=drivers.of_store('s1'), url=url
        )
        error = self.fail(
            copy([target], [source(IMAGE, 'again')], locations=[location]),
            target,
        )
        assert isinstance(error, errors.TargetError)
        assert target.read(url) == IMAGE

    def test_several_images_are_written_while_one_is_read(
        self, make, source, copy
    ):
        target, url = self.keep(make, source, copy)
        contents = {
            image_id: data.flipped(IMAGE, number)
            for number, image_id in enumerate(OTHERS)
        }
        writing_ = [
            copy(
                [target], [source(content, f'origin-{image_id[0]}')], content,
                image_id=image_id,
            )
            for image_id, content in contents.items()
        ]
        running = [threads.Running(each.run) for each in writing_]
        for _ in range(4):
            assert target.read(url) == IMAGE
        for each in running:
            each.result()
        for each in writing_:
            assert each.errors == {}
            stored = each.stored['s1'].url
            assert target.read(stored) == contents[each.copy.image_id]
        assert len(target.objects()) == 1 + len(OTHERS)

    # Sources that fail: of each kind one, to see what the store keeps.

    def test_a_source_that_breaks_is_completed_from_the_next(
        self, make, source, copy
    ):
        target = make('s1')
        broken = source(IMAGE, 'first', breaks_at=3 * CHUNK + 5)
        self.succeed(copy([target], [broken, Stream(IMAGE)]), target)

    def test_a_source_that_breaks_without_another_leaves_nothing(
        self, make, source, copy
    ):
        target = make('s1')
        error = self.fail(
            copy([target], [source(IMAGE, breaks_at=3 * CHUNK + 5)]), target
        )
        assert isinstance(error, errors.SourceError)
        assert error.store == 'origin'

    def test_a_wrong_image_leaves_nothing(self, make, source, copy):
        wrong = data.flipped(IMAGE, -1)
        self.skip_unless_noticed(wrong)
        target = make('s1')
        error = self.fail(copy([target], [source(wrong)]), target)
        assert isinstance(error, errors.SourceError)

    # Targets that fail.

    def test_a_full_store_fails_and_leaves_nothing(
        self, make_full, source, copy
    ):
        target = make_full('s1')
        error = self.fail(copy([target], [source(IMAGE)]), target)
        assert isinstance(error, errors.TargetError)
        assert error.store == 's1'
        assert 'no space left' in error.reason.lower()

    def test_beside_a_full_store_another_gets_the_image_of_a_second_source(
        self, make, make_full, source, copy
    ):
        full, good = make_full('s1'), make('s2')
        copied = copy([full, good], [
            source(data.flipped(IMAGE, -1), 'bad'), Stream(IMAGE, 'good'),
        ])
        copied.run()
        assert list(copied.errors) == ['s1']
        assert full.objects() == []
        assert good.read(copied.stored['s2'].url) == IMAGE

    def test_a_store_that_refuses_to_be_written_fails_with_its_reason(
        self, make, source, copy
    ):
        target = make('s1')
        target.refuse_writing()
        error = self.fail(copy([target], [source(IMAGE)]), target)
        assert isinstance(error, errors.TargetError)
        assert error.store == 's1'
        assert error.reason

    # Being stopped.

    def test_a_stopped_copy_leaves_nothing(self, make, source, copy):
        target = make('s1')
        copied = copy([target], [source(IMAGE)])
        reason = errors.Cancelled('the image was deleted')
        copied.progress.when_copied = lambda store, count: (
            count and copied.cancel.cancel(reason)
        )
        assert self.fail(copied, target) is reason

    def test_what_comes_late_from_a_store_that_hung_is_removed(
        self, make, source, copy, monkeypatch
    ):
        """It takes the whole image and then does not come to an end."""
        written, go_on, ended = (threading.Event() for _ in range(3))
        call = store_calls.StoreCalls.call

        def hanging(calls, store, function, *, idle, **more):
            def work(token):
                result = function(token)
                written.set()
                assert go_on.wait(60)
                return result

            # No time passes before everything is written, and much then.
            idle = timeouts.IdleTimer(clock=lambda: 3600 * written.is_set())
            return call(calls, store, work, idle=idle, **more)

        monkeypatch.setattr(store_calls.StoreCalls, 'call', hanging)
        target = make('s1')
        copied = copy([target], [source(IMAGE)])
        monkeypatch.setattr(copied.lease, 'let_go', ended.set)
        copied.run()
        assert 'has not answered' in copied.errors['s1'].reason
        assert target.objects() != []
        go_on.set()
        assert ended.wait(60)
        assert target.objects() == []

    def test_stopping_one_store_stops_those_that_wait(
        self, make, source, copy
    ):
        targets = [make(name) for name in ('s1', 's2')]
        go_on = threading.Event()
        paused = Stream(IMAGE, paused_at=4 * CHUNK, go_on=go_on)
        copied = copy(targets, [paused])
        reason = errors.TargetError('no space left', store='s1')

        def stop(store, count):
            if store == 's1' and count:
                copied.cancel.cancel(reason)
                go_on.set()

        copied.progress.when_copied = stop
        copied.run()
        copied.lease.wait_until_free()
        assert copied.errors == {'s1': reason, 's2': reason}
        assert [target.objects() for target in targets] == [[], []]

    def test_a_copy_that_was_stopped_before_writes_nothing(
        self, make, source, copy
    ):
        target = make('s1')
        copied = copy([target], [source(IMAGE)])
        reason = errors.Cancelled('enough')
        copied.cancel.cancel(reason)
        assert self.fail(copied, target) is reason


class Deaf:
    """Takes every error for the end of the data, as some drivers do."""

    def __init__(self, reader):
        self._reader = reader

    def read(self, size):
        try:
            return self._reader.read(size)
        except errors.CopyError:
            return b''


class StreamingConformance(reading.ReadingConformance, StoreConformance):
    """What is true of streaming, whatever the driver makes of it."""

    @pytest.fixture
    def let_driver(self, monkeypatch):
        """Return a function that changes what the driver of s1 reads.

        :param change: (reader, size) -> (reader, size)
        """
        def change_add(change):
            # Of its class, for not every driver object is used twice.
            kind = type(drivers.of_store('s1'))
            add = kind.add

            def add_changed(driver, image_id, reader, size, *more, **named):
                return add(
                    driver, image_id, *change(reader, size), *more, **named
                )

            monkeypatch.setattr(kind, 'add', add_changed)

        return change_add

    def test_an_error_that_the_driver_swallows_leaves_nothing(
        self, make, source, copy, let_driver
    ):
        target = make('s1')
        let_driver(lambda reader, size: (Deaf(reader), 0))
        error = self.fail(
            copy([target], [source(data.flipped(IMAGE, 0))]), target
        )
        assert isinstance(error, errors.SourceMismatch)

    def test_a_driver_that_stops_early_leaves_nothing(
        self, make, source, copy, let_driver
    ):
        target = make('s1')
        let_driver(
            lambda reader, size: (io.BytesIO(reader.read(size // 2)), 0)
        )
        error = self.fail(copy([target], [source(IMAGE)]), target)
        assert isinstance(error, errors.TargetError)
        assert 'before the end' in error.reason

    def test_a_driver_that_writes_something_else_leaves_nothing(
        self, make, source, copy, let_driver
    ):
        target = make('s1')
        let_driver(lambda reader, size: (
            io.BytesIO(data.flipped(reader.read(size), 7)), size
        ))
        error = self.fail(copy([target], [source(IMAGE)]), target)
        assert isinstance(error, errors.TargetError)
        assert 'something else' in error.reason
