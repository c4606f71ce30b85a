# SPDX-License-Identifier: Apache-2.0

import os
import stat
import subprocess

import pytest

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import file as file_backend
from glance_copy_plugin.transfer import errors
from tests.functional.helpers import MIB
from tests.parts import data
from tests.parts import filesystems
from tests.parts.sources import Stream
from tests.stores import conformance
from tests.stores import large
from tests.stores import sourced
from tests.stores.conformance import IMAGE
from tests.stores.conformance import IMAGE_ID


class InFolders:
    """Inherit this too; the stores are folders."""

    @pytest.fixture
    def make(self, make_file_store):
        return make_file_store

    @pytest.fixture
    def make_full(self, make_file_store):
        return lambda name: make_file_store(name, size='1m')


class FileStoreConformance(InFolders, conformance.StoreConformance):
    """What is true of a file store, however it is written."""

    def test_the_option_for_file_permissions_is_obeyed(
        self, make, source, copy
    ):
        target = make('s1', filesystem_store_file_perm=640)
        self.succeed(copy([target], [source(IMAGE)]), target)
        mode = (target.folder / IMAGE_ID).stat().st_mode
        assert stat.S_IMODE(mode) == 0o640

    def test_without_that_option_the_umask_decides(self, make, source, copy):
        target = make('s1')
        previous = os.umask(0o027)
        try:
            self.succeed(copy([target], [source(IMAGE)]), target)
        finally:
            os.umask(previous)
        mode = (target.folder / IMAGE_ID).stat().st_mode
        assert stat.S_IMODE(mode) == 0o640

    @pytest.mark.parametrize('link', [None, 'another name of the folder'])
    def test_the_image_itself_is_never_replaced(
        self, make, copy, tmp_path, link
    ):
        holder = make('s1')
        url = holder.plant(IMAGE_ID, IMAGE)
        location = base.Location(
            store='s1', driver=drivers.of_store('s1'), url=url
        )
        folder = holder.folder
        if link:
            folder = tmp_path / link
            folder.symlink_to(holder.folder)
        target = make('s2', folder=folder)
        error = self.fail(
            copy([target], [Stream(IMAGE)], locations=[location]), target
        )
        assert isinstance(error, errors.TargetError)
        assert error.store == 's2'
        assert (holder.folder / IMAGE_ID).read_bytes() == IMAGE

    def test_several_directories_of_one_store_are_used_as_configured(
        self, make, source, copy, tmp_path
    ):
        small, big = tmp_path / 'small', tmp_path / 'big'
        small.mkdir()
        big.mkdir()
        with filesystems.small('1m', small):
            target = make(
                's9', folder=big,
                filesystem_store_datadirs=[f'{small}:200', f'{big}:100'],
                # Its default would count as a directory too many.
                filesystem_store_datadir='',
            )
            self.succeed(copy([target], [source(IMAGE)]), target)
            assert os.listdir(small) == []


class FileWriterConformance(FileStoreConformance):
    """What only the writer of files promises."""

    writer = file_backend.FileWriter()

    def test_the_name_appears_only_when_the_image_is_complete(
        self, make, source, copy
    ):
        target = make('s1')
        copied = copy([target], [source(IMAGE)])
        seen = []
        copied.progress.when_copied = lambda store, count: seen.extend(
            target.objects()
        )
        self.succeed(copied, target)
        assert target.objects() == [IMAGE_ID]
        assert seen
        assert IMAGE_ID not in seen

    def test_a_copy_that_was_given_up_never_gets_its_name(
        self, make, source, copy, monkeypatch
    ):
        """Its thread comes back when the data is on the disk."""
        target = make('s1')
        copied = copy([target], [source(IMAGE)])
        reason = errors.Cancelled('the image was deleted')
        sync = os.fsync
        monkeypatch.setattr(
            os, 'fsync', lambda fd: sync(fd) or copied.cancel.cancel(reason)
        )
        assert self.fail(copied, target) is reason
        assert target.objects() == []

    def test_what_a_crash_left_stays_until_the_new_one_is_right(
        self, make, source, copy
    ):
        target = make('s1')
        target.plant(IMAGE_ID, b'half of an image')
        self.fail(copy([target], [source(data.flipped(IMAGE, 0))]), target)
        assert (target.folder / IMAGE_ID).read_bytes() == b'half of an image'

    @pytest.mark.parametrize(('verify', 'noticed'), [
        ('full', True), ('backend', False),
    ])
    def test_reading_back_notices_what_the_disk_made_of_it(
        self, make, source, copy, verify, noticed
    ):
        target = make('s1')
        copied = copy([target], [source(IMAGE)], verify=verify)

        def damage(store, count):
            if count == len(IMAGE):
                [partial] = target.folder.iterdir()
                with open(partial, 'r+b') as file:
                    file.seek(conformance.CHUNK)
                    file.write(b'damaged')

        copied.progress.when_copied = damage
        if noticed:
            error = self.fail(copied, target)
            assert 'read back' in error.reason
        else:
            copied.run()
            assert copied.errors == {}

    def test_a_store_that_leaves_out_zeroes_is_left_to_its_driver(
        self, make
    ):
        make('s1')
        make('s2', filesystem_thin_provisioning=True)
        assert self.writer.can_write(drivers.target('s1'))
        assert not self.writer.can_write(drivers.target('s2'))


class TestFromALocalFile(
    large.LargeImages, sourced.SourceConformance, FileWriterConformance
):
    local = True

    def test_holes_of_the_image_stay_holes(self, make, copy, source):
        content = bytes(16 * conformance.CHUNK) + b'the end'
        target = make('s1')
        made = source(content)
        with open(made.path, 'wb') as file:
            file.truncate(16 * conformance.CHUNK)
            file.seek(0, os.SEEK_END)
            file.write(b'the end')
        source.made.clear()
        self.succeed(copy([target], [made], content), target, content=content)
        written = (target.folder / IMAGE_ID).stat()
        assert written.st_blocks * 512 < conformance.CHUNK

    def test_blocks_are_shared_where_the_file_system_can(
        self, make, copy, source
    ):
        with filesystems.sharing_blocks() as folder:
            (folder / 'store').mkdir()
            target = make('s1', folder=folder / 'store')
            source.folder = folder
            made = source(data.some(64 * conformance.CHUNK))
            content = (folder / 'origin').read_bytes()
            subprocess.run(['sync', '--file-system', folder], check=True)
            before = os.statvfs(folder)
            self.succeed(
                copy([target], [made], content), target, content=content
            )
            taken = before.f_bfree - os.statvfs(folder).f_bfree
            assert taken * before.f_frsize < 8 * conformance.CHUNK
            source.check_untouched()
        source.made.clear()

    @pytest.mark.parametrize('wrong', [IMAGE[:-5], data.flipped(IMAGE, -1)])
    def test_shared_blocks_are_given_up_for_the_next_source(
        self, make, copy, source, wrong
    ):
        with filesystems.sharing_blocks() as folder:
            (folder / 'store').mkdir()
            target = make('s1', folder=folder / 'store')
            source.folder = folder
            made = source(wrong, 'bad')
            self.succeed(copy([target], [made, Stream(IMAGE)]), target)
        source.made.clear()


class TestFromAStream(sourced.SourceConformance, FileWriterConformance):
    """The image comes through a driver."""

    def test_a_copy_to_one_store_needs_no_staging_area(self, make, copy):
        target = make('s1')
        content = data.some(40 * MIB)
        copied = copy([target], [Stream(content)], content)
        staged = set()
        copied.progress.when_copied = lambda store, count: staged.add(
            os.path.exists(copied.copy.staging_folder)
        )
        self.succeed(copied, target, content=content)
        assert staged == {False}


class TestFromAStreamThroughAWindow(FileWriterConformance):
    window = conformance.WINDOW


class TestStreamingToTheDriver(
    FileStoreConformance, conformance.StreamingConformance
):
    """glance_store's own file driver reads what was staged."""


class TestStreamingToTheDriverThroughAWindow(
    InFolders, sourced.SourceConformance, conformance.StoreConformance
):
    """It reads what is overwritten as soon as it was read."""

    window = conformance.WINDOW
