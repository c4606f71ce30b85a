# SPDX-License-Identifier: Apache-2.0

"""The other end of :class:`tests.harness.invariants.Invariants`.

It loads the service as ``glance-copy audit`` does, and then audits it as often
as asked: for each line of JSON that it reads it writes one.
"""

import json
import os
import socket
import sys
import traceback

from glance_copy_plugin.api import image_service
from glance_copy_plugin.audit import auditor
from glance_copy_plugin.audit import repair


def main():
    """Answer until there are no more orders.

    They are like ``{"stores": [], "verify": true, "age": 0, "ways": []}``.
    """
    is_loaded = False
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        stream = connection.makefile('rw')
        for line in stream:
            try:
                if not is_loaded:
                    folder = os.environ['OS_GLANCE_CONFIG_DIR']
                    image_service.load_service(folder)
                    is_loaded = True
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

