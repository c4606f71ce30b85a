# SPDX-License-Identifier: Apache-2.0

"""The notifications that Glance itself sends for a store that gets data."""

import glance.notifier
from oslo_config import cfg

from glance_copy_plugin import process_state
from glance_copy_plugin.records import rows

CONF = cfg.CONF


@process_state.once
def _notifier():
    return glance.notifier.Notifier()


class Notifications:
    """Notifications about one image.

    :param record: its :class:`ImageRecord`
    """

    def __init__(self, record):
        self._record = record

    def prepare(self, store):
        """A store is about to get the image."""
        payload = self._payload()
        payload['backend'] = store
        self._send(_notifier().info, 'image.prepare', payload)

    def upload(self, store):
        """A store got the image, and the record says so."""
        payload = self._payload()
        # As Glance says it, before it takes the store off its list.
        payload[rows.IMPORTING] = sorted(
            {*payload[rows.IMPORTING], store}
        )
        self._send(_notifier().info, 'image.upload', payload)
        for name in (rows.IMPORTING, rows.FAILED):
            del payload[name]
        self._send(_notifier().info, 'image.update', payload)

    def upload_failed(self, image_id, error):
        """A store did not get the image."""
        self._send(
            _notifier().error, 'image.upload',
            f'Failed to upload image data for image {image_id}: {error}',
        )

    def _payload(self):
        image = self._record.domain_image()
        payload = glance.notifier.format_image_notification(image)
        for name in (rows.IMPORTING, rows.FAILED):
            value = image.extra_properties.get(name)
            payload[name] = value.split(',') if value else []
        return payload

    @staticmethod
    def _send(notify, event, payload):
        # As Glance does: an event or the group before its dot can be off.
        if not {event, event.partition('.')[0]}.intersection(
            CONF.disabled_notifications
        ):
            notify(event, payload)
