# SPDX-License-Identifier: Apache-2.0

"""Private names of others are as we use them; nothing else private is used.

The table is ``doc/source/contributor/private_names.rst``.
"""

import ast
import inspect
import pathlib
import threading
import types

from glance_store import capabilities
from glance_store import driver
from glance_store import location
from glance_store._drivers import filesystem
from glance_store._drivers import s3
from glance_store._drivers.cinder import base as cinder_base
from glance_store._drivers.cinder import store as cinder_store
from irods import connection
from irods import message
from irods import pool
from prometheus_client import values
import pytest
from stevedore import extension

from glance_copy_plugin.backends import drivers
from tests.parts.configured import configured

__all__ = ['configured']

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = (
    'glance_copy_plugin', 'glance_replicate', 'glance_store_cinder',
    'glance_store_irods',
)
# Attributes of others with an underscore, each in the table.
KNOWN = {
    '_register_atexit', '_find_best_datadir', '_get_metadata', '_drivers',
    '_create_s3_client',
}


def unchanged(name, is_so):
    assert is_so, (
        f'{name} is not what it was in this release: change what uses it, see '
        'doc/source/contributor/private_names.rst'
    )


def takes(function, *names):
    return list(inspect.signature(function).parameters)[:len(names)] == [
        *names
    ]


def test_stevedore_looks_for_entry_points_in_its_cache():
    extension.ExtensionManager('glance.flows')
    cache = extension.ExtensionManager.ENTRY_POINT_CACHE
    unchanged('ENTRY_POINT_CACHE of stevedore', 'api_image_import' in {
        entry.name for entry in cache['glance.flows']
    })


def test_python_has_a_hook_before_executors_stop():
    unchanged(
        'threading._register_atexit', takes(threading._register_atexit, 'func')
    )


def test_the_file_driver_chooses_a_directory_and_knows_its_metadata():
    store = filesystem.Store
    unchanged(
        '_find_best_datadir of the file driver',
        takes(store._find_best_datadir, 'self', 'image_size'),
    )
    unchanged(
        '_get_metadata of the file driver',
        takes(store._get_metadata, 'self', 'filepath'),
    )


def test_the_s3_driver_makes_its_client():
    unchanged(
        '_create_s3_client of the S3 driver',
        takes(s3.Store._create_s3_client, 'self'),
    )


def test_prometheus_client_lets_its_values_be_chosen():
    unchanged(
        'ValueClass of prometheus_client', hasattr(values, 'ValueClass')
        and inspect.isclass(values.MultiProcessValue()),
    )


def test_the_cinder_driver_can_be_built_upon():
    store = cinder_store.Store
    unchanged(
        '_set_url_prefix of the cinder driver',
        takes(store._set_url_prefix, 'self'),
    )
    made = cinder_base.factory(
        connection_info={'driver_volume_type': 'iscsi'}, root_helper='sudo',
        use_multipath=False,
    )
    unchanged('base.factory of the cinder driver', all(
        callable(getattr(made, name, None)) for name in
        (
            'connect_volume', 'disconnect_volume', 'extend_volume',
            'yield_path',
        )
    ))


def test_drivers_declare_their_capabilities_and_the_prefix_of_their_urls():
    class Reader(capabilities.StoreCapability):
        _CAPABILITIES = capabilities.BitMasks.READ_RANDOM

    unchanged(
        '_CAPABILITIES of glance_store',
        Reader().is_capable(capabilities.BitMasks.READ_RANDOM)
        and not Reader().is_capable(capabilities.BitMasks.WRITE_ACCESS),
    )
    found = types.SimpleNamespace(_url_prefix='irods:///zone/')
    unchanged(
        '_url_prefix of glance_store',
        driver.Store.url_prefix.fget(found) == 'irods:///zone/',
    )


def test_glance_store_knows_its_stores_by_scheme(configured, tmp_path):
    configured('s1', 'file', filesystem_store_datadir=str(tmp_path))
    stores = location.SCHEME_TO_CLS_BACKEND_MAP['file']
    unchanged(
        'SCHEME_TO_CLS_BACKEND_MAP of glance_store',
        stores['s1']['store'] is drivers.of_store('s1'),
    )


def test_connections_of_the_irods_client_are_made_and_pooled_as_we_do():
    unchanged(
        'the Connection of python-irodsclient',
        takes(connection.Connection.__init__, 'self', 'pool', 'account'),
    )
    made = pool.Pool(account=None)
    unchanged(
        'the Pool of python-irodsclient',
        (made.active, made.idle) == (set(), set()),
    )


def test_the_irods_client_reads_xml():
    read = message.ET().fromstring('<a><b>1</b></a>')
    unchanged('message.ET of python-irodsclient', read.findtext('b') == '1')


def private_names(path):
    """Yield the names with an underscore that a file takes from others."""
    tree = ast.parse(path.read_text())
    own = {
        node.name for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    } | {
        node.attr for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(
            node.value
        ) not in ('self', 'cls'):
            name = node.attr
        elif isinstance(node, ast.ImportFrom):
            name = next((
                part for part in (node.module or '').split('.')
                if part.startswith('_')
            ), '')
        else:
            continue
        if (
            name.startswith('_') and not name.endswith('__')
            and name not in own
        ):
            yield name


@pytest.mark.parametrize('package', PACKAGES)
def test_no_other_private_name_is_used(package):
    found = {
        name: path.name for path in (ROOT / package).rglob('*.py')
        for name in private_names(path)
    }
    assert {k: v for k, v in found.items() if k not in KNOWN} == {}, (
        'say in doc/source/contributor/private_names.rst why, and test it'
    )


def test_every_known_name_is_in_the_table():
    page = ROOT / 'doc/source/contributor/private_names.rst'
    text = page.read_text()
    assert [name for name in KNOWN if name not in text] == []
