# SPDX-License-Identifier: Apache-2.0

"""What a copy asks the quotas of its project."""

import types

from glance.common import exception
import pytest

from glance_copy_plugin.records import quotas

MIB = 1024 * 1024


@pytest.mark.parametrize('size, asked', [
    (0, 0), (MIB - 1, 0), (5 * MIB, 5), (5 * MIB + 1, 5),
])
def test_staging_is_counted_in_mebibytes(monkeypatch, size, asked):
    deltas = []
    monkeypatch.setattr(
        quotas.keystone, 'enforce_image_staging_total',
        lambda _context, _owner, delta: deltas.append(delta),
    )
    monkeypatch.setattr(
        quotas.keystone, 'enforce_image_count_uploading', lambda *_: None
    )
    monkeypatch.setattr(quotas.common, 'check_quota', lambda *_, **__: None)
    quotas.enforce(types.SimpleNamespace(owner='p'), 'image', size)
    assert deltas == [asked]


def test_a_quota_that_is_full_is_named(monkeypatch):
    def refuse(*_args, **_more):
        raise exception.LimitExceeded('the limit of staging is 10 MiB')

    monkeypatch.setattr(
        quotas.keystone, 'enforce_image_staging_total', refuse
    )
    with pytest.raises(
        quotas.QuotaExceeded, match='the limit of staging is 10 MiB'
    ):
        quotas.enforce(types.SimpleNamespace(owner='p'), 'image', MIB)
