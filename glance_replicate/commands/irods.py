# SPDX-License-Identifier: Apache-2.0

"""Options of ``livecopy --via-irods``."""

from glance_replicate import errors


def add_options(parser):
    """Add the options to a parser."""
    group = parser.add_argument_group('copies inside iRODS')
    group.add_argument(
        '--via-irods', action='store_true',
        help='let the iRODS server copy the data, and register the copies '
             'on TO through the Locations API',
    )
    group.add_argument(
        '--irods-config', metavar='FILE',
        help='a file with the options of TO\'s iRODS store, such as its '
             'glance-api.conf',
    )
    group.add_argument(
        '--irods-store', metavar='STORE',
        help='the name of that store, which is the section of the file',
    )
    group.add_argument(
        '--irods-from', metavar='COLLECTION',
        help='where FROM keeps its images, each under its id; without it '
             'FROM is asked for their locations',
    )


def delivery(parsed, source, target, cancel):
    """Return the :class:`Delivery` that lets iRODS copy.

    :raises: :class:`ReplicatorError` if that cannot be done here
    """
    if not parsed.irods_config or not parsed.irods_store:
        raise errors.ReplicatorError(
            '--via-irods needs --irods-config and --irods-store'
        )
    if parsed.stores:
        raise errors.ReplicatorError(
            '--store has no meaning with --via-irods: the store is the one '
            'that --irods-store names'
        )
    try:
        from glance_replicate import irods_store
        from glance_replicate import via_irods
    except ImportError as exc:
        raise errors.ReplicatorError(
            f'--via-irods needs the Python package {exc.name}, which is not '
            f'installed: pip install glance-copy-plugin[irods]'
        ) from None
    return via_irods.ViaIrods(
        source=source, target=target, cancel=cancel,
        driver=irods_store.load(parsed.irods_config, parsed.irods_store),
        collection=parsed.irods_from,
    )
