# SPDX-License-Identifier: Apache-2.0

"""What changes between an audit and its repair, and how far it is."""

import contextlib
import io
import types

import pytest

from glance_copy_plugin.audit import findings
from glance_copy_plugin.audit import repair
from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import registry
from glance_copy_plugin.cli import progress
from glance_copy_plugin.reconcile import objects

KEPT = base.KeptObject(
    image_id='image', partial=False, place='/s1/image',
    url='file:///s1/image',
)
FOUND = findings.Finding(
    kind=findings.UNRECORDED, store='s1', image_id='image', kept=KEPT,
    place=KEPT.place,
)


class Scope:
    """A scope with one image, all of whose data is right."""

    # A copy that began after the image was looked at.
    busy = False

    def __init__(self, urls):
        self._image = types.SimpleNamespace(
            locations=[{'url': url} for url in urls]
        )

    def image(self, image_id):
        return self._image

    def is_busy(self, image):
        return False

    @contextlib.contextmanager
    def leased(self, image_id):
        yield None if self.busy else self

    def objects(self, image_id):
        return self

    def why_needed(self, is_it):
        urls = [each['url'] for each in self._image.locations]
        return objects.NAMED if any(map(is_it, urls)) else ''


@pytest.fixture
def removed(monkeypatch):
    """The places of the objects that were removed."""
    places = []
    monkeypatch.setattr(
        registry, 'is_named', lambda _store, kept, urls: kept.url in urls
    )
    monkeypatch.setattr(
        registry, 'remove_object',
        lambda _store, place: places.append(place),
    )
    return places


def test_nothing_is_removed_of_an_image_whose_lease_another_has(removed):
    scope = Scope(['file:///s2/image'])
    scope.busy = True
    assert repair.repair(scope, FOUND, [findings.FIX]) == findings.BUSY
    assert removed == []


def test_an_object_that_a_copy_has_recorded_meanwhile_is_not_removed(removed):
    said = repair.repair(Scope([KEPT.url]), FOUND, [findings.FIX])
    assert said == 'left alone: a location names it by now'
    assert removed == []
    repair.repair(Scope(['file:///s2/image']), FOUND, [findings.FIX])
    assert removed == [KEPT.place]


@pytest.mark.parametrize('terminal, written', [
    (True, '\rRead 0.0 of 2.0 GiB (0 %)\rRead 0.5 of 2.0 GiB (25 %)'
     '\rRead 2.0 of 2.0 GiB (100 %)\n'),
    (False, 'Read 0.0 of 2.0 GiB (0 %)\nRead 0.5 of 2.0 GiB (25 %)\n'
     'Read 2.0 of 2.0 GiB (100 %)\n'),
])
def test_one_line_says_how_far_an_audit_is(monkeypatch, terminal, written):
    stream = io.StringIO()
    monkeypatch.setattr(stream, 'isatty', lambda: terminal, raising=False)
    shown = progress.Progress(stream)
    shown.advance(5)
    shown.expect(2 << 30)
    for count in ((1 << 29) - 5, 0, 3 << 29):
        shown.advance(count)
    shown.end()
    assert stream.getvalue() == written
