# SPDX-License-Identifier: Apache-2.0

"""The record of an image: what it says, what is copied, what is changed."""

import collections.abc
import dataclasses
import hashlib
import re

from glance_replicate import errors
from glance_replicate import provenance
from glance_replicate import text

BASE = (
    'name', 'disk_format', 'container_format', 'min_disk', 'min_ram',
    'visibility', 'protected', 'os_hidden',
)
# Fields of Glance, which are not properties that users add.
OWN = frozenset((
    *BASE, 'id', 'status', 'size', 'virtual_size', 'checksum', 'created_at',
    'updated_at', 'os_hash_algo', 'os_hash_value', 'owner', 'tags', 'self',
    'file', 'schema', 'stores', 'direct_url', 'locations', 'location',
    'deleted', 'deleted_at',
))
RESERVED = 'os_glance'
VISIBILITIES = ('public', 'private', 'shared', 'community')
# Glance deletes the key of an encrypted volume together with an image whose
# properties say so. A copy names the key of the original.
KEY_IDS = ('cinder_encryption_key_id', 'os_encrypt_key_id')
KEY_POLICIES = (
    'cinder_encryption_key_deletion_policy', 'os_encrypt_key_deletion_policy',
)
DEFAULT_HASH = 'sha512'
# Older releases omit these fields, or omit them when they are not set.
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


def check_id(value):
    """Raise :class:`ReplicatorError` if this is not the id of an image."""
    if not is_id(value):
        raise errors.ReplicatorError(
            f'{text.safe(value)} is not the id of an image'
        )


def is_property(name):
    """True if users may add a property of this name."""
    return name not in OWN and not name.startswith(RESERVED)


def is_hash(algorithm, value):
    """True if this is a hash, in lower case, that hashlib can compute."""
    if not isinstance(algorithm, str) or not isinstance(value, str):
        return False
    if algorithm not in hashlib.algorithms_available:
        return False
    length = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
    return 0 < length == len(value) and not set(value) - set(
        '0123456789abcdef'
    )


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
    def expected_hash(self):
        """The algorithm to hash its bytes with, and the expected value.

        The value is None if the record has no hash that hashlib can compute.
        """
        for algorithm, value in self.hashes.items():
            if is_hash(algorithm, value):
                return algorithm, value
        return DEFAULT_HASH, None

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
    # It becomes part of URLs and of the names of directories.
    check_id(record.get('id'))
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
            # A value that is not a text is a field of another release.
            if is_property(name)
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
        return asked or name not in KEY_POLICIES


def wanted(image, rules):
    """Return the fields that the copy of an image has to have.

    :returns: ``{name: value}``: the fields of ``BASE``, ``tags``, ``owner``
        if it is kept, and the properties
    """
    properties = {
        rules.renamed.get(name, name): rules.changed.get(name, value)
        for name, value in image.properties.items() if not rules.drops(name)
    }
    fields = {
        **image.base, 'tags': image.tags,
        **{k: v for k, v in properties.items() if rules.takes(k)},
    }
    if rules.keep_owner:
        fields['owner'] = image.owner
    if rules.visibility is not None:
        fields['visibility'] = rules.visibility
    return fields


def differing(wanted, image):
    """Return the sorted names of the fields that are not as wanted.

    A property that only the image has counts too; one without a value is the
    same as one that is absent.
    """
    has = {
        **image.base, 'owner': image.owner, 'tags': image.tags,
        **image.properties,
    }
    names = {*wanted, *(image.properties.keys() - provenance.NAMES)}
    return sorted(n for n in names if has.get(n) != wanted.get(n))


def changes(wanted, image, finished=True):
    """Return the JSON patch that makes an image what is wanted.

    :param finished: the data is complete: also remove the mark of an
        unfinished copy, and set the deletion policy of a key if wanted
    """
    made = [
        _change(name, wanted, image) for name in differing(wanted, image)
        if can_change(name) and (finished or name not in KEY_POLICIES)
    ]
    if finished and provenance.UNFINISHED in image.properties:
        made.append(_removal(provenance.UNFINISHED))
    # Protection comes last: what fails before it can still be deleted.
    last = ['/protected', *map(_pointer, KEY_POLICIES)]
    return sorted(made, key=lambda change: (
        last.index(change['path']) if change['path'] in last else -1
    ))


def without_key_policies(image):
    """Return the JSON patch after which no key goes with the image."""
    return [_removal(name) for name in KEY_POLICIES
            if name in image.properties]


def can_change(name):
    """True if the API can change a field of this name.

    It strips blanks from both ends of the name in a patch.
    """
    return name == name.strip()


def as_json(fields):
    """Return fields as the API takes them."""
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in fields.items()
    }


def _change(name, wanted, image):
    if wanted.get(name) is None and name not in OWN:
        return _removal(name)
    is_new = name not in OWN and name not in image.properties
    return {
        'op': 'add' if is_new else 'replace', 'path': _pointer(name),
        'value': as_json(wanted)[name],
    }


def _removal(name):
    return {'op': 'remove', 'path': _pointer(name)}


def _pointer(name):
    """Return the JSON pointer of a field."""
    return '/' + name.replace('~', '~0').replace('/', '~1')


def update(service, image, changes):
    """Change a record on a server; return its :class:`Image` then.

    :param service: :class:`ImageService`
    :param image: the record as last seen
    :param changes: returns the JSON patch that an :class:`Image` needs
    """
    try:
        return _patched(service, image, changes(image))
    except errors.Refused as exc:
        if exc.status != 409:
            raise
        # The answer to the same request may have been lost before.
        record = service.image(image.id)
        if record is None:
            raise
    image = of_api(record)
    return _patched(service, image, changes(image))


def _patched(service, image, changes):
    if not changes:
        return image
    return of_api(service.patch(image.id, changes))
