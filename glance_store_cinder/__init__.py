# SPDX-License-Identifier: Apache-2.0

"""A driver for glance_store that keeps images as volumes of Cinder.

Enabled with ``enabled_backends = <name>:cinder_multi``. It has the scheme,
the URLs and the options of glance_store's own driver ``cinder``, which it is
built on; it needs the Python packages of the extra ``cinder``.
"""
