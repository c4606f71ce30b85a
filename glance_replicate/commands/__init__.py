# SPDX-License-Identifier: Apache-2.0

"""The commands of ``glance-replicate``, and of ``openstack`` too."""
