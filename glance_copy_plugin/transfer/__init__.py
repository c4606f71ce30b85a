# SPDX-License-Identifier: Apache-2.0

"""Moving one image's bytes: spool, readers, verification, limits.

Knows neither Glance nor glance_store: everything here can be used and tested
with plain files.
"""
