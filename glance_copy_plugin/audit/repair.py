# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Repairing what an audit has found, where that is safe."""

import os
import shutil

from glance_copy_plugin.audit import auditor as auditor_
from glance_copy_plugin.audit import findings
from glance_copy_plugin.flow import failing
from glance_copy_plugin.records import history


def repair(auditor, finding):
    """Repair one finding; return a few words on what was done.

    Everything is looked at once more right before: an image that somebody
    works on by now is left alone.

    :param auditor: :class:`Auditor` that has found it
    """
    if not finding.repairable:
        return 'left alone: ' + (
            'it cannot be proved to be ours' if not finding.proved
            else 'only a person can decide what is right'
        )
    image = auditor.image(finding.image_id) if finding.image_id else None
    if (
        finding.kind != findings.LOCKED
        and image is not None
        and auditor.is_busy(image)
    ):
        return 'left alone: somebody works on the image now'
    try:
        return _REPAIRS[finding.kind](finding)
    except OSError as exc:
        return f'not repaired: {auditor_.describe(exc)}'


def _remove_file(finding):
    os.unlink(finding.place)
    return 'removed'


def _remove_folder(finding):
    shutil.rmtree(finding.place)
    return 'removed'


def _unlock(finding):
    if history.lock_without_live_task(finding.image_id) != finding.place:
        return 'left alone: a task works on the image now'
    failing.unlock(finding.image_id, finding.place)
    return 'unlocked'


def _empty_property(finding):
    history.empty_importing(finding.image_id)
    return 'emptied'


_REPAIRS = {
    findings.UNRECORDED: _remove_file,
    findings.UNFINISHED: _remove_file,
    findings.STAGED: _remove_folder,
    findings.LOCKED: _unlock,
    findings.PROPERTY: _empty_property,
}
