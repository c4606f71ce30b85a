# SPDX-License-Identifier: Apache-2.0

"""``fill STORE...``: every image of a cloud, in further stores of it."""

from glance_replicate import filling
from glance_replicate import running
from glance_replicate import selecting
from glance_replicate.commands import arguments
from glance_replicate.commands import base


class Fill(base.Job):
    """Have a cloud copy its images into these stores.

    Each image that is not in all of them gets a copy-image request, a number
    of them at a time, and is followed to the end. To go on after an
    interruption, run it again; copies that have begun go on without it.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'stores', metavar='STORE', nargs='+', help='name of a store',
        )
        arguments.add_own_cloud(parser)
        arguments.add_filters(parser)
        parser.add_argument(
            '--workers', metavar='N', type=arguments.positive, default=4,
            help='copies at a time (default: %(default)s)',
        )
        parser.add_argument(
            '--order', choices=sorted(filling.ORDERS), default='smallest',
            help='which images come first (default: %(default)s)',
        )
        parser.add_argument(
            '--dry-run', action='store_true',
            help='ask for no copies, only tell which and how many bytes',
        )
        return parser

    def work(self, parsed, cancel, shown):
        service = self.connect(parsed, 'server')
        stores = filling.checked_stores(service, parsed.stores)
        images = sorted(
            selecting.active(service, arguments.filters(parsed)),
            key=filling.ORDERS[parsed.order],
        )
        self.check_some(images, parsed, service.name, shown.say)
        shown.expect(len(images), sum(
            (image.size or 0) * len(image.lacks(stores))
            for image in images
        ))
        filler = filling.Filler(
            service=service, stores=stores, display=shown, cancel=cancel,
            dry_run=parsed.dry_run,
        )
        return running.each(
            images, filler.fill, workers=parsed.workers, display=shown,
            cancel=cancel,
        )
