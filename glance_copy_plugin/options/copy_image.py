# SPDX-License-Identifier: Apache-2.0

"""The option group ``[copy_image]``, and what the code gets of it."""

import dataclasses

from oslo_config import cfg
from oslo_config import types
from oslo_utils import strutils

from glance_copy_plugin.options import jobboard as jobboard_options

GROUP = 'copy_image'


class _Bytes(types.ConfigType):
    """A positive number of bytes, such as ``50M``: 50 million."""

    BASE_TYPES = (int,)

    def __init__(self):
        super().__init__(type_name='bytes')

    def __call__(self, value):
        count = value if isinstance(value, int) else (
            strutils.string_to_bytes(
                f'{value.strip()}B', unit_system='SI', return_int=True
            )
        )
        if count < 1:
            raise ValueError(f'{value} is not a positive number of bytes')
        return count

    def __repr__(self):
        return 'Bytes'

    def __eq__(self, other):
        return type(self) is type(other)

    def _formatter(self, value):
        return str(value)


COPY_IMAGE_OPTS = [
    cfg.StrOpt(
        'staging_dir',
        help="""
Directory in which copies stage image data.

Only needed where an image that cannot be read in place from a local file is
copied to several stores. Every copy uses a folder of its own below
``copy-image`` in this directory and removes it when it ends. Data is written
with mode 0600. Space is reserved before a copy begins to read; a copy that
does not fit beside those that run on this host waits for its turn.

Possible values:
    * Absolute path of a directory that the Image service can write
    * Not set: the directory of Glance's own staging store
      (``[os_glance_staging_store] filesystem_store_datadir``)
"""),
    cfg.Opt(
        'staging_memory',
        type=types.Integer(min=4096),
        default=16 * 1024 ** 2,
        help="""
The most bytes of one image that a copy holds in memory.

The image is read this far ahead of the fastest store. What a slower store
still needs then is written to the staging area; a copy to one store never
needs that.

Possible values:
    * A number of bytes, 4096 or more
"""),
    cfg.Opt(
        'staging_window',
        type=types.Integer(min=4096),
        help="""
The most bytes of one image that the staging area holds at a time.

With a window, an image of any size passes through this much space: reading
the image waits for the slowest store. Without one, reading waits for the
fastest store only, and the staging area holds all that the slowest still
needs, at worst the whole image. ``staging_memory`` is never more than the
window.

When fewer stores can be written at the same time than were requested (see
``max_parallel_stores`` and ``[taskflow_executor] max_workers``), the image is
read once for each group of stores.

Possible values:
    * A number of bytes, 4096 or more
    * Not set: no window
"""),
    cfg.ListOpt(
        'copiers',
        default=['file', 'irods', 'cinder', 'rbd', 's3', 'swift'],
        help="""
Backends that may copy by themselves, most preferred first.

A backend lets the storage copy the data, or writes it in a way of its own,
instead of passing it through a store driver. A store that none of them serves
is streamed to.

Possible values:
    * Names of the entry points in ``glance_copy_plugin.backends``. ``file``
      writes file stores: it shares blocks (reflink) where the file system
      can, and else copies within the kernel, keeping holes. ``irods``
      lets a zone copy from one of its collections to another, or from a
      zone that it is federated with. ``cinder`` has Cinder make a volume
      of a snapshot, and change its type where the stores have different
      ones. ``rbd`` has the manager of a Ceph cluster copy from one of its
      pools to another. ``s3`` has a server of S3 copy from one of its
      buckets to another. ``swift`` has Swift copy from one of its containers
      to another, and writes large images in segments.
    * Empty: stream to every store
"""),
    cfg.StrOpt(
        'verify',
        default='backend',
        choices=[
            ('backend', 'Compare the size and what the storage can compare '
                        'by itself. For file stores: the source is hashed '
                        'once, and no copy appears unless that is right.'),
            ('full', 'Also read back what a copier has written and compare '
                     'its hash with the image.'),
            ('none', 'Compare the size only.'),
        ],
        help="""
What proves a server-side copy.

Streamed copies are always verified in full: the bytes on their way against
the image's hash, and what the store driver says it has written against that.
"""),
    cfg.StrOpt(
        'all_stores',
        default='reject',
        choices=[
            ('reject', 'Answer 400, as the specification of copy-image says.'),
            ('missing', 'Copy to every store that can be written and does '
                        'not have the image, as later releases of the Image '
                        'service do.'),
        ],
        help="""
What a request with ``all_stores`` means.
"""),
    cfg.IntOpt(
        'max_parallel_stores',
        min=1,
        help="""
The most stores that one copy writes at the same time.

Possible values:
    * A positive number
    * Not set: all requested stores, as far as ``[taskflow_executor]
      max_workers`` allows
"""),
    cfg.IntOpt(
        'max_concurrent_copies',
        min=1,
        help="""
The most copies that one process runs at the same time.

Further copies wait in the order in which they came; the message of their task
says that they are queued.

Possible values:
    * A positive number
    * Not set: as many as ``[wsgi] task_pool_threads`` allows
"""),
    cfg.IntOpt(
        'bandwidth_limit',
        min=1,
        help="""
The most bytes per second that one copy reads of its image.

Possible values:
    * A positive number of bytes per second
    * Not set: no limit
"""),
    cfg.Opt(
        'store_bandwidth_limits',
        type=types.Dict(value_type=_Bytes()),
        default={},
        help="""
The most bytes per second that one copy writes to a store, for some stores.

The other stores are written as fast as they can be, as long as there is room
in the staging area. What a store copies by itself is not limited.

Possible values:
    * Names of stores with a number of bytes per second each, which may end in
      ``k``, ``M`` or ``G``: ``edge1:50M, edge2:20M``
    * Not set: no limit
"""),
    cfg.IntOpt(
        'retries',
        default=3,
        min=0,
        help="""
How often a copy tries again what may have failed for a passing reason.

A source that breaks off is read on where it ended, from another location of
the image if there is one; a try that got further does not count. A store that
could not be written is written again from the first byte. What will not pass,
such as a store that is full or a permission that is missing, is not tried
again.
"""),
    cfg.FloatOpt(
        'retry_interval',
        default=1.0,
        min=0.01,
        max=30.0,
        help="""
Seconds before the first of these tries.

Each further pause is twice as long as the one before, up to 30 seconds, and
a random part of up to half of this option longer.
"""),
    cfg.FloatOpt(
        'store_timeout',
        default=600.0,
        min=1.0,
        help="""
Seconds after which a store that does not answer is given up.

A store that is read has not answered if it hands out nothing; a store that is
written, if it takes nothing while there is something to take, or does not
come to an end. Choose it longer than the slowest store needs to begin and to
complete an object. The image cannot be copied again while the request that
was given up still hangs in the store.
"""),
    cfg.IntOpt(
        'rbd_requests_in_flight',
        default=4,
        min=1,
        max=64,
        help="""
How many requests of 4 MiB to a Ceph cluster are under way at the same time.

That holds for reading an image and for writing one, each. More can help over a
long distance; each needs its 4 MiB of memory.
"""),
    cfg.FloatOpt(
        'progress_interval',
        default=1.0,
        min=0.1,
        max=60.0,
        help="""
Seconds between two looks of a running copy at its records.

At each look the copy writes its progress to its task, which keeps the image's
lock alive, and stops if the image was deleted or deactivated, if its task was
ended, or if the lock belongs to another task.
"""),
    cfg.FloatOpt(
        'recovery_interval',
        default=5.0,
        min=0.5,
        max=3600.0,
        help="""
Seconds between two looks of a process for interrupted copies.

Every process of the service looks for copies of this host whose process is
gone, at its start and then at this interval, and takes them over: it finishes
them, or takes back what they have written.
"""),
    *jobboard_options.JOBBOARD_OPTS,
    *jobboard_options.WORKER_OPTS,
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyOptions:
    """The options of one copy; sizes in bytes, times in seconds.

    :param workers: how many tasks of one flow run at the same time
    """

    staging_dir: str
    staging_memory: int = 16 * 1024 ** 2
    staging_window: int | None = None
    copiers: tuple = (
        'file', 'irods', 'cinder', 'rbd', 's3', 'swift',
    )
    verify: str = 'backend'
    max_parallel_stores: int | None = None
    bandwidth_limit: int | None = None
    store_bandwidth_limits: dict = dataclasses.field(default_factory=dict)
    retries: int = 3
    retry_interval: float = 1.0
    store_timeout: float = 600.0
    progress_interval: float = 1.0
    workers: int = 10

    @property
    def parallel_stores(self):
        """How many stores can be written at the same time."""
        if self.max_parallel_stores is None:
            return self.workers
        return min(self.workers, self.max_parallel_stores)


def register_opts(conf):
    """Register ``[copy_image]`` with ``conf``; harmless when repeated."""
    conf.register_opts(COPY_IMAGE_OPTS, group=GROUP)


def list_opts():
    """Return the options for oslo-config-generator."""
    return [(GROUP, COPY_IMAGE_OPTS)]


def copy_options(conf, staging_dir):
    """Return :class:`CopyOptions` as ``conf`` says.

    :param staging_dir: directory of Glance's own staging store
    """
    conf.import_group(
        'taskflow_executor', 'glance.async_.taskflow_executor'
    )
    group = conf[GROUP]
    executor = conf.taskflow_executor
    return CopyOptions(
        staging_dir=group.staging_dir or staging_dir,
        staging_memory=group.staging_memory,
        staging_window=group.staging_window,
        copiers=tuple(group.copiers),
        verify=group.verify,
        max_parallel_stores=group.max_parallel_stores,
        bandwidth_limit=group.bandwidth_limit,
        store_bandwidth_limits=group.store_bandwidth_limits,
        retries=group.retries,
        retry_interval=group.retry_interval,
        store_timeout=group.store_timeout,
        progress_interval=group.progress_interval,
        workers=(
            executor.max_workers if executor.engine_mode == 'parallel' else 1
        ),
    )
