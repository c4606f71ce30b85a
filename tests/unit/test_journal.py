# SPDX-License-Identifier: Apache-2.0

import contextlib
import os
import pathlib
import subprocess
import sys
import uuid

import pytest

from glance_copy_plugin.ownership import journal as journal_module

# Claims an image, says so, and waits to be killed.
OWNER = """
import sys
from glance_copy_plugin.ownership.journal import Journal
entry = Journal(sys.argv[1]).claim(sys.argv[2], 'req-of-the-owner')
print(entry is not None, flush=True)
sys.stdin.read()
"""

# Claims an image, forks, and has one of the two do something about it.
FORKING = """
import os, sys
from glance_copy_plugin.ownership.journal import Journal
journal = Journal(sys.argv[1])
entry = journal.claim(sys.argv[2], 'req-of-the-owner')
is_child = os.fork() == 0
if is_child and sys.argv[3] == 'child begins anew':
    journal.after_fork()
    print('done', flush=True)
if not is_child and sys.argv[3] == 'parent releases':
    entry.release()
    print('done', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / 'journal')


@pytest.fixture
def journal(folder):
    return journal_module.Journal(folder)


@pytest.fixture
def image_id():
    return str(uuid.uuid4())


@pytest.fixture
def owner(folder, image_id):
    """Another process that holds the entry of the image."""
    with subprocess.Popen(
        [sys.executable, '-c', OWNER, folder, image_id],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:
        assert process.stdout.readline() == 'True\n'
        yield process
        process.kill()


def kill(process):
    process.kill()
    process.wait()


def test_an_image_is_claimed_once(journal, image_id):
    entry = journal.claim(image_id, 'req-1')
    assert entry.held
    assert journal.mine(image_id) is entry
    assert journal.claim(image_id, 'req-2') is None


def test_an_image_that_another_process_copies_is_not_claimed(
    journal, owner, image_id
):
    assert journal.claim(image_id, 'req-2') is None


def test_a_removed_entry_leaves_nothing(journal, folder, image_id):
    entry = journal.claim(image_id, 'req-1')
    entry.remove()
    entry.remove()
    assert not entry.held
    assert os.listdir(folder) == []
    assert journal.mine(image_id) is None
    assert journal.claim(image_id, 'req-2') is not None


def test_entries_are_private(journal, folder, image_id):
    entry = journal.claim(image_id, 'req-1')
    assert os.stat(entry.path).st_mode & 0o777 == 0o600
    assert os.stat(folder).st_mode & 0o777 == 0o700


def test_an_entry_whose_process_lives_is_not_abandoned(journal, owner):
    assert list(journal.abandoned()) == []


def test_an_entry_whose_process_was_killed_is_taken_over(
    journal, owner, image_id
):
    kill(owner)
    (entry,) = journal.abandoned()
    assert entry.image_id == image_id
    assert entry.request_id == 'req-of-the-owner'
    assert entry.attempts == 0
    assert journal.mine(image_id) is entry


@contextlib.contextmanager
def forking(folder, image_id, what):
    """Two processes that have an entry's file open, as long as it lasts."""
    with subprocess.Popen(
        [sys.executable, '-c', FORKING, folder, image_id, what],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:
        assert process.stdout.readline() == 'done\n'
        yield process


def test_a_forked_process_does_not_keep_the_lock(folder, journal, image_id):
    with forking(folder, image_id, 'child begins anew') as process:
        assert list(journal.abandoned()) == []
        kill(process)
        (entry,) = journal.abandoned()
        assert entry.image_id == image_id


def test_what_is_released_is_free_although_a_forked_process_has_it_open(
    folder, journal, image_id
):
    with forking(folder, image_id, 'parent releases'):
        (entry,) = journal.abandoned()
        assert entry.image_id == image_id


def test_exactly_one_takes_over(folder, journal, owner):
    kill(owner)
    others = journal_module.Journal(folder)
    first = list(journal.abandoned())
    assert len(first) == 1
    assert list(others.abandoned()) == []


def test_a_released_entry_is_taken_over_with_its_attempts(
    folder, journal, image_id
):
    entry = journal.claim(image_id, 'req-1')
    entry.attempts = 2
    entry.save()
    entry.release()
    entry.release()
    (found,) = journal_module.Journal(folder).abandoned()
    assert (found.request_id, found.attempts) == ('req-1', 2)


def test_stopping_a_copy_is_no_attempt(folder, journal, image_id):
    entry = journal.claim(image_id, 'req-1')
    entry.attempts = 3
    entry.save()
    entry.hand_over()
    entry.hand_over()
    (found,) = journal_module.Journal(folder).abandoned()
    assert (found.request_id, found.attempts) == ('req-1', 0)


def test_an_abandoned_entry_keeps_the_image_from_being_claimed(
    folder, journal, image_id
):
    journal.claim(image_id, 'req-1').release()
    assert journal_module.Journal(folder).claim(image_id, 'req-2') is None


def test_a_file_that_says_nonsense_is_taken_over_all_the_same(
    folder, journal, image_id
):
    entry = journal.claim(image_id, 'req-1')
    with open(entry.path, 'w') as file:
        file.write('{"request_id": ')
    entry.release()
    (found,) = journal.abandoned()
    assert found.request_id is None


def test_files_that_are_not_entries_are_left_alone(journal, folder):
    os.makedirs(folder)
    for name in ('README', '.draft', 'not-an-image-id'):
        with open(os.path.join(folder, name), 'w'):
            pass
    assert list(journal.abandoned()) == []
    assert len(os.listdir(folder)) == 3


def test_no_journal_yet_means_nothing_to_do(journal):
    assert list(journal.abandoned()) == []


def test_the_first_to_ask_runs_the_copy(journal, image_id):
    entry = journal.claim(image_id, 'req-1')
    assert entry.begin()
    assert not entry.begin()
    assert entry.begun


def test_nobody_begins_what_is_not_held_any_more(journal, image_id):
    entry = journal.claim(image_id, 'req-1')
    entry.release()
    assert not entry.begin()


def test_what_was_accepted_and_not_begun_was_dropped(journal, image_id):
    entry = journal.claim(image_id, 'req-1')
    assert journal.dropped(0) == []
    entry.accept()
    assert journal.dropped(0) == [entry]
    assert journal.dropped(3600) == []
    entry.begin()
    assert journal.dropped(0) == []


def test_what_is_held_is_removed_only_when_it_is_let_go(journal, image_id):
    entry = journal.claim(image_id, 'req')
    entry.hold()
    entry.hold()
    entry.remove()
    entry.let_go()
    assert journal.claim(image_id, 'req-2') is None
    entry.let_go()
    assert journal.claim(image_id, 'req-2') is not None


def test_what_is_held_is_handed_over_only_when_it_is_let_go(
    journal, folder, image_id
):
    entry = journal.claim(image_id, 'req')
    entry.hold()
    entry.hand_over()
    other = journal_module.Journal(folder)
    assert list(other.abandoned()) == []
    entry.let_go()
    assert [each.image_id for each in other.abandoned()] == [image_id]


def test_what_has_ended_stays_removed_when_it_is_left_as_well(
    journal, folder, image_id
):
    entry = journal.claim(image_id, 'req')
    entry.hold()
    entry.remove()
    entry.release()
    entry.let_go()
    assert list(journal_module.Journal(folder).abandoned()) == []
    assert journal.claim(image_id, 'req-2') is not None


def test_letting_go_before_holding_is_the_same(journal, image_id):
    """The thread that hung may end before anybody has noted that it hangs."""
    entry = journal.claim(image_id, 'req')
    entry.let_go()
    entry.hold()
    entry.remove()
    assert journal.claim(image_id, 'req-2') is not None


def test_what_cannot_be_opened_does_not_hide_the_others(
    journal, folder, image_id
):
    journal.claim(image_id, 'req').release()
    (pathlib.Path(folder) / '00000000-0000-0000-0000-000000000000').mkdir()
    found = list(journal_module.Journal(folder).abandoned())
    assert [each.image_id for each in found] == [image_id]


def test_a_closed_journal_is_closed_for_all_until_it_is_opened(
    journal, folder, image_id
):
    journal.open()
    assert not journal.closed
    journal.close()
    assert journal_module.Journal(folder).closed
    # The mark is no copy; those that there are go on.
    assert journal.names() == []
    entry = journal.claim(image_id, 'req-1')
    journal.close()
    assert entry.held
    journal_module.Journal(folder).open()
    assert not journal.closed
