# SPDX-License-Identifier: Apache-2.0

"""Looking up the volume type of a store."""

from cinderclient import exceptions as cinder_exceptions

from glance_store_cinder import errors


class Unusable(Exception):
    """Says in a sentence why no volume of that type can be made."""


def check(client, name):
    """See whether volumes of a type can be made.

    :param client: of Cinder
    :param name: of the type; None for the default one, which always can
    :raises: Unusable; glance_store's exceptions if Cinder did not tell
    """
    if not name:
        return
    try:
        with errors.translated('list the volume types'):
            # A type that is private to other projects is not among them.
            known = {each.name for each in client.volume_types.list()}
    except Exception as exc:
        if isinstance(exc.__cause__, cinder_exceptions.Forbidden):
            raise Unusable(
                f'the user may not see whether the volume type {name} exists'
            ) from exc
        raise
    if name not in known:
        raise Unusable(
            f'the volume type {name} does not exist in Cinder, or the user '
            'may not use it'
        )


def default(client):
    """Return the name of Cinder's default type for this user."""
    with errors.translated('tell its default volume type'):
        return client.volume_types.default().name
