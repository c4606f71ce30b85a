# SPDX-License-Identifier: Apache-2.0

"""Which copy a worker makes next, and which it can make at all."""

import dataclasses

import pytest
from taskflow.jobs import base

from glance_copy_plugin.jobboard import details as details_
from glance_copy_plugin.jobboard import placement
from glance_copy_plugin.worker import claim_loop

HERE = placement.Stores(names=('src', 's1', 'ro'), writable=('src', 's1'))
EDGE = placement.Stores(names=('src', 'edge'), writable=('edge',))


@dataclasses.dataclass(frozen=True)
class Job:
    """What TaskFlow's jobs say of themselves."""

    created_on: int
    priority: base.JobPriority = base.JobPriority.NORMAL


def asked(created_on, project, priority=base.JobPriority.NORMAL):
    return Job(created_on, priority), job_of(project)


def job_of(project='p', stores=('s1',), sources=('src',)):
    return details_.Details(
        image_id='image', task_id='task', request_id='request',
        stores=stores, sources=sources, project_id=project, user_id='u',
    )


def order(waiting, running=(), served=()):
    found = claim_loop.in_order(waiting, running, dict(served))
    return [job.created_on for job, _details in found]


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
    assert HERE.can_make(job_of())
    assert HERE.can_make(job_of(sources=()))
    assert not HERE.can_make(job_of(stores=('s1', 'edge')))
    assert not HERE.can_make(job_of(stores=('ro',)))
    assert not HERE.can_make(job_of(sources=('elsewhere',)))


@pytest.mark.parametrize(('details', 'words'), [
    (job_of(stores=('s1', 'moon')), 'can write moon'),
    (job_of(sources=('moon',)), 'holds the image (moon)'),
    (job_of(stores=('s1', 'edge')), 'all that is needed'),
])
def test_what_keeps_every_worker_from_a_copy_is_said(details, words):
    assert words in placement.obstacle(details, [HERE, EDGE])


def test_one_worker_that_can_make_it_is_enough():
    assert placement.obstacle(job_of(stores=('edge',)), [HERE, EDGE]) is None


def test_without_workers_no_store_can_be_written():
    assert 'can write s1' in placement.obstacle(job_of(), [])


@pytest.mark.parametrize('broken', [None, {}, {'image_id': 'i'}, 7])
def test_a_job_that_is_no_copy_is_recognised(broken):
    job = type('job', (), {'details': broken})
    assert details_.of_job(job) is None


def test_the_details_of_a_job_survive_the_board():
    low = dataclasses.replace(job_of(), priority=base.JobPriority.LOW)
    job = type('job', (), {
        'details': low.as_dict(), 'priority': base.JobPriority.LOW,
    })
    assert details_.of_job(job) == low


def test_a_job_whose_project_is_nonsense_has_a_turn_like_others():
    nonsense = {**job_of().as_dict(), 'project_id': ['p'], 'user_id': {}}
    job = type('job', (), {
        'details': nonsense, 'priority': base.JobPriority.NORMAL,
    })
    waiting = [(Job(1), details_.of_job(job)), asked(2, 'q')]
    assert order(waiting) == [1, 2]
