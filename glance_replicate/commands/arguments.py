# SPDX-License-Identifier: Apache-2.0

"""Options that several commands have, and what they are turned into."""

import argparse
import os

from glance_replicate import clouds
from glance_replicate import errors
from glance_replicate import records
from glance_replicate import retrying
from glance_replicate import selecting
from glance_replicate import text

_NAMED = (
    'a cloud of clouds.yaml, "env" for the OS_* variables, either with '
    '/REGION behind it or $OS_REGION_NAME; a URL, or host:port'
)
_VISIBILITIES = ('public', 'private', 'shared', 'community')
ENVIRONMENT = 'GLANCE_REPLICATE_{}'
_HIDDEN = 'ARGUMENT_OF_'
_COVER = '***'


def add_clouds(parser, *sides):
    """Add an argument for each side, such as 'from', and its token."""
    for side in sides:
        parser.add_argument(side, metavar=side.upper(), help=_NAMED)
    _add_access(parser, *sides)


def add_own_cloud(parser):
    """Add the options that name the one cloud of a command."""
    parser.add_argument(
        '--server',
        help=f'{_NAMED} (default: the one of this client, $OS_CLOUD, or env)',
    )
    _add_access(parser, 'server')


def _add_access(parser, *sides):
    for side in sides:
        option = _token_option(side)
        parser.add_argument(
            option, metavar='TOKEN', dest=f'{side}_token',
            help=f'the token, if {side.upper()} is a URL; '
                 f'${_variable(side)} or {option}-file keep it out of the '
                 f'history of the shell',
        )
        parser.add_argument(
            f'{option}-file', metavar='FILE', dest=f'{side}_token_file',
            help='a file that holds the token',
        )
    parser.add_argument(
        '--cacert', metavar='FILE', dest='ca_file',
        default=os.environ.get('OS_CACERT'),
        help='certificates to trust instead of those of the system',
    )
    parser.add_argument(
        '--insecure', action='store_true',
        help='do not verify the certificates of the servers',
    )
    parser.add_argument(
        '--retries', metavar='N', type=_natural, default=retrying.TIMES,
        help='how often to try again what may pass, such as a lost '
             'connection or a server that is busy (default: %(default)s)',
    )
    parser.add_argument(
        '--timeout', metavar='SECONDS', type=positive,
        default=int(retrying.TIMEOUT),
        help='how long to try that, and to wait for a server that does not '
             'answer or has not finished an upload (default: %(default)s)',
    )


def _token_option(side):
    return '--token' if side == 'server' else f'--{side}-token'


def _variable(side):
    return ENVIRONMENT.format(_token_option(side).strip('-')).upper().replace(
        '-', '_'
    )


def endpoint(parsed, side, region=None):
    """Return the :class:`Endpoint` of one side.

    :param region: of a cloud whose name has none; else $OS_REGION_NAME
    """
    name = getattr(parsed, side) or os.environ.get(
        'OS_CLOUD', clouds.ENVIRONMENT[0]
    )
    token = _token(parsed, side)
    if clouds.url_of(name) is None and not _is_given(parsed, side):
        token = None
    return clouds.Endpoint(
        name=name, token=token, ca_file=parsed.ca_file,
        insecure=parsed.insecure,
        region=region or os.environ.get('OS_REGION_NAME'),
    )


def _is_given(parsed, side):
    return bool(
        _given(parsed, side) or getattr(parsed, f'{side}_token_file')
    )


def _given(parsed, side):
    """Return the token among the arguments, also if it was hidden."""
    hidden = os.environ.get(_HIDDEN + _variable(side))
    return hidden or getattr(parsed, f'{side}_token')


def _token(parsed, side):
    path = getattr(parsed, f'{side}_token_file')
    given = _given(parsed, side)
    if path and given:
        option = _token_option(side)
        raise errors.ReplicatorError(
            f'{option} and {option}-file exclude each other'
        )
    if not path:
        return given or os.environ.get(_variable(side))
    try:
        with open(path, encoding='utf-8') as stream:
            return stream.read().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise errors.ReplicatorError(
            f'The token cannot be read from {text.safe(path)}: '
            f'{getattr(exc, "strerror", None) or "it is not text"}'
        ) from None


def hidden(argv):
    """Return arguments without tokens, and the variables to put them into.

    Every user of the machine can see the arguments of a process. The options
    stay: a command that does not have one has to refuse it.
    """
    options = {
        _token_option(side): _HIDDEN + _variable(side)
        for side in ('from', 'to', 'server')
    }
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
    """Add the options that say which images are meant."""
    group = parser.add_argument_group('which images')
    group.add_argument(
        '--id', metavar='IMAGE', action='append', default=[], dest='ids',
        help='only this image; may be repeated',
    )
    group.add_argument(
        '--name', action='append', default=[], dest='names',
        help='only images of this name, such as golden or "ubuntu-*"; may be '
             'repeated',
    )
    group.add_argument(
        '--exclude', metavar='NAME', action='append', default=[],
        dest='excluded',
        help='no images of this name, such as "*-test", or id; may be '
             'repeated',
    )
    group.add_argument(
        '--newer-than', metavar='TIME', type=_time,
        help='only images that were created after that time, such as '
             '2026-01-31 or 2026-01-31T12:00:00Z, or since an age such as '
             '30m, 12h, 7d or 2w',
    )
    group.add_argument(
        '--property', metavar='NAME=VALUE', action='append', default=[],
        type=_pair, dest='properties',
        help='only images with this property; may be repeated',
    )
    group.add_argument(
        '--tag', action='append', default=[], dest='tags',
        help='only images with this tag; may be repeated',
    )
    group.add_argument(
        '--owner', metavar='PROJECT', help='only images of this project',
    )
    group.add_argument(
        '--visibility', choices=_VISIBILITIES,
        help='only images of this visibility',
    )
    group.add_argument(
        '--allow-empty', action='store_true',
        help='let it be a success if these filters mean no image at all',
    )


def filters(parsed):
    """Return the :class:`Filters`."""
    for image_id in parsed.ids:
        if not records.is_id(image_id):
            raise errors.ReplicatorError(
                f'{text.safe(image_id)} is not the id of an image'
            )
    for name, _value in parsed.properties:
        if name in records.OWN or name.startswith(records.RESERVED):
            raise errors.ReplicatorError(
                f'{text.safe(name)} is not a property that users give to '
                f'images, which --property is for'
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
    group.add_argument(
        '--drop-property', metavar='NAME', action='append', default=[],
        help='do not copy this property (a star at its end stands for any '
             'characters); may be repeated',
    )
    group.add_argument(
        '--map-property', metavar='NAME=OTHER', action='append', default=[],
        type=_pair, help='give this property another name; may be repeated',
    )
    group.add_argument(
        '--set-property', metavar='NAME=VALUE', action='append', default=[],
        type=_pair, help='give this property, where an image has it, another '
                         'value; may be repeated',
    )
    group.add_argument(
        '--set-visibility', choices=_VISIBILITIES,
        help='give all copies this visibility, such as private where you may '
             'not publish',
    )
    group.add_argument(
        '--keep-owner', action='store_true',
        help='let copies belong to the projects of the same ids '
             '(administrators only)',
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


def add_work(parser, workers=4):
    """Add the options that say how much is done at once."""
    parser.add_argument(
        '--workers', metavar='N', type=positive, default=workers,
        help='images at a time (default: %(default)s)',
    )
    parser.add_argument(
        '--bandwidth', metavar='BYTES', type=_size,
        help='bytes per second for all together, such as 50M',
    )


def add_putting(parser):
    """Add the options that say how images get to the target."""
    parser.add_argument(
        '--members', action='store_true',
        help='share copies with the projects of the same ids as on the '
             'source',
    )
    parser.add_argument(
        '--metadata-only', action='store_true',
        help='copy no image, only update the records of those that are there',
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='change nothing',
    )
    parser.add_argument(
        '--store', action='append', default=[], dest='stores',
        help='a store of the target that images have to be in; new ones are '
             'written to the first, and the target copies to the others '
             'itself',
    )
    parser.add_argument(
        '--redo-unfinished', action='store_true',
        help='do again also what a process of another machine has begun, '
             'which must have ended',
    )


def _pair(argument):
    name, equals, value = argument.partition('=')
    if not name or not equals:
        raise argparse.ArgumentTypeError(
            f'{text.safe(argument)} is not NAME=VALUE'
        )
    return name, value


def positive(argument):
    """Turn an argument into a number above 0."""
    if not argument.isdecimal() or not int(argument):
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


def _time(argument):
    return _parsed(text.parse_time, argument)


def _parsed(parse, argument):
    try:
        return parse(argument)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def _size(argument):
    found = _parsed(text.parse_size, argument)
    if not found:
        raise argparse.ArgumentTypeError('0 bytes per second is never')
    return found
