# SPDX-License-Identifier: Apache-2.0

"""Where an image is: URLs without credentials, and those of earlier times.

A URL states a path inside its zone, ``irods://tempZone/home/glance/<image>``,
and neither host nor user. The first driver for iRODS wrote
``irods://user:password@host:port/tempZone/...``; of these only the path is
read, and they are never shown.
"""

import logging
import re
import urllib.parse

from glance_store import exceptions
from glance_store import location

SCHEME = 'irods'
# How the name of an object ends that is not complete yet.
PARTIAL = '.part'
_START = f'{SCHEME}://'
_CREDENTIALS = re.compile(r'irods://\S*@')
# Glance logs the whole URL of a location when it finds no store for it, which
# is what it does with those of earlier times.
_LOGGING_URLS = 'glance.common.store_utils'


class StoreLocation(location.StoreLocation):
    """The path of a data object, which glance_store passes around."""

    def process_specs(self):
        self.path = self.specs['path']

    def get_uri(self):
        return url_of(self.path)

    def parse_uri(self, uri):
        self.path = path_of(uri)


def url_of(path):
    """Return the URL of a data object or collection."""
    return _START + urllib.parse.quote(path.lstrip('/'), safe='/')


def path_of(url):
    """Return the path of the data object that a URL names.

    :raises: BadStoreUri, which does not show the URL: it may hold a password
    """
    if not url.startswith(_START):
        raise _bad('it does not begin with irods://')
    rest = url.removeprefix(_START)
    if is_legacy(url):
        path = '/' + rest.rpartition('@')[2].partition('/')[2]
    else:
        try:
            path = '/' + urllib.parse.unquote(rest, errors='strict')
        except UnicodeDecodeError as exc:
            raise _bad('it is not UTF-8') from exc
    check(path)
    return path


def is_legacy(url):
    """Tell whether a URL is one with a host, and maybe credentials.

    Names of zones have neither of these characters, and what we write
    elsewhere in a URL is quoted.
    """
    rest = url.removeprefix(_START)
    return '@' in rest or ':' in rest.partition('/')[0]


def check(path):
    """Raise BadStoreUri unless this is the plain path of a data object."""
    first, *names = path.split('/')
    if first or len(names) < 3:
        raise _bad('it does not name an object in a collection of a zone')
    for name in names:
        if name in ('', '.', '..'):
            raise _bad('it has an empty name, or one with a special meaning')
    # A quote would end a value in a query to the catalog.
    if "'" in path or not path.isprintable():
        raise _bad('it has a quote or a character that cannot be printed')


def redacted(text):
    """Return a text without the credentials of URLs of earlier times."""
    return _CREDENTIALS.sub('irods://***@', text)


def redact_logs():
    """Keep Glance from logging the credentials in a location."""
    logging.getLogger(_LOGGING_URLS).addFilter(_redact)


def _redact(record):
    message = record.getMessage()
    shown = redacted(message)
    if shown != message:
        record.msg, record.args = shown, ()
    return True


def _bad(reason):
    return exceptions.BadStoreUri(
        message=f'The location of an image in iRODS is wrong: {reason}.'
    )
