# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys

import pytest

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.ownership import service_process
from glance_copy_plugin.reconcile import stale_objects
from tests.parts import irods

IMAGE_ID = '71c675ab-d94f-49cd-a114-e12490b328d9'


@pytest.fixture
def stale(zone, store, monkeypatch):
    """Look at one iRODS store; return the looker and the object's path."""
    path = f'{zone.collection}/{IMAGE_ID}.0123456789ab.part'
    zone.put(f'{IMAGE_ID}.0123456789ab.part', irods.IMAGE)
    zone.server.set_replica(path, status=0)
    monkeypatch.setattr(drivers, 'store_names', lambda: ['s1'])
    monkeypatch.setattr(drivers, 'of_store', lambda name: store)
    return stale_objects.StaleObjects(), path


def test_what_nobody_writes_is_removed(zone, stale, caplog):
    stale[0].look()
    assert zone.objects() == []
    assert f'Removed {stale[1]}' in caplog.text


def test_what_is_written_or_complete_stays(zone, stale):
    zone.server.set_replica(stale[1], status=2)
    zone.put(IMAGE_ID, irods.IMAGE)
    stale[0].look()
    assert len(zone.objects()) == 2


def test_what_cannot_be_removed_is_told_once_and_tried_again(
    zone, stale, caplog
):
    zone.server.faults.fail_on('unlink', -406000, times=2)
    for _ in range(2):
        stale[0].look()
    assert caplog.text.count('An unfinished object of image') == 1
    stale[0].look()
    assert zone.objects() == []


def test_a_store_that_does_not_answer_keeps_no_other_from_being_looked_at(
    zone, stale, monkeypatch
):
    def list_stale(store):
        if store == 's0':
            raise OSError('away')
        return [base.KeptObject(
            image_id=IMAGE_ID, partial=True, place=stale[1], url='',
            stale=True,
        )]

    monkeypatch.setattr(drivers, 'store_names', lambda: ['s0', 's1'])
    monkeypatch.setattr(registry, 'list_stale', list_stale)
    stale[0].look()
    assert zone.objects() == []


def test_one_process_of_a_host_looks(stale, monkeypatch, tmp_path):
    class Journal:
        folder = str(tmp_path / 'journal')

    monkeypatch.setattr(service_process, 'journal', Journal)
    first = stale[0]
    assert first._is_ours()
    assert first._is_ours()
    another = subprocess.run([
        sys.executable, '-c',
        'import fcntl, sys; fcntl.lockf('
        'open(sys.argv[1], "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)',
        tmp_path / 'journal' / 'stale-objects.lock',
    ], capture_output=True, text=True)
    assert 'BlockingIOError' in another.stderr
