# SPDX-License-Identifier: Apache-2.0

"""Which job a worker takes next."""

import collections
import itertools

from taskflow.jobs import base

_PRIORITIES = list(base.JobPriority)


def in_order(waiting, running, served):
    """Put jobs in the order in which a worker should try to claim them.

    The most urgent first; among equals, projects take turns: those of which
    the fewest copies run come first, then those that this worker has served
    the longest ago; within a project, as they came.

    :param waiting: (job, :class:`Details`) pairs
    :param running: the project ids of the copies that run, one for each
    :param served: ``{project id: number of its last turn}``
    """
    busy = collections.Counter(running)
    by_age = sorted(waiting, key=_urgency_and_age)
    found = []
    for _priority, group in itertools.groupby(by_age, key=_urgency):
        turns = collections.Counter(busy)
        turned = []
        for job, details in group:
            project = details.project_id
            turned.append((turns[project], served.get(project, 0), job))
            turns[project] += 1
        turned.sort(key=lambda each: each[:2])
        found += [job for _turn, _served, job in turned]
    return found


def _urgency(pair):
    return _PRIORITIES.index(pair[0].priority)


def _urgency_and_age(pair):
    return _urgency(pair), pair[0].created_on
