# SPDX-License-Identifier: Apache-2.0

"""``openstack image copy``: one image, into further stores of its cloud."""

from glance_replicate import errors
from glance_replicate import filling
from glance_replicate import records
from glance_replicate import running
from glance_replicate import selecting
from glance_replicate import text
from glance_replicate.commands import arguments
from glance_replicate.commands import base
from glance_replicate.commands import watch


class Copy(base.Job):
    """Have the cloud copy an image into further stores.

    With --wait the copy is followed to its end, and the status tells whether
    it succeeded.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument('image', metavar='<image>', help='name or id')
        parser.add_argument(
            '--store', metavar='<store>', action='append', required=True,
            dest='stores', help='name of a store; may be repeated',
        )
        parser.add_argument(
            '--wait', action='store_true', help='wait for the end',
        )
        arguments.add_own_cloud(parser)
        return parser

    def work(self, parsed, cancel, shown):
        service = self.connect(parsed, 'server')
        stores = filling.checked_stores(service, parsed.stores)
        image = _find(service, parsed.image)
        filler = filling.Filler(
            service=service, stores=stores, display=shown, cancel=cancel,
            wait=parsed.wait,
        )
        shown.expect(1, 0)
        return running.each(
            [image], filler.fill, workers=1, display=shown, cancel=cancel,
        )


class Watch(watch.Watch):
    """Follow the copy of an image between stores to its end."""


def _find(service, name):
    """Return the one :class:`Image` of that id or name."""
    if records.is_id(name):
        record = service.image(name)
        found = [] if record is None else [record]
    else:
        found = [
            record for record in service.images(**selecting.of_name(name))
            if record.get('name') == name
        ]
    if len(found) != 1:
        many = 'more than one image' if found else 'no image'
        raise errors.ReplicatorError(
            f'There is {many} {text.safe(name)} on {service.name}'
        )
    return records.of_api(found[0])
