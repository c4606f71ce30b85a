# SPDX-License-Identifier: Apache-2.0

"""``glance-copy audit``: do records and stores fit together?"""

from cliff import lister

from glance_copy_plugin import stores
from glance_copy_plugin.audit import auditor as auditor_
from glance_copy_plugin.audit import repair
from glance_copy_plugin.cli import check
from glance_copy_plugin.cli import options


class Audit(lister.Lister):
    """List what does not fit between the records and the stores of this node.

    Shows objects without a location, locations without an object, sizes and
    (with --verify) hashes that differ, what interrupted copies have left in
    the staging area, and tasks, locks and properties that nothing stands
    behind.
    With --fix it repairs what is safe to repair. Nothing is removed that
    cannot be proved to be left by a copy. The status is 1 if anything was
    found that has not been repaired.
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
            '--fix', action='store_true',
            help='repair what is safe to repair',
        )
        return parser

    def run(self, parsed_args):
        self._open = 0
        super().run(parsed_args)
        return int(bool(self._open))

    def take_action(self, parsed_args):
        check.load_service(parsed_args.config_dir)
        wanted = parsed_args.store or stores.names()
        unknown = [name for name in wanted if name not in stores.names()]
        if unknown:
            raise RuntimeError(
                f'there is no store {", ".join(unknown)} here; there are '
                + ', '.join(stores.names())
            )
        auditor = auditor_.of_service(wanted, parsed_args.verify)
        rows = [
            self._row(auditor.scope, finding, parsed_args.fix)
            for finding in list(auditor.run())
        ]
        return ('Kind', 'Store', 'Image', 'Detail', 'Action'), rows

    def _row(self, scope, finding, fix):
        action = repair.repair(scope, finding) if fix else ''
        if not action or action.startswith(('left alone', 'not repaired')):
            self._open += 1
        return (
            finding.kind, finding.store, finding.image_id, finding.detail,
            action,
        )
