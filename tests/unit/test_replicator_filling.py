# SPDX-License-Identifier: Apache-2.0

"""Copies inside one cloud: asked for, followed, watched; and stopping."""

import contextlib
import io
import os
import signal

import pytest

from glance_copy_plugin.transfer import cancel_token
from glance_replicate import display
from glance_replicate import errors
from glance_replicate import records
from glance_replicate import results
from glance_replicate import running
from glance_replicate import store_copies
from tests.parts import image_api
from tests.parts import replication

LOCK = 'os_glance_import_task'
Token, connect = replication.Token, replication.connect
HALF = (
    'copying: 43 %, 2097152 bytes/s, 6 s left; image 1000 bytes, '
    'staged 50 % 500; s2 40 % 400'
)


class Moved:
    """A display that keeps what it is told."""

    def __init__(self):
        self.told = []

    def begin(self, key, name, size):
        self.told.append((name, size))

    def advance(self, key, count):
        self.told.append(count)

    def end(self, key, result):
        self.told.append(result.what)


@pytest.fixture
def api():
    with image_api.ImageApi() as server:
        yield server


def filler(api, *stores, **more):
    return store_copies.Filler(
        service=connect(api), stores=stores, display=Moved(), **more,
    )


def task(status, message='', name='t', created_at='1'):
    return {
        'id': name, 'created_at': created_at, 'status': status,
        'message': message,
    }


def fill(made, api, image_id):
    return made.fill(records.of_api(api.images[image_id]))


def hold(api, image_id, looks, message=''):
    """Let a copy hold an image until it was looked at so many times."""
    api.images[image_id][LOCK] = 't'
    api.tasks[image_id] = [task('processing', message)]
    left = [looks]

    def look():
        left[0] -= 1
        if not left[0]:
            api.images[image_id].pop(LOCK, None)
            api.tasks[image_id] = [task('success')]

    api.on('GET', f'/{image_id}$', look, times=looks)


def test_only_what_lacks_is_asked_for_and_counted(api):
    image_id = api.add(b'x' * 1000)
    made = filler(api, 's1', 's2', 's3')
    result = fill(made, api, image_id)
    assert (result.what, result.size) == ('copied', 2000)
    assert made.display.told == [('one', 2000), 2000]
    assert api.images[image_id]['stores'] == 's1,s2,s3'
    assert api.copies == [{
        'method': {'name': 'copy-image', 'priority': 'low'},
        'stores': ['s2', 's3'], 'all_stores_must_succeed': False,
    }]
    result = fill(made, api, image_id)
    assert (result.what, result.size) == ('same', 0)
    assert api.count('POST', 'import') == 1


def test_a_copy_of_somebody_else_is_waited_for_before_one_is_asked_for(api):
    image_id = api.add(b'x' * 1000)
    api.on('POST', 'import', lambda: hold(api, image_id, 7, HALF) or (
        409, {'message': 'it is being copied'}
    ))
    made = filler(api, 's2')
    result = fill(made, api, image_id)
    assert (result.what, result.size) == ('copied', 1000)
    assert api.count('POST', 'import') == 2
    # Tasks cost a write: they are asked for now and then only.
    assert made.service.retries.cancel.waited == [0.5] * 6
    assert api.count('GET', 'tasks') == 4
    assert made.display.told == [('one', 1000), 400, ('one', 1000), 1000]


def test_copies_of_others_that_do_not_end_are_told_so(api):
    image_id = api.add()
    api.on('POST', 'import', (409, {}), times=9)
    with pytest.raises(errors.ReplicatorError, match='keep it locked'):
        fill(filler(api, 's2'), api, image_id)
    assert api.count('POST', 'import') == 5


@pytest.mark.parametrize(('message', 'told'), [
    ('full\n', r'not copied to s2: full\?'),
    ('', 'not copied to s2: Glance gives no reason'),
])
def test_a_copy_that_failed_tells_why(api, message, told):
    image_id = api.add()
    api.tasks[image_id] = [
        task('success', 'old', 'a', '1'), task('failure', message, 'b', '2'),
    ]
    api.on('POST', 'import', (202, b''))
    with pytest.raises(errors.ReplicatorError, match=told):
        fill(filler(api, 's1', 's2'), api, image_id)
    api.on('POST', 'import', (403, {'message': 'no'}))
    with pytest.raises(errors.Refused, match='403'):
        fill(filler(api, 's1', 's2'), api, image_id)


def test_an_image_that_ends_meanwhile_is_no_failure(api):
    image_id = api.add()
    image = records.of_api(api.images[image_id])
    api.on('POST', 'import', lambda: api.images.clear() or (202, b''))
    result = filler(api, 's2').fill(image)
    assert (result.what, result.detail) == ('vanished', 'it is gone')
    api.add(id=image_id, status='deactivated')
    result = filler(api, 's2').fill(image)
    assert (result.what, result.detail) == ('vanished', 'it is deactivated')


def test_nothing_is_asked_for_in_a_dry_run_nor_followed_without_wait(api):
    image_id = api.add(b'x' * 10)
    result = fill(filler(api, 's2', 's3', dry_run=True), api, image_id)
    assert (result.what, result.size) == ('would copy', 20)
    assert result.detail == 'to s2, s3'
    assert api.count('POST', 'import') == 0
    made = filler(api, 's2', wait=False)
    result = fill(made, api, image_id)
    assert (result.what, result.detail) == ('asked for', 'to s2')
    assert (api.count('POST', 'import'), made.display.told) == (1, [])


def test_a_task_that_has_ended_is_the_end_though_the_image_is_held(api):
    image_id = api.add(**{LOCK: 't'})
    api.tasks[image_id] = [
        task('failure', 'why', 't', '1'), task('processing', '', 'u', '2'),
    ]
    seen = store_copies.follow(connect(api), image_id)
    assert (seen.message, seen.ended) == ('why', True)


def test_a_user_who_may_see_no_tasks_sees_the_end_too(api):
    image_id = api.add()
    hold(api, image_id, 2)
    api.on('GET', 'tasks', (403, {}), times=9)
    token = Token()
    seen = store_copies.follow(connect(api, token), image_id)
    assert (seen.task, seen.message, seen.numbers) == (None, '', None)
    assert token.waited == [0.5]


def test_another_task_than_the_one_that_holds_the_image_is_not_shown(api):
    image_id = api.add(**{LOCK: 'mine'})
    api.tasks[image_id] = [task('success', 'of another copy')]
    looks = store_copies.looks(connect(api), image_id)
    seen = next(looks)
    assert (seen.task, seen.ended) == (None, False)
    del api.images[image_id][LOCK]
    assert next(looks).message == 'of another copy'
    assert list(looks) == []


def test_what_cannot_be_watched_is_one_sentence(api):
    shown = display.WatchLines(io.StringIO())
    nobody = '11111111-2222-4333-8444-555555555555'
    for image_id, told in ((nobody, 'no image'), (api.add(), 'no copy of')):
        with pytest.raises(errors.ReplicatorError, match=told):
            store_copies.watch(connect(api), image_id, shown)
    api.tasks[image_id] = [task('success', 'done')]
    seen = store_copies.watch(connect(api), image_id, shown)
    assert seen.task['status'] == 'success'


class Terminal(io.StringIO):
    def isatty(self):
        return True


def watching():
    return display.suitable(display.WatchBars, display.WatchLines)


def test_on_a_terminal_there_are_bars(monkeypatch):
    monkeypatch.setenv('TERM', 'xterm')
    result = results.Result(what=results.FAILED, image_id='a', detail='why')
    with contextlib.redirect_stderr(Terminal()) as stream:
        assert isinstance(watching(), display.WatchBars)
        with display.suitable() as shown:
            shown.expect(2, 4000)
            shown.begin('a', '[/]first\x1b', 2000)
            shown.advance('a', 1000)
            shown.begin('a', '[/]first\x1b', 2000)
            shown.advance('a', 2000)
            shown.end('a', result)
            shown.begin('b', 'of unknown size', None)
            shown.advance('b', 10)
            shown.say('a [/] sentence\x1b')
    text = stream.getvalue()
    # What looks like markup of the library is shown as it is.
    for part in ('1/2 images', '[/]first?', '2.0 KiB', '? B', 'failed: a: why',
                 'a [/] sentence?'):
        assert part in text, text
    with contextlib.redirect_stderr(io.StringIO()):
        assert isinstance(display.suitable(), display.Lines)
        assert isinstance(watching(), display.WatchLines)


class Image:
    def __init__(self, number):
        self.id, self.name = f'i{number}', f'n{number}'


def each(do, count=3, workers=2):
    token = cancel_token.CancelToken()
    shown = Moved()
    found = running.each(
        [Image(number) for number in range(count)],
        lambda image: do(image, token), workers=workers, display=shown,
        cancel=token,
    )
    assert sorted(shown.told) == sorted(result.what for result in found)
    return found


def test_a_failure_of_one_image_is_a_result_and_ends_no_other():
    def do(image, _token):
        if image.id == 'i1':
            raise errors.Refused('no', 403)
        return results.Result(what=results.SAME, image_id=image.id)

    found = each(do)
    assert [(r.image_id, r.what, r.detail) for r in found] == [
        ('i0', 'same', ''), ('i1', 'failed', 'no'), ('i2', 'same', ''),
    ]
    assert [r.is_good for r in found] == [True, False, True]
    assert found[1].name == 'n1'


def test_after_a_stop_nothing_new_begins():
    begun = []

    def do(image, token):
        begun.append(image.id)
        token.cancel(errors.Stopped('stop'))
        return results.Result(what=results.COPIED, image_id=image.id)

    found = each(do, workers=1)
    assert [r.what for r in found] == ['copied', 'not done', 'not done']
    assert begun == ['i0']
    assert not found[1].is_good


def test_an_error_of_the_tool_is_the_result_of_one_image_only():
    def do(image, _token):
        if image.id == 'i0':
            raise TypeError('odd\x1b')
        return results.Result(what=results.COPIED, image_id=image.id)

    found = each(do)
    assert [r.what for r in found] == ['failed', 'copied', 'copied']
    assert 'TypeError: odd' in found[0].detail


def test_what_ends_the_program_stops_the_rest():
    begun = []

    def do(image, token):
        begun.append(image.id)
        if image.id == 'i0':
            raise KeyboardInterrupt
        with pytest.raises(errors.Stopped):
            token.wait(60)
        token.check()

    with pytest.raises(KeyboardInterrupt):
        each(do, count=9)
    assert len(begun) < 9


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_a_second_one_would_end_the_process(number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with running.stoppable() as token:
        assert not token.cancelled
        os.kill(os.getpid(), number)
        with pytest.raises(errors.Stopped, match='run the same command again'):
            token.wait(60)
        for each_number in (signal.SIGINT, signal.SIGTERM):
            assert signal.getsignal(each_number) == signal.SIG_DFL
    assert before == (
        signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    )
