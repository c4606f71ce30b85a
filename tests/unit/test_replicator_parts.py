# SPDX-License-Identifier: Apache-2.0

"""The parts of the replicator that need no cloud."""

import io
import os
import re
import subprocess
import sys

import pytest
import rich.console

from glance_copy_plugin.transfer import cancel_token
from glance_replicate import clouds
from glance_replicate import comparing
from glance_replicate import display
from glance_replicate import errors
from glance_replicate import provenance
from glance_replicate import records
from glance_replicate import results
from glance_replicate import store_copies
from glance_replicate import streams
from glance_replicate import text
from glance_replicate.commands import arguments
from tests.parts import dumps
from tests.parts import replication

ID = '22222222-1111-4222-8333-abcdefabcdef'
RECORD = {
    'id': ID, 'status': 'active', 'size': 5, 'checksum': 'c',
    'os_hash_algo': 'sha512', 'os_hash_value': 'h', 'name': 'n',
    'disk_format': 'raw', 'container_format': 'bare', 'min_disk': 0,
    'min_ram': 0, 'visibility': 'private', 'protected': False,
    'os_hidden': False, 'tags': ['t'], 'owner': 'o', 'stores': 'a,b',
    'os_glance_import_task': 'x', 'kind': 'k', 'self': '/v2', 'file': '/v2',
}


def image(**changes):
    return records.of_api({**RECORD, **changes})


@pytest.mark.parametrize(('given', 'shown'), [
    ('a\x1b[2Jb\n\x07', 'a?[2Jb??'),
    ('irods://user:pass@host/x', 'irods://***@host/x'),
    ('https://:p@h and s3://k:s@h', 'https://***@h and s3://***@h'),
    ('späte \u202eBirne', 'späte ?Birne'), ('x' * 300, 'x' * 300),
    ('x' * 301, 'x' * 297 + '...'),
])
def test_a_text_of_others_is_made_safe(given, shown):
    assert text.safe(given) == shown


@pytest.mark.parametrize(('given', 'count'), [
    ('1', 1), ('500K', 512000), ('1.5M', 1572864), ('2GiB', 2 ** 31),
    ('10MB', 10485760), (' 2K ', 2048), ('1T', 1024 ** 4),
])
def test_numbers_of_bytes_are_understood(given, count):
    assert text.parse_size(given) == count


@pytest.mark.parametrize('given', ['', 'x', '-1', '1Q', 'M', '1 M M', '1e9'])
def test_what_is_no_number_of_bytes_is_told_so(given):
    with pytest.raises(ValueError, match='not a number of bytes'):
        text.parse_size(given)


def test_sizes_and_times_are_easy_to_read():
    assert [
        text.size(n) for n in (0, 1023, 1024, 5 * 2 ** 40, 1024 ** 7)
    ] == ['0 B', '1023 B', '1.0 KiB', '5.0 TiB', '1048576.0 PiB']
    assert [text.seconds(n) for n in (None, 0, 59.9, 60, 3600, 3661)] == [
        '-:--:--', '0:00:00', '0:00:59', '0:01:00', '1:00:00', '1:01:01',
    ]


@pytest.mark.parametrize(('name', 'url'), [
    ('host:9292', 'http://host:9292'),
    ('[::1]:9292', 'http://[::1]:9292'),
    ('https://h/image/v2/', 'https://h/image'),
    ('https://h/', 'https://h'),
    ('cloud', None), ('my.cloud', None), ('a/b:1', None),
])
def test_a_name_is_a_url_or_a_cloud(name, url):
    assert clouds.url_of(name) == url


def test_an_endpoint_does_not_show_its_token():
    assert 'secret' not in repr(clouds.Endpoint(name='x', token='secret'))


def test_tokens_are_taken_out_of_arguments():
    kept, variables = arguments.hidden([
        'livecopy', 'a', '--from-token', 'one', '--to-token=two', 'b',
        '--from-token-file', 'f', '--token',
    ])
    assert kept == [
        'livecopy', 'a', '--from-token=***', '--to-token=***', 'b',
        '--from-token-file', 'f', '--token',
    ]
    assert sorted(variables.values()) == ['one', 'two']
    # Nothing is left to be taken out then.
    assert arguments.hidden(kept) == (kept, {})


def test_a_record_is_split_into_what_is_copied_and_what_is_not():
    found = image()
    assert found.properties == {'kind': 'k'}
    assert found.stores == ('a', 'b')
    assert found.tags == {'t'}


@pytest.mark.parametrize('bad', ['../../etc', 'x', '', f'{ID}/', f'{ID}\n'])
def test_a_record_whose_id_is_none_is_refused(bad):
    with pytest.raises(errors.ReplicatorError, match='not the id'):
        image(id=bad)


def test_a_patch_makes_a_record_what_is_wanted():
    rules = records.Rules(
        renamed={'kind': 'sort'}, dropped=('tmp_*',), changed={'zone': 'b'},
    )
    source = image(
        name='new', protected=True, tmp_x='1', zone='a', **{'a/b~c': 'x'}
    )
    target = image(old='x', tags=['t', 'u'], **{provenance.UNFINISHED: 'x'})
    wanted = records.wanted(source, rules)
    assert records.changes(wanted, target) == [
        {'op': 'add', 'path': '/a~1b~0c', 'value': 'x'},
        {'op': 'remove', 'path': '/kind'},
        {'op': 'replace', 'path': '/name', 'value': 'new'},
        {'op': 'remove', 'path': '/old'},
        {'op': 'add', 'path': '/sort', 'value': 'k'},
        {'op': 'replace', 'path': '/tags', 'value': ['t']},
        {'op': 'add', 'path': '/zone', 'value': 'b'},
        {'op': 'remove', 'path': f'/{provenance.UNFINISHED}'},
        # Last: what is protected can still be changed, but not removed.
        {'op': 'replace', 'path': '/protected', 'value': True},
    ]


@pytest.mark.parametrize(('ours', 'theirs', 'same'), [
    ({}, {}, True),
    ({}, {'size': 6}, False),
    ({}, {'os_hash_value': 'i'}, False),
    ({}, {'os_hash_algo': 'sha256', 'os_hash_value': 'i'}, True),
    ({}, {'os_hash_algo': 'sha256', 'checksum': 'd'}, False),
    ({}, {'os_hash_algo': 'sha256', 'checksum': None}, None),
    ({'os_hash_value': None}, {}, True),
    ({'os_hash_value': None, 'checksum': None}, {}, None),
    ({'os_hash_value': None, 'checksum': None}, {'checksum': None}, None),
    ({'os_hash_value': None, 'checksum': None}, {'size': 6}, False),
    ({'os_hash_value': 'H', 'checksum': None}, {}, True),
    ({'size': None}, {}, True),
    ({'size': None}, {'os_hash_value': 'i'}, False),
    ({'size': None, 'os_hash_value': None, 'checksum': None}, {}, None),
    ({}, {'size': None, 'checksum': None}, True),
    ({}, {'status': 'queued'}, False),
])
def test_data_are_the_same_only_if_a_hash_says_so(ours, theirs, same):
    assert comparing.same_data(image(**ours), image(**theirs)) is same


def test_a_copy_under_another_id_is_found_only_if_its_data_fit():
    source = image()
    other = '33333333-1111-4222-8333-abcdefabcdef'
    copy = image(id=other, **{provenance.SOURCE: ID})
    fake = image(id=other, os_hash_value='i', **{provenance.SOURCE: ID})
    assert comparing.Index([copy]).find(source) is copy
    assert comparing.Index([fake]).find(source) is None
    unlike = image(os_hash_value='i')
    assert comparing.Index([unlike, copy]).find(source) is copy
    assert comparing.Index([unlike, fake]).find(source) is unlike
    half = image(id=other, os_hash_value='i', **{
        provenance.UNFINISHED: str(provenance.new(ID)),
    })
    assert comparing.Index([unlike, half]).find(source) is half
    assert comparing.Index([half]).others([source]) == []
    assert comparing.Index([unlike]).others([half]) == [unlike]


def test_a_mark_tells_whether_its_process_may_be_alive():
    ours = provenance.new(ID)
    assert provenance.parse(str(ours)) == ours
    assert ours.is_ours
    assert ours.may_be_alive()
    with subprocess.Popen([sys.executable, '-c', '']) as ended:
        ended.wait()
    gone = provenance.Mark(ID, ours.host, ended.pid, ours.started)
    assert not gone.may_be_alive()
    # The same number, given to another process since.
    assert not provenance.Mark(ID, ours.host, os.getpid(), 5).may_be_alive()
    for other, alive in ((-3, False), (-1, True), (1, True), (3, False)):
        assert provenance.Mark(
            ID, ours.host, ours.pid, ours.started + other
        ).may_be_alive() is alive
    assert not provenance.Mark(ID, 'elsewhere', ours.pid, 5).is_ours
    assert not gone.is_ours
    assert provenance.Mark(ID, 'elsewhere', ended.pid, 5).may_be_alive()


@pytest.mark.parametrize('value', [None, '', 'x', 'a b c d', 'a b 1 x', 7])
def test_what_is_no_mark_is_none(value):
    assert provenance.parse(value) is None


class Source:
    """A source that breaks after each byte, and at times before the first.

    :param data: if given, its chunks; then it does not break
    """

    def __init__(self, data=None):
        self._data = data
        self._turn = 0

    def open(self, offset):
        if self._data is not None:
            if not offset:
                yield from self._data
            return
        self._turn += 1
        if self._turn % 3 == 0:
            yield b'0123456789'[offset:offset + 1]
        raise errors.Unreachable('broken')


def test_reading_goes_on_where_it_broke_as_long_as_it_gets_on():
    token = replication.Token()
    steady = streams.Steady(Source(), 10, replication.retries(token, times=3))
    assert b''.join(steady) == b'0123456789'
    assert len(token.waited) == 29
    with pytest.raises(errors.GivenUp, match='broken; .* 3 attempts'):
        list(streams.Steady(Source(), 10, replication.retries(times=2)))


@pytest.mark.parametrize(('data', 'told'), [
    ([b'01234'], 'only 5 of 10 bytes'),
    ([b'0123456789x'], 'more bytes arrived'),
    ([b'0123456789', b'x'], 'more bytes arrived'),
])
def test_too_few_and_too_many_bytes_are_no_image(data, told):
    with pytest.raises(errors.WrongData, match=told):
        list(streams.Steady(Source(data), 10, replication.retries()))


class Limit:
    """It counts what has to keep to it."""

    def __init__(self):
        self.consumed = []

    def consume(self, count):
        self.consumed.append(count)


def body(*chunks, **more):
    return streams.Body(chunks, dumps.image(b'right'), **{
        'cancel': cancel_token.CancelToken(), 'count': lambda count: None,
        'limit': Limit(), **more,
    })


def test_the_end_of_wrong_bytes_is_never_seen():
    seen = []
    with pytest.raises(errors.WrongData, match='the sha512 of'):
        for chunk in body(b'wrong'):
            seen.append(chunk)
    # Who knows the size would take the last bytes for the end.
    assert seen == []
    with pytest.raises(errors.WrongData, match='4 bytes arrived instead of 5'):
        list(body(b'less'))


def test_a_body_is_slowed_down_counted_and_stopped():
    limit, counted, token = Limit(), [], cancel_token.CancelToken()
    more = {'limit': limit, 'cancel': token, 'count': counted.append}
    made = body(b'r', b'ight', **more)
    assert list(made) == [b'r', b'ight']
    assert limit.consumed == counted == [1, 4]
    assert made.sent.size == 5
    assert made.sent.computed == {'sha512': dumps.image(b'right').digest}
    with pytest.raises(errors.Unreachable):
        iter(made)
    seen = iter(body(b'r', b'ight', **more))
    next(seen)
    token.cancel(errors.Stopped('stop'))
    with pytest.raises(errors.Stopped):
        next(seen)


def test_lines_tell_how_fast_it_is_and_what_ended():
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
    for what in (results.STOPPED, results.SAME):
        shown.end('b', results.Result(what=what, image_id='b'))
    shown.end('d', results.Result(
        what=results.COPIED, image_id='d', name='D\x1b', size=2000,
    ))
    shown.say('it\x1b')
    now[0] = 40.0
    shown.advance('c', 0)
    assert stream.getvalue().splitlines() == [
        '0 of 1 images, 1000 B of 2.9 KiB, 100 B/s, 0:00:20 left',
        '0 of 1 images, 2.0 KiB of 2.9 KiB, 100 B/s, 0:00:10 left',
        'failed: a as b: why?', 'copied: d (D?) 2.0 KiB', 'it?',
        '4 of 1 images, 2.0 KiB of 2.9 KiB, 50 B/s, 0:00:20 left',
    ]
    idle = display.Display(lambda: 5.0)
    assert (idle.rate, idle.seconds_left) == (0.0, None)


def test_bytes_of_a_second_attempt_are_not_counted_twice():
    shown = display.Display(lambda: 1.0)
    shown.begin('a', 'A', 30)
    shown.advance('a', 10)
    shown.begin('a', 'A', 30)
    shown.advance('a', 30)
    shown.end('a', None)
    assert (shown.bytes, shown.images) == (30, 1)


@pytest.mark.parametrize(('status', 'shown'), [
    (None, ['copy 43 % 2.0 MiB/s, 0:00:06 left', 'image 50 % staged',
            'store fast 40 % copying', 'store slow 100 % done',
            'store late 0 % queued']),
    ('success', ['copy 100 % the end', 'image 100 %',
                 'store fast 100 % done', 'store slow 100 % done',
                 'store late 100 % done']),
    ('failure', ['copy 43 % the end', 'image 50 % staged',
                 'store fast 40 % failed', 'store slow 100 % done',
                 'store late 0 % failed']),
])
def test_a_watched_copy_has_a_bar_for_each_store(status, shown):
    message = (
        'copying: 43 %, 2097152 bytes/s, 6 s left; image 1000 bytes, '
        'staged 50 % 500; fast 40 % 400; slow done; late queued'
    )
    looks = [(None, {}, False), ({'message': message}, {}, False)]
    if status:
        task = {'message': 'the end', 'status': status}
        looks.append((task, {'stores': 'slow'}, True))
    # Without a terminal, only the last frame is drawn.
    console = rich.console.Console(file=io.StringIO(), width=200)
    with display.WatchBars(console) as bars:
        for task, record, ended in looks:
            bars.show(store_copies.Seen(task=task, record=record, ended=ended))
    lines = console.file.getvalue().splitlines()
    assert [re.sub('[ \u2501\u2578\u257a]+', ' ', line).strip()
            for line in lines] == shown


def test_a_watched_copy_is_told_in_lines_when_it_changes():
    stream = io.StringIO()
    shown = display.WatchLines(stream)
    for message in ('one', 'one', '', 'two\x1b'):
        shown.show(store_copies.Seen(
            task={'message': message}, record={}, ended=False
        ))
    assert stream.getvalue() == 'one\ntwo?\n'


WITHOUT_GLANCE = """
import sys
for name in ('glance', 'glance_store', 'irods', 'oslo_config'):
    sys.modules[name] = None
from glance_replicate import main
for given in {!r}:
    try:
        print(given, main.main(given))
    except SystemExit as exc:
        print(given, exc.code)
"""


def test_a_client_needs_no_glance():
    nowhere = 'http://127.0.0.1:9'
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_GLANCE.format([
            ['complete'], ['help', 'livecopy'], ['migrate-locations'],
            ['livecopy', nowhere, nowhere],
        ])],
        capture_output=True, text=True,
    )
    for told in (
        'livecopy', 'dump', 'load', 'compare', 'size', 'fill', 'watch',
        'migrate', '--via-irods', "'livecopy'] 0", "'migrate-locations'] 1",
        f"'{nowhere}'] 1",
    ):
        assert told in done.stdout, done
    assert 'where the Image service is installed' in done.stderr
    assert 'be reached' in done.stderr
    assert 'Traceback' not in done.stderr
