# SPDX-License-Identifier: Apache-2.0

import contextlib

import pytest

from tests.parts import filesystems
from tests.parts.configured import configured
from tests.stores import conformance

__all__ = ['configured']


class FileTarget(conformance.Target):
    """A file store; its folder is the store's directory."""

    def __init__(self, name, folder, refuse):
        super().__init__(name)
        self.folder = folder
        self._refuse = refuse

    def objects(self):
        return sorted(each.name for each in self.folder.iterdir())

    def plant(self, image_id, content):
        (self.folder / image_id).write_bytes(content)
        return f'file://{self.folder}/{image_id}'

    def refuse_writing(self):
        self._refuse()


@pytest.fixture
def make_file_store(configured, tmp_path):
    """Return a function that makes an empty file store."""
    with contextlib.ExitStack() as mounted:

        def make(name, *, folder=None, size=None, **options):
            if size:
                folder = mounted.enter_context(filesystems.small(size))
            if folder is None:
                folder = tmp_path / name
                folder.mkdir()
            options.setdefault('filesystem_store_datadir', str(folder))
            configured(name, 'file', **options)

            def refuse():
                mounted.enter_context(filesystems.small('1m', folder))
                filesystems.make_read_only(folder)

            return FileTarget(name, folder, refuse)

        yield make

