# SPDX-License-Identifier: Apache-2.0

"""Does nobody need an object? Each reason why somebody does."""

import dataclasses

import pytest

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.reconcile import objects
from glance_copy_plugin.reconcile import verification
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image_record

URL = 'file:///s1/image'
OTHER = 'file:///src/image'


def located(*urls):
    return image_record.ImageFacts(
        image_id='image', status='active', size=1, checksum='md5',
        os_hash_algo=None, os_hash_value=None, lock=None,
        locations=tuple(
            image_record.RecordedLocation(row=1, url=url, metadata={})
            for url in urls
        ),
        importing=frozenset(), failed=frozenset(),
    )


@dataclasses.dataclass
class Records:
    """What the records say, and whether the data of locations is right."""

    facts: object
    doomed: tuple = ()
    reason: str = ''
    # What becomes of the facts while data is read.
    then: object = None
    read: int = 0

    def give(self):
        if self.facts is None:
            raise image_record.ImageGone('it is gone')
        return self.facts

    def prove(self, _locations, _expected, _context):
        self.read += 1
        self.facts = self.then or self.facts
        return self.reason


@pytest.fixture
def make(monkeypatch):
    """Give a function that makes the ImageObjects of some records."""
    def make(records):
        monkeypatch.setattr(
            history, 'awaits_scrubbing', lambda _id: records.doomed
        )
        monkeypatch.setattr(drivers, 'readable', lambda locations: locations)
        monkeypatch.setattr(verification, 'why_none_is_right', records.prove)
        return objects.ImageObjects('image', records.give, None)

    return make


def is_it(url):
    return url == URL


def test_an_object_that_nobody_names_goes_if_other_data_is_right(make):
    records = Records(located(OTHER))
    assert make(records).why_needed(is_it) == ''
    assert records.read == 1


@pytest.mark.parametrize('fresh', [True, False])
@pytest.mark.parametrize('records', [
    Records(located(OTHER, URL)),
    Records(located(OTHER), doomed=(URL,)),
    Records(None, doomed=(URL,)),
])
def test_what_a_location_or_the_scrubber_names_stays(make, records, fresh):
    assert make(records).why_needed(is_it, fresh=fresh) == objects.NAMED
    assert records.read == 0


def test_what_may_be_the_last_data_stays(make):
    records = Records(located(OTHER), reason='another sha512')
    said = make(records).why_needed(is_it)
    assert said == 'it may be the last data of the image: another sha512'


def test_what_is_recorded_while_other_data_is_read_stays(make):
    records = Records(located(OTHER), then=located(OTHER, URL))
    assert make(records).why_needed(is_it) == objects.NAMED


@pytest.mark.parametrize(('records', 'fresh'), [
    (Records(None, reason='unread'), False),
    (Records(located(OTHER), reason='unread'), True),
])
def test_nothing_is_read_for_a_deleted_image_or_what_was_just_written(
    make, records, fresh
):
    assert make(records).why_needed(is_it, fresh=fresh) == ''
    assert records.read == 0


def test_the_same_locations_are_read_once(make):
    records = Records(located(OTHER))
    made = make(records)
    assert [made.why_needed(is_it) for _ in range(2)] == ['', '']
    assert records.read == 1
    records.facts = located(OTHER, 'file:///s2/image')
    assert made.why_needed(is_it) == ''
    assert records.read == 2
