# SPDX-License-Identifier: Apache-2.0

"""Copies survive the process that runs them.

Every copy has a small file, locked while its process lives. Another process
of the host that can lock it knows that the owner is gone, and takes over.
"""
