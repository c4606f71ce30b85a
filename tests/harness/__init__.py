# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
