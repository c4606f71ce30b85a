# SPDX-License-Identifier: Apache-2.0

"""``watch IMAGE``: follow a copy that runs inside a cloud."""

from glance_replicate import errors
from glance_replicate import records
from glance_replicate import running
from glance_replicate import text
from glance_replicate import watching
from glance_replicate.commands import arguments
from glance_replicate.commands import base


class Watch(base.Command):
    """Follow the copy of an image between stores to its end.

    If none is running, the newest one is shown. The status is 0 if the copy
    succeeded.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument('image', metavar='IMAGE', help='its id')
        arguments.add_own_cloud(parser)
        return parser

    def take_action(self, parsed_args):
        if not records.is_id(parsed_args.image):
            raise errors.ReplicatorError(
                f'{text.safe(parsed_args.image)} is not the id of an image'
            )
        with running.stoppable() as cancel:
            self.cancel = cancel
            service = self.connect(parsed_args, 'server')
            seen = watching.watch(
                service, parsed_args.image, cancel, watching.suitable()
            )
        return self.outcome(seen)

    def outcome(self, seen):
        """Return columns and the row for how a copy has ended."""
        task, record = seen.task, seen.record or {}
        self.status = int(task['status'] != 'success')
        return ('Task', 'Status', 'Stores', 'Message'), [(
            task['id'], task['status'], record.get('stores', ''),
            text.safe(seen.message),
        )]
