# SPDX-License-Identifier: Apache-2.0

"""Which images are meant, which options there are, what differs."""

import argparse
import dataclasses
import datetime

import pytest

from glance_replicate import comparing
from glance_replicate import errors
from glance_replicate import provenance
from glance_replicate import records
from glance_replicate.commands import arguments
from tests.parts import dumps

ID = dumps.IMAGE
VARIABLE = 'GLANCE_REPLICATE_FROM_TOKEN'
WORK = (arguments.add_workers, arguments.add_bandwidth)
SHA512, MD5 = 'a0' * 64, 'b1' * 16


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
    ('--name=g*', True), ('--name=?oo[a-d]', True), ('--name=*x', False),
    ('--name=G*', False), ('--name=', False),
    ('--exclude=x', True), ('--exclude=good', False), ('--exclude=g*', False),
    (f'--exclude={ID}', False), ('--exclude=', True),
    ('--newer-than=2020-01-01', True), ('--newer-than=2999-01-01', False),
    ('--newer-than=2026-01-01', False),
    ('--newer-than=2025-12-31T23:59:59Z', True),
    ('--newer-than=2026-01-01T01:00:00+02:00', True),
    ('--newer-than=2025-12-31T23:00:00-02:00', False),
])
def test_each_filter_decides_by_itself(option, meets):
    found = arguments.filters(parsed(option))
    assert found.meets(dumps.image()) is meets
    # All of them have to be met.
    both = arguments.filters(parsed('--owner=demo', '--tag=t', option))
    assert both.meets(dumps.image()) is meets


def test_the_service_is_asked_for_what_it_can_look_for():
    found = arguments.filters(parsed(
        '--name=a:b', '--owner=o', '--property=kind=x=y', '--tag=t', '--tag=u',
    ))
    assert found.query() == {
        'kind': 'x=y', 'name': 'in:"a:b"', 'owner': 'o', 'tag': ['t', 'u'],
        'visibility': 'all',
    }
    # What it would not understand as it is meant is looked for here.
    for given in (
        ('--name=a"b',), ('--name=a\\b',), ('--name=',), ('--name=a*',),
        ('--name=a', '--name=b'), ('--exclude=a',), ('--property=limit=1',),
    ):
        found = arguments.filters(parsed(*given, '--visibility=public'))
        assert found.query() == {'visibility': 'public'}
    since = arguments.filters(parsed('--newer-than=2026-01-31T12:00:00.5+02'))
    assert since.query()['created_at'] == 'gte:2026-01-31T10:00:00Z'
    twice = arguments.filters(parsed(f'--id={ID}', f'--id={ID}'))
    assert twice.ids == (ID,)
    with pytest.raises(errors.ReplicatorError, match='not the id'):
        arguments.filters(parsed('--id=../x'))
    for name in ('os_hidden', 'min_ram', 'os_glance_import_task'):
        with pytest.raises(errors.ReplicatorError, match='not a property'):
            arguments.filters(parsed(f'--property={name}=x'))


def test_an_image_of_an_unknown_time_is_not_thought_new():
    image = dataclasses.replace(dumps.image(), created_at='')
    found = arguments.filters(parsed('--newer-than=2000-01-01'))
    assert not found.meets(image)
    assert found.meets(dumps.image())


@pytest.mark.parametrize(('age', 'seconds'), [
    ('30m', 1800), ('12h', 43200), ('7d', 604800), ('2w', 1209600),
])
def test_an_age_is_counted_from_now(age, seconds):
    ago = datetime.timedelta(seconds=seconds)
    before = datetime.datetime.now(datetime.UTC) - ago
    found = arguments.filters(parsed(f'--newer-than={age}')).newer_than
    assert before <= found <= datetime.datetime.now(datetime.UTC) - ago


@pytest.mark.parametrize('given', [
    '--property=kind', '--property==x', '--workers=0', '--workers=-1',
    '--workers=x', '--bandwidth=0', '--bandwidth=x', '--visibility=x',
    '--newer-than=x', '--newer-than=', '--newer-than=7', '--newer-than=-7d',
    '--newer-than=999999w', '--newer-than=2026-02-30',
    '--newer-than=0001-01-01T00:00:00+02:00',
])
def test_what_an_option_cannot_be_is_refused(given, capsys):
    with pytest.raises(SystemExit):
        parsed(given, add=(arguments.add_filters, *WORK))
    assert given.partition('=')[0] in capsys.readouterr().err


def test_options_say_how_much_is_done_at_once():
    found = parsed(add=WORK)
    assert (found.workers, found.bandwidth) == (4, None)
    found = parsed('--workers=2', '--bandwidth=1K', add=WORK)
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
    (('host:1',), {VARIABLE: 'v'}, 'v'),
    (('host:1', '--from-token=a'), {VARIABLE: 'v'}, 'a'),
    # It was taken out of the arguments.
    (('host:1', '--from-token=***'), {VARIABLE: 'h'}, 'h'),
    (('cloud', '--from-token=***'), {VARIABLE: 'h'}, 'h'),
    (('host:1',), {}, None),
    # The variable is for URLs; an argument for a cloud is an error later.
    (('cloud',), {VARIABLE: 'v'}, None),
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


@pytest.mark.parametrize(('image', 'known'), [
    ({}, ('sha512', SHA512)), ({'algorithm': 'odd'}, ('md5', MD5)),
    ({'digest': None}, ('md5', MD5)), ({'digest': 'x'}, ('md5', MD5)),
    ({'algorithm': 'shake_128'}, ('md5', MD5)),
    ({'digest': None, 'checksum': None}, ('sha512', None)),
    ({'digest': '', 'checksum': 'x'}, ('sha512', None)),
    ({'algorithm': 'md5', 'digest': MD5[::-1]}, ('md5', MD5[::-1])),
    ({'algorithm': 'md5', 'digest': None}, ('md5', MD5)),
])
def test_the_best_hash_that_can_be_computed_is_compared(image, known):
    made = dataclasses.replace(
        dumps.image(), **{'digest': SHA512, 'checksum': MD5, **image}
    )
    assert made.expected_hash == known


def test_the_owner_is_the_targets_own_unless_it_is_to_be_kept():
    image = dumps.image()
    assert 'owner' not in records.wanted(image, records.Rules())
    kept = records.wanted(image, records.Rules(keep_owner=True))
    assert kept['owner'] == 'demo'


@pytest.mark.parametrize('status, extra', [
    ('active', [ID]), ('deactivated', []), ('queued', []),
])
def test_only_images_with_data_are_extra_ones(status, extra):
    theirs = dataclasses.replace(dumps.image(), id=ID, status=status)
    found = comparing.Index([theirs]).others([])
    assert [image.id for image in found] == extra


def test_what_differs_is_told_field_by_field():
    ours, theirs = dumps.image(), dumps.image(b'other')
    theirs.base['name'] = 'other'
    rules = records.Rules(keep_owner=True)
    found = comparing.of_image(ours, theirs, rules)
    assert (found.kind, found.fields) == ('different', ('data', 'name'))
    assert found.image is ours
    assert comparing.of_image(ours, ours, rules).kind == 'same'
    assert comparing.of_image(ours, None, rules).kind == 'missing'
    ours.properties[provenance.UNFINISHED] = str(provenance.new(ID))
    assert comparing.of_image(ours, ours, rules).kind == 'unfinished'
