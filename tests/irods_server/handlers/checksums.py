# SPDX-License-Identifier: Apache-2.0

"""The checksum of a data object: stored or computed."""

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import openings
from tests.irods_server import packing
from tests.irods_server import replies


def checksum(agent, request):
    """Answer with the stored checksum, or compute and store it first."""
    options = request.input.options()
    if {'verifyChksum', 'ChksumAll'} & set(options):
        raise AssertionError(f'no checksum is verified here: {options}')
    catalog, user = agent.at(request.path)
    with catalog.lock:
        found = catalog.visible(user, request.path, codes.CAT_NO_ROWS_FOUND)
        replica = openings.for_reading(
            found, options, agent.resources(catalog)
        )
    if 'forceChksum' in options or not replica.checksum:
        access.require(user, found, access.MODIFY, codes.CAT_NO_ROWS_FOUND)
        value = compute(
            catalog, replica, agent.passed('checksum', request.path)
        )
        with catalog.lock:
            replica.checksum = value
    return replies.Reply(
        message=packing.pack('STR_PI', [('myStr', replica.checksum)])
    )


def compute(catalog, replica, passed):
    """Return the checksum of the bytes that ``replica`` really has."""
    try:
        return catalog.checksum(replica.path, passed)
    except OSError as error:
        raise codes.of_errno(codes.UNIX_FILE_OPEN_ERR, error) from error
