# SPDX-License-Identifier: Apache-2.0
"""As much of a DevStack host as the plugin's phases need."""

from tests.devstack_host.host import DevStack
from tests.devstack_host.host import DevStackGlance
from tests.devstack_host.host import PhaseFailed

__all__ = ['DevStack', 'DevStackGlance', 'PhaseFailed']
