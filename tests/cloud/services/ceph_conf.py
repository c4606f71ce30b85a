# SPDX-License-Identifier: Apache-2.0

"""The configuration of a Ceph cluster."""

# Of the OSD's file, which is sparse, and grows until it has had that much.
SIZES = {'ceph': 40 * 1024 ** 3, 'edge': 16 * 1024 ** 3, 'far': 8 * 1024 ** 3}

TEMPLATE = """\
[global]
fsid = {fsid}
mon_host = {monitor}
public_addr = {address}
cluster_addr = {address}
ms_bind_ipv6 = false
ms_bind_port_min = {first_port}
ms_bind_port_max = {last_port}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
run_dir = {folder}
admin_socket =
pid_file =
log_file = {logs}/{name}-$name.log
mon_cluster_log_file = {logs}/{name}-cluster.log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_warn_on_pool_no_redundancy = false
rbd_default_features = 61

[mon]
mon_data = {folder}/mon
mon_initial_members = a
# Whatever else is on the disk, this one stays small.
mon_data_avail_crit = 1
mon_data_avail_warn = 2

[mgr]
mgr_data = {folder}/mgr
mgr_initial_modules = iostat
mgr_stats_period = 2

[osd]
osd_data = {folder}/osd
osd_objectstore = bluestore
bluestore_block_size = {size}
bluestore_fsck_on_mount = false
# It would take gigabytes for its cache.
osd_memory_target = 939524096
bluestore_cache_autotune = false
bluestore_cache_size = 134217728
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_numa_auto_affinity = false
# What a killed process had open can be deleted once that is over. Clients tell
# every 5 s that they live.
osd_client_watch_timeout = 10

[client]
keyring = {folder}/$name.keyring
log_file =

[client.rgw]
log_file = {logs}/radosgw-ceph.log
rgw_data = {folder}/radosgw
# What was removed is gone soon, and a quota is what it is now.
rgw_gc_obj_min_wait = 1
rgw_gc_processor_period = 5
rgw_gc_processor_max_time = 5
rgw_bucket_quota_ttl = 0
rgw_user_quota_bucket_sync_interval = 1
rgw_dynamic_resharding = false
"""


def monitor_addresses(place, name, address):
    """Return the addresses of the monitor in both protocols."""
    first, second = place.port(f'{name}-mon-v1'), place.port(f'{name}-mon-v2')
    return f'[v2:{address}:{second},v1:{address}:{first}]'


def text(place, name, address, folder, fsid):
    """Return the whole file.

    :param name: of the cluster
    :param folder: where the daemons' data and the keys are
    """
    first, last = place.ceph_ports(name)
    return TEMPLATE.format(
        fsid=fsid, monitor=monitor_addresses(place, name, address),
        first_port=first, last_port=last, folder=folder, name=name,
        address=address, logs=place.make('logs'), size=SIZES[name],
    )
