# SPDX-License-Identifier: Apache-2.0

"""Who may do what: nothing, read, modify or own."""

from tests.irods_server import codes

NULL, READ, MODIFY, DELETE, OWN = 1000, 1050, 1120, 1130, 1200

LEVELS = {'none': NULL, 'read': READ, 'modify': MODIFY, 'own': OWN}

EVERYBODY = ('public', '')


def level_of(user, entity):
    """Return what ``user`` may do with a collection or data object."""
    return max(
        entity.permissions.get(user.key, NULL),
        entity.permissions.get(EVERYBODY, NULL),
    )


def may(user, entity, level):
    """Tell whether ``user`` has the ``level`` on ``entity``."""
    return level_of(user, entity) >= level


def may_see(user, entity):
    """Tell whether a query shows ``entity`` to ``user``."""
    return user.is_admin or may(user, entity, READ)


def require(user, entity, level, unseen):
    """Refuse ``user`` who has less than ``level`` on ``entity``.

    Who may not even read is told ``unseen``, the code of a thing that
    does not exist.
    """
    if may(user, entity, level):
        return
    if not may(user, entity, READ):
        raise codes.IrodsError(unseen)
    raise codes.IrodsError(codes.CAT_NO_ACCESS_PERMISSION)


def grant(entity, key, level):
    """Set what the user with ``key`` may do with ``entity``."""
    if level == NULL:
        entity.permissions.pop(key, None)
    else:
        entity.permissions[key] = level
