# SPDX-License-Identifier: Apache-2.0

"""The other end of :class:`tests.harness.invariants.Invariants`.

This process loads Glance once. For each server that is audited it starts a
copy of itself, which loads the service of that server's configuration
directory as ``glance-copy audit`` does, and then audits it as often as asked:
for each line of JSON that it reads it writes one.
"""

import json
import os
import signal
import socket
import sys
import traceback

# All that a service loads, so that no copy of this process has to.
import glance.api.v2.router  # noqa: F401
import glance_store._drivers.filesystem  # noqa: F401

from glance_copy_plugin.audit import auditor
from glance_copy_plugin.audit import repair
from glance_copy_plugin.cli import check
import glance_copy_plugin.paste  # noqa: F401


def main(control):
    """Start a process for each connection until there are no more.

    :param control: a socket that hands over connections
    """
    # Those that have ended are not waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        _message, handed, _flags, _address = socket.recv_fds(control, 1, 1)
        if not handed:
            return
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with socket.socket(fileno=handed[0]) as connection:
                _serve(connection.makefile('rw'))
            os._exit(0)
        os.close(handed[0])


def _serve(stream):
    """Answer until there are no more orders.

    The first line says which server it is, the others are like
    ``{"stores": [], "verify": true, "age": 0, "fix": false}``.

    :param stream: to read orders from and to write answers to
    """
    first = json.loads(stream.readline())
    with open(first['log'], 'ab') as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ['XDG_CACHE_HOME'] = first['cache']
    loaded = False
    for line in stream:
        try:
            if not loaded:
                check.load_service(first['folder'])
                loaded = True
            answer = {'rows': _audit(**json.loads(line))}
        except (Exception, SystemExit):
            answer = {'error': traceback.format_exc()}
        stream.write(json.dumps(answer) + '\n')
        stream.flush()


def _audit(stores, verify, age, ways):
    found = auditor.of_service(stores, verify, age)
    return [
        {
            'kind': each.kind, 'store': each.store,
            'image_id': each.image_id, 'detail': each.detail,
            'action': repair.repair(found.scope, each, ways) if ways else '',
        }
        for each in list(found.run())
    ]


if __name__ == '__main__':
    main(socket.socket(fileno=int(sys.argv[1])))
