# SPDX-License-Identifier: Apache-2.0

"""Selecting the images that a command works on."""

import collections.abc
import dataclasses
import datetime
import fnmatch
import logging
import re

from glance_replicate import errors
from glance_replicate import records
from glance_replicate import text

LOG = logging.getLogger(__name__)

_MAGIC = re.compile(r'[*?\[]')
_QUOTED = re.compile(r'["\\]')
# These query parameters have another meaning for the API.
_PARAMETERS = frozenset((
    'limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'member_status',
    'size_min', 'size_max', 'changes-since', 'is_public', 'deleted',
))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filters:
    """An image has to meet all of them; without any, every image does.

    :param ids: one of these
    :param names: one of these; ``*``, ``?`` and ``[...]`` as in a shell
    :param excluded: none of these ids and names
    :param newer_than: created after this :class:`datetime` in UTC
    :param owner: this project
    :param visibility: this one
    :param properties: these with these values
    :param tags: all of these
    """

    ids: tuple = ()
    names: tuple = ()
    excluded: tuple = ()
    newer_than: datetime.datetime | None = None
    owner: str | None = None
    visibility: str | None = None
    properties: collections.abc.Mapping = dataclasses.field(
        default_factory=dict
    )
    tags: tuple = ()

    def query(self):
        """Return the query for those filters that the API has too."""
        found = {
            name: value for name, value in self.properties.items()
            if name not in _PARAMETERS
        }
        if len(self.names) == 1 and not _MAGIC.search(self.names[0]):
            found.update(of_name(self.names[0]))
        if self.newer_than is not None:
            since = self.newer_than.replace(tzinfo=None)
            found['created_at'] = f'gte:{since.isoformat("T", "seconds")}Z'
        if self.owner is not None:
            found['owner'] = self.owner
        if self.tags:
            found['tag'] = list(self.tags)
        found['visibility'] = self.visibility or 'all'
        return found

    def meets(self, image):
        """True if an :class:`Image` meets all filters."""
        return (
            (not self.ids or image.id in self.ids)
            and (not self.names or _is_one_of(image.name, self.names))
            and not _is_one_of(image.name, self.excluded)
            and image.id not in self.excluded
            and self._is_new(image)
            and self.owner in (None, image.owner)
            and self.visibility in (None, image.base['visibility'])
            and image.tags.issuperset(self.tags)
            and all(
                image.properties.get(name) == value
                for name, value in self.properties.items()
            )
        )

    def _is_new(self, image):
        if self.newer_than is None:
            return True
        try:
            return text.parse_time(image.created_at) > self.newer_than
        except ValueError:
            return False


def _is_one_of(name, patterns):
    return any(
        name == each or fnmatch.fnmatchcase(name, each) for each in patterns
    )


def of_name(name):
    """Return the query for images of a name; none if the API has none."""
    if not name or _QUOTED.search(name):
        return {}
    # Without the quotes a colon or a comma has a meaning.
    return {'name': f'in:"{name}"'}


def active(service, filters):
    """Return the active images that meet the filters, oldest first.

    :raises: :class:`ReplicatorError` if an image named by its id does not
        exist or cannot be copied
    """
    if filters.ids:
        found = [_named(service, image_id) for image_id in filters.ids]
    else:
        found = everything(service, {**filters.query(), 'status': 'active'})
    meant = [
        image for image in found
        if _unfit(image) is None and filters.meets(image)
    ]
    return sorted(meant, key=lambda image: (image.created_at, image.id))


def everything(service, query=None):
    """Return all images of a service, hidden ones too, each once.

    Records that are not valid are logged and skipped.
    """
    query = query or {'visibility': 'all'}
    found = {}
    for hidden in ('false', 'true'):
        for record in service.images(os_hidden=hidden, **query):
            try:
                image = records.of_api(record)
            except errors.ReplicatorError as exc:
                LOG.warning('%s: skipping an image: %s', service.name, exc)
            else:
                found[image.id] = image
    return list(found.values())


def total_size(images):
    """Return how many bytes they have; an unknown size counts as 0."""
    return sum(image.size or 0 for image in images)


def one(service, name):
    """Return the one :class:`Image` that has this id or name.

    :raises: :class:`ReplicatorError` if there is none, or more than one
    """
    if records.is_id(name):
        found = list(filter(None, [service.image(name)]))
    else:
        found = [
            record for record in service.images(**of_name(name))
            if record.get('name') == name
        ]
    if len(found) != 1:
        many = 'more than one image' if found else 'no image'
        raise errors.ReplicatorError(
            f'There is {many} {text.safe(name)} on {service.name}'
        )
    return records.of_api(found[0])


def _named(service, image_id):
    image = one(service, image_id)
    reason = _unfit(image)
    if reason:
        raise errors.ReplicatorError(
            f'Image {image_id} on {service.name} {reason}'
        )
    return image


def _unfit(image):
    """Return why an image is never copied, or None."""
    if image.mark is not None:
        return 'is an unfinished copy of an earlier run'
    if image.status != 'active':
        return f'is {image.status}; only active images are copied'
    return None
