# SPDX-License-Identifier: Apache-2.0

"""``compare`` and ``size``: what livecopy or dump would do."""

from glance_replicate import comparing
from glance_replicate import selecting
from glance_replicate import store_copies
from glance_replicate import text
from glance_replicate.commands import arguments
from glance_replicate.commands import base


class Compare(base.Command):
    """Show how the images of TO differ from those of FROM.

    Each image that is not the same on both is shown: missing on TO,
    different (with the fields that differ; "data" is the bytes), left
    unfinished by an earlier livecopy, or extra on TO. The status is 0 if
    there is none, 1 if there are some, and 2 if they could not be compared.
    """

    trouble = 2

    def add_arguments(self, parser):
        arguments.add_clouds(parser, 'from', 'to')
        arguments.add_filters(parser)
        arguments.add_rules(parser)
        arguments.add_stores(
            parser, 'a store of TO that images have to be in; may be repeated'
        )
        parser.add_argument(
            '--all', action='store_true',
            help='also show images that are the same',
        )

    def take_action(self, parsed_args):
        filters = arguments.filters(parsed_args)
        source = self.connect(parsed_args, 'from')
        target = self.connect(parsed_args, 'to')
        stores = store_copies.checked_stores(target, parsed_args.stores)
        images = selecting.active(source, filters)
        # The copy of an image that the filters leave out is not extra.
        nothing = selecting.Filters()
        every = images if filters == nothing else selecting.active(
            source, nothing
        )
        index = comparing.Index(selecting.everything(target))
        found = list(comparing.compare(
            images, every, index, arguments.rules(parsed_args), filters,
            stores,
        ))
        self.check_some(found, parsed_args, source.name)
        unproved = [f.image.id for f in found if not f.is_proved]
        if unproved:
            self.warn(
                f'{len(unproved)} images have no hash in common with their '
                f'copies, so only sizes were compared: {", ".join(unproved)}'
            )
        differing = [f for f in found if f.kind != comparing.SAME]
        self.status = int(bool(differing))
        return ('Image', 'Name', 'Difference', 'Fields', 'Bytes'), [
            (
                each.image.id, text.safe(each.image.name), each.kind,
                text.safe(', '.join(each.fields)), each.image.size or 0,
            )
            for each in (found if parsed_args.all else differing)
        ]


class Size(base.Command):
    """Show how many images and bytes a dump or a livecopy would write."""

    def add_arguments(self, parser):
        arguments.add_clouds(parser, 'server')
        arguments.add_filters(parser)

    def take_action(self, parsed_args):
        service = self.connect(parsed_args, 'server')
        images = self.images(service, parsed_args)
        unknown = sum(image.size is None for image in images)
        if unknown:
            self.warn(
                f'{service.name} does not know the size of {unknown} of these '
                f'images; they count as 0 bytes.'
            )
        total = selecting.total_size(images)
        return ('Images', 'Bytes', 'Size'), [
            (len(images), total, text.size(total))
        ]
