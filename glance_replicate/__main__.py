# SPDX-License-Identifier: Apache-2.0

"""The command ``glance-replicate``, run as a module."""

import sys

from glance_replicate import main

sys.exit(main.main())
