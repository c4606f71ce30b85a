# SPDX-License-Identifier: Apache-2.0

"""What PRC's transfer in parallel needs: one replica, opened often."""

from tests.irods_server import packing
from tests.irods_server import replies
from tests.irods_server.handlers import files


def info(agent, request):
    """Say by which token others may join in writing an open replica."""
    number = request.input.json()['fd']
    descriptor = agent.descriptors[number]
    request.path = descriptor.path
    opening = descriptor.opening
    return replies.Reply(message=packing.pack_json({
        'data_object_info': {
            'resource_hierarchy': descriptor.replica.resource.name,
        },
        'fd': number,
        'replica_token': opening.token if opening else '',
    }))


def close_replica(agent, request):
    """Close an open file and leave the catalog as it is."""
    number = request.input.json()['fd']
    request.path = agent.descriptors[number].path
    files.forget(agent, number)
