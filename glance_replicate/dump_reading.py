# SPDX-License-Identifier: Apache-2.0

"""Reading a dump: an image is used only after its bytes were verified.

::

    manifest.json
    images/<id>/image.json
    images/<id>/data

The manifest has the size and the hash of each ``data``, and the sha256 of
each ``image.json``. Nothing is believed: whoever could write the directory
could write anything.
"""

import contextlib
import dataclasses
import hashlib
import json

from glance_replicate import errors
from glance_replicate import folders
from glance_replicate import records
from glance_replicate import streams
from glance_replicate import text

NAME, IMAGES, METADATA, DATA = 'manifest.json', 'images', 'image.json', 'data'
FORMAT = 'glance-replicate dump'
VERSION = 1
LARGEST_RECORD = 64 * 1024 * 1024
_LARGEST = 256 * 1024 * 1024
_MOST = 2 ** 63 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ManifestEntry:
    """What the manifest says about one image.

    :param size: bytes of the data
    :param algorithm: of the hash of the data
    :param digest: that hash
    :param metadata: sha256 of the file with the record
    """

    size: int
    algorithm: str
    digest: str
    metadata: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unusable:
    """An image of a dump that cannot be loaded, and why."""

    id: str
    problem: str
    name: str = ''


@contextlib.contextmanager
def opened(path, cancel):
    """Yield an :class:`Item` or an :class:`Unusable` for each image.

    :param path: the directory of the dump
    :param cancel: :class:`CancelToken`
    :raises: :class:`BadDump` if it is not a dump
    """
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(folders.Folder.of_user(path))
        found = read_manifest(top)
        images = found and stack.enter_context(top.folder(IMAGES))
        yield [
            _item(images, image_id, entry, cancel)
            for image_id, entry in found.items()
        ]


def _item(images, image_id, entry, cancel):
    try:
        if isinstance(entry, folders.BadDump):
            raise entry
        with images.folder(image_id) as folder:
            data = folder.read(METADATA, LARGEST_RECORD)
        image, members = decode_record(data, image_id, entry)
        return FolderItem(images, image, members, cancel)
    except folders.BadDump as exc:
        return Unusable(id=image_id, problem=str(exc))


class FolderItem:
    """An image of a dump.

    :param images: :class:`Folder` with the folders of all images
    """

    def __init__(self, images, image, members, cancel):
        self._images = images
        self._members = members
        self._cancel = cancel
        self.image = image
        self.id, self.name = image.id, image.name

    def refresh(self):
        with self._images.folder(self.id) as folder:
            if folder.size(DATA) != self.image.size:
                raise folders.BadDump('the length of its data has changed')
        return self.image

    def prepare(self):
        """Read all bytes, and compare their hash with the manifest's."""
        hasher = hashlib.new(self.image.algorithm, usedforsecurity=False)
        for chunk in self.open(0):
            self._cancel.check()
            hasher.update(chunk)
        if hasher.hexdigest() != self.image.digest:
            raise folders.BadDump(
                f'the {self.image.algorithm} of its data does not match '
                f'{NAME}'
            )

    def open(self, offset):
        """Yield the bytes from an offset on."""
        with (
            self._images.folder(self.id) as folder,
            folder.open(DATA) as stream,
        ):
            try:
                stream.seek(offset)
                while chunk := stream.read(streams.CHUNK):
                    yield chunk
            except OSError as exc:
                raise errors.ReplicatorError(
                    f'its data cannot be read: {exc.strerror}'
                ) from exc

    def members(self):
        return self._members


def read_manifest(folder):
    """Return {image id: :class:`ManifestEntry` or BadDump} of a dump.

    :raises: :class:`BadDump` if the directory is not a dump
    """
    if not folder.has(NAME):
        raise folders.BadDump(_why_none(folder))
    found = _parse(folder.read(NAME, _LARGEST), NAME)
    if not isinstance(found, dict) or found.get('format') != FORMAT:
        raise folders.BadDump(f'{NAME} is not the manifest of a dump')
    if type(found.get('version')) is not int or found['version'] != VERSION:
        raise folders.BadDump(f'{NAME} has an unknown version')
    images = found.get('images')
    if not isinstance(images, dict):
        raise folders.BadDump(f'{NAME} does not list images')
    return {image_id: _entry(image_id, images[image_id])
            for image_id in images}


def _why_none(folder):
    place = text.safe(folder.path)
    names = {name.removesuffix('.img') for name in folder.names()}
    if any(map(records.is_id, names)):
        return (
            f'{place} holds a dump of the old glance-replicator, which has no '
            f'hashes and cannot be loaded: dump the images again with '
            f'glance-replicate, or upload its files one by one with '
            f'"openstack image create --file"'
        )
    return f'{place} is not a dump of glance-replicate: it has no {NAME}'


def decode_record(data, image_id, entry):
    """Return the :class:`Image` of an ``image.json``, and its members.

    Texts may be whatever an image can have: they are made safe where they are
    shown.

    :param entry: :class:`ManifestEntry` of the image
    :raises: :class:`BadDump` for anything that dump does not write
    """
    if hashlib.sha256(data).hexdigest() != entry.metadata:
        raise folders.BadDump(
            f'its {METADATA} does not match the hash in {NAME}'
        )
    found = _parse(data, f'its {METADATA}')
    _check(found, _RECORD, f'its {METADATA}')
    _check(found['base'], _BASE, f'its {METADATA}')
    if found['id'] != image_id:
        raise folders.BadDump(f'its {METADATA} is that of another image')
    image = records.Image(
        id=image_id, status='active', size=entry.size,
        algorithm=entry.algorithm, digest=entry.digest,
        checksum=found['checksum'], owner=found['owner'], base=found['base'],
        properties=found['properties'], tags=frozenset(found['tags']),
        stores=(), created_at=found['created_at'] or '',
    )
    return image, set(found['members'])


def _parse(data, name):
    """Return the value of strict JSON.

    :param name: of the file, for the error
    """
    try:
        found = json.loads(
            data.decode('utf-8'), object_pairs_hook=_unique,
            parse_constant=_no_number, parse_float=_no_number,
        )
        # A lone surrogate can be parsed, but neither sent nor shown.
        json.dumps(found, ensure_ascii=False).encode('utf-8')
    except RecursionError:
        raise folders.BadDump(f'{name} is nested too deeply') from None
    except ValueError as exc:
        raise folders.BadDump(f'{name} is not JSON: {exc}') from None
    return found


def _unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError('a name occurs twice')
    return found


def _no_number(value):
    raise ValueError(f'{value[:20]} is not allowed here')


def _entry(image_id, found):
    """Return a :class:`ManifestEntry`, or why there is none."""
    if not records.is_id(image_id):
        return folders.BadDump('not the id of an image')
    try:
        _check(found, _ENTRY, f'its entry in {NAME}')
    except folders.BadDump as exc:
        return exc
    if not records.is_hash(found['algorithm'], found['digest']):
        return folders.BadDump(f'its hash in {NAME} is not valid')
    return ManifestEntry(**found)


def _check(found, checks, where):
    """Raise :class:`BadDump` unless exactly these fields are right.

    :param checks: {name: function that is true for a value that is right}
    """
    if not isinstance(found, dict) or set(found) != set(checks):
        raise folders.BadDump(f'{where} does not have the fields of a dump')
    for name, is_right in checks.items():
        if not is_right(found[name]):
            raise folders.BadDump(f'{where} has no valid {name}')


def _is_size(value):
    return type(value) is int and 0 <= value <= _MOST


def _is_flag(value):
    return type(value) is bool


def _is_text(value):
    return value is None or isinstance(value, str)


def _are_texts(value):
    return isinstance(value, list) and all(
        isinstance(each, str) for each in value
    )


def _are_properties(value):
    return isinstance(value, dict) and all(
        records.is_property(name) and _is_text(value[name]) for name in value
    )


_ENTRY = {
    'size': _is_size,
    'algorithm': _is_text,
    'digest': _is_text,
    'metadata': lambda value: records.is_hash('sha256', value),
}
_RECORD = {
    'id': records.is_id,
    'base': lambda value: isinstance(value, dict),
    'properties': _are_properties,
    'tags': _are_texts,
    'owner': _is_text,
    'members': _are_texts,
    'checksum': lambda value: value is None or records.is_hash('md5', value),
    'created_at': _is_text,
}
_BASE = {
    **dict.fromkeys(('name', 'disk_format', 'container_format'), _is_text),
    **dict.fromkeys(('min_disk', 'min_ram'), _is_size),
    **dict.fromkeys(('protected', 'os_hidden'), _is_flag),
    'visibility': lambda value: value in records.VISIBILITIES,
}
