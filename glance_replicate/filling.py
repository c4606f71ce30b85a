# SPDX-License-Identifier: Apache-2.0

"""Bringing the images of a cloud into further stores of that cloud."""

import dataclasses

from glance_replicate import display as displays
from glance_replicate import errors
from glance_replicate import following
from glance_replicate import results
from glance_replicate import text

_TURNS = 5
ORDERS = {
    'smallest': lambda image: (image.size or 0, image.id),
    'newest': lambda image: tuple(-ord(c) for c in image.created_at),
    'oldest': lambda image: (image.created_at, image.id),
}


def checked_stores(service, stores):
    """Return the names of some stores of a service, each once, as a tuple.

    :raises: :class:`ReplicatorError` if one is not there, to be written
    """
    if not stores:
        return ()
    try:
        known = service.stores()
    except errors.Refused as exc:
        if exc.status != 404:
            raise
        raise errors.ReplicatorError(
            f'{service.name} has one store only'
        ) from None
    for name in stores:
        if name not in known:
            raise errors.ReplicatorError(
                f'{service.name} has no store {text.safe(name)} that can be '
                f'written; there are {text.safe(", ".join(known))}'
            )
    return tuple(dict.fromkeys(stores))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filler:
    """Asks for copies and follows each to its end.

    :param service: :class:`ImageService`
    :param stores: names of the stores that images are to be in
    :param wait: follow copies; if False, ask for them only
    """

    service: object
    stores: tuple
    cancel: object
    display: object = displays.Silent()
    dry_run: bool = False
    wait: bool = True

    def fill(self, image):
        """Bring one :class:`Image` into the stores; return the result.

        A copy that somebody else has asked for is waited for first.
        """
        moved, size = 0, image.size or 0
        for _turn in range(_TURNS):
            record = self.service.image(image.id)
            if record is None or record['status'] != 'active':
                status = 'gone' if record is None else record['status']
                return self._result(
                    results.VANISHED, image, detail=f'it is {status}'
                )
            missing = self._missing(record)
            if not missing:
                what = results.COPIED if moved else results.SAME
                return self._result(what, image, moved)
            if self.dry_run:
                return self._result(
                    results.WOULD_COPY, image, size * len(missing),
                    f'to {", ".join(missing)}',
                )
            asked = self._ask(image, missing)
            if asked and not self.wait:
                return self._result(
                    results.ASKED, image, detail=f'to {", ".join(missing)}'
                )
            if asked:
                moved = size * len(missing)
                seen = self._follow(image, missing)
                self._check(seen, missing)
            else:
                self._follow(image, missing)
        raise errors.ReplicatorError('other copies of it do not end')

    def _missing(self, record):
        return following.missing(
            following.Seen(task=None, record=record, ended=True), self.stores
        )

    def _ask(self, image, stores):
        """Ask for a copy; False if there is another one at work."""
        try:
            self.service.copy(image.id, stores)
        except errors.Refused as exc:
            if exc.status != 409:
                raise errors.Refused(
                    f'not copied to {", ".join(stores)}: {exc}', exc.status
                ) from None
            return False
        return True

    def _follow(self, image, stores):
        size = image.size or 0
        self.display.begin(image.id, image.name, size * len(stores))
        done = 0

        def show(seen):
            nonlocal done
            now = _bytes(seen, stores, size)
            if now > done:
                self.display.advance(image.id, now - done)
                done = now

        return following.follow(
            self.service, image.id, self.cancel, show
        )

    @staticmethod
    def _check(seen, stores):
        if seen.record is None:
            return
        lacking = following.missing(seen, stores)
        if not lacking:
            return
        raise errors.ReplicatorError(
            f'not copied to {", ".join(lacking)}: '
            f'{text.safe(seen.message) or "no reason is told"}'
        )

    @staticmethod
    def _result(what, image, size=0, detail=''):
        return results.Result(
            what=what, image_id=image.id, name=image.name, size=size,
            detail=detail,
        )


def _bytes(seen, stores, size):
    """Return how many bytes have reached the stores so far."""
    told = (seen.numbers or {}).get('stores', {})
    lacking = following.missing(seen, stores)
    return sum(
        (told.get(name, {}).get('bytes') or 0) if name in lacking else size
        for name in stores
    )
