# SPDX-License-Identifier: Apache-2.0

"""``fill``, ``watch``, ``image copy``: copies between stores of one cloud."""

from glance_replicate import display
from glance_replicate import records
from glance_replicate import running
from glance_replicate import selecting
from glance_replicate import store_copies
from glance_replicate import text
from glance_replicate.commands import arguments
from glance_replicate.commands import base


class Fill(base.Job):
    """Have a cloud copy its images into these stores.

    For each image that is not in all of them a copy-image is requested, a
    number of them at a time, and followed to its end. After an interruption,
    run it again to continue; copies that have begun go on by themselves.
    """

    def add_arguments(self, parser):
        parser.add_argument(
            'stores', metavar='STORE', nargs='+', help='name of a store',
        )
        arguments.add_own_cloud(parser)
        arguments.add_filters(parser)
        arguments.add_workers(parser, 'copies')
        parser.add_argument(
            '--order', choices=sorted(store_copies.ORDERS),
            default='smallest',
            help='which images come first (default: %(default)s)',
        )
        parser.add_argument(
            '--dry-run', action='store_true',
            help='request no copies; only show which, and how many bytes',
        )

    def work(self, parsed):
        service = self.connect(parsed, 'server')
        stores = store_copies.checked_stores(service, parsed.stores)
        images = sorted(
            self.images(service, parsed),
            key=store_copies.ORDERS[parsed.order],
        )
        filler = store_copies.Filler(
            service=service, stores=stores, display=self.display,
            dry_run=parsed.dry_run,
        )
        return self.run_each(images, filler.fill, parsed.workers, sum(
            (image.size or 0) * len(image.lacks(stores)) for image in images
        ))


class Copy(base.Job):
    """Have the cloud copy an image into further stores.

    With --wait the copy is followed to its end, and the status says whether
    it succeeded.
    """

    def add_arguments(self, parser):
        parser.add_argument('image', metavar='<image>', help='name or id')
        parser.add_argument(
            '--store', metavar='<store>', action='append', required=True,
            dest='stores', help='name of a store; may be repeated',
        )
        parser.add_argument(
            '--wait', action='store_true',
            help='wait until the copy has ended',
        )
        arguments.add_own_cloud(parser)

    def work(self, parsed):
        service = self.connect(parsed, 'server')
        stores = store_copies.checked_stores(service, parsed.stores)
        image = selecting.one(service, parsed.image)
        filler = store_copies.Filler(
            service=service, stores=stores, display=self.display,
            wait=parsed.wait,
        )
        return self.run_each([image], filler.fill, 1, 0)


class Watch(base.Command):
    """Follow the copy of an image between stores to its end.

    If none is running, the newest one is shown. The status is 0 if the copy
    succeeded.
    """

    def add_arguments(self, parser):
        parser.add_argument('image', metavar='IMAGE', help='its id')
        arguments.add_own_cloud(parser)

    def take_action(self, parsed_args):
        records.check_id(parsed_args.image)
        with running.stoppable() as self.cancel:
            seen = store_copies.watch(
                self.connect(parsed_args, 'server'), parsed_args.image,
                display.suitable(display.WatchBars, display.WatchLines),
            )
        self.status = int(seen.task['status'] != 'success')
        return ('Task', 'Status', 'Stores', 'Message'), [(
            seen.task['id'], seen.task['status'],
            (seen.record or {}).get('stores', ''), text.safe(seen.message),
        )]
