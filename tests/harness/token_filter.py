# SPDX-License-Identifier: Apache-2.0

"""A paste filter for tests: believes the token. Never use it elsewhere.

``X-Auth-Token: alice:demo:member,reader`` becomes the identity headers that
Glance's own context filter reads, as if Keystone had confirmed the token.
"""

import urllib.parse

from tests.harness import moments

IDENTITY = (
    'X_IDENTITY_STATUS',
    'X_USER_ID',
    'X_PROJECT_ID',
    'X_ROLES',
)


class TokenFilter:
    """Turn ``user:project:role,role`` into confirmed identity headers."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        for name in IDENTITY:
            environ.pop('HTTP_' + name, None)
        # The glance client quotes a token like a part of an address.
        token = urllib.parse.unquote(environ.get('HTTP_X_AUTH_TOKEN', ''))
        parts = token.split(':')
        if len(parts) == 3 and parts[0] and parts[1]:
            values = ['Confirmed', *parts]
            for name, value in zip(IDENTITY, values, strict=True):
                environ['HTTP_' + name] = value
        return self.app(environ, start_response)


def filter_factory(global_conf, **local_conf):
    """Make the filter; paste calls this."""
    # For servers that load Glance themselves: this is loaded with it.
    moments.install()
    return TokenFilter
