# SPDX-License-Identifier: Apache-2.0

"""Replicas that are open for writing, and what becomes of them."""

import os

from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import rules
from tests.irods_server import vault


def for_reading(found, options):
    """Return the replica of ``found`` to read, a good one if there is one.

    One that is stale serves as well; one that is being written does not.
    """
    replicas = _asked_for(found, options)
    able = [
        replica for replica in replicas
        if replica.resource.up and replica.at_rest
    ]
    if not able:
        raise codes.IrodsError(codes.HIERARCHY_ERROR)
    return max(able, key=lambda replica: replica.status == model.GOOD)


def for_writing(found, options):
    """Return the replica of ``found`` to write over."""
    if not found.at_rest:
        raise codes.IrodsError(codes.HIERARCHY_ERROR)
    return for_reading(found, options)


def _asked_for(found, options):
    number = options.get('replNum')
    name = resource_name(options)
    replicas = [
        replica for replica in found.replicas
        if number in (None, '', str(replica.number))
        and name in ('', replica.resource.name)
    ]
    if not replicas:
        raise codes.IrodsError(codes.HIERARCHY_ERROR)
    return replicas


def resource_name(options):
    """Return the resource that a request asks for, or ''."""
    for keyword in ('rescHier', 'destRescName', 'rescName', 'defRescName'):
        if options.get(keyword):
            return options[keyword].split(';')[-1]
    return ''


class Opening:
    """A replica that is being written, its siblings locked meanwhile."""

    def __init__(self, catalog, found, replica, options, created):
        self.catalog = catalog
        self.found = found
        self.replica = replica
        self.options = options
        self.created = created
        self.wrote = False
        self._before = {
            id(each): each.status for each in found.replicas
        }
        for each in found.replicas:
            each.status = model.WRITE_LOCKED
        replica.status = model.INTERMEDIATE

    def finish(self, passed, source_checksum=None):
        """Make the replica good at whatever size it has now.

        ``passed`` is called while a checksum that the client asked for is
        computed. Where it is not as expected, the replica is stale and
        the catalog does not learn its size.
        """
        with self.catalog.lock:
            if not self.wrote and not self.created:
                self._unlock(self._before[id(self.replica)])
                return
            self.replica.checksum = ''
        try:
            checksum = self._checksum(passed, source_checksum)
        except rules.Killed:
            raise
        except BaseException:
            with self.catalog.lock:
                self._unlock(model.STALE)
            raise
        with self.catalog.lock:
            self.replica.checksum = checksum
            self.replica.size = os.stat(self.replica.path).st_size
            self._unlock(model.GOOD, siblings=model.STALE)

    def settle(self, size, checksum):
        """Make the replica as good as the one that it was made from."""
        with self.catalog.lock:
            self.replica.size = size
            self.replica.checksum = checksum
            self._unlock(model.GOOD)

    def abandon(self):
        """Leave the replica stale, for its writer is gone."""
        with self.catalog.lock:
            if os.path.exists(self.replica.path):
                self.replica.size = os.stat(self.replica.path).st_size
            self.replica.checksum = ''
            self._unlock(model.STALE)

    def _unlock(self, status, siblings=None):
        for each in self.found.replicas:
            if each is not self.replica:
                before = self._before.get(id(each), each.status)
                each.status = before if siblings is None else siblings
        self.replica.status = status
        self.replica.modified = self.found.modified = model.now()

    def _checksum(self, passed, source_checksum):
        """Return the checksum to store, after the comparison asked for."""
        verify = 'verifyChksum' in self.options
        expected = self.options.get('verifyChksum') or source_checksum
        if 'regChksum' in self.options:
            return vault.digest(self.replica.path, passed)
        if not verify or (not expected and source_checksum is None):
            return ''
        found = vault.digest(self.replica.path, passed)
        if expected and found != expected:
            raise codes.IrodsError(codes.USER_CHKSUM_MISMATCH)
        return found
