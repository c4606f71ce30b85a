# SPDX-License-Identifier: Apache-2.0

"""Arguments that several commands have, and what they are turned into."""

import argparse
import os

from glance_replicate import clouds
from glance_replicate import errors
from glance_replicate import records
from glance_replicate import retrying
from glance_replicate import selecting
from glance_replicate import text

_SERVICE = (
    'a cloud of clouds.yaml, or "env" for the OS_* variables, either with '
    '/REGION or the region of $OS_REGION_NAME; or a URL, or host:port'
)
_SIDES = ('from', 'to', 'server')
_COVER = '***'


def _repeated(parser, option, dest=None, metavar=None, **more):
    name = option.strip('-')
    parser.add_argument(
        option, action='append', default=[], metavar=metavar or name.upper(),
        dest=dest or name.replace('-', '_'), **more,
    )


def add_clouds(parser, *sides):
    """Add an argument for each side, such as 'from', and its token."""
    for side in sides:
        parser.add_argument(side, metavar=side.upper(), help=_SERVICE)
    _add_access(parser, *sides)


def add_own_cloud(parser):
    """Add the options that name the one cloud of a command."""
    parser.add_argument(
        '--server',
        help=f'{_SERVICE} (default: the cloud of the openstack client, '
             f'$OS_CLOUD, or env)',
    )
    _add_access(parser, 'server')


def _add_access(parser, *sides):
    for side in sides:
        option = _token_option(side)
        parser.add_argument(
            option, metavar='TOKEN', dest=f'{side}_token',
            help=f'the token, if {side.upper()} is a URL; use '
                 f'${_variable(side)} or {option}-file to keep it out of the '
                 f'history of the shell',
        )
        parser.add_argument(
            f'{option}-file', metavar='FILE', dest=f'{side}_token_file',
            help='a file with the token',
        )
    parser.add_argument(
        '--cacert', metavar='FILE', dest='ca_file',
        default=os.environ.get('OS_CACERT'),
        help='CA certificates to trust instead of those of the system',
    )
    parser.add_argument(
        '--insecure', action='store_true',
        help='do not verify the certificates of the servers',
    )
    parser.add_argument(
        '--retries', metavar='N', type=_natural, default=retrying.TIMES,
        help='how often to retry after a temporary error, such as a lost '
             'connection or a busy server (default: %(default)s)',
    )
    parser.add_argument(
        '--timeout', metavar='SECONDS', type=positive,
        default=int(retrying.TIMEOUT),
        help='how long to retry, and how long to wait for a server that does '
             'not answer or has not finished an upload (default: %(default)s)',
    )


def _token_option(side):
    return '--token' if side == 'server' else f'--{side}-token'


def _variable(side):
    name = _token_option(side).strip('-').replace('-', '_')
    return f'GLANCE_REPLICATE_{name.upper()}'


def endpoint(parsed, side, region=None):
    """Return the :class:`Endpoint` of one side.

    :param region: for a cloud named without one; else $OS_REGION_NAME
    :raises: :class:`ReplicatorError` if there is no clear token
    """
    name = getattr(parsed, side) or os.environ.get(
        'OS_CLOUD', clouds.ENVIRONMENT[0]
    )
    return clouds.Endpoint(
        name=name, token=_token(parsed, side, name), ca_file=parsed.ca_file,
        insecure=parsed.insecure,
        region=region or os.environ.get('OS_REGION_NAME'),
    )


def _token(parsed, side, name):
    token = getattr(parsed, f'{side}_token')
    path = getattr(parsed, f'{side}_token_file')
    if token and path:
        option = _token_option(side)
        raise errors.ReplicatorError(
            f'Give either {option} or {option}-file, not both'
        )
    if path:
        return _read_token(path)
    # The variable is for URLs only; it also holds what was hidden.
    if token == _COVER or (not token and clouds.url_of(name)):
        return os.environ.get(_variable(side))
    return token


def _read_token(path):
    try:
        with open(path, encoding='utf-8') as stream:
            return stream.read().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise errors.ReplicatorError(
            f'Cannot read a token from {text.safe(path)}: '
            f'{getattr(exc, "strerror", None) or "it is not text"}'
        ) from None


def hidden(argv):
    """Return arguments without tokens, and the variables to put them into.

    Every user of the machine can see the arguments of a process. The options
    stay: a command that has no such option has to refuse it.

    :returns: arguments, and ``{variable: token}``
    """
    options = {_token_option(side): _variable(side) for side in _SIDES}
    kept, variables = [], {}
    left = iter(argv)
    for argument in left:
        option, equals, value = argument.partition('=')
        if option in options and not equals:
            value = next(left, None)
        if option not in options or value in (None, _COVER):
            kept.append(argument)
        else:
            kept.append(f'{option}={_COVER}')
            variables[options[option]] = value
    return kept, variables


def add_filters(parser):
    """Add the options that select images."""
    group = parser.add_argument_group('which images')
    _repeated(
        group, '--id', 'ids', metavar='IMAGE',
        help='only the image with this id; may be repeated',
    )
    _repeated(
        group, '--name', 'names',
        help='only images with this name, such as golden or "ubuntu-*"; may '
             'be repeated',
    )
    _repeated(
        group, '--exclude', 'excluded', metavar='NAME',
        help='no images with this name, such as "*-test", or with this id; '
             'may be repeated',
    )
    group.add_argument(
        '--newer-than', metavar='TIME', type=_parsed_by(text.parse_time),
        help='only images created after this time, such as 2026-01-31 or '
             '2026-01-31T12:00:00Z, or within this age, such as 30m, 12h, 7d '
             'or 2w',
    )
    _repeated(
        group, '--property', 'properties', metavar='NAME=VALUE', type=_pair,
        help='only images with this property; may be repeated',
    )
    _repeated(
        group, '--tag', 'tags',
        help='only images with this tag; may be repeated',
    )
    group.add_argument(
        '--owner', metavar='PROJECT', help='only images of this project',
    )
    group.add_argument(
        '--visibility', choices=records.VISIBILITIES,
        help='only images with this visibility',
    )
    group.add_argument(
        '--allow-empty', action='store_true',
        help='succeed even if no image meets these filters',
    )


def filters(parsed):
    """Return the :class:`Filters`.

    :raises: :class:`ReplicatorError` for what no image can have
    """
    for image_id in parsed.ids:
        records.check_id(image_id)
    for name, _value in parsed.properties:
        if not records.is_property(name):
            raise errors.ReplicatorError(
                f'{text.safe(name)} is not a property that users can set: '
                f'--property cannot select by it'
            )
    return selecting.Filters(
        ids=tuple(dict.fromkeys(parsed.ids)), names=tuple(parsed.names),
        excluded=tuple(parsed.excluded), newer_than=parsed.newer_than,
        owner=parsed.owner, visibility=parsed.visibility,
        properties=dict(parsed.properties), tags=tuple(parsed.tags),
    )


def add_rules(parser):
    """Add the options that say how records differ on the target."""
    group = parser.add_argument_group('records on the target')
    _repeated(
        group, '--drop-property', metavar='NAME',
        help='do not copy this property (a star at the end stands for any '
             'characters); may be repeated',
    )
    _repeated(
        group, '--map-property', metavar='NAME=OTHER', type=_pair,
        help='rename this property; may be repeated',
    )
    _repeated(
        group, '--set-property', metavar='NAME=VALUE', type=_pair,
        help='give this property another value, where an image has it; may '
             'be repeated',
    )
    group.add_argument(
        '--set-visibility', choices=records.VISIBILITIES,
        help='give all copies this visibility, such as private where you may '
             'not publish',
    )
    group.add_argument(
        '--keep-owner', action='store_true',
        help='give copies to the projects with the same ids (administrators '
             'only)',
    )
    group.add_argument(
        '--keep-key-deletion-policy', action='store_true',
        help='let the encryption key of an image be deleted together with '
             'the copy, as on the source: only where TO has keys of its own',
    )


def rules(parsed):
    """Return the :class:`Rules`."""
    return records.Rules(
        renamed=dict(parsed.map_property), changed=dict(parsed.set_property),
        dropped=tuple(parsed.drop_property), keep_owner=parsed.keep_owner,
        keep_key_policy=parsed.keep_key_deletion_policy,
        visibility=parsed.set_visibility,
    )


def add_workers(parser, what='images'):
    """Add the option that says how much is done at once."""
    parser.add_argument(
        '--workers', metavar='N', type=positive, default=4,
        help=f'{what} at a time (default: %(default)s)',
    )


def add_bandwidth(parser):
    """Add the option that limits the bandwidth."""
    parser.add_argument(
        '--bandwidth', metavar='BYTES', type=_bandwidth,
        help='bytes per second for all images together, such as 50M',
    )


def add_stores(parser, text):
    """Add the option that names stores of the target."""
    _repeated(parser, '--store', 'stores', help=text)


def add_putting(parser):
    """Add the options of the commands that put images on a target."""
    parser.add_argument(
        '--members', action='store_true',
        help='share copies with the projects with the same ids as on the '
             'source',
    )
    parser.add_argument(
        '--metadata-only', action='store_true',
        help='copy no image, only update the records of copies',
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='change nothing',
    )
    add_stores(
        parser, 'a store of the target that images have to be in; may be '
                'repeated: new images are uploaded to the first one, and the '
                'target itself copies them to the others',
    )
    parser.add_argument(
        '--redo-unfinished', action='store_true',
        help='also redo copies that a process on another machine has begun; '
             'make sure that it has ended',
    )
    add_rules(parser)
    add_workers(parser)
    add_bandwidth(parser)


def _pair(argument):
    name, equals, value = argument.partition('=')
    if not name or not equals:
        raise argparse.ArgumentTypeError(
            f'{text.safe(argument)} is not NAME=VALUE'
        )
    return name, value


def positive(argument):
    """Turn an argument into a number above 0."""
    if not _natural(argument):
        raise argparse.ArgumentTypeError(
            f'{text.safe(argument)} is not a number above 0'
        )
    return int(argument)


def _natural(argument):
    if not argument.isdecimal():
        raise argparse.ArgumentTypeError(
            f'{text.safe(argument)} is not a number'
        )
    return int(argument)


def _parsed_by(parse):
    """Return a type of arguments whose errors say what is wrong."""
    def parsed(argument):
        try:
            return parse(argument)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from None

    return parsed


def _bandwidth(argument):
    found = _parsed_by(text.parse_size)(argument)
    if not found:
        raise argparse.ArgumentTypeError('it must be above 0')
    return found
