# SPDX-License-Identifier: Apache-2.0

"""Looking for what does not fit: records, stores, staging area, tasks."""

import dataclasses

from glance import housekeeping
from oslo_config import cfg

from glance_copy_plugin.audit import findings
from glance_copy_plugin.audit import leftovers
from glance_copy_plugin.audit import objects
from glance_copy_plugin.audit import records
from glance_copy_plugin.audit import scope as scope_
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import service_process

CONF = cfg.CONF

# After so many seconds Glance itself takes a lock for stale.
PATIENCE = 3600
# What a location looks like whose object was moved.
_GONE = (findings.MISSING, findings.UNREADABLE)


class Auditor:
    """Compares Glance's records with what is on this node.

    What it finds nothing of is what holds for every image that nobody works
    on. An image that anything is going on with is left out: its state is not
    settled, and its task will say how it ended.

    :param scope: :class:`Scope`
    """

    def __init__(self, scope):
        self.scope = scope

    def run(self):
        """Yield a :class:`Finding` for each thing that does not fit."""
        gone = {}
        for image in self.scope.images():
            yield from records.find(self.scope, image)
            if self.scope.is_busy(image):
                continue
            for found in objects.find_damaged(self.scope, image):
                place = found.store, found.image_id
                if found.kind in _GONE and place not in gone:
                    gone[place] = found
                else:
                    yield found
        for store in self.scope.stores:
            for found in objects.find_unrecorded(self.scope, store):
                yield self._moved(found, gone) or found
        yield from gone.values()
        yield from leftovers.find(self.scope)
        yield from records.find_stuck_tasks(self.scope)

    def _moved(self, found, gone):
        """Return what an unrecorded object is if its image misses it.

        :param found: :class:`Finding`
        :param gone: ``{(store, image id): Finding}`` of locations whose data
            is not where they say; what was moved is taken out
        """
        if found.kind != findings.UNRECORDED:
            return None
        lost = gone.pop((found.store, found.image_id), None)
        if lost is not None:
            why = 'the location names another place, where nothing is'
        else:
            image = self.scope.image(found.image_id)
            if image is None or image.locations:
                return None
            why = 'the image has no location'
        return dataclasses.replace(
            found, kind=findings.MOVED, place=lost.place if lost else '',
            detail=f'{found.detail}; {why}. If it was moved or its record was '
            f'lost, run: glance-copy audit --store {found.store} '
            f'--{findings.CORRECT}',
        )


def of_service(
    stores, verify, age=PATIENCE, on_bytes=lambda count: None,
):
    """Return the :class:`Auditor` of the service that is loaded here.

    :param stores: names of the stores to look at
    :param verify: also read and hash every recorded object
    :param age: seconds after which something without a sign of life is dead
    :param on_bytes: called with the number of bytes of each piece that was
        read and hashed
    """
    # The filter does that too, but may be switched off.
    copy_image.register_opts(CONF)
    uploads_dir = housekeeping.staging_store_path()
    return Auditor(scope_.Scope(
        journal=service_process.journal(),
        staging_dir=copy_image.copy_options(CONF, uploads_dir).staging_dir,
        uploads_dir=uploads_dir,
        stores=stores,
        verify=verify,
        age=age,
        on_bytes=on_bytes,
    ))
