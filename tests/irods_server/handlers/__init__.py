# SPDX-License-Identifier: Apache-2.0

"""What the server does for each API, by its number.

A handler takes the agent and the request, and returns a Reply, or None
for one that says 0 and nothing more.
"""

from tests.irods_server import auth
from tests.irods_server.handlers import checksums
from tests.irods_server.handlers import collections
from tests.irods_server.handlers import copies
from tests.irods_server.handlers import files
from tests.irods_server.handlers import metadata
from tests.irods_server.handlers import objects
from tests.irods_server.handlers import processes
from tests.irods_server.handlers import queries
from tests.irods_server.handlers import replicas

TABLE = {
    601: files.create,
    602: files.open_,
    615: objects.unlink,
    622: replicas.modify,
    627: objects.rename,
    629: checksums.checksum,
    673: files.close,
    674: files.lseek,
    675: files.read,
    676: files.write,
    679: collections.remove,
    681: collections.make,
    690: processes.processes,
    695: replicas.replicate,
    696: copies.copy,
    702: queries.query,
    703: auth.request_challenge,
    704: auth.respond,
    706: metadata.modify,
    20002: metadata.apply_atomically,
    110000: auth.authenticate,
}
