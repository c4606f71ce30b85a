# SPDX-License-Identifier: Apache-2.0

"""Options that were swallowed."""

import pytest

from tests.functional import replicating

SECRET = 'sesame-opens'
HERE = 'http://127.0.0.1:9'


@pytest.mark.parametrize(('given', 'option'), [
    (('dump', HERE, 'folder'), '--token'),
    (('load', HERE, 'folder'), '--from-token'),
])
def test_a_token_that_the_command_has_no_use_for_was_swallowed(
    tmp_path, given, option
):
    done = replicating.run(
        *given[:2], tmp_path / 'dump', option, SECRET
    )
    assert done.status == 2
    assert f'unrecognized arguments: {option}' in done.err
    assert SECRET not in done.err
    assert not (tmp_path / 'dump').exists()
