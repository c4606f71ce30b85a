# SPDX-License-Identifier: Apache-2.0

"""Which images are meant."""

import collections.abc
import dataclasses
import logging

from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import records
from glance_copy_plugin.replicator import text

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filters:
    """All of them have to be met; without any, every image is meant.

    :param ids: one of these
    :param properties: these with these values
    :param tags: all of these
    """

    ids: tuple = ()
    name: str | None = None
    owner: str | None = None
    visibility: str | None = None
    properties: collections.abc.Mapping = dataclasses.field(
        default_factory=dict
    )
    tags: tuple = ()

    def query(self):
        """Return what the API can look for by itself."""
        found = {**self.properties}
        if self.name is not None and '"' not in self.name:
            # Without the quotes a colon or a comma has a meaning.
            found['name'] = f'in:"{self.name}"'
        if self.owner is not None:
            found['owner'] = self.owner
        if self.tags:
            found['tag'] = list(self.tags)
        found['visibility'] = self.visibility or 'all'
        return found

    def meets(self, image):
        """True if an :class:`Image` is meant."""
        return (
            (not self.ids or image.id in self.ids)
            and self.name in (None, image.name)
            and self.owner in (None, image.owner)
            and self.visibility in (None, image.base['visibility'])
            and image.tags.issuperset(self.tags)
            and all(
                image.properties.get(name) == value
                for name, value in self.properties.items()
            )
        )


def active(service, filters):
    """Return the active images of a service that are meant, oldest first.

    :raises: :class:`ReplicatorError` if an id is named that is not there
    """
    if filters.ids:
        found = [_named(service, image_id) for image_id in filters.ids]
    else:
        found = everything(service, {**filters.query(), 'status': 'active'})
    meant = [
        image for image in found
        if image.status == 'active' and filters.meets(image)
        and image.mark is None
    ]
    return sorted(meant, key=lambda image: (image.created_at, image.id))


def everything(service, query=None):
    """Return all images of a service, hidden ones too, each once.

    What is no image is told of and left out.
    """
    query = query or {'visibility': 'all'}
    found = {}
    for hidden in ('false', 'true'):
        for record in service.images(os_hidden=hidden, **query):
            try:
                image = records.of_api(record)
            except errors.ReplicatorError as exc:
                LOG.warning('%s: %s; it is left out', service.name, exc)
            else:
                found[image.id] = image
    return list(found.values())


def _named(service, image_id):
    record = service.image(image_id)
    if record is None:
        raise errors.ReplicatorError(
            f'There is no image {text.safe(image_id)} on {service.name}'
        )
    return records.of_api(record)
