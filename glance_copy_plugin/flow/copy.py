# SPDX-License-Identifier: Apache-2.0

"""What a copy is: what was asked for, and how it will be done."""

import dataclasses
import os

from glance_copy_plugin.options import copy_image
from glance_copy_plugin.transfer import digests


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copy:
    """One image that is to be in further stores.

    :param image_id: id of the image
    :param task_id: id of the task, which is also the image's lock
    :param stores: names of the stores to copy into
    :param all_must_succeed: one failure fails the copy
    :param options: :class:`~glance_copy_plugin.options.copy_image.CopyOptions`
    :param user_context: of the request that asked for the copy
    :param context: the same with admin rights
    :param resumed: another process has begun this copy
    """

    image_id: str
    task_id: str
    stores: tuple[str, ...]
    all_must_succeed: bool
    options: copy_image.CopyOptions
    user_context: object
    context: object
    resumed: bool = False

    @property
    def staging_folder(self):
        """Where the image is staged, if it has to be."""
        return os.path.join(
            self.options.staging_dir, 'copy-image', self.task_id
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How the image will reach each store; made once, when the copy begins.

    :param size: bytes
    :param expected: :class:`Expected`
    :param checksum: md5 of the image, or None
    :param hash_algorithm: of the image's ``os_hash_value``, or what that will
        be computed with
    :param unrecorded: algorithms of the hashes that the record lacks
    :param locations: readable :class:`Location` objects, best first
    :param sources: the same as :class:`Source` objects
    :param targets: ``{store: Target}`` of all stores
    :param copiers: ``{store: ServerSideCopier}`` of the stores that have one
    :param writers: ``{store: Writer}`` of all stores
    """

    size: int
    expected: digests.Expected
    checksum: str | None
    hash_algorithm: str
    unrecorded: tuple
    locations: tuple
    sources: tuple
    targets: dict
    copiers: dict
    writers: dict

    def needs_staging(self, store):
        """True if the store is given the image by this process."""
        return store not in self.copiers

    def algorithms(self, stores):
        """Return the hashes to compute for stores beside the image's own."""
        return (*self.unrecorded, *(
            algorithm for store in stores
            for algorithm in self.writers[store].algorithms
        ))
