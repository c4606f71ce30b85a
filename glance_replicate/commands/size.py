# SPDX-License-Identifier: Apache-2.0

"""``size SERVER``: how much would a dump or a livecopy write?"""

from glance_replicate import selecting
from glance_replicate import text
from glance_replicate.commands import arguments
from glance_replicate.commands import base


class Size(base.Command):
    """Show the number and the bytes of the images that would be written."""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        arguments.add_clouds(parser, 'server')
        arguments.add_filters(parser)
        return parser

    def take_action(self, parsed_args):
        service = self.connect(parsed_args, 'server')
        images = selecting.active(service, arguments.filters(parsed_args))
        self.check_some(images, parsed_args, service.name, self.warn)
        total = sum(image.size or 0 for image in images)
        unknown = sum(image.size is None for image in images)
        if unknown:
            self.warn(
                f'{service.name} does not know the size of {unknown} of them, '
                f'which count as 0 bytes.'
            )
        return ('Images', 'Bytes', 'Size'), [
            (len(images), total, text.size(total))
        ]
