# SPDX-License-Identifier: Apache-2.0

"""A real Glance for tests, the demo and the benchmark.

``GlanceServer`` starts Glance's WSGI application under gunicorn or another
server, with its own configuration, database and file stores in one folder;
``Client`` speaks the v2 API to it. There is no Keystone: a token is
``user:project:roles``.
"""

from tests.harness.client import ADMIN
from tests.harness.client import Client
from tests.harness.client import MEMBER
from tests.harness.client import RequestFailed
from tests.harness.server import GlanceServer
from tests.harness.server import ServerError

__all__ = [
    'ADMIN',
    'Client',
    'GlanceServer',
    'MEMBER',
    'RequestFailed',
    'ServerError',
]
