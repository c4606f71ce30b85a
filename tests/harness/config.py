# SPDX-License-Identifier: Apache-2.0

"""The files that a Glance needs: configuration, paste pipeline, folders."""

import configparser
import pathlib

STORES = ('src', 's1', 's2', 's3')
RESERVED = {
    'os_glance_staging_store': 'staging',
    'os_glance_tasks_store': 'tasks',
}
IMPORT_METHODS = '[glance-direct,web-download,copy-image]'

PASTE = """\
[composite:glance-api]
paste.composite_factory = glance.api:root_app_factory
/: api
/healthcheck: healthcheck

[pipeline:api]
pipeline = {pipeline}

[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app

[app:apiversions]
paste.app_factory = glance.api.versions:create_resource

[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory

[app:healthcheck]
paste.app_factory = oslo_middleware:Healthcheck.app_factory

[filter:versionnegotiation]
paste.filter_factory = {negotiation}

[filter:test_token]
paste.filter_factory = tests.harness.token_filter:filter_factory

[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory

[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
"""
NEGOTIATION = (
    'glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory'
)
PLUGIN_FILTER = """
[filter:copy_image]
paste.filter_factory = glance_copy_plugin.paste:filter_factory
"""


def write_paste(path, plugin, auth='test_token'):
    """Write the paste file, with the plugin's filter or as stock.

    :param auth: the filter that tells who asks
    """
    names = ['versionnegotiation', auth, 'context', 'rootapp']
    if plugin:
        names.insert(-1, 'copy_image')
    text = PASTE.format(pipeline=' '.join(names), negotiation=NEGOTIATION)
    path.write_text(text + (PLUGIN_FILTER if plugin else ''))


def store_folders(folder, stores, overrides=None):
    """Make the store folders; return {store or reserved store: path}."""
    folder = pathlib.Path(folder)
    places = {name: folder / 'stores' / name for name in stores}
    for name, subfolder in RESERVED.items():
        places[name] = folder / subfolder
    for name, path in (overrides or {}).items():
        places[name] = pathlib.Path(path)
    for path in places.values():
        # A test may have put a file in the place of a folder.
        if not path.exists():
            path.mkdir(parents=True)
    return places


def options(folder, url, database_url, places, backends=None):
    """Build the whole configuration as {group: {option: value}}.

    :param places: {file store: folder}, the reserved stores included; the
        first one, or else the first backend, is the default backend
    :param backends: {store: driver} of further stores
    """
    files = [name for name in places if name not in RESERVED]
    enabled = {**dict.fromkeys(files, 'file'), **(backends or {})}
    groups = {
        'DEFAULT': {
            'enabled_backends': ','.join(
                f'{name}:{driver}' for name, driver in enabled.items()
            ),
            'enabled_import_methods': IMPORT_METHODS,
            'worker_self_reference_url': url,
            'use_stderr': 'true',
        },
        'database': {'connection': database_url},
        'glance_store': {'default_backend': next(iter(enabled))},
        'oslo_concurrency': {'lock_path': str(folder / 'locks')},
    }
    for name, path in places.items():
        groups[name] = {'filesystem_store_datadir': str(path)}
    for name in backends or {}:
        groups[name] = {}
    return groups


def merge(groups, extra):
    """Lay {group: {option: value}} over the configuration, in place."""
    for group, values in (extra or {}).items():
        groups.setdefault(group, {}).update(values)


def write_conf(path, groups):
    """Write the configuration file."""
    parser = configparser.RawConfigParser(default_section='no such group')
    parser.optionxform = str
    for group, values in groups.items():
        parser[group] = {name: str(value) for name, value in values.items()}
    with path.open('w') as stream:
        parser.write(stream)
