# SPDX-License-Identifier: Apache-2.0

"""The checksum of a data object: stored, computed or verified."""

import json
import os

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import openings
from tests.irods_server import packing
from tests.irods_server import replies
from tests.irods_server import vault


def checksum(agent, request):
    """Answer with the stored checksum, or compute and store it first."""
    options = request.input.options()
    catalog, user = agent.at(request.path)
    with catalog.lock:
        found = catalog.visible(user, request.path, codes.CAT_NO_ROWS_FOUND)
        replica = openings.for_reading(found, options)
    passed = agent.passed('checksum', request.path)
    if 'verifyChksum' in options:
        return _verify(catalog, found, passed, options)
    replicas = [replica]
    if 'ChksumAll' in options:
        replicas = _good(catalog, found)
    for replica in replicas:
        if 'forceChksum' in options or not replica.checksum:
            access.require(
                user, found, access.MODIFY, codes.CAT_NO_ROWS_FOUND
            )
            value = compute(replica, passed)
            with catalog.lock:
                replica.checksum = value
    # Where replicas differ there is no checksum of all of them.
    values = {replica.checksum for replica in replicas}
    return replies.Reply(
        message=_as_text(values.pop() if len(values) == 1 else '')
    )


def _good(catalog, found):
    with catalog.lock:
        good = [
            replica for replica in found.replicas
            if replica.status == model.GOOD
        ]
    if not good:
        raise codes.IrodsError(codes.SYS_NO_GOOD_REPLICA)
    return good


def compute(replica, passed):
    """Return the checksum of the bytes that ``replica`` really has."""
    try:
        return vault.digest(replica.path, passed)
    except OSError as error:
        raise codes.of_errno(codes.UNIX_FILE_OPEN_ERR, error) from error


def _as_text(value):
    return packing.pack('STR_PI', [('myStr', value)])


def _verify(catalog, found, passed, options):
    """Compare all good replicas with what the catalog says of them."""
    if 'forceChksum' in options:
        raise codes.IrodsError(codes.USER_INCOMPATIBLE_PARAMS)
    good = _good(catalog, found)
    results = []
    skipped = len(found.replicas) - len(good)
    if skipped:
        results.append(_result(
            'info', 0, f'INFO: Number of replicas skipped: {skipped}'
        ))
    results += _wrong_sizes(good)
    missing = _missing(good)
    results += missing
    if not missing and 'no_compute' not in options:
        results += _mismatches(good, passed)
    if results:
        raise codes.IrodsError(
            codes.CHECK_VERIFICATION_RESULTS,
            _as_text(json.dumps(
                results, separators=(',', ':'), sort_keys=True
            )),
        )
    return replies.Reply()


def _result(severity, code, message):
    return {'severity': severity, 'error_code': code, 'message': message}


def _wrong_sizes(replicas):
    return [
        _result(
            'error', codes.USER_FILE_SIZE_MISMATCH,
            'ERROR: Physical size does not match size in catalog for '
            f'replica [{replica.number}].',
        )
        for replica in replicas
        if os.path.exists(replica.path)
        and os.stat(replica.path).st_size != replica.size
    ]


def _missing(replicas):
    return [
        _result(
            'warning', codes.CAT_NO_CHECKSUM_FOR_REPLICA,
            'WARNING: No checksum available for replica '
            f'[{replica.number}].',
        )
        for replica in replicas if not replica.checksum
    ]


def _mismatches(replicas, passed):
    results = [
        _result(
            'error', codes.USER_CHKSUM_MISMATCH,
            'ERROR: Computed checksum does not match what is in the '
            f'catalog for replica [{replica.number}].',
        )
        for replica in replicas
        if compute(replica, passed) != replica.checksum
    ]
    if len({replica.checksum for replica in replicas}) > 1:
        results.append(_result(
            'warning', codes.USER_CHKSUM_MISMATCH,
            'WARNING: Data object has replicas with different checksums.',
        ))
    return results
