# SPDX-License-Identifier: Apache-2.0

"""Quotas, enforced where Glance's own copy-image enforces them."""

from glance.api import common
from glance.common import exception
import glance.db
from glance.quota import keystone
from oslo_utils import units

from glance_copy_plugin.transfer import errors


class QuotaExceeded(errors.RecordsError):
    """A quota of the project does not allow the copy."""

    origin = 'quota'


def enforce(context, image_id, size):
    """Check the quotas of the project that asked for the copy.

    :param context: the requester's context
    :param size: size of the image in bytes
    :raises: :class:`QuotaExceeded`
    """
    try:
        keystone.enforce_image_staging_total(
            context, context.owner, delta=size // units.Mi
        )
        keystone.enforce_image_count_uploading(context, context.owner)
        common.check_quota(
            context, size, glance.db.get_api(), image_id=image_id
        )
    except (exception.LimitExceeded, exception.StorageQuotaFull) as exc:
        raise QuotaExceeded(exc.msg) from exc
