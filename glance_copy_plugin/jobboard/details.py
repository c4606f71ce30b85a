# SPDX-License-Identifier: Apache-2.0

"""What a job says: ids and names, and never a secret."""

import dataclasses

from taskflow.jobs import base


@dataclasses.dataclass(frozen=True, kw_only=True)
class Details:
    """Which copy a job is, and who can make it.

    Everything else stands in the Image service's own records.

    :param stores: names of the stores to copy into
    :param sources: names of the stores that held the image when it was
        posted; empty if its record does not say
    :param project_id: who asked, for the sake of fairness
    :param priority: of the job
    """

    image_id: str
    task_id: str
    request_id: str | None
    stores: tuple
    sources: tuple
    project_id: str | None
    user_id: str | None
    priority: base.JobPriority = base.JobPriority.NORMAL

    def as_dict(self):
        """Return it as a job carries it; its priority is the job's own."""
        found = dataclasses.asdict(self)
        del found['priority']
        return found


def of_job(job):
    """Return the :class:`Details` of a job, or None if it is not a copy."""
    found = job.details
    try:
        return Details(
            image_id=str(found['image_id']),
            task_id=str(found['task_id']),
            request_id=_text(found['request_id']),
            stores=tuple(map(str, found['stores'])),
            sources=tuple(map(str, found['sources'])),
            project_id=_text(found['project_id']),
            user_id=_text(found['user_id']),
            priority=job.priority,
        )
    except (KeyError, TypeError):
        return None


def _text(value):
    """Return it as text, whatever somebody else wrote to the jobboard."""
    return None if value is None else str(value)
