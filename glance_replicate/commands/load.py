# SPDX-License-Identifier: Apache-2.0

"""``load TO DIR``: every image of a dump, on a cloud."""

from glance_copy_plugin.transfer import limits
from glance_replicate import errors
from glance_replicate import folders
from glance_replicate import loading
from glance_replicate import running
from glance_replicate.commands import arguments
from glance_replicate.commands import base
from glance_replicate.commands import livecopy


class Load(base.Job):
    """Copy the images of a directory, which dump has written, to TO.

    The bytes of an image are verified before anything of it is uploaded.
    What is the same on TO already is skipped. To go on after an
    interruption, run it again.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        arguments.add_clouds(parser, 'to')
        parser.add_argument('directory', metavar='DIR', help='the directory')
        arguments.add_filters(parser)
        arguments.add_putting(parser)
        arguments.add_rules(parser)
        arguments.add_work(parser)
        return parser

    def work(self, parsed, cancel, shown):
        filters = arguments.filters(parsed)
        with (
            folders.Folder.of_user(parsed.directory) as top,
            loading.opened(top, cancel) as found,
        ):
            todo = [item for item in found if _is_meant(item, filters)]
            self.check_some(todo, parsed, parsed.directory, shown.say)
            target = self.connect(parsed, 'to')
            return self._load(todo, target, parsed, cancel, shown)

    @staticmethod
    def _load(todo, target, parsed, cancel, shown):
        shown.expect(len(todo), sum(
            item.image.size for item in todo
            if isinstance(item, loading.FolderItem)
        ))
        limit = limits.BandwidthLimit(parsed.bandwidth, cancel)
        putter = livecopy.make_putter(
            parsed, target, livecopy.streaming(parsed, target, limit, cancel),
            shown,
        )

        def put(item):
            if isinstance(item, loading.Unusable):
                raise errors.ReplicatorError(item.problem)
            return putter.put(item)

        return running.each(
            todo, put, workers=parsed.workers, display=shown, cancel=cancel,
        )


def _is_meant(item, filters):
    """True also for what cannot be read, if it may be meant."""
    if isinstance(item, loading.Unusable):
        return not filters.ids or item.id in filters.ids
    return filters.meets(item.image)
