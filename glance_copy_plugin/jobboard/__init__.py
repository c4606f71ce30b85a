# SPDX-License-Identifier: Apache-2.0

"""Copies beyond one machine: a board of jobs that many hosts share.

The Image service posts jobs to a TaskFlow jobboard; the processes of
``glance-copy-worker`` claim them, and take over what others leave. Used when
``[copy_image] jobboard_connection`` is set; without it, each process copies
by itself and :mod:`glance_copy_plugin.recovery` keeps it safe.
"""
