# SPDX-License-Identifier: Apache-2.0


"""The options of the driver: those of glance_store's own, in all releases."""

from glance_store._drivers.cinder import store as stock
from oslo_config import cfg

# The glance_store of 2025.2 does not have these yet.
_LATER = [
    cfg.StrOpt(
        'cinder_store_application_credential_id',
        help="""
Id of an application credential to log in to Keystone with.

Used instead of user, password and project, together with
``cinder_store_application_credential_secret``.
""",
    ),
    cfg.StrOpt(
        'cinder_store_application_credential_secret', secret=True,
        help="""
The secret of ``cinder_store_application_credential_id``.
""",
    ),
]


def complete(options):
    """Return these options with those that a later release has besides.

    :param options: of glance_store's driver ``cinder``
    """
    known = {option.dest for option in options}
    return [
        *options, *(each for each in _LATER if each.dest not in known)
    ]


OPTIONS = complete(stock.Store.OPTIONS)
