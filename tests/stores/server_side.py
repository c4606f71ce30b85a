# SPDX-License-Identifier: Apache-2.0

"""What every copier has to do that lets the storage itself copy.

A class that inherits :class:`ServerSideConformance` gives the fixture
``make``; images to copy are put into further stores that it makes.
:class:`ServerSide` alone says how, for a part of the suite.
"""

import os

import pytest

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import generic
from tests.stores import conformance
from tests.stores import copies
from tests.stores import sourced


class Held(generic.DriverSource):
    """An object that the storage holds; its driver reads it as well.

    :param location: Location

    ``age`` is called, unless None, with the image when that is known: the
    object was the image once, and what it is now nobody has noticed.
    """

    age = None

    def __init__(self, location):
        super().__init__(location, None)
        self.location = location


class ServerSide(copies.Copying):
    """The sources are objects that the storage holds."""

    verify = 'backend'

    @pytest.fixture
    def source(self, make):
        """Return a function that makes a Held; it stays untouched."""
        made = []

        def put(content, store='origin', *, breaks_at=None):
            # What breaks about an object is that the rest of it is gone.
            content = content[:breaks_at]
            target = make(store)
            url = target.plant(conformance.IMAGE_ID, content)
            made.append((target, target.objects(), url, content))
            return self.held(target, url)

        yield put
        for target, objects, url, content in made:
            assert target.objects() == objects
            assert target.content(url) == content

    def held(self, target, url):
        """Return the Held for an object in a store."""
        return Held(base.Location(
            store=target.name, driver=drivers.of_store(target.name), url=url
        ))

    @pytest.fixture
    def copy(self, tmp_path):
        """Return a function that makes a Copy; nothing of it stays.

        Those candidates that the storage holds are locations of the image.
        """
        made = []

        def copy_into(
            targets, candidates, content=conformance.IMAGE, locations=(),
            **more
        ):
            held = [each for each in candidates if isinstance(each, Held)]
            for each in held:
                if each.age is not None:
                    each.age(content)
            more.setdefault('verify', self.verify)
            made.append(copies.Copy(
                targets, candidates, content,
                tmp_path / 'staging' / str(len(made)), copier=self.copier,
                writer=self.writer, window=self.window,
                locations=[*(each.location for each in held), *locations],
                **more
            ))
            return made[-1]

        yield copy_into
        for each in made:
            assert not os.path.exists(each.copy.staging_folder)


class ServerSideConformance(
    ServerSide, sourced.SourceConformance, conformance.StoreConformance
):
    """Inherit this, and name the copier."""
