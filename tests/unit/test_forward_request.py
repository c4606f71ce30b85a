# SPDX-License-Identifier: Apache-2.0

"""What becomes of a request that is handed on, by what the service answers.

With a real Glance: tests/functional/test_asked_again.py.
"""

from glance.db.sqlalchemy import api
from oslo_db.sqlalchemy import enginefacade
import pytest
import webob
import webob.dec

from glance_copy_plugin.api import forward_request
from glance_copy_plugin.ownership import journal
from glance_copy_plugin.records import tasks

IMAGE = '3f0d8d62-9d4c-4a58-9d0c-6b1b6a2f4a11'


class Service:
    """A WSGI application that answers with one status, and counts."""

    def __init__(self, status):
        self.status = status
        self.bodies = []

    @webob.dec.wsgify
    def __call__(self, request):
        self.bodies.append(request.body)
        return webob.Response(status=self.status)


@pytest.fixture
def entry(tmp_path):
    made = journal.Journal(str(tmp_path)).claim(IMAGE, 'req-1')
    yield made
    made.remove()


@pytest.fixture
def without_tables(tmp_path, monkeypatch):
    """Have Glance's records be in a database that has none."""
    database = enginefacade.transaction_context()
    database.configure(connection=f'sqlite:///{tmp_path}/empty.db')
    monkeypatch.setattr(api, '_main_context_manager', database)


def ask(service, entry):
    request = webob.Request.blank('/', method='POST', body=b'{}')
    answer, begun = forward_request.ask(service, request, entry)
    assert answer.status_int == service.status
    return begun


@pytest.mark.parametrize('status', [400, 403, 404, 409, 413])
def test_a_refusal_is_final(entry, status):
    service = Service(status)
    assert not ask(service, entry)
    assert service.bodies == [b'{}']


def test_what_was_accepted_has_begun(entry):
    service = Service(202)
    assert ask(service, entry)
    assert service.bodies == [b'{}']


def test_where_the_records_cannot_be_read_it_may_have_begun(
    entry, without_tables, caplog
):
    with pytest.raises(Exception, match='no such table'):
        tasks.newest_copy(IMAGE)
    service = Service(500)
    assert ask(service, entry)
    assert service.bodies == [b'{}']
    assert 'Cannot tell whether' in caplog.text
