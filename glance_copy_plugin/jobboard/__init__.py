# SPDX-License-Identifier: Apache-2.0

"""Copies beyond one machine: a jobboard that many hosts share.

The Image service posts jobs to a TaskFlow jobboard, and workers claim them.
Used when ``[copy_image] jobboard_connection`` is set; without it, each
process copies by itself and :mod:`glance_copy_plugin.ownership` keeps it
safe.
"""
