# SPDX-License-Identifier: Apache-2.0

"""Replicas that are open for writing, and what becomes of them."""

import os

from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import rules
from tests.irods_server import vault


def for_reading(found, options, table):
    """Return the replica of ``found`` to read, a good one if there is one.

    One that is stale serves as well; one that is being written does not.

    :param table: ResourceTable of the agent
    """
    code = codes.HIERARCHY_ERROR
    if options.get('replNum'):
        code = codes.SYS_REPLICA_INACCESSIBLE
    return _best(_within_reach(found, options, table, code))


def for_writing(found, options, table):
    """Return the replica of ``found`` to write over."""
    return _best(_within_reach(
        found, options, table, codes.SYS_INVALID_INPUT_PARAM
    ))


def _best(replicas):
    able = [each for each in replicas if each.at_rest]
    if not able:
        raise codes.IrodsError(codes.HIERARCHY_ERROR)
    return max(able, key=lambda replica: replica.status == model.GOOD)


def _within_reach(found, options, table, down):
    """Return the replicas asked for whose resource is up.

    :param down: the code to refuse with if there is none
    """
    number, name = options.get('replNum'), resource_name(options)
    if name:
        table.named(name)
    replicas = [
        each for each in found.replicas
        if not number or number == str(each.number)
    ]
    if not replicas:
        raise codes.IrodsError(codes.SYS_REPLICA_DOES_NOT_EXIST)
    replicas = [
        each for each in replicas if name in ('', each.resource.name)
    ]
    if not replicas:
        raise codes.IrodsError(codes.HIERARCHY_ERROR)
    reached = [each for each in replicas if table.is_up(each.resource)]
    if not reached:
        raise codes.IrodsError(down)
    return reached


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
        # Where the file is, as long as nobody moves it meanwhile.
        self._path = replica.path
        self._before = {
            id(each): each.status for each in found.replicas
        }
        for each in found.replicas:
            each.status = model.WRITE_LOCKED
        replica.status = model.INTERMEDIATE

    def finish(self, passed, source_checksum=None):
        """Make the replica good at whatever size it has now.

        ``passed`` is called while a checksum that the client asked for is
        computed. Where it is not as expected, the replica is stale; the
        catalog does not learn its size or, of a copy, forgets it.
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
                if source_checksum is not None:
                    self.replica.size = 0
                self._unlock(model.STALE)
            raise
        with self.catalog.lock:
            self.replica.checksum = checksum
            self.replica.size = self._size()
            self._unlock(model.GOOD, siblings=model.STALE)

    def _size(self):
        """Return the size of the file; the replica is stale if it is gone."""
        try:
            return os.stat(self._path).st_size
        except OSError as error:
            self._unlock(model.STALE)
            raise codes.of_errno(
                codes.UNIX_FILE_STAT_ERR, error
            ) from error

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
            return self.catalog.checksum(self.replica.path, passed)
        if not verify or (not expected and source_checksum is None):
            return ''
        found = self.catalog.checksum(self.replica.path, passed)
        if expected and not vault.same(found, expected):
            raise codes.IrodsError(codes.USER_CHKSUM_MISMATCH)
        return found
