# SPDX-License-Identifier: Apache-2.0

"""The error codes that the server answers with, by iRODS's own names."""

SYS_NO_API_PRIV = -13000
SYS_API_INPUT_ERR = -14000
SYS_COPY_LEN_ERR = -27000
SYS_INVALID_FILE_PATH = -31000
SYS_PROXYUSER_NO_PRIV = -39000
SYS_RESC_DOES_NOT_EXIST = -78000
SYS_RESC_IS_DOWN = -105000
SYS_CROSS_ZONE_MV_NOT_SUPPORTED = -109000
SYS_RESC_QUOTA_EXCEEDED = -110000
# python-irodsclient has no name for it.
REPLICATION_DENIED = -121000
SYS_INVALID_INPUT_PARAM = -130000
SYS_REPLICA_DOES_NOT_EXIST = -164000
SYS_REPLICA_INACCESSIBLE = -168000
SYS_NOT_ALLOWED = -169000
OVERWRITE_WITHOUT_FORCE_FLAG = -312000
USER_CHKSUM_MISMATCH = -314000
USER_INPUT_PATH_ERR = -317000
BAD_INPUT_DESC_INDEX = -345000
LOCKED_DATA_OBJECT_ACCESS = -406000
OBJ_PATH_DOES_NOT_EXIST = -358000
CAT_NO_ROWS_FOUND = -808000
CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME = -809000
CAT_UNKNOWN_COLLECTION = -814000
CAT_INVALID_ARGUMENT = -816000
CAT_NO_ACCESS_PERMISSION = -818000
CAT_COLLECTION_NOT_EMPTY = -821000
CAT_INVALID_AUTHENTICATION = -826000
CAT_INVALID_USER = -827000
CAT_NAME_EXISTS_AS_COLLECTION = -833000
CAT_NAME_EXISTS_AS_DATAOBJ = -834000
PAM_AUTH_PASSWORD_FAILED = -993000
HIERARCHY_ERROR = -1803000

# These carry the errno in their last three digits.
UNIX_FILE_OPEN_ERR = -510000
UNIX_FILE_WRITE_ERR = -513000
UNIX_FILE_UNLINK_ERR = -515000
UNIX_FILE_STAT_ERR = -516000


class IrodsError(Exception):
    """An operation ended with an error ``code``, which the client gets.

    ``message`` is the reply's XML where the server sends one with an
    error.
    """

    def __init__(self, code, message=''):
        super().__init__(code)
        self.code = code
        self.message = message


def of_errno(base, error):
    """Return the code for the system's ``error`` in the family ``base``."""
    return IrodsError(base - error.errno)
