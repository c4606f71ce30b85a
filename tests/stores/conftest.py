# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
            configured(
                name, 'file', filesystem_store_datadir=str(folder), **options
            )

            def refuse():
                mounted.enter_context(filesystems.small('1m', folder))
                filesystems.make_read_only(folder)

            return FileTarget(name, folder, refuse)

        yield make

