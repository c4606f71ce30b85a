# SPDX-License-Identifier: Apache-2.0

"""A driver for glance_store that keeps images in iRODS.

Enabled with ``enabled_backends = <name>:irods``. It needs nothing else of this
distribution, and the Python package python-irodsclient.
"""
