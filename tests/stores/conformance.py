# SPDX-License-Identifier: Apache-2.0

"""What every store has to do with an image, however the bytes reach it.

A class that inherits :class:`StoreConformance` says in what way the image is
written (``copier``, ``local``, ``window``) and gives one fixture, ``make``: a
function that makes an empty store and returns its :class:`Target`.
"""

import dataclasses
import io
import itertools
import threading

import glance_store
import pytest

from glance_copy_plugin import opts
from glance_copy_plugin import stores
from glance_copy_plugin.copiers import base
from glance_copy_plugin.flow import run as run_
from glance_copy_plugin.flow import writing
from glance_copy_plugin.recovery import journal
from glance_copy_plugin.transfer import cancel
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import filling
from glance_copy_plugin.transfer import limits
from glance_copy_plugin.transfer import progress
from glance_copy_plugin.transfer import sources
from glance_copy_plugin.transfer import staging
from tests.parts import data
from tests.parts import threads
from tests.parts.sources import Stream
from tests.stores import reading

CHUNK = filling.CHUNK_BYTES
WINDOW = 2 * CHUNK
IMAGE_ID = '71c675ab-d94f-49cd-a114-e12490b328d9'
SIZES = [
    0, 1, 4095, CHUNK - 1, CHUNK, CHUNK + 1,
    # Segments of a window are a quarter of it.
    WINDOW // 4 * 3, WINDOW - 1, WINDOW, WINDOW + 1,
    5 * CHUNK, 5 * CHUNK + 3,
]
IMAGE = data.some(5 * CHUNK + 3)


class Target:
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

    def objects(self):
        """List everything that the store holds, half-written parts too."""
        raise NotImplementedError

    def plant(self, image_id, content):
        """Put an object there, as a crash leaves it; return its URL."""
        raise NotImplementedError

    def refuse_writing(self):
        """Make every further write fail, or skip the test with a reason."""
        raise NotImplementedError

    def wait_gone(self):
        """Wait until what was deleted is gone, if that takes a while."""


class Progress(progress.Progress):
    """Calls ``when_copied(store, count)`` as bytes arrive."""

    when_copied = None

    def copied(self, store, count):
        super().copied(store, count)
        if self.when_copied is not None:
            self.when_copied(store, count)


class Entry(journal.Entry):
    """Tells when nothing of a copy lives on in a thread left behind."""

    def __init__(self):
        super().__init__('', None)
        self._free = threading.Event()
        self._free.set()

    def hold(self):
        super().hold()
        self._free.clear()

    def let_go(self):
        super().let_go()
        self._free.set()

    def wait_until_free(self):
        assert self._free.wait(60), 'something lives on'


class Copy:
    """One copy of one image into some stores, as the flow runs it.

    What of it fails is in ``errors``, what succeeds in ``stored``.
    """

    def __init__(
        self, targets, candidates, content, folder, *, copier, window,
        borrow, verify='backend', locations=(), expected=None,
        store_timeout=60, image_id=IMAGE_ID,
    ):
        expected = expected or data.expected(content)
        names = [target.name for target in targets]
        self.image_id = image_id
        self.context = None
        self.cancel = cancel.CancelToken()
        self.progress = Progress(names)
        self.progress.begin(len(content))
        self.options = opts.CopyOptions(
            staging_dir=str(folder.parent), verify=verify,
            store_timeout=store_timeout,
        )
        self.plan = run_.Plan(
            size=len(content), expected=expected,
            checksum=data.md5(content), locations=tuple(locations),
            copiers=dict.fromkeys(names, copier),
        )
        self.entry = Entry()
        self.stored, self.errors = {}, {}
        self._candidates = candidates
        self._staging_options = staging.StagingOptions(
            folder=str(folder), window=window, borrow=borrow,
            retry_interval=0.01, algorithms=(digests.cheapest_algorithm(),),
        )
        self._stagings = []
        self._staging = None
        if copier is None or copier.needs_staging:
            self._staging = self._staging_for(names)

    def confirm(self):
        """The copy is this process's: there is no other one."""
        self.entry.check()

    def target(self, store):
        return base.Target(store=store, driver=stores.driver(store))

    def staging_of(self, store):
        return self._staging

    def stage_alone(self, store):
        started = self._staging_for([store])
        started.start()
        return started

    def _staging_for(self, names):
        made = staging.Staging(
            self._candidates, self.plan.expected, names,
            options=self._staging_options,
            limit=limits.BandwidthLimit(None, self.cancel),
            cancel=self.cancel,
        )
        self._stagings.append(made)
        return made

    def run(self, patience=threads.PATIENCE):
        writing_ = {
            name: threads.Running(self._write, name)
            for name in self.plan.copiers
        }
        if self._staging is not None:
            self._staging.start()
        try:
            for name, each in writing_.items():
                try:
                    self.stored[name] = each.result(patience)
                except errors.CopyError as exc:
                    self.errors[name] = exc
        finally:
            for each in self._stagings:
                each.close()

    def _write(self, name):
        return writing.StoreWriter(
            self, name, lambda url: stores.delete(name, url, None)
        ).write()


@dataclasses.dataclass(kw_only=True)
class Local:
    """Makes sources that are local files; remembers what was in them."""

    folder: object
    made: dict = dataclasses.field(default_factory=dict)

    def __call__(self, content, store='origin', *, breaks_at=None):
        # What breaks about a file is that the rest of it is gone.
        path = self.folder / store
        path.write_bytes(content[:breaks_at])
        self.made[path] = (path.read_bytes(), path.stat().st_mtime_ns)
        return sources.FileSource(str(path), store)

    def check_untouched(self):
        for path, (content, time) in self.made.items():
            assert path.read_bytes() == content
            assert path.stat().st_mtime_ns == time


class StoreConformance(reading.ReadingConformance):
    """Inherit this, and say how the image reaches the store."""

    copier = None       # a Copier, or None to stream to the driver
    local = False       # the source is a file that can be read in place
    window = None
    # False if nothing but the size of a copy is compared.
    proves_bytes = True
    # Longer than a store that is alive is silent.
    silent_seconds = 0.2

    @pytest.fixture
    def make(self):
        """Return a function ``(name, **options) -> Target``."""
        raise NotImplementedError

    @pytest.fixture
    def make_full(self):
        """Return a function ``(name) -> Target`` without space for 1 MiB."""
        pytest.skip('this store cannot be made full')

    @pytest.fixture
    def source(self, tmp_path):
        """Return a function that makes a source; it stays untouched."""
        if not self.local:
            yield Stream
            return
        folder = tmp_path / 'sources'
        folder.mkdir()
        made = Local(folder=folder)
        yield made
        made.check_untouched()

    @pytest.fixture
    def copy(self, tmp_path):
        """Return a function that makes a Copy; nothing of it stays."""
        folder = tmp_path / 'staging'
        made = itertools.count()

        def copy_into(targets, candidates, content=IMAGE, **more):
            return Copy(
                targets, candidates, content, folder / str(next(made)),
                copier=self.copier,
                window=self.window, borrow=self.local, **more
            )

        yield copy_into
        assert not folder.exists() or not list(folder.iterdir())

    def fail(self, copied, target):
        """Run a copy that must fail and leave nothing; return the error."""
        before = target.objects()
        copied.run()
        copied.entry.wait_until_free()
        assert copied.stored == {}
        assert target.objects() == before
        return copied.errors[target.name]

    def succeed(self, copied, *targets, content=IMAGE):
        copied.run()
        assert copied.errors == {}
        for target in targets:
            stored = copied.stored[target.name]
            assert target.read(stored.url) == content
            assert stored.metadata['store'] == target.name
            assert len(target.objects()) == 1

    # What goes well.

    @pytest.mark.parametrize('size', SIZES)
    def test_an_image_of_any_size_arrives(self, make, source, copy, size):
        content = data.some(size)
        target = make('s1')
        self.succeed(
            copy([target], [source(content)], content), target,
            content=content,
        )

    def test_several_stores_get_the_image_at_the_same_time(
        self, make, source, copy
    ):
        targets = [make(name) for name in ('s1', 's2', 's3')]
        self.succeed(copy(targets, [source(IMAGE)]), *targets)

    def test_an_image_without_a_digest_arrives(self, make, source, copy):
        target = make('s1')
        self.succeed(
            copy(
                [target], [source(IMAGE)],
                expected=digests.Expected(size=len(IMAGE)),
            ),
            target,
        )

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

    # Sources that fail.

    @pytest.mark.parametrize('breaks_at', [0, 1, CHUNK, 3 * CHUNK + 5])
    def test_a_source_that_breaks_is_completed_from_the_next(
        self, make, source, copy, breaks_at
    ):
        target = make('s1')
        self.succeed(
            copy([target], [
                source(IMAGE, 'first', breaks_at=breaks_at),
                Stream(IMAGE, 'second'),
            ]),
            target,
        )

    @pytest.mark.parametrize('breaks_at', [0, 1, CHUNK, 3 * CHUNK + 5])
    def test_a_source_that_breaks_without_another_leaves_nothing(
        self, make, source, copy, breaks_at
    ):
        target = make('s1')
        error = self.fail(
            copy([target], [source(IMAGE, breaks_at=breaks_at)]), target
        )
        assert isinstance(error, errors.SourceError)
        assert error.store == 'origin'

    WRONG = {
        'without its last byte': IMAGE[:-1],
        'without its last chunk': IMAGE[:-CHUNK],
        'ending silently at once': b'',
        'longer by a byte': IMAGE + b'x',
        'longer by a chunk': IMAGE + bytes(CHUNK),
        'with its first bit flipped': data.flipped(IMAGE, 0),
        'with its last byte wrong': data.flipped(IMAGE, -1),
        'with other bytes': bytes(len(IMAGE)),
    }

    def skip_unless_noticed(self, content, image=IMAGE):
        if not self.proves_bytes and len(content) == len(image):
            pytest.skip('what copies compares sizes only, unless told more')

    @pytest.mark.parametrize('what', list(WRONG))
    def test_a_wrong_image_leaves_nothing(self, make, source, copy, what):
        self.skip_unless_noticed(self.WRONG[what])
        target = make('s1')
        error = self.fail(
            copy([target], [source(self.WRONG[what])]), target
        )
        assert isinstance(error, errors.SourceError)

    @pytest.mark.parametrize('what', list(WRONG))
    def test_a_wrong_image_is_left_for_the_next_source(
        self, make, source, copy, what
    ):
        self.skip_unless_noticed(self.WRONG[what])
        targets = [make('s1'), make('s2')]
        self.succeed(
            copy(targets, [
                source(self.WRONG[what], 'bad'), Stream(IMAGE, 'good'),
            ]),
            *targets,
        )

    def test_a_wrong_image_of_one_byte_leaves_nothing(
        self, make, source, copy
    ):
        self.skip_unless_noticed(b'b', b'a')
        target = make('s1')
        error = self.fail(copy([target], [source(b'b')], b'a'), target)
        assert isinstance(error, errors.SourceMismatch)

    # Targets that fail.

    def test_a_full_store_fails_and_leaves_nothing(
        self, make_full, source, copy
    ):
        target = make_full('s1')
        error = self.fail(copy([target], [source(IMAGE)]), target)
        assert isinstance(error, errors.TargetError)
        assert error.store == 's1'
        assert 'no space left' in error.reason.lower()

    def test_a_full_store_does_not_keep_the_others_from_succeeding(
        self, make, make_full, source, copy
    ):
        full, good = make_full('s1'), make('s2')
        copied = copy([full, good], [source(IMAGE)])
        copied.run()
        assert list(copied.errors) == ['s1']
        assert full.objects() == []
        assert good.read(copied.stored['s2'].url) == IMAGE

    def test_a_full_store_does_not_keep_a_second_source_from_being_used(
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
        go_on, ended = threading.Event(), threading.Event()
        patiently = writing.StoreWriter._patiently

        def hanging(writer, function, silence, url_of):
            def work(token):
                result = function(token)
                assert go_on.wait(30)
                return result

            return patiently(writer, work, silence, url_of)

        monkeypatch.setattr(writing.StoreWriter, '_patiently', hanging)
        target = make('s1')
        copied = copy(
            [target], [source(IMAGE)], store_timeout=self.silent_seconds
        )
        monkeypatch.setattr(copied.entry, 'let_go', ended.set)
        copied.run()
        assert 'has not answered' in copied.errors['s1'].reason
        assert target.objects() != []
        go_on.set()
        assert ended.wait(30)
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
        copied.entry.wait_until_free()
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


class StreamingConformance(StoreConformance):
    """What is true of streaming, whatever the driver makes of it."""

    @pytest.fixture
    def let_driver(self, monkeypatch):
        """Return a function that changes what the driver of s1 reads.

        :param change: (reader, size) -> (reader, size)
        """
        def change_add(change):
            # Of its class, for not every driver object is used twice.
            kind = type(stores.driver('s1'))
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
