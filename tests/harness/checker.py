# SPDX-License-Identifier: Apache-2.0

"""The other end of :class:`tests.harness.invariants.Invariants`.

Loads the service of a configuration directory as ``glance-copy audit`` does,
once, and then audits it as often as asked: for each line of JSON that it
reads it writes one.
"""

import json
import os
import sys
import traceback

from glance_copy_plugin.audit import auditor
from glance_copy_plugin.audit import repair
from glance_copy_plugin.cli import check


def main(folder, orders, answers):
    """Answer until there are no more orders.

    :param folder: directory of ``glance-api.conf``
    :param orders: lines like ``{"stores": [], "verify": true, "age": 0,
        "fix": false}``
    :param answers: a stream to write to
    """
    check.load_service(folder)
    for line in orders:
        try:
            answer = {'rows': _audit(**json.loads(line))}
        except Exception:
            answer = {'error': traceback.format_exc()}
        answers.write(json.dumps(answer) + '\n')
        answers.flush()


def _audit(stores, verify, age, fix):
    found = auditor.of_service(stores, verify, age)
    return [
        {
            'kind': each.kind, 'store': each.store,
            'image_id': each.image_id, 'detail': each.detail,
            'action': repair.repair(found.scope, each) if fix else '',
        }
        for each in list(found.run())
    ]


if __name__ == '__main__':
    # Whatever a library prints must not be taken for an answer.
    with os.fdopen(os.dup(1), 'w') as stream:
        os.dup2(2, 1)
        main(sys.argv[1], sys.stdin, stream)
