# SPDX-License-Identifier: Apache-2.0

"""The numbers of the operations, and the names that tests call them by."""

NAMES = {
    601: 'create',
    602: 'open',
    615: 'unlink',
    622: 'modify',
    627: 'rename',
    629: 'checksum',
    673: 'close',
    674: 'lseek',
    675: 'read',
    676: 'write',
    679: 'rmcoll',
    681: 'mkcoll',
    690: 'processes',
    695: 'replicate',
    696: 'copy',
    702: 'query',
    703: 'auth_request',
    704: 'auth_response',
    706: 'metadata',
    20002: 'atomic_metadata',
    110000: 'auth',
}

# What a client may ask for before it has logged in.
BEFORE_LOGIN = {703, 704, 110000}


def name_of(number):
    """Return the test's name of the operation, or its number as text."""
    return NAMES.get(number, str(number))
