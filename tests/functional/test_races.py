# SPDX-License-Identifier: Apache-2.0

"""200 copies during which users do what users can do to an image.

Environment: SEED, for the dice. Many images are in flight at once; each copy
is met at a random moment by one kind of change. Once nothing is going on any
more, an audit must find nothing, and each image must be as its user and its
copy have left it.
"""

import concurrent.futures
import os
import random
import time

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = [
    pytest.mark.functional, pytest.mark.postgresql, pytest.mark.long,
]

ROUNDS = 200
AT_ONCE = 25
BYTES_PER_SECOND = 4 * MIB
SIZES = (MIB // 4, MIB, 2 * MIB)
TARGETS = ('s1', 's2')
# A store that cannot be written.
BAD = 's4'
STORES = ('src', 's1', 's2', 's3', BAD)


@pytest.fixture(scope='module')
def servers(start_glance, databases):
    """One that copies inside the kernel, one that streams slowly."""
    if databases is None:
        pytest.skip('there is no PostgreSQL (make services)')
    found = []
    for name, settings in (
        ('races-copier', {}),
        ('races-stream', {
            'copiers': '', 'bandwidth_limit': BYTES_PER_SECOND,
            'max_parallel_stores': 1,
        }),
    ):
        server = start_glance(
            name, {'copy_image': {'recovery_interval': 1, **settings}},
            workers=2, stores=STORES,
        )
        server.invariants.stores.remove(BAD)
        server.places[BAD].rmdir()
        server.places[BAD].write_text('no directory')
        found.append(server)
    return found


class Race:
    """One copy and one kind of change.

    One in five copies is also to go to the store that cannot be written.

    :param act: the change, a function of the race
    """

    def __init__(self, server, seed, act):
        self.server = server
        self.dice = random.Random(seed)  # noqa: S311
        self.act = act
        self.client = Client(server)
        # The server closes a connection that is idle for two seconds, which
        # may be when the next request is sent.
        self.client.session.headers['Connection'] = 'close'
        self.fails = act is not copy_again and self.dice.random() < 0.2
        self.size = self.dice.choice(SIZES)
        self.moment = self.dice.random() * (
            0.4 + self.size / BYTES_PER_SECOND
        )
        self.kept = {}
        self.not_kept = set()
        self.expected = {'src'}
        self.deleted = False
        self.later_task_id = None

    def run(self):
        """Copy and change the image; what is right then is looked at later."""
        self.image_id = self.client.create_image(
            helpers.data(self.size), old='old', gone='soon', tags=['first'],
        )
        if self.act is delete_from_store:
            task = self.client.copy_and_wait(self.image_id, ['s3'])
            assert task['status'] == 'success', task['message']
            self.expected.add('s3')
        targets = [*TARGETS, BAD] if self.fails else list(TARGETS)
        self.task_id = helpers.start(self.client, self.image_id, targets)
        time.sleep(self.moment)
        self.act(self)

    def ask(self, method, path, *allowed, **kwargs):
        """Send a request about the image; the answer must be an allowed one.

        :returns: its status
        """
        answer = self.client.request(
            method, path.format(self.image_id), **kwargs
        )
        assert answer.status_code in allowed, (
            f'{method} {path}: {answer.status_code} {answer.text}'
        )
        return answer.status_code

    def patch(self, *changes):
        self.client.patch(self.image_id, *(
            {'op': op, 'path': f'/{name}', 'value': value}
            for op, name, value in changes
        ))
        for op, name, value in changes:
            if op == 'remove':
                self.not_kept.add(name)
            else:
                self.kept[name] = value

    def running(self):
        return helpers.status(self.server, self.task_id) in (
            'pending', 'processing'
        )

    def check(self):
        """Check the outcome, when nothing is going on any more."""
        status = helpers.status(self.server, self.task_id)
        assert status in ('success', 'failure')
        if self.deleted:
            self.check_deleted()
            return
        if status == 'success':
            self.expected.update(TARGETS)
            assert not self.fails
        self.check_record(status)
        self.check_changes()

    def check_deleted(self):
        assert self.ask('GET', '/images/{}', 404)
        assert helpers.rows(self.server, self.image_id) == {}
        for store in STORES[:-1]:
            assert not helpers.left_in(self.server, store, self.image_id)

    def check_record(self, status):
        allowed = self.act in (deactivate, delete_from_store) or self.fails
        message = helpers.message(self.server, self.task_id)
        assert status == 'success' or allowed, message
        recorded = set(helpers.rows(self.server, self.image_id))
        removed = self.kept.pop('removed', set())
        assert recorded == self.expected - removed, (recorded, message)
        image = self.client.image(self.image_id)
        assert image['status'] == 'active'
        assert image.get(helpers.IMPORTING, '') == ''
        if self.fails and 'Not a directory' in message:
            helpers.wait_until(
                lambda: helpers.named(
                    self.client.image(self.image_id), helpers.FAILED
                ) == {BAD}, 'the failed store',
            )

    def check_changes(self):
        image = self.client.image(self.image_id)
        for name, value in self.kept.items():
            found = image[name]
            assert (sorted(found) if name == 'tags' else found) == value
        assert not self.not_kept.intersection(image)

    def tidy_up(self):
        if self.kept.get('protected'):
            self.patch(('replace', 'protected', False))
        if not self.deleted:
            self.client.delete(self.image_id)


def delete(race):
    race.ask('DELETE', '/images/{}', 204)
    race.deleted = True


def deactivate(race):
    race.ask('POST', '/images/{}/actions/deactivate', 204)
    if race.dice.random() < 0.5:
        race.client.wait_copy(race.image_id, race.task_id)
    race.ask('POST', '/images/{}/actions/reactivate', 204)


def delete_from_store(race):
    store = race.dice.choice(('src', 's3', *TARGETS))
    status = race.ask('DELETE', f'/stores/{store}/{{}}', 204, 404)
    if status == 204:
        race.kept['removed'] = {store}


def copy_again(race):
    body = {'method': {'name': 'copy-image'}, 'stores': ['s3']}
    if race.ask('POST', '/images/{}/import', 202, 409, json=body) == 202:
        race.expected.add('s3')


def add_property(race):
    race.patch(('add', 'new', 'new'))


def replace_property(race):
    race.patch(('replace', 'old', 'new'), ('add', 'another', 'new'))


def remove_property(race):
    race.patch(('remove', 'gone', None))


def change_attributes(race):
    changes = [
        ('replace', 'name', 'renamed'), ('replace', 'visibility', 'public'),
        ('replace', 'min_disk', 7), ('replace', 'protected', True),
        ('replace', 'os_hidden', True), ('replace', 'tags', ['b', 'c']),
    ]
    race.patch(*race.dice.sample(changes, race.dice.randint(1, 3)))


def change_tags(race):
    race.ask('PUT', '/images/{}/tags/second', 204)
    race.ask('DELETE', '/images/{}/tags/first', 204)
    race.kept['tags'] = ['second']


def change_members(race):
    race.ask('POST', '/images/{}/members', 200, json={'member': 'demo'})
    race.ask('POST', '/images/{}/members', 200, json={'member': 'other'})
    race.ask('DELETE', '/images/{}/members/other', 204)
    found = race.client.demand('GET', f'/images/{race.image_id}/members')
    assert [m['member_id'] for m in found.json()['members']] == ['demo']


def change_all_the_time(race):
    """Until the copy has ended, and a little longer."""
    count, more = 0, 3
    while more:
        more -= not race.running()
        count += 1
        race.patch(('add', 'count', str(count)))


def tag_all_the_time(race):
    count, more = 0, 3
    while more:
        more -= not race.running()
        count += 1
        race.ask('PUT', f'/images/{{}}/tags/t{count % 7}', 204)
    race.kept['tags'] = sorted(
        {'first', *(f't{number % 7}' for number in range(1, count + 1))}
    )


ACTS = (
    delete, deactivate, delete_from_store, copy_again, add_property,
    replace_property, remove_property, change_attributes, change_tags,
    change_members, change_all_the_time, tag_all_the_time,
)


def at_once(races, method):
    """Call a method of all races; return what was not as it should be."""
    with concurrent.futures.ThreadPoolExecutor(len(races)) as pool:
        called = [pool.submit(method, race) for race in races]
    return [
        f'{race.server.folder.name} {race.act.__name__} {race.image_id}'
        f'{" (failing)" * race.fails}: {each.exception()}'
        for race, each in zip(races, called, strict=True) if each.exception()
    ]


def what_does_not_hold(server):
    try:
        server.invariants.assert_hold_soon()
    except AssertionError as error:
        return [str(error)]
    return []


def test_no_change_breaks_a_copy_and_no_copy_a_change(servers):
    seed = int(os.environ.get('SEED') or time.time())
    dice = random.Random(seed)  # noqa: S311
    print(f'SEED={seed}')
    acts = [ACTS[number % len(ACTS)] for number in range(ROUNDS)]
    dice.shuffle(acts)
    for first in range(0, ROUNDS, AT_ONCE):
        races = [
            Race(dice.choice(servers), dice.random(), act)
            for act in acts[first:first + AT_ONCE]
        ]
        problems = [f'SEED={seed}', *at_once(races, Race.run)]
        for server in servers:
            problems += what_does_not_hold(server)
        problems += at_once(races, Race.check)
        assert len(problems) == 1, '\n'.join(problems)
        assert at_once(races, Race.tidy_up) == []
