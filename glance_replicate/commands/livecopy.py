# SPDX-License-Identifier: Apache-2.0

"""``livecopy FROM TO``: every image of one cloud, on another."""

from glance_copy_plugin.transfer import limits
from glance_replicate import comparing
from glance_replicate import delivering
from glance_replicate import filling
from glance_replicate import items
from glance_replicate import putting
from glance_replicate import running
from glance_replicate import selecting
from glance_replicate import sending
from glance_replicate import streams
from glance_replicate import target_records
from glance_replicate.commands import arguments
from glance_replicate.commands import base
from glance_replicate.commands import irods


class Livecopy(base.Job):
    """Copy the images of FROM to TO, and update the records of those there.

    Every active image that the user sees on FROM is copied, with the same id
    where that is possible. Nothing is stored on the way. What is the same on
    TO already is skipped; nothing is deleted there but what an interrupted
    run of this command has left unfinished. To go on after an interruption,
    run it again.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        arguments.add_clouds(parser, 'from', 'to')
        arguments.add_filters(parser)
        arguments.add_putting(parser)
        arguments.add_rules(parser)
        arguments.add_work(parser)
        irods.add_options(parser)
        return parser

    def work(self, parsed, cancel, shown):
        source = self.connect(parsed, 'from')
        target = self.connect(parsed, 'to')
        images = selecting.active(source, arguments.filters(parsed))
        self.check_some(images, parsed, source.name, shown.say)
        shown.expect(len(images), sum(image.size or 0 for image in images))
        limit = limits.BandwidthLimit(parsed.bandwidth, cancel)
        if parsed.via_irods:
            delivery = irods.delivery(parsed, source, target, cancel)
        else:
            delivery = streaming(parsed, target, limit, cancel)
        putter = make_putter(parsed, target, delivery, shown)
        todo = [
            items.CloudItem(source, image, chunk_of(limit))
            for image in images
        ]
        return running.each(
            todo, putter.put, workers=parsed.workers, display=shown,
            cancel=cancel,
        )


def chunk_of(limit):
    """Return how many bytes to read at a time."""
    return limit.chunk(streams.CHUNK)


def streaming(parsed, target, limit, cancel):
    """Return the :class:`Delivery` that passes all bytes through here."""
    return delivering.Streaming(
        service=target, limit=limit, cancel=cancel,
        store=parsed.stores[0] if parsed.stores else None,
    )


def make_putter(parsed, target, delivery, shown):
    """Return the :class:`Putter` that the options of a command ask for."""
    rules = arguments.rules(parsed)
    stores = filling.checked_stores(target, parsed.stores)
    return putting.Putter(
        service=target,
        index=comparing.Index(selecting.everything(target)),
        rules=rules,
        options=putting.Options(
            members=parsed.members, metadata_only=parsed.metadata_only,
            dry_run=parsed.dry_run, stores=stores,
        ),
        sender=sending.Sender(
            service=target, delivery=delivery, display=shown,
            claims=target_records.TargetRecords(
                target, rules, redo=parsed.redo_unfinished
            ),
        ),
    )
