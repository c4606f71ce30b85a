# SPDX-License-Identifier: Apache-2.0

"""Those tests of the conformance suite that are worth a real cluster.

What is about sources and staging alone is shown with files, where it takes
milliseconds.
"""

import types

import pytest


def keep(**wanted):
    """Return a decorator for a class that inherits more tests than it needs.

    :param wanted: {name of a test without ``test_``: None, or the values
        of its only parameter that are kept}; those of the class itself stay
    """
    def change(cls):
        known = {name for name in dir(cls) if name.startswith('test_')}
        names = {f'test_{name}': values for name, values in wanted.items()}
        missing = names.keys() - known
        assert not missing, f'the suite has no {sorted(missing)}'
        for name in known - names.keys() - vars(cls).keys():
            setattr(cls, name, None)  # pytest collects what can be called
        for name, values in names.items():
            if values is not None:
                setattr(cls, name, _with(getattr(cls, name), values))
        return cls

    return change


def _with(test, values):
    """Return a test with other values of its parameter."""
    (mark,) = [mark for mark in test.pytestmark if mark.name == 'parametrize']
    made = types.FunctionType(
        test.__code__, test.__globals__, test.__name__, test.__defaults__,
        test.__closure__,
    )
    return pytest.mark.parametrize(mark.args[0], values)(made)
