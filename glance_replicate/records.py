# SPDX-License-Identifier: Apache-2.0

"""What an image is, apart from its bytes; and what of that is copied."""

import collections.abc
import dataclasses
import re

from glance_replicate import errors
from glance_replicate import keys
from glance_replicate import provenance
from glance_replicate import text

BASE = (
    'name', 'disk_format', 'container_format', 'min_disk', 'min_ram',
    'visibility', 'protected', 'os_hidden',
)
OWN = frozenset((
    *BASE, 'id', 'status', 'size', 'virtual_size', 'checksum', 'created_at',
    'updated_at', 'os_hash_algo', 'os_hash_value', 'owner', 'tags', 'self',
    'file', 'schema', 'stores', 'direct_url', 'locations', 'location',
    'deleted', 'deleted_at',
))
RESERVED = 'os_glance'
# What older releases do not tell, or tell only if it is set.
_ABSENT = {
    'name': None, 'disk_format': None, 'container_format': None,
    'min_disk': 0, 'min_ram': 0, 'visibility': 'private', 'protected': False,
    'os_hidden': False,
}
_ID = re.compile(
    r'[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}', re.ASCII
)


def is_id(value):
    """True if this can be the id of an image."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """The record of one image.

    :param base: the values of ``BASE``
    :param size: bytes, or None where the service does not know
    :param algorithm: of the hash, such as sha512
    :param digest: the hash in hexadecimal digits
    :param checksum: the md5, or None
    :param properties: what users have added, ``{name: text or None}``
    :param computed: further hashes, ``{algorithm: hash}``, of all its bytes
        as they were read here
    """

    id: str
    status: str
    size: int | None
    algorithm: str | None
    digest: str | None
    checksum: str | None
    owner: str | None
    base: collections.abc.Mapping
    properties: collections.abc.Mapping
    tags: frozenset
    stores: tuple
    created_at: str = ''
    computed: collections.abc.Mapping = dataclasses.field(
        default_factory=dict
    )

    @property
    def name(self):
        return self.base.get('name') or ''

    @property
    def hashes(self):
        """What is known of its bytes, ``{algorithm: hash}``, best first."""
        known = {}
        for algorithm, value in (
            (self.algorithm, self.digest), ('md5', self.checksum),
            *self.computed.items(),
        ):
            if value:
                known.setdefault(algorithm, value)
        return known

    @property
    def mark(self):
        """The :class:`Mark` of an unfinished copy, or None."""
        return provenance.parse(self.properties.get(provenance.UNFINISHED))

    @property
    def source(self):
        """The id of the image that this one is a copy of, or None."""
        return self.properties.get(provenance.SOURCE)

    def lacks(self, stores):
        """Return which of these stores it is not in, as a list."""
        return [name for name in stores if name not in self.stores]


def of_api(record):
    """Return the :class:`Image` of a record as the API shows it."""
    if not is_id(record.get('id')):
        # It becomes a part of URLs and of the names of folders.
        raise errors.ReplicatorError(
            f'{text.safe(record.get("id"))} is not the id of an image'
        )
    return Image(
        id=record['id'],
        status=record.get('status'),
        size=record.get('size'),
        algorithm=record.get('os_hash_algo'),
        digest=_lower(record.get('os_hash_value')),
        checksum=_lower(record.get('checksum')),
        owner=record.get('owner'),
        base={**_ABSENT, **{
            name: record[name] for name in BASE if name in record
        }},
        properties={
            name: value for name, value in record.items()
            if name not in OWN and not name.startswith(RESERVED)
            # What is no text is a field of another release.
            and (value is None or isinstance(value, str))
        },
        tags=frozenset(record.get('tags') or ()),
        stores=tuple(filter(None, (record.get('stores') or '').split(','))),
        created_at=record.get('created_at') or '',
    )


def _lower(value):
    return str(value).lower() if value else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """How the record of a copy differs from that of its source.

    :param renamed: ``{property: its name on the target}``
    :param changed: ``{property: its value on the target}``
    :param dropped: properties that are not copied; a name that ends in a
        star stands for all that begin so
    :param keep_owner: copy the owner, which only administrators may
    :param keep_key_policy: let the key of an encrypted volume be deleted
        together with the copy, where it is together with the source
    :param visibility: of all copies, or None for that of the source
    """

    renamed: collections.abc.Mapping = dataclasses.field(default_factory=dict)
    changed: collections.abc.Mapping = dataclasses.field(default_factory=dict)
    dropped: tuple = ()
    keep_owner: bool = False
    keep_key_policy: bool = False
    visibility: str | None = None

    def drops(self, name):
        """True if a property is not copied."""
        return name in provenance.NAMES or any(
            name.startswith(each[:-1]) if each.endswith('*') else name == each
            for each in self.dropped
        )

    def takes(self, name):
        """True if a copy may have a property of that name."""
        asked = self.keep_key_policy or name in self.changed
        return asked or not keys.are_owned_by(name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the record on the target has to be."""

    base: collections.abc.Mapping
    properties: collections.abc.Mapping
    tags: frozenset


def wanted(image, rules):
    """Return what the record of a copy of an image has to be."""
    base = dict(image.base)
    if rules.keep_owner:
        base['owner'] = image.owner
    if rules.visibility is not None:
        base['visibility'] = rules.visibility
    properties = {
        rules.renamed.get(name, name): rules.changed.get(name, value)
        for name, value in image.properties.items() if not rules.drops(name)
    }
    return Wanted(
        base=base, tags=image.tags, properties={
            name: value for name, value in properties.items()
            if rules.takes(name)
        },
    )


def differing(wanted, image):
    """Return the names of the fields that an image does not have as wanted.

    A property that the target has and the source has not counts too; one
    without a value is as one that is not there.
    """
    has = {**image.base, 'owner': image.owner}
    found = {
        name for name, value in wanted.base.items() if has[name] != value
    }
    theirs = {
        name: value for name, value in image.properties.items()
        if name not in provenance.NAMES
    }
    found.update(
        name for name in {*theirs, *wanted.properties}
        if theirs.get(name) != wanted.properties.get(name)
    )
    if wanted.tags != image.tags:
        found.add('tags')
    return sorted(found)


def changes(wanted, image, finished=True):
    """Return the JSON patch that makes an image what is wanted.

    :param finished: it is whole then: remove the mark of an unfinished copy,
        and let it own a key where that is wanted
    """
    made = [
        _change(name, wanted, image) for name in differing(wanted, image)
        if can_change(name) and (finished or not keys.are_owned_by(name))
    ]
    if finished and provenance.UNFINISHED in image.properties:
        made.append({'op': 'remove', 'path': pointer(provenance.UNFINISHED)})
    # Of a protected image nothing else is refused, but its end is.
    last = ['/protected', *map(pointer, keys.POLICIES)]
    return sorted(made, key=lambda change: (
        last.index(change['path']) if change['path'] in last else -1
    ))


def can_change(name):
    """True if the API can change a field that an image is made with.

    It takes the blanks from both ends of what a patch names.
    """
    return name == name.strip()


def _change(name, wanted, image):
    known = {**wanted.base, 'tags': sorted(wanted.tags), **wanted.properties}
    if known.get(name) is None and name not in wanted.base:
        return {'op': 'remove', 'path': pointer(name)}
    is_new = name in wanted.properties and name not in image.properties
    return {
        'op': 'add' if is_new else 'replace', 'path': pointer(name),
        'value': known[name],
    }


def pointer(name):
    """Return the JSON pointer of a field."""
    return '/' + name.replace('~', '~0').replace('/', '~1')
