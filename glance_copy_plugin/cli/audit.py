# SPDX-License-Identifier: Apache-2.0

"""``glance-copy audit``: do records and stores fit together?"""

import sys

from cliff import lister

from glance_copy_plugin.api import image_service
from glance_copy_plugin.audit import auditor
from glance_copy_plugin.audit import findings
from glance_copy_plugin.audit import repair
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.cli import options
from glance_copy_plugin.cli import progress


class Audit(lister.Lister):
    """List what does not fit between the records and the stores of this node.

    Shows objects without a location, locations without an object, sizes and
    (with --verify) hashes that differ, what interrupted copies have left in
    the staging area, and tasks, locks and properties that nothing stands
    behind.
    With --fix it repairs what is safe to repair. No data of an image is
    removed unless other data of the image was just read and is right.
    With --repair it copies an image anew where its data is gone or damaged.
    With --correct-locations it lets locations name the place where their
    objects lie now, after a store was moved or records were lost.
    The status is 1 if anything was found that has not been repaired.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_config_dir(parser)
        parser.add_argument(
            '--store', metavar='STORE', action='append',
            help='look only at this store; may be repeated',
        )
        parser.add_argument(
            '--verify', action='store_true',
            help='also read and hash every recorded object',
        )
        parser.add_argument(
            '--fix', dest='ways', action='append_const', const=findings.FIX,
            help='remove what nobody needs, correct properties, end tasks',
        )
        parser.add_argument(
            '--repair', dest='ways', action='append_const',
            const=findings.REPAIR,
            help='copy an image anew where its data is gone or damaged, from '
            'a location that is right',
        )
        parser.add_argument(
            '--correct-locations', dest='ways', action='append_const',
            const=findings.CORRECT,
            help='record objects at the place where they lie now, if they '
            'are the image',
        )
        return parser

    def run(self, parsed_args):
        self._open = 0
        super().run(parsed_args)
        return int(bool(self._open))

    def take_action(self, parsed_args):
        image_service.load_service(parsed_args.config_dir)
        known = drivers.store_names()
        wanted = parsed_args.store or known
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise RuntimeError(
                f'there is no store {", ".join(unknown)} here; there are '
                + ', '.join(known)
            )
        shown = progress.Progress(sys.stderr)
        made = auditor.of_service(
            wanted, parsed_args.verify, on_bytes=shown.advance
        )
        if parsed_args.verify:
            shown.expect(made.scope.bytes_to_read())
        found = list(made.run())
        shown.end()
        rows = [
            self._row(made.scope, finding, parsed_args.ways)
            for finding in found
        ]
        return ('Kind', 'Store', 'Image', 'Detail', 'Action'), rows

    def produce_output(self, parsed_args, column_names, data):
        if not data and parsed_args.formatter == 'table':
            self.app.stdout.write(
                'Nothing was found: the records fit the stores.\n'
            )
            return 0
        return super().produce_output(parsed_args, column_names, data)

    def _row(self, scope, finding, ways):
        action = repair.repair(scope, finding, ways) if ways else ''
        if not action or action.startswith(('left alone', 'not repaired')):
            self._open += 1
        return (
            finding.kind, finding.store, finding.image_id, finding.detail,
            action,
        )
