# SPDX-License-Identifier: Apache-2.0

"""Which images are meant, which options there are, what is told."""

import argparse
import io

import pytest

from glance_copy_plugin.replicator import comparing
from glance_copy_plugin.replicator import display
from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import marks
from glance_copy_plugin.replicator import records
from glance_copy_plugin.replicator import results
from glance_copy_plugin.replicator import streams
from glance_copy_plugin.replicator import text
from glance_copy_plugin.replicator.commands import arguments
from glance_copy_plugin.replicator.commands import irods
from glance_copy_plugin.transfer import cancel
from tests.parts import dumps

ID = dumps.IMAGE


def parsed(*given, add=(arguments.add_filters,)):
    parser = argparse.ArgumentParser()
    for each in add:
        each(parser)
    return parser.parse_args(given)


@pytest.mark.parametrize(('option', 'meets'), [
    (f'--id={ID}', True), (f'--id={ID[:-1]}0', False),
    ('--name=good', True), ('--name=goo', False),
    ('--owner=demo', True), ('--owner=x', False),
    ('--visibility=private', True), ('--visibility=public', False),
    ('--property=kind=x', True), ('--property=kind=y', False),
    ('--property=sort=x', False), ('--tag=t', True), ('--tag=u', False),
])
def test_each_filter_decides_by_itself(option, meets):
    found = arguments.filters(parsed(option))
    assert found.meets(dumps.image()) is meets
    # All of them have to be met.
    both = arguments.filters(parsed('--name=good', '--tag=t', option))
    assert both.meets(dumps.image()) is meets


def test_the_service_is_asked_for_what_it_can_look_for():
    found = arguments.filters(parsed(
        '--name=a:b', '--owner=o', '--property=kind=x=y', '--tag=t', '--tag=u',
    ))
    assert found.query() == {
        'kind': 'x=y', 'name': 'in:"a:b"', 'owner': 'o', 'tag': ['t', 'u'],
        'visibility': 'all',
    }
    quoted = arguments.filters(parsed('--name=a"b', '--visibility=public'))
    assert quoted.query() == {'visibility': 'public'}
    twice = arguments.filters(parsed(f'--id={ID}', f'--id={ID}'))
    assert twice.ids == (ID,)
    with pytest.raises(errors.ReplicatorError, match='not the id'):
        arguments.filters(parsed('--id=../x'))


@pytest.mark.parametrize('given', [
    '--property=kind', '--property==x', '--workers=0', '--workers=-1',
    '--workers=x', '--bandwidth=0', '--bandwidth=x', '--visibility=x',
])
def test_what_an_option_cannot_be_is_refused(given, capsys):
    with pytest.raises(SystemExit):
        parsed(given, add=(arguments.add_filters, arguments.add_work))
    assert given.partition('=')[0] in capsys.readouterr().err


def test_options_say_how_much_is_done_at_once():
    found = parsed(add=(arguments.add_work,))
    assert (found.workers, found.bandwidth) == (4, None)
    found = parsed(
        '--workers=2', '--bandwidth=1K', add=(arguments.add_work,)
    )
    assert (found.workers, found.bandwidth) == (2, 1024)


def token_options(monkeypatch, tmp_path, *given, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / 'token').write_text('of the file\n')
    monkeypatch.chdir(tmp_path)
    return arguments.endpoint(parsed(*given, add=(
        lambda parser: arguments.add_clouds(parser, 'from'),
    )), 'from')


@pytest.mark.parametrize(('given', 'variables', 'token'), [
    (('host:1', '--from-token=a'), {}, 'a'),
    (('host:1', '--from-token-file=token'), {}, 'of the file'),
    (('host:1',), {'GLANCE_REPLICATE_FROM_TOKEN': 'v'}, 'v'),
    (('host:1', '--from-token=a'), {'GLANCE_REPLICATE_FROM_TOKEN': 'v'}, 'a'),
    (('host:1',), {'ARGUMENT_OF_GLANCE_REPLICATE_FROM_TOKEN': 'h'}, 'h'),
    (('host:1',), {}, None),
    # The variable is for URLs; an argument for a cloud is an error later.
    (('cloud',), {'GLANCE_REPLICATE_FROM_TOKEN': 'v'}, None),
    (('cloud', '--from-token=a'), {}, 'a'),
    (('cloud', '--from-token-file=token'), {}, 'of the file'),
])
def test_a_token_comes_from_several_places(
    monkeypatch, tmp_path, given, variables, token
):
    found = token_options(monkeypatch, tmp_path, *given, **variables)
    assert (found.token, found.name) == (token, given[0])
    assert (found.insecure, found.ca_file) == (False, None)


def test_a_token_that_is_no_text_is_told_so(monkeypatch, tmp_path):
    (tmp_path / 'bad').write_bytes(b'\xff\xfe')
    with pytest.raises(errors.ReplicatorError, match='it is not text'):
        token_options(
            monkeypatch, tmp_path, 'host:1', '--from-token-file=bad'
        )


def test_texts_and_numbers_at_their_limits():
    assert text.safe('x' * 300) == 'x' * 300
    assert text.safe('x' * 301) == 'x' * 297 + '...'
    assert [text.size(n) for n in (1023, 1024, 1024 ** 6, 1024 ** 7)] == [
        '1023 B', '1.0 KiB', '1024.0 PiB', '1048576.0 PiB',
    ]
    assert [text.seconds(n) for n in (0, 59.9, 60, 3600)] == [
        '0:00:00', '0:00:59', '0:01:00', '1:00:00',
    ]
    assert text.parse_size(' 2K ') == 2048
    assert text.parse_size('1T') == 1024 ** 4


@pytest.mark.parametrize(('image', 'known'), [
    ({}, ('sha512', 'd')), ({'algorithm': 'odd'}, ('md5', 'c')),
    ({'digest': None}, ('md5', 'c')),
    ({'digest': None, 'checksum': None}, ('sha512', None)),
])
def test_the_best_hash_that_is_known_is_compared(image, known):
    record = {'algorithm': 'sha512', 'digest': 'd', 'checksum': 'c', **image}
    made = records.Image(
        id=ID, status='active', size=1, owner=None, base={}, properties={},
        tags=frozenset(), stores=(), **record,
    )
    assert streams.expectation(made) == known
    assert made.name == ''


def test_a_reading_that_gets_on_may_break_often():
    class Falling:
        """It breaks after each byte, and at times before the first."""

        def __init__(self):
            self.turn = 0

        def open(self, offset):
            self.turn += 1
            if self.turn % 3 == 0:
                yield b'0123456789'[offset:offset + 1]
            raise errors.Unreachable('broken')

    paused = []
    steady = streams.Steady(Falling(), 10, 3, lambda: paused.append(1))
    assert b''.join(steady) == b'0123456789'
    assert len(paused) == 29
    with pytest.raises(errors.Unreachable, match='broken'):
        list(streams.Steady(Falling(), 10, 2, lambda: None))


def test_a_body_is_slowed_down_counted_and_stopped():
    class Limit:
        def __init__(self):
            self.consumed = []

        def consume(self, count):
            self.consumed.append(count)

    limit, counted, token = Limit(), [], cancel.CancelToken()
    chunks = [b'r', b'ight']
    body = streams.Body(
        chunks, dumps.image(b'right'), limit=limit, cancel=token,
        count=counted.append,
    )
    assert list(body) == chunks
    assert limit.consumed == counted == [1, 4]
    assert body.digest == dumps.image(b'right').digest
    stopped = streams.Body(
        chunks, dumps.image(b'right'), limit=limit, cancel=token,
        count=counted.append,
    )
    seen = iter(stopped)
    next(seen)
    token.cancel(errors.Stopped('stop'))
    with pytest.raises(errors.Stopped):
        next(seen)


def test_lines_tell_how_fast_it_is_and_what_failed():
    stream, now = io.StringIO(), [0.0]
    shown = display.Lines(stream, lambda: now[0])
    shown.expect(1, 3000)
    shown.begin('a', 'A', 3000)
    for seconds, count in ((10.0, 1000), (19.9, 500), (20.0, 500)):
        now[0] = seconds
        shown.advance('a', count)
    shown.end('a', results.Result(
        what=results.FAILED, image_id='a', detail='why\x1b', copy_id='b',
    ))
    shown.end('b', results.Result(what=results.STOPPED, image_id='b'))
    shown.say('it\x1b')
    now[0] = 40.0
    shown.advance('c', 0)
    assert stream.getvalue().splitlines() == [
        '0 of 1 images, 1000 B of 2.9 KiB, 100 B/s, 0:00:20 left',
        '0 of 1 images, 2.0 KiB of 2.9 KiB, 100 B/s, 0:00:10 left',
        'failed: a as b: why?', 'it?',
        '2 of 1 images, 2.0 KiB of 2.9 KiB, 50 B/s, 0:00:20 left',
    ]
    idle = display.Count(lambda: 5.0)
    assert (idle.rate, idle.seconds_left) == (0.0, None)


def test_what_differs_is_told_field_by_field():
    ours, theirs = dumps.image(), dumps.image(b'other')
    theirs.base['name'] = 'other'
    rules = records.Rules(keep_owner=True)
    found = comparing.of_image(ours, theirs, rules)
    assert (found.kind, found.fields) == ('different', ('data', 'name'))
    assert found.size == len(dumps.GOOD)
    assert comparing.of_image(ours, ours, rules).kind == 'same'
    assert comparing.of_image(ours, None, rules).kind == 'missing'
    ours.properties[marks.UNFINISHED] = str(marks.new(ID))
    assert comparing.of_image(ours, ours, rules).kind == 'unfinished'


@pytest.mark.parametrize(('given', 'told'), [
    (('--irods-config=x',), '--irods-store'),
    (('--irods-store=x',), '--irods-config'),
    (('--irods-config=x', '--irods-store=x', '--store=s'), 'no meaning'),
])
def test_copies_inside_irods_need_to_know_a_store(given, told):
    found = parsed(
        '--via-irods', *given, add=(irods.add_options, arguments.add_putting)
    )
    with pytest.raises(errors.ReplicatorError, match=told):
        irods.delivery(found, None, None, cancel.CancelToken())
