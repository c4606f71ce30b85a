# SPDX-License-Identifier: Apache-2.0

"""``migrate-locations``: URLs of earlier times, brought up to date."""

import os

from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import results
from glance_copy_plugin.replicator import text
from glance_copy_plugin.replicator.commands import base


class MigrateLocations(base.Command):
    """Bring locations of earlier times up to date, in Glance's database.

    Locations cinder://<volume> get the name of their store, and locations
    irods://user:password@host/<path> lose the credentials. To be run where
    the Image service runs, with its configuration; the service may go on
    working.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--config-dir', metavar='DIR',
            default=os.environ.get('OS_GLANCE_CONFIG_DIR', '/etc/glance'),
            help='directory of glance-api.conf (default: %(default)s)',
        )
        parser.add_argument(
            '--dry-run', action='store_true', help='change nothing',
        )
        return parser

    def take_action(self, parsed_args):
        check = _check()
        check.load_service(parsed_args.config_dir)
        # These need the service's own packages, as the one above.
        import glance.context

        from glance_copy_plugin.replicator import migrating
        migration = migrating.Migration(
            context=glance.context.get_admin_context(),
            dry_run=parsed_args.dry_run,
        )
        found = list(migration.run())
        if any(result.what == results.FAILED for result in found):
            self.status = 1
        return ('Image', 'Result', 'Detail'), [
            (result.image_id, result.what, text.safe(result.detail))
            for result in found
        ]


def _check():
    try:
        from glance_copy_plugin.cli import check
    except ImportError as exc:
        raise errors.ReplicatorError(
            f'this has to be run where the Image service is installed: there '
            f'is no Python package {exc.name} here'
        ) from None
    return check
