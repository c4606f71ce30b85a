# SPDX-License-Identifier: Apache-2.0

"""Keep passwords out of the log, also at the level DEBUG.

At that level python-irodsclient logs every message as it is sent: the login
(with PAM, the password), and all image data too.
"""

import logging
import re

CLIENT = 'irods'
_LEGACY = re.compile(r'irods://\S*@')
# Glance logs the whole URL of a location when it finds no store for it, which
# is what it does with those of earlier times.
_SHOWING_URLS = ('glance.common.store_utils',)


class _NoDetails(logging.Filter):
    """Lets pass what is at least information."""

    def filter(self, record):
        return record.levelno >= logging.INFO


class _NoCredentials(logging.Filter):
    """Takes user and password out of the URLs in a message."""

    def filter(self, record):
        message = record.getMessage()
        shown = redacted(message)
        if shown != message:
            record.msg, record.args = shown, ()
        return True


_NO_DETAILS = _NoDetails()
_NO_CREDENTIALS = _NoCredentials()


def redacted(text):
    """Return a text without the credentials of URLs of earlier times."""
    return _LEGACY.sub('irods://***@', text)


def protect_urls():
    """Keep Glance from showing the credentials in a location."""
    for name in _SHOWING_URLS:
        logging.getLogger(name).addFilter(_NO_CREDENTIALS)


def silence_client():
    """Keep python-irodsclient from logging its messages; harmless twice.

    Filters of a logger are not inherited and levels can be set again by the
    service, so that each of its loggers gets a filter. All must exist already.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.partition('.')[0] == CLIENT:
            logging.getLogger(name).addFilter(_NO_DETAILS)
    client = logging.getLogger(CLIENT)
    if client.level == logging.NOTSET:
        client.setLevel(logging.INFO)
