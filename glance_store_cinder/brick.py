# SPDX-License-Identifier: Apache-2.0

"""os-brick's connectors, as glance_store makes them, and RBD's without files.

os-brick writes a ``ceph.conf`` with the key of the user into a temporary
file, which stays when the process is killed.
"""

import os
import shlex
import socket

from glance_store._drivers.cinder import base
from os_brick.initiator import connector
from os_brick.initiator.connectors import rbd
from oslo_privsep import priv_context

_PROC = '/proc/self/fd/'


def properties(told):
    """Return what Cinder has to know of this host."""
    helper = root_helper(told)
    priv_context.init(root_helper=shlex.split(helper))
    host = socket.gethostname()
    return connector.get_connector_properties(
        helper, _address(host), told.options.cinder_use_multipath,
        told.options.cinder_enforce_multipath, host=host,
    )


def root_helper(told):
    """Return the command that runs others as root."""
    return f'sudo glance-rootwrap {told.options.rootwrap_config}'


def make(client, volume, attachment, told):
    """Return glance_store's object that connects this host to a volume.

    :param attachment: cinderclient's object, with ``connection_info``
    """
    made = base.factory(
        attachment.connection_info['driver_volume_type'],
        volume=volume,
        connection_info=attachment.connection_info,
        root_helper=root_helper(told),
        use_multipath=told.options.cinder_use_multipath,
        mountpoint_base=told.options.cinder_mount_point_base,
        attachment_obj=attachment,
        client=client,
    )
    if type(made.conn) is rbd.RBDConnector:
        made.conn = RBDConnector(
            made.root_helper, use_multipath=made.use_multipath
        )
    return made


class RBDConnector(rbd.RBDConnector):
    """Gives librados its configuration in memory that has no name.

    The Linux kernel does not map the image: librbd opens it in this process.
    """

    def _get_rbd_handle(self, connection_properties, read_only=False):
        handle = super()._get_rbd_handle(connection_properties, read_only)
        # librados has read it.
        _forget(handle.rbd_conf)
        return handle

    def disconnect_volume(
        self, connection_properties, device_info, force=False,
        ignore_errors=False,
    ):
        # os-brick would begin by removing the file that does not exist, under
        # a name that means another file by now.
        handle = device_info['path']
        try:
            handle.close()
        except Exception:
            # It flushes first, and cannot if Ceph refuses this client.
            handle.rbd_image.close()
            raise

    @classmethod
    def _create_ceph_conf(
        cls, monitor_ips, monitor_ports, cluster_name, user, keyring
    ):
        hosts = cls._sanitize_mon_hosts(monitor_ips)
        monitors = ','.join(
            f'{host}:{port}'
            for host, port in zip(hosts, monitor_ports, strict=False)
        )
        key = cls._check_or_get_keyring_contents(keyring, cluster_name, user)
        text = f'[global]\nmon_host = {monitors}\n{key}\n'
        number = os.memfd_create('ceph.conf')
        os.write(number, text.encode())
        return f'{_PROC}{number}'


def _forget(path):
    if path.startswith(_PROC):
        os.close(int(path.removeprefix(_PROC)))


def _address(host):
    """Return an address of the host, of IPv6 if it has one."""
    for family in (socket.AF_INET6, socket.AF_INET):
        try:
            return socket.getaddrinfo(host, None, family)[0][4][0]
        except socket.gaierror:
            if family == socket.AF_INET:
                raise
    return None
