# SPDX-License-Identifier: Apache-2.0

"""Which worker can make which copy."""

import dataclasses

from oslo_serialization import jsonutils


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stores:
    """What a worker has.

    :param names: all stores that it is configured with
    :param writable: those that it can write
    """

    names: tuple
    writable: tuple

    def as_text(self):
        """Return it as workers say it to each other."""
        return jsonutils.dumps(dataclasses.asdict(self))

    def can_make(self, details):
        """True if a worker with these stores can make the copy.

        :param details: the job's :class:`~details.Details`
        """
        return self.can_read(details) and set(self.writable).issuperset(
            details.stores
        )

    def can_read(self, details):
        """True if one of them held the image when it was posted."""
        return not details.sources or not set(self.names).isdisjoint(
            details.sources
        )


def of_text(text):
    """Return the :class:`Stores` that a worker has said it has.

    :param text: JSON, in text or bytes
    :raises ValueError: ``TypeError`` or ``KeyError``, if no worker said that
    """
    said = jsonutils.loads(text)
    return Stores(
        names=tuple(map(str, said['names'])),
        writable=tuple(map(str, said['writable'])),
    )


def obstacle(details, workers):
    """Say why no worker can make a copy; None if one of them can.

    :param workers: :class:`Stores` of those that live
    """
    if not workers:
        return (
            f'no worker runs, so that none can write '
            f'{", ".join(details.stores)}: start glance-copy-worker'
        )
    if any(each.can_make(details) for each in workers):
        return None
    everywhere = {name for each in workers for name in each.writable}
    missing = [name for name in details.stores if name not in everywhere]
    if missing:
        return f'no worker that runs can write {", ".join(missing)}'
    if not any(each.can_read(details) for each in workers):
        return (
            'no worker that runs has a store that holds the image ('
            + ', '.join(details.sources) + ')'
        )
    needed = f'to write {", ".join(details.stores)}'
    if details.sources:
        needed += f' and to read one of {", ".join(details.sources)}'
    return (
        'no worker that runs has all that is needed: it would have ' + needed
    )
