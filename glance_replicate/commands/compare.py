# SPDX-License-Identifier: Apache-2.0

"""``compare FROM TO``: what would livecopy do?"""

from glance_replicate import comparing
from glance_replicate import filling
from glance_replicate import selecting
from glance_replicate import text
from glance_replicate.commands import arguments
from glance_replicate.commands import base


class Compare(base.Command):
    """Show how the images of TO differ from those of FROM.

    Each image that is not the same on both is shown: missing on TO,
    different (in which fields; "data" are the bytes), not finished by an
    earlier livecopy, or extra on TO. The status is 0 if there is none, 1 if
    there are some, and 2 if they could not be compared.
    """

    trouble = 2

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        arguments.add_clouds(parser, 'from', 'to')
        arguments.add_filters(parser)
        arguments.add_rules(parser)
        parser.add_argument(
            '--store', action='append', default=[], dest='stores',
            help='a store of TO that images have to be in; may be repeated',
        )
        parser.add_argument(
            '--all', action='store_true', help='show also what is the same',
        )
        return parser

    def take_action(self, parsed_args):
        filters = arguments.filters(parsed_args)
        source = self.connect(parsed_args, 'from')
        target = self.connect(parsed_args, 'to')
        stores = filling.checked_stores(target, parsed_args.stores)
        images = selecting.active(source, filters)
        # A copy of an image that the filters do not mean is nothing extra.
        nothing = selecting.Filters()
        every = images if filters == nothing else selecting.active(
            source, nothing
        )
        index = comparing.Index(selecting.everything(target))
        found = list(comparing.compare(
            images, every, index, arguments.rules(parsed_args), filters,
            stores,
        ))
        self.check_some(found, parsed_args, source.name, self.warn)
        unproved = [f.image_id for f in found if not f.is_proved]
        if unproved:
            self.warn(
                f'No hash tells whether the data of {len(unproved)} images '
                f'is the same, only their sizes: {", ".join(unproved)}'
            )
        differing = [f for f in found if f.kind != comparing.SAME]
        self.status = int(bool(differing))
        return ('Image', 'Name', 'Difference', 'Fields', 'Bytes'), [
            (
                each.image_id, text.safe(each.name), each.kind,
                text.safe(', '.join(each.fields)), each.size,
            )
            for each in (found if parsed_args.all else differing)
        ]
