# SPDX-License-Identifier: Apache-2.0

"""``glance-copy migrate-locations``: URLs of earlier times, up to date."""

from cliff import lister

from glance_copy_plugin.cli import options


class MigrateLocations(lister.Lister):
    """Bring locations of earlier times up to date, in Glance's database.

    Locations cinder://<volume> get the name of their store, and locations
    irods://user:password@host/<path>, s3://key:secret@host/<path> and
    swift+https://user:key@host/<path> lose the credentials. To be run where
    the Image service runs, with its configuration; the service may go on
    working. The status is 1 if a location could not be brought up to date.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_config_dir(parser)
        parser.add_argument(
            '--dry-run', action='store_true', help='change nothing',
        )
        return parser

    def run(self, parsed_args):
        self._failed = False
        super().run(parsed_args)
        return int(self._failed)

    def take_action(self, parsed_args):
        # It is also a command of glance-replicate, which needs no Glance.
        try:
            import glance.context

            from glance_copy_plugin.api import image_service
            from glance_copy_plugin.audit import legacy_locations
        except ImportError as exc:
            raise RuntimeError(
                f'this has to be run where the Image service is installed: '
                f'there is no Python package {exc.name} here'
            ) from None
        image_service.load_service(parsed_args.config_dir)
        found = list(legacy_locations.Migration(
            context=glance.context.get_admin_context(),
            dry_run=parsed_args.dry_run,
        ).run())
        self._failed = any(
            each.result == legacy_locations.FAILED for each in found
        )
        return ('Image', 'Result', 'Detail'), [
            (each.image_id, each.result, each.detail) for each in found
        ]
