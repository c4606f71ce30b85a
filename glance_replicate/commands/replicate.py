# SPDX-License-Identifier: Apache-2.0

"""``livecopy``, ``dump`` and ``load``: images to a cloud or a directory."""

from glance_replicate import comparing
from glance_replicate import dump_reading
from glance_replicate import dump_writing
from glance_replicate import errors
from glance_replicate import putting
from glance_replicate import selecting
from glance_replicate import sending
from glance_replicate import store_copies
from glance_replicate import streams
from glance_replicate import target_records
from glance_replicate.commands import arguments
from glance_replicate.commands import base


class Livecopy(base.Job):
    """Copy the images of FROM to TO, and update those already there.

    Every active image on FROM that the user can see is copied, with the same
    id where possible. Nothing is stored on the way. Images that are the same
    on TO are skipped. Nothing is deleted there, except what an interrupted
    run of this command has left unfinished. After an interruption, run it
    again to continue.
    """

    def add_arguments(self, parser):
        arguments.add_clouds(parser, 'from', 'to')
        arguments.add_filters(parser)
        arguments.add_putting(parser)
        _add_irods(parser)

    def work(self, parsed):
        source = self.connect(parsed, 'from')
        target = self.connect(parsed, 'to')
        images = self.images(source, parsed)
        limit = self.limit(parsed)
        delivery = irods_delivery(parsed, source, target)
        putter = make_putter(parsed, target, limit, self.display, delivery)
        return self.run_each(
            _items(source, images, limit), putter.put, parsed.workers,
            selecting.total_size(images),
        )


class Dump(base.Job):
    """Write the images of FROM to a directory, for the command load.

    The directory gets a subdirectory for each image, and a manifest with all
    hashes. An image is in it completely, or not at all. Images that are there
    already are skipped. After an interruption, run it again to continue.
    """

    def add_arguments(self, parser):
        arguments.add_clouds(parser, 'from')
        parser.add_argument('directory', metavar='DIR', help='the directory')
        parser.add_argument(
            '--members', action='store_true',
            help='also write down who the images are shared with',
        )
        parser.add_argument(
            '--dry-run', action='store_true', help='write nothing',
        )
        arguments.add_filters(parser)
        arguments.add_workers(parser)
        arguments.add_bandwidth(parser)

    def work(self, parsed):
        source = self.connect(parsed, 'from')
        images = self.images(source, parsed)
        limit = self.limit(parsed)
        with dump_writing.Dump(parsed.directory, parsed.dry_run) as dump:
            dumper = dump_writing.Dumper(
                dump=dump, retries=source.retries, limit=limit,
                display=self.display, members=parsed.members,
                dry_run=parsed.dry_run,
            )
            return self.run_each(
                _items(source, images, limit), dumper.put, parsed.workers,
                selecting.total_size(images),
            )


class Load(base.Job):
    """Copy the images of a directory that dump has written to TO.

    The bytes of an image are verified before any of them is uploaded. Images
    that are the same on TO are skipped. After an interruption, run it again
    to continue.
    """

    def add_arguments(self, parser):
        arguments.add_clouds(parser, 'to')
        parser.add_argument('directory', metavar='DIR', help='the directory')
        arguments.add_filters(parser)
        arguments.add_putting(parser)

    def work(self, parsed):
        filters = arguments.filters(parsed)
        with dump_reading.opened(parsed.directory, self.cancel) as found:
            todo = [item for item in found if _is_meant(item, filters)]
            self.check_some(todo, parsed, parsed.directory)
            target = self.connect(parsed, 'to')
            putter = make_putter(
                parsed, target, self.limit(parsed), self.display
            )

            def put(item):
                if isinstance(item, dump_reading.Unusable):
                    raise errors.ReplicatorError(item.problem)
                return putter.put(item)

            return self.run_each(todo, put, parsed.workers, sum(
                item.image.size for item in todo
                if isinstance(item, dump_reading.FolderItem)
            ))


def _is_meant(item, filters):
    """True if an image meets the filters, or may do so if it is unusable."""
    if isinstance(item, dump_reading.Unusable):
        return not filters.ids or item.id in filters.ids
    return filters.meets(item.image)


def _items(source, images, limit):
    chunk = limit.chunk(streams.CHUNK)
    return [streams.CloudItem(source, image, chunk) for image in images]


def make_putter(parsed, target, limit, display, delivery=None):
    """Return the :class:`Putter` that the options of a command ask for.

    :param delivery: :class:`Delivery`; None to stream through this machine
    """
    rules = arguments.rules(parsed)
    stores = store_copies.checked_stores(target, parsed.stores)
    return putting.Putter(
        service=target, rules=rules,
        index=comparing.Index(selecting.everything(target)),
        members=parsed.members, metadata_only=parsed.metadata_only,
        dry_run=parsed.dry_run, stores=stores,
        claims=target_records.TargetRecords(
            target, rules, redo=parsed.redo_unfinished
        ),
        delivery=delivery or sending.Streaming(
            service=target, limit=limit, store=stores[0] if stores else None
        ),
        display=display,
    )


def _add_irods(parser):
    group = parser.add_argument_group('copies inside iRODS')
    group.add_argument(
        '--via-irods', action='store_true',
        help='have the iRODS server copy the data, and register the copies '
             'on TO through the Locations API',
    )
    group.add_argument(
        '--irods-config', metavar='FILE',
        help='a file with the options of TO\'s iRODS store, such as its '
             'glance-api.conf',
    )
    group.add_argument(
        '--irods-store', metavar='STORE',
        help='the name of that store, which is the section of the file',
    )
    group.add_argument(
        '--irods-from', metavar='COLLECTION',
        help='where FROM keeps its images, each under its id; without it, '
             'FROM is asked for their locations',
    )


def irods_delivery(parsed, source, target):
    """Return the :class:`Delivery` for --via-irods; None without it.

    :raises: :class:`ReplicatorError` if that is not possible here
    """
    if not parsed.via_irods:
        return None
    if not parsed.irods_config or not parsed.irods_store:
        raise errors.ReplicatorError(
            '--via-irods needs --irods-config and --irods-store'
        )
    if parsed.stores:
        raise errors.ReplicatorError(
            '--store cannot be combined with --via-irods: the store is the '
            'one that --irods-store names'
        )
    try:
        from glance_replicate import via_irods
    except ImportError as exc:
        raise errors.ReplicatorError(
            f'--via-irods needs the Python package {exc.name}, which is not '
            f'installed: pip install glance-copy-plugin[irods]'
        ) from None
    return via_irods.ViaIrods(
        source=source, target=target, collection=parsed.irods_from,
        driver=via_irods.load_store(parsed.irods_config, parsed.irods_store),
    )
