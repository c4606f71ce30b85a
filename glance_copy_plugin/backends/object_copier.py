# SPDX-License-Identifier: Apache-2.0

"""What copiers within S3 and within Swift have in common."""

import abc
from concurrent import futures
import logging

from glance_store import exceptions

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import read_back

LOG = logging.getLogger(__name__)

# Seconds between two looks at whether the copy was stopped.
_LOOK = 0.4


class Unsuitable(Exception):
    """An object cannot be copied from; the text says why."""


class ObjectCopier(abc.ABC):
    """Copies images between the containers of one server.

    ``service`` is its name. Methods take the :class:`ObjectContainer` that
    :meth:`opened` gives as ``container``.
    """

    service = ''

    def can_copy(self, locations, target):
        """True if the target's user may read a source."""
        sources = [
            each for each in locations if self.is_near(each, target.driver)
        ]
        if not sources:
            return False
        why = 'its user may not read it'
        try:
            with self.opened(target.driver) as container:
                if any(self.is_visible(container, each) for each in sources):
                    return True
        except self.errors() as exc:
            why = exc
        LOG.info(
            '%(service)s cannot copy the image into store %(store)s by '
            'itself: %(why)s',
            {'service': self.service, 'store': target.store, 'why': why},
        )
        return False

    def copy(self, request):
        """Copy the first of the image's objects that is good.

        :raises: :class:`CannotServerCopy` if there is none
        """
        problems = []
        with self.opened(
            request.target.driver, request.image_id
        ) as container:
            if not container.is_made():
                raise base.CannotServerCopy(
                    f'there is no {container.kind} {container.name} yet'
                )
            if container.find(request.image_id) is not None:
                raise exceptions.Duplicate(image=request.image_id)
            for location in request.locations:
                if not self.is_near(location, request.target.driver):
                    continue
                try:
                    return request.target.stored(
                        self.make(container, request, location)
                    )
                except (Unsuitable, read_back.NotTheImage) as exc:
                    problems.append(str(exc))
        raise base.CannotServerCopy(
            '; '.join(problems) or 'no store of this server holds the image'
        )

    @abc.abstractmethod
    def opened(self, driver, image_id=None):
        """Return a context manager that gives the container of a store.

        :param image_id: of the image that shall come into it
        """

    @abc.abstractmethod
    def errors(self):
        """Return what the client of the service raises, as a tuple."""

    @abc.abstractmethod
    def is_near(self, location, driver):
        """True for an object on the server of a driver; asks nobody."""

    @abc.abstractmethod
    def is_visible(self, container, location):
        """Ask with the user of the target, who is the one that copies."""

    @abc.abstractmethod
    def make(self, container, request, location):
        """Make the copy from one location; return its URL.

        :raises Unsuitable: if it cannot be copied from there
        """


def wait(copies, request, on_done=lambda count: None):
    """Return when all futures are done; raise what one raises, or to stop.

    :param on_done: called with how many are done, whenever one is
    """
    waiting = set(copies)
    while waiting:
        request.cancel.check()
        done, waiting = futures.wait(waiting, _LOOK, futures.FIRST_COMPLETED)
        for each in done:
            each.result()
        if done:
            on_done(len(copies) - len(waiting))


def stop(copies):
    """Return when nothing of these futures works any more."""
    for each in copies:
        each.cancel()
    futures.wait(copies)


def discard(remove, *what, service, errors):
    """Remove what failed; why it failed is the error to raise."""
    try:
        remove(*what)
    except errors as exc:
        LOG.error(
            'An incomplete copy stays behind in %(service)s as %(name)s: '
            '%(why)s', {'service': service, 'name': what[-1], 'why': exc},
        )
