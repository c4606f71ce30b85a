# SPDX-License-Identifier: Apache-2.0

"""Copies of an image into stores, as the flow runs them."""

import dataclasses
import os
import threading

import pytest

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import generic
from glance_copy_plugin.flow import copy
from glance_copy_plugin.flow import copy_run
from glance_copy_plugin.flow import writing
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import file_lease
from glance_copy_plugin.ownership import running_copies
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import filling
from glance_copy_plugin.transfer import progress
from glance_copy_plugin.transfer import sources
from tests.parts import data
from tests.parts import threads
from tests.parts.sources import Stream

CHUNK = filling.CHUNK_BYTES
WINDOW = 2 * CHUNK
IMAGE = data.some(5 * CHUNK + 3)
IMAGE_ID = '71c675ab-d94f-49cd-a114-e12490b328d9'


class Progress(progress.Progress):
    """Calls ``when_copied(store, count)`` as bytes arrive."""

    when_copied = None

    def copied(self, store, count):
        super().copied(store, count)
        if self.when_copied is not None:
            self.when_copied(store, count)


class Lease(file_lease.FileLease):
    """Tells when nothing of a copy lives on in a thread left behind."""

    def __init__(self, path):
        super().__init__(path, None)
        self._free_again = threading.Event()
        self._free_again.set()

    def hold(self):
        super().hold()
        self._free_again.clear()

    def let_go(self):
        super().let_go()
        self._free_again.set()

    def wait_until_free(self):
        assert self._free_again.wait(60), 'something lives on'


class Objects:
    """What is known of an image all of whose other data is right."""

    def why_needed(self, is_it, fresh=False):
        return ''


class Record:
    """The record of an image, which nobody asks."""

    facts = None


class Copy(copy_run.CopyRun):
    """One copy of one image into some stores, as the flow runs it.

    What of it fails is in ``errors``, what succeeds in ``stored``.
    """

    def __init__(
        self, targets, candidates, content, folder, *, copier, writer, window,
        verify='backend', locations=(), expected=None, store_timeout=60,
        image_id=IMAGE_ID,
    ):
        expected = expected or data.expected(content)
        names = [target.name for target in targets]
        super().__init__(
            copy=copy.Copy(
                image_id=image_id, task_id=folder.name, stores=tuple(names),
                all_must_succeed=True, user_context=None, context=None,
                options=copy_image.CopyOptions(
                    staging_dir=str(folder.parent), verify=verify,
                    store_timeout=store_timeout, staging_window=window,
                    retry_interval=0.01,
                ),
            ),
            lease=Lease(str(folder.parent / image_id)), record=Record(),
            task=None, running=running_copies.RunningCopies(1),
        )
        self.objects = Objects()
        self.progress = Progress(names)
        self.progress.begin(len(content))
        self.plan = copy.Plan(
            size=len(content), expected=expected,
            checksum=data.md5(content), locations=tuple(locations),
            hash_algorithm='sha512',
            unrecorded=(),
            sources=tuple(candidates),
            targets={name: drivers.target(name) for name in names},
            copiers=dict.fromkeys(names, copier) if copier else {},
            writers=dict.fromkeys(names, writer),
        )
        self.staging.prepare(self.plan)
        self.stored, self.errors = {}, {}

    def run(self, patience=threads.PATIENCE):
        names = list(self.copy.stores)
        try:
            if not self.plan.copiers:
                self.staging.start(names)
            writing_ = {
                name: threads.Running(self._write, name) for name in names
            }
            for name, each in writing_.items():
                try:
                    self.stored[name] = each.result(patience)
                except errors.CopyError as exc:
                    self.errors[name] = exc
        finally:
            self.staging.close()

    def _write(self, name):
        return writing.StoreWriter(
            self, name, lambda url: drivers.delete(name, url, None)
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


class Copying:
    """How an image reaches the stores; the tests are those of a subclass.

    It gives the fixture ``make``, a function ``(name, **options) -> Target``.
    """

    copier = None       # a ServerSideCopier; None: what is staged is written
    writer = generic.DriverWriter()
    local = False       # the source is a file that can be read in place
    window = None
    # False if nothing but the size of a copy is compared.
    proves_bytes = True

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
        made = []

        def copy_into(targets, candidates, content=IMAGE, **more):
            made.append(Copy(
                targets, candidates, content,
                tmp_path / 'staging' / str(len(made)), copier=self.copier,
                writer=self.writer, window=self.window, **more
            ))
            return made[-1]

        yield copy_into
        for each in made:
            assert not os.path.exists(each.copy.staging_folder)

    def fail(self, copied, target):
        """Run a copy that must fail and leave nothing; return the error."""
        before = target.objects()
        copied.run()
        copied.lease.wait_until_free()
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

    def keep(self, make, source, copy, content=IMAGE):
        """Copy an image; return its store and its URL there."""
        target = make('s1')
        copied = copy([target], [source(content)], content)
        self.succeed(copied, target, content=content)
        return target, copied.stored['s1'].url

    def skip_unless_noticed(self, content, image=IMAGE):
        if not self.proves_bytes and len(content) == len(image):
            pytest.skip('what copies compares sizes only, unless told more')
