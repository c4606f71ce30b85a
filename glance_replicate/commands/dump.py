# SPDX-License-Identifier: Apache-2.0

"""``dump FROM DIR``: every image of a cloud, in a directory."""

from glance_copy_plugin.transfer import limits
from glance_replicate import dumping
from glance_replicate import items
from glance_replicate import running
from glance_replicate import selecting
from glance_replicate.commands import arguments
from glance_replicate.commands import base
from glance_replicate.commands import livecopy


class Dump(base.Job):
    """Write the images of FROM to a directory, for the command load.

    The directory has a folder for each image and a list with all hashes. An
    image is in it whole, or not at all. What is there already is skipped. To
    go on after an interruption, run it again.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        arguments.add_clouds(parser, 'from')
        parser.add_argument('directory', metavar='DIR', help='the directory')
        parser.add_argument(
            '--members', action='store_true',
            help='write down, too, who the images are shared with',
        )
        parser.add_argument(
            '--dry-run', action='store_true', help='write nothing',
        )
        arguments.add_filters(parser)
        arguments.add_work(parser)
        return parser

    def work(self, parsed, cancel, shown):
        source = self.connect(parsed, 'from')
        images = selecting.active(source, arguments.filters(parsed))
        self.check_some(images, parsed, source.name, shown.say)
        shown.expect(len(images), sum(image.size or 0 for image in images))
        limit = limits.BandwidthLimit(parsed.bandwidth, cancel)
        todo = [
            items.CloudItem(source, image, livecopy.chunk_of(limit))
            for image in images
        ]
        with dumping.Dump(parsed.directory, parsed.dry_run) as dump:
            dumper = dumping.Dumper(
                dump, members=parsed.members, dry_run=parsed.dry_run,
                display=shown, limit=limit, cancel=cancel,
                retries=source.retries,
            )
            return running.each(
                todo, dumper.put, workers=parsed.workers, display=shown,
                cancel=cancel,
            )
