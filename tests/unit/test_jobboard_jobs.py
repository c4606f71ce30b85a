# SPDX-License-Identifier: Apache-2.0

"""Which copy a worker makes next, and which it can make at all."""

import dataclasses
import datetime

from oslo_utils import timeutils
import pytest
from taskflow.jobs import base

from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.worker import claim_loop

HERE = jobs.Stores(names=('src', 's1', 'ro'), writable=('src', 's1'))
EDGE = jobs.Stores(names=('src', 'edge'), writable=('edge',))
START = datetime.datetime(2026, 1, 1)


def asked(seconds, project, priority=base.JobPriority.NORMAL):
    """Return a job that was posted so many seconds after the start."""
    return jobs.Job(
        key='key', uuid='task', details=dataclasses.replace(
            details_of(project), priority=priority
        ), created_on=START + datetime.timedelta(seconds=seconds),
    )


def details_of(project='p', stores=('s1',), sources=('src',)):
    return jobs.Details(
        image_id='image', task_id='task', request_id='request',
        stores=stores, sources=sources, project_id=project, user_id='u',
    )


def order(waiting, running=(), served=()):
    found = claim_loop.in_order(waiting, running, dict(served))
    return [(job.created_on - START).seconds for job in found]


def test_copies_of_one_project_are_made_as_they_came():
    assert order([asked(3, 'a'), asked(1, 'a'), asked(2, 'a')]) == [1, 2, 3]


def test_a_single_copy_does_not_wait_behind_all_of_another_project():
    many = [asked(number, 'many') for number in range(5000)]
    assert order([*many, asked(5000, 'single')])[:3] == [0, 5000, 1]


def test_a_project_of_which_copies_run_waits_for_its_turn():
    waiting = [asked(1, 'busy'), asked(2, 'idle'), asked(3, 'idle')]
    assert order(waiting, ['busy', 'busy']) == [2, 3, 1]


def test_a_project_that_was_served_lets_the_others_go_first():
    waiting = [asked(1, 'many'), asked(2, 'many'), asked(3, 'single')]
    assert order(waiting, served={'many': 1}) == [3, 1, 2]
    assert order(waiting, served={'many': 1, 'single': 2}) == [1, 3, 2]


def test_what_is_less_urgent_comes_last_whoever_asked():
    waiting = [
        asked(1, 'a', base.JobPriority.LOW), asked(2, 'b'), asked(3, 'b'),
    ]
    assert order(waiting) == [2, 3, 1]


def test_a_copy_needs_a_store_to_read_and_all_stores_to_write():
    assert HERE.can_make(details_of())
    assert HERE.can_make(details_of(sources=()))
    assert not HERE.can_make(details_of(stores=('s1', 'edge')))
    assert not HERE.can_make(details_of(stores=('ro',)))
    assert not HERE.can_make(details_of(sources=('elsewhere',)))


@pytest.mark.parametrize(('details', 'words'), [
    (details_of(stores=('s1', 'moon')), 'can write moon'),
    (details_of(sources=('moon',)), 'holds the image (moon)'),
    (details_of(stores=('s1', 'edge')), 'all that is needed'),
])
def test_what_keeps_every_worker_from_a_copy_is_said(details, words):
    assert words in jobs.obstacle(details, [HERE, EDGE])


def test_one_worker_that_can_make_it_is_enough():
    assert jobs.obstacle(details_of(stores=('edge',)), [HERE, EDGE]) is None


def test_without_workers_no_store_can_be_written():
    assert 'can write s1' in jobs.obstacle(details_of(), [])


def read(posting, created_on=START):
    """Return the jobs that are recognised in one posting."""
    return list(jobs.recognised(
        {'key': posting},
        lambda key, said: jobs.Job.of_posting(key, said, created_on),
    ).values())


@pytest.mark.parametrize('broken', [None, {}, {'image_id': 'i'}, 7])
def test_a_job_that_is_no_copy_is_left_out_and_said_once(broken, caplog):
    posting = {**details_of().as_posting(), 'details': broken}
    assert read(posting) == []
    assert read(posting) == []
    assert caplog.text.count('Ignoring unrecognised') <= 1
    assert read(details_of().as_posting(), created_on='now') == []


def test_the_details_of_a_job_survive_the_board():
    low = dataclasses.replace(details_of(), priority=base.JobPriority.LOW)
    (job,) = read(low.as_posting())
    assert job.details == low


def test_a_job_whose_project_is_nonsense_has_a_turn_like_others():
    posting = details_of().as_posting()
    posting['details'] |= {'project_id': ['p'], 'user_id': {}}
    (job,) = read(posting, START + datetime.timedelta(seconds=1))
    assert order([job, asked(2, 'q')]) == [1, 2]


def test_jobs_of_all_clocks_can_be_put_in_order():
    (job,) = read(
        details_of().as_posting(),
        timeutils.utcnow(with_timezone=True).replace(year=2026, month=1),
    )
    assert order([asked(0, 'p'), job])[0] == 0
