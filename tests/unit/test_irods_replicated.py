# SPDX-License-Identifier: Apache-2.0

"""Images that the zone copies from one cloud to another."""

import argparse
import hashlib
import sys
import types

import pytest

import glance_replicate
from glance_replicate import errors
from glance_replicate import records
from glance_replicate import via_irods
from glance_replicate.commands import replicate
from tests.parts import data
from tests.parts import irods
from tests.parts import replication

OURS = '11111111-1111-4222-8333-abcdefabcdef'
THEIRS = '22222222-1111-4222-8333-abcdefabcdef'
CONTENT = data.some(3 * irods.CHUNK + 5)
NEW = types.SimpleNamespace(id=THEIRS)


def image(content=CONTENT, **changes):
    return records.of_api({
        'id': OURS, 'status': 'active', 'size': len(content),
        'os_hash_algo': 'sha256',
        'os_hash_value': hashlib.sha256(content).hexdigest(), **changes,
    })


class Cloud:
    """What of an Image service the delivery asks.

    :param refuses: what happens to a location, an error or a status
    """

    name = 'north'
    retries = replication.retries()

    def __init__(self):
        self.urls = []
        self.told = []
        self.record = {'status': 'queued'}
        self.refuses = None

    def locations(self, image_id):
        assert image_id == OURS
        if self.refuses:
            raise self.refuses
        return [{'url': url} for url in self.urls]

    def add_location(self, image_id, url, validation):
        assert image_id == THEIRS
        self.told.append((url, validation))
        if isinstance(self.refuses, errors.ReplicatorError):
            raise self.refuses
        self.record = {'status': self.refuses or 'active'}

    def image(self, image_id):
        assert image_id == THEIRS
        return self.record

    def tasks(self, image_id):
        return [{'id': 't', 'status': 'failure', 'message': 'wrong hash'}]


@pytest.fixture
def source(zone):
    """The cloud whose image lies in the zone."""
    made = Cloud()
    made.urls = ['file:///images/x', zone.put(OURS, CONTENT)]
    return made


@pytest.fixture
def target():
    return Cloud()


@pytest.fixture
def driver(zone):
    """The target's store: another collection of the zone."""
    return zone.store('vault', path=zone.add_collection('vault'))


@pytest.fixture
def via(source, target, driver):
    return via_irods.ViaIrods(
        source=source, target=target, driver=driver,
    )


def deliver(via, what=None):
    """Deliver an image; return how many bytes were counted."""
    counted = []
    via.prepare(None, what or image())
    via.deliver(None, what or image(), NEW, counted.append)
    return sum(counted)


def refused(via, what=None):
    with pytest.raises(errors.ReplicatorError) as caught:
        deliver(via, what)
    assert irods.PASSWORD not in str(caught.value)
    return str(caught.value)


def test_no_byte_passes_through_here_and_the_target_is_told(
    zone, via, target, driver
):
    zone.server.counters.reset()
    assert deliver(via) == len(CONTENT)
    assert zone.server.bytes_read == zone.server.bytes_written == 0
    path = driver.new_path(THEIRS)
    assert zone.server.content(path) == CONTENT
    assert target.told == [(f'irods:/{path}', {
        'os_hash_algo': 'sha256', 'os_hash_value': image().digest,
    })]


def test_the_collection_can_be_named_instead_of_asking_for_locations(
    zone, via, source, driver
):
    source.refuses = errors.Refused('no', 403)
    said = refused(via)
    assert 'north does not show the locations of its images (403)' in said
    assert '--irods-from' in said
    via.collection = f'{zone.collection}/'
    deliver(via)
    assert driver.list() == [driver.new_path(THEIRS)]


@pytest.mark.parametrize(('urls', 'changes', 'told'), [
    ([], {}, 'no object in iRODS'),
    (['file:///images/x'], {}, 'no object in iRODS'),
    (['irods://tempZone/home/rods/hidden'], {}, 'no object in iRODS'),
    (None, {'os_hash_algo': 'sha3_512'}, 'has no hash of this image'),
    (None, {'os_hash_value': None}, 'has no hash of this image'),
    (None, {'size': None}, 'does not know the size'),
])
def test_an_image_without_an_object_or_a_hash_is_one_sentence(
    zone, via, source, driver, urls, changes, told
):
    zone.server.put('/tempZone/home/rods/hidden', CONTENT)
    if urls is not None:
        source.urls = urls
    assert told in refused(via, image(**changes))
    assert driver.list() == []


def test_a_wrong_object_is_not_taken(zone, via, target, driver):
    wrong = data.flipped(CONTENT, 3)
    assert 'iRODS did not copy it' in refused(via, image(wrong))
    assert driver.list() == target.told == []


def test_a_refusal_tells_the_setting_and_ends_all_further_copies(
    zone, via, target, driver
):
    target.refuses = errors.Refused('answers 403', 403)
    said = refused(via)
    assert 'answers 403; the user needs the role service there' in said
    assert driver.list() == []
    target.refuses = None
    assert refused(via) == said
    assert len(zone.server.calls_of('copy')) == 1


@pytest.mark.parametrize(('status', 'told'), [
    (400, 'must have the collection'), (409, 'answers 409'),
])
def test_after_other_refusals_the_next_image_is_copied(
    via, target, driver, status, told
):
    target.refuses = errors.Refused(f'answers {status}', status)
    assert told in refused(via)
    assert driver.list() == []
    target.refuses = None
    deliver(via)


@pytest.mark.parametrize(('status', 'left'), [
    ('queued', 0), ('importing', 1), ('killed', 1),
])
def test_a_target_that_finds_it_wrong_keeps_none_that_it_does_not_use(
    via, target, driver, status, left
):
    target.refuses = status
    said = refused(via)
    assert 'north did not accept the location: wrong hash' in said
    assert len(driver.list()) == left


def test_a_target_that_does_not_answer_is_asked_what_it_made_of_it(
    via, target, driver
):
    target.refuses = errors.Unreachable('no answer')
    assert refused(via) == 'no answer'
    # It may be about to take it.
    assert driver.list() == [driver.new_path(THEIRS)]
    target.record = {'status': 'active'}
    driver.remove(driver.new_path(THEIRS))
    deliver(via)


@pytest.mark.parametrize(('record', 'replaced'), [
    ({'status': 'queued'}, True), ({'status': 'active'}, False),
    ({'status': 'queued', 'os_glance_import_task': 'theirs'}, False),
])
def test_what_was_copied_is_replaced_unless_the_target_may_be_taking_it(
    zone, via, target, driver, record, replaced
):
    path = driver.new_path(THEIRS)
    zone.server.put(path, b'left behind', user=irods.USER)
    target.record = record
    if replaced:
        deliver(via)
    else:
        assert 'north is working on this image' in refused(via)
    content = CONTENT if replaced else b'left behind'
    assert zone.server.content(path) == content


def test_what_a_killed_run_left_unfinished_is_removed(zone, via, driver):
    ours, others = (
        f'{driver.new_path(name)}.0123456789ab.part'
        for name in (THEIRS, OURS)
    )
    for path in (ours, others):
        zone.server.put(path, b'half', user=irods.USER)
    deliver(via)
    assert driver.list() == [others, driver.new_path(THEIRS)]


# The options.

def options(**changes):
    return argparse.Namespace(**{
        'via_irods': True,
        'irods_config': '/etc/south.conf', 'irods_store': 'vault',
        'irods_from': None, 'stores': [], **changes,
    })


@pytest.mark.parametrize(('changes', 'told'), [
    ({'irods_config': None}, 'needs --irods-config'),
    ({'irods_store': None}, 'needs --irods-config'),
    ({'stores': ['s1']}, '--store cannot be combined'),
    ({'irods_config': '/nowhere'}, '/nowhere'),
])
def test_options_that_cannot_work_are_one_sentence(changes, told):
    with pytest.raises(errors.ReplicatorError, match=told):
        replicate.irods_delivery(options(**changes), None, None)


def test_without_the_library_of_irods_it_says_what_to_install(monkeypatch):
    name = via_irods.__name__
    monkeypatch.delattr(glance_replicate, name.rpartition('.')[2])
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        errors.ReplicatorError,
        match=r'pip install glance-copy-plugin\[irods\]',
    ):
        replicate.irods_delivery(options(), None, None)


def test_the_store_is_read_from_the_configuration_of_the_target(
    zone, tmp_path
):
    path = tmp_path / 'glance-api.conf'
    path.write_text('\n'.join([
        '[DEFAULT]', 'enabled_backends = vault:irods', '[vault]',
        *(f'{name} = {value}' for name, value in zone.settings().items()),
    ]))
    told = options(irods_config=str(path), irods_from='/tempZone/x')
    made = replicate.irods_delivery(told, 'north', 'south')
    assert (made.source, made.target, made.collection) == (
        'north', 'south', '/tempZone/x'
    )
    assert made.driver.list() == []
    with pytest.raises(errors.ReplicatorError, match='absent'):
        via_irods.load_store(str(path), 'absent')
