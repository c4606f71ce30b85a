# SPDX-License-Identifier: Apache-2.0

"""What is said about a database that is not ready for the Image service.

With a whole command: tests/functional/test_check.py.
"""

from glance.db.sqlalchemy import api
from glance.db.sqlalchemy import models
from oslo_db.sqlalchemy import enginefacade
import pytest
import sqlalchemy as sa

from glance_copy_plugin.records import database


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """A database without tables, which is Glance's."""
    facade = enginefacade.transaction_context()
    facade.configure(connection=f'sqlite:///{tmp_path}/glance.db')
    monkeypatch.setattr(api, '_main_context_manager', facade)
    return facade.writer.get_engine()


def refused():
    with pytest.raises(RuntimeError) as raised:
        database.check_schema()
    return str(raised.value)


def test_an_empty_database_is_told_with_the_command(engine):
    assert refused() == (
        'the database of the Image service is empty: run glance-manage db sync'
    )


def test_what_a_database_of_an_older_release_lacks_is_told(engine):
    models.BASE.metadata.create_all(engine)
    with engine.begin() as connection:
        for statement in (
            'DROP TABLE image_tags',
            'ALTER TABLE images DROP COLUMN os_hash_algo',
        ):
            connection.execute(sa.text(statement))
    assert 'lacks image_tags, images.os_hash_algo: run' in refused()


def test_a_database_that_cannot_be_opened_is_told(engine, tmp_path):
    tmp_path.rename(tmp_path.with_name('elsewhere'))
    said = refused()
    assert 'cannot be used, see [database] connection: ' in said
    assert 'unable to open database file' in said


def test_a_database_that_is_ready_passes(engine):
    models.BASE.metadata.create_all(engine)
    database.check_schema()
