# SPDX-License-Identifier: Apache-2.0

"""The images that are made in Ceph: their names, how they appear and go."""

import importlib
import urllib.parse
import uuid

from glance_store import capabilities
from glance_store import exceptions
from oslo_log import log as logging
import tenacity

LOG = logging.getLogger(__name__)

SCHEME = 'rbd://'
PARTIAL = '.part'
# Bytes of one request when images are read or written as a stream.
REQUEST = 4 * 1024 * 1024
# The name of the snapshot that glance_store's driver makes and expects.
SNAPSHOT = 'snap'
# Seconds between two looks at what Ceph does.
LOOK = 0.5
# Seconds after which Ceph has forgotten a client that died.
FORGOTTEN = 45


def module():
    """Return the module that needs Ceph's bindings."""
    return importlib.import_module('glance_copy_plugin.backends.rbd_cluster')


def is_configured(driver):
    """False without Ceph's bindings, too: there is no pool then."""
    return driver.is_capable(capabilities.BitMasks.WRITE_ACCESS)


def parsed(location):
    """Return the driver's StoreLocation of a location."""
    found = location.driver.get_store_location_class()
    found = found({}, location.driver.conf)
    found.parse_uri(location.url)
    return found


def url(cluster, driver, name):
    """Return the URL of an image of the driver's pool, as it writes it."""
    parts = (cluster.identifier, driver.pool, name, SNAPSHOT)
    return SCHEME + '/'.join(urllib.parse.quote(part, '') for part in parts)


def partial_name(image_id):
    """Return a name for a copy that is not complete."""
    return f'{image_id}.{uuid.uuid4().hex[:12]}{PARTIAL}'


def publish(cluster, partial, request):
    """Give a complete image its name; return the :class:`StoredObject`.

    Its snapshot is there.
    """
    name = request.image_id
    request.cancel.check()
    if not cluster.rename(partial, name):
        raise exceptions.Duplicate(image=name)
    return request.target.stored(url(cluster, request.target.driver, name))


def discard(cluster, partial):
    """Remove a copy that failed; why it failed is the error to raise."""
    try:
        remove_when_free(cluster, partial)
    except (*module().ERRORS, exceptions.InUseByStore) as exc:
        _say_left_behind(partial, exc)


def discard_anew(driver, partial):
    """Remove it over another connection: Ceph may have evicted ours."""
    try:
        with module().connected(driver) as cluster:
            discard(cluster, partial)
    except (
        *module().ERRORS, exceptions.GlanceStoreException,
        exceptions.BackendException,
    ) as exc:
        _say_left_behind(partial, exc)


def _say_left_behind(partial, error):
    LOG.error(
        'An incomplete copy stays behind in Ceph as %(name)s: %(why)s',
        {'name': partial, 'why': error},
    )


def remove_when_free(cluster, name):
    """Remove an image as soon as nobody has it open any more.

    :raises: InUseByStore if somebody keeps it open
    """
    until_free(lambda: cluster.remove(name))


def until_free(look):
    """Call ``look`` until it says True: a dead client is soon forgotten.

    :raises: InUseByStore if that client lives
    """
    def in_use(_state):
        raise exceptions.InUseByStore()

    tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda done: not done),
        wait=tenacity.wait_fixed(LOOK),
        stop=tenacity.stop_after_delay(FORGOTTEN),
        retry_error_callback=in_use,
    )(look)
