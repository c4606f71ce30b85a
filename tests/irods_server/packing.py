# SPDX-License-Identifier: Apache-2.0

"""iRODS structures as XML: one element a line, as the real server's."""

import base64
import json
from xml.etree import ElementTree

ESCAPES = str.maketrans({
    '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;',
})


def pack(name, fields):
    """Return the structure ``name`` as XML.

    A field is a tag with its value; where the value is a list, it is a
    structure inside this one.
    """
    lines = [f'<{name}>\n']
    for tag, value in fields:
        if isinstance(value, list):
            lines.append(pack(tag, value))
        else:
            lines.append(f'<{tag}>{str(value).translate(ESCAPES)}</{tag}>\n')
    lines.append(f'</{name}>\n')
    return ''.join(lines)


def pack_json(value):
    """Return ``value`` as JSON in a binary buffer, which ends in a NUL."""
    data = json.dumps(value, separators=(',', ':'), sort_keys=True).encode()
    data += b'\0'
    return pack('BinBytesBuf_PI', [
        ('buflen', len(data)), ('buf', base64.b64encode(data).decode()),
    ])


class Structure:
    """A structure that a client sent."""

    def __init__(self, element):
        self.element = element

    @classmethod
    def parse(cls, data):
        """Return the structure in ``data``, bytes of XML or nothing."""
        if not data:
            return cls(ElementTree.Element('empty'))
        return cls(ElementTree.fromstring(data))  # noqa: S314

    def text(self, tag):
        """Return the field as text, '' where it is missing or empty."""
        return self.element.findtext(tag) or ''

    def number(self, tag):
        """Return the field as a number, 0 where it is missing."""
        return int(self.text(tag) or 0)

    def all(self, tag):
        """Return every structure ``tag`` in this one."""
        return [Structure(child) for child in self.element.findall(tag)]

    def texts(self, tag):
        """Return the values of an array."""
        return [child.text or '' for child in self.element.findall(tag)]

    def pairs(self, tag, key, value):
        """Return what a structure of two arrays says, as pairs."""
        found = self.all(tag)
        if not found:
            return []
        return list(zip(
            found[0].texts(key), found[0].texts(value), strict=True
        ))

    def options(self):
        """Return the keywords and their values, as a dict."""
        return dict(self.pairs('KeyValPair_PI', 'keyWord', 'svalue'))

    def json(self):
        """Return the value in a binary buffer of JSON."""
        data = base64.b64decode(self.text('buf'))
        return json.loads(data.replace(b'\0', b''))
