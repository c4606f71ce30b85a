# SPDX-License-Identifier: Apache-2.0

"""The same commands for ``openstack``, python-openstackclient."""
