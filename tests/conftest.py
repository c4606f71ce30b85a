# SPDX-License-Identifier: Apache-2.0
"""Which folders of tests are run, and what several of them use."""

import pathlib

import pytest

# Inherited by tests elsewhere, which are to show what was compared.
pytest.register_assert_rewrite('tests.stores', 'tests.cloud.pools')

# Servers that the tests of several folders share.
pytest_plugins = ['tests.functional.fixtures']

HERE = pathlib.Path(__file__).parent
ON_DEMAND = (HERE / 'cloud', HERE / 'release')


def pytest_ignore_collect(collection_path, config):
    """Leave out two folders unless they are asked for by name.

    ``make test-cloud`` runs the tests with a real OpenStack, which need root
    and Debian; ``make test-long`` and ``make check-release`` those of what is
    released, which make an environment of their own.
    """
    if collection_path not in ON_DEMAND:
        return None
    here = config.invocation_params.dir
    asked = [(here / word.partition('::')[0]).resolve()
             for word in config.args]
    wanted = any(each.is_relative_to(collection_path) for each in asked)
    return None if wanted else True
