# SPDX-License-Identifier: Apache-2.0

"""Which process wrote something down, and whether it still lives."""

import os
import socket

_BOOT_ID = '/proc/sys/kernel/random/boot_id'
# In /proc/<pid>/stat, counted from after the name of the program.
_START_TIME = 19


def token():
    """Return a few words that name this process among all of all hosts."""
    pid = os.getpid()
    return f'{socket.gethostname()} {_boot()} {pid} {_start_of(pid)}'


def is_dead(named):
    """True if it is known that the process with that token is gone.

    Only a process of this host can be known: of others, this says False.
    """
    parts = named.split()
    if len(parts) < 4 or not parts[2].isdigit():
        return False
    host, boot, pid, start = parts[:4]
    if host != socket.gethostname():
        return False
    return boot != _boot() or start != _start_of(int(pid))


def describe(named):
    """Return the words of a token that a person can use."""
    parts = named.split()
    if len(parts) < 4:
        return 'an unknown process'
    return f'process {parts[2]} on host {parts[0]}'


def _boot():
    with open(_BOOT_ID, encoding='ascii') as file:
        return file.read().strip()


def _start_of(pid):
    """Return when a process began, or None if there is none: as text."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
            fields = file.read().rpartition(')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # A zombie holds nothing any more.
    return None if fields[0] == 'Z' else fields[_START_TIME]
