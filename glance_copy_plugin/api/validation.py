# SPDX-License-Identifier: Apache-2.0

"""Whether what stands in the configuration can be meant and can work."""

import difflib
import glob
import os

from glance.api.middleware import context
from keystonemiddleware import auth_token
from oslo_config import cfg
import stevedore

from glance_copy_plugin.backends import registry
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.options import copy_image

# Where they come from, and who reads them: a flow when a copy begins, and
# Glance when it starts.
_GROUPS = {
    copy_image.GROUP: None,
    'taskflow_executor': 'glance.async_.taskflow_executor',
    'wsgi': 'glance.common.config',
}
# The filters that tell who asks.
_IDENTITY = (context.BaseContextMiddleware, auth_token.BaseAuthProtocol)


def check(conf):
    """Look at what the filter needs; connect to nothing.

    :param conf: the configuration, ``[copy_image]`` registered
    :raises RuntimeError: in one sentence, for what can never work
    """
    check_values(conf)
    known = stevedore.ExtensionManager(
        registry.NAMESPACE
    ).entry_points_names()
    wrong = [
        name for name in conf[copy_image.GROUP].copiers if name not in known
    ]
    if wrong:
        raise RuntimeError(
            f'[copy_image] copiers names {", ".join(wrong)}, which is not '
            f'installed; known are {", ".join(sorted(known))}'
        )
    if board_client.is_enabled():
        # Says in one sentence what cannot work; connects to nothing yet.
        board_client.of_process()
    if not conf.enabled_backends:
        raise RuntimeError(
            'the filter copy_image needs several stores: set '
            'enabled_backends, or take the filter out of the pipeline'
        )


def check_values(conf):
    """Read every option that the start of the service or a copy will need.

    :raises RuntimeError: in one sentence, for a value that is none
    """
    for group, module in _GROUPS.items():
        if module:
            conf.import_group(group, module)
        for name in conf[group]:
            try:
                conf[group][name]
            except (cfg.Error, ValueError) as exc:
                raise RuntimeError(
                    f'[{group}] {name} has a value that cannot be used: '
                    f'{_reason(exc)}'
                ) from None


def check_place(app):
    """See that the filter stands behind those that tell who asks.

    :param app: what stands behind the filter in its pipeline
    :raises RuntimeError: if one of them does, in one sentence
    """
    while app is not None:
        if isinstance(app, _IDENTITY):
            raise RuntimeError(
                'the filter copy_image stands before the filter context in '
                'the paste pipeline: put it behind "context" there'
            )
        # What filters call that which they wrap.
        app = getattr(app, 'application', None) or getattr(app, 'app', None)


def unknown(conf):
    """Return sentences about options in ``[copy_image]`` that do not exist.

    :raises RuntimeError: if a file of the configuration cannot be read
    """
    known = sorted({
        name for option in copy_image.COPY_IMAGE_OPTS
        for name in (option.dest, option.name)
    })
    return [
        _unknown(name, difflib.get_close_matches(name, known, 1))
        for name in sorted(_names(conf).difference(known))
    ]


def _unknown(name, similar):
    hint = f', did you mean {similar[0]}?' if similar else ': take it out'
    return f'[copy_image] has no option {name}{hint}'


def _names(conf):
    """Return the names in the group of all files of the configuration."""
    found = set()
    for path in _files(conf):
        sections = {}
        try:
            cfg.ConfigParser(path, sections).parse()
        except (OSError, cfg.ParseError) as exc:
            raise RuntimeError(f'{path} cannot be read: {exc}') from None
        for section, values in sections.items():
            if section.lower() == copy_image.GROUP:
                found.update(values)
    return found


def _files(conf):
    yield from conf.config_file or ()
    for folder in conf.config_dir or ():
        yield from sorted(glob.glob(os.path.join(folder, '*.conf')))


def _reason(error):
    """Say what is wrong with a value, without the place it came from."""
    return str(error).rpartition(' is not valid: ')[2]
