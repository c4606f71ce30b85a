# SPDX-License-Identifier: Apache-2.0

"""What is said about a server that cannot do what copies need."""

import types

import pytest

from glance_copy_plugin.ownership import wsgi_servers


@pytest.mark.parametrize(
    ('server', 'warnings'),
    [
        (None, 0),
        (types.SimpleNamespace(has_threads=1), 0),
        # As releases of uWSGI do whose default is to run none.
        (types.SimpleNamespace(has_threads=0), 1),
    ],
)
def test_the_log_says_so_if_no_threads_run(
    monkeypatch, caplog, server, warnings
):
    monkeypatch.setattr(wsgi_servers, 'uwsgi', server)
    wsgi_servers.check_threads()
    found = [r.message for r in caplog.records if r.levelname == 'WARNING']
    assert len(found) == warnings
    assert all('enable-threads' in message for message in found)
