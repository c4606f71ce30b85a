# SPDX-License-Identifier: Apache-2.0

"""Looking for what does not fit: records, stores, staging area, tasks."""

from glance import housekeeping
from oslo_config import cfg

from glance_copy_plugin import opts
from glance_copy_plugin.audit import leftovers
from glance_copy_plugin.audit import locations
from glance_copy_plugin.audit import objects
from glance_copy_plugin.audit import records
from glance_copy_plugin.audit import scope as scope_
from glance_copy_plugin.audit import stuck
from glance_copy_plugin.recovery import process

CONF = cfg.CONF

# After so many seconds Glance itself takes a lock for stale.
PATIENCE = 3600


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
        for image in self.scope.images():
            yield from records.find(self.scope, image)
            if not self.scope.is_busy(image):
                yield from locations.find(self.scope, image)
        for store in self.scope.stores:
            yield from objects.find(self.scope, store)
        yield from leftovers.find(self.scope)
        yield from stuck.find(self.scope)


def of_service(stores, verify, age=PATIENCE):
    """Return the :class:`Auditor` of the service that is loaded here.

    :param stores: names of the stores to look at
    :param verify: also read and hash every recorded object
    :param age: seconds after which something without a sign of life is dead
    """
    # The filter does that too, but may be switched off.
    opts.register_opts(CONF)
    uploads_dir = housekeeping.staging_store_path()
    return Auditor(scope_.Scope(
        journal=process.journal(),
        staging_dir=opts.copy_options(CONF, uploads_dir).staging_dir,
        uploads_dir=uploads_dir,
        stores=stores,
        verify=verify,
        age=age,
    ))
