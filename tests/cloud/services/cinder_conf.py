# SPDX-License-Identifier: Apache-2.0

"""The configuration of Cinder."""

import re

from tests.cloud.services import conf

HOST = 'cloud'
BACKENDS = ('fast', 'slow')
GENERAL = {
    'debug': 'true',
    'my_ip': '127.0.0.1',
    'host': HOST,
    'auth_strategy': 'keystone',
    'enabled_backends': ','.join(BACKENDS),
    'default_volume_type': 'glance-fast',
    'volume_clear': 'none',
    'osapi_volume_workers': '1',
    # So that tests see soon what has happened.
    'report_interval': '5',
    # On a busy machine everything takes its time.
    'service_down_time': '300',
    'rpc_response_timeout': '240',
    'backend_stats_polling_interval': '5',
    'periodic_fuzzy_delay': '1',
    # The limits of a project are no part of what is tested.
    'quota_volumes': '-1',
    'quota_gigabytes': '-1',
    'quota_snapshots': '-1',
}


def groups(place, venv, database, broker, ceph):
    """Return the configuration as ``{group: {option: value}}``."""
    state = place.make('cinder', 'state')
    etc = venv / 'etc' / 'cinder'
    found = {
        'DEFAULT': {
            **GENERAL,
            'state_path': state,
            'image_conversion_dir': place.make('cinder', 'conversion'),
            'transport_url': f'rabbit://{broker.url.rstrip("/")}/',
            'api_paste_config': etc / 'api-paste.ini',
            'resource_query_filters_file': etc / 'resource_filters.json',
            'rootwrap_config': place.path('cinder', 'rootwrap.conf'),
            'glance_api_servers': place.url('glance'),
        },
        'database': {'connection': database.url('cinder')},
        'oslo_concurrency': {'lock_path': place.make('cinder', 'locks')},
        'coordination': {'backend_url': f'file://{state}'},
        'oslo_messaging_rabbit': {
            'rabbit_quorum_queue': 'false', 'heartbeat_in_pthread': 'false',
        },
        'keystone_authtoken': conf.authtoken(place, 'cinder'),
        'service_user': {
            **conf.credentials(place, 'cinder'),
            'send_service_user_token': 'true',
        },
        'privsep_osbrick': {
            'helper_command': f'{venv}/bin/privsep-helper --config-file '
                              f'{place.path("cinder", "cinder.conf")}',
        },
        'backend_defaults': {
            'volume_driver': 'cinder.volume.drivers.rbd.RBDDriver',
            'rbd_user': 'cinder',
            'rbd_cluster_name': place.cluster,
            'rbd_ceph_conf': ceph.conf,
            'rbd_secret_uuid': '00000000-0000-4000-8000-000000000000',
        },
    }
    for name in BACKENDS:
        found[name] = {'volume_backend_name': name, 'rbd_pool': name}
    return found


def write_rootwrap(place, venv):
    """Write a rootwrap configuration with the venv's folders."""
    etc = venv / 'etc' / 'cinder'
    text = (etc / 'rootwrap.conf').read_text()
    for name, value in (
        ('filters_path', f'{etc}/rootwrap.d'),
        ('exec_dirs', f'{venv}/bin,/usr/sbin,/sbin,/usr/bin,/bin'),
    ):
        text = re.sub(f'(?m)^{name} *=.*$', f'{name}={value}', text)
    place.path('cinder', 'rootwrap.conf').write_text(text)
