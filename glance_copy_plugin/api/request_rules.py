# SPDX-License-Identifier: Apache-2.0

"""Which copies may be asked for: the rules, judged before a task exists.

Follows the specification "Copy existing image in multiple stores". Where
Glance itself would refuse, its status code is kept and the sentence says what
to do; Glance's controller stays in charge of policy, lock and task.
"""

import datetime
import json
import re

from glance.api import policy
from glance.api.v2 import policy as api_policy
from glance.common import exception
import glance.gateway
from oslo_utils import timeutils
import webob.exc

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image_record
from glance_copy_plugin.records import import_request

_METHOD = 'copy-image'
# The form of id that Glance's own schema of an image allows.
_IMAGE_ID = re.compile(r'^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')
_IMPORT_PATH = re.compile(r'^/v2/images/([^/]+)/import/?$')
# As long as Glance's controller takes the lock of a task for good.
_LOCK_EXPIRY = datetime.timedelta(minutes=60)
_PENDING_LOCK_EXPIRY = datetime.timedelta(minutes=120)

COPY = object()


def being_copied(image_id, task_id=None):
    """Return the refusal of a second copy of one image.

    :param task_id: who holds the image, if that is known
    """
    if task_id:
        who = f'Task {task_id} is still working on this image'
    else:
        who = (
            'Another task is still working on this image, or what it has '
            'asked of a store still hangs there'
        )
    return webob.exc.HTTPConflict(
        explanation=f'{who}: ask again when it has ended, as '
        f'GET /v2/images/{image_id}/tasks shows.'
    )


def import_target(request):
    """Return the id of the image that ``request`` imports to, or None."""
    if request.method != 'POST':
        return None
    match = _IMPORT_PATH.match(request.path_info)
    return match.group(1) if match else None


class Rules:
    """Judges import requests.

    :param conf: the configuration, ``[copy_image]`` registered
    """

    def __init__(self, conf):
        self._conf = conf
        self._enforcer = policy.Enforcer()
        self._gateway = glance.gateway.Gateway(
            policy_enforcer=self._enforcer
        )

    def judge(self, request, image_id):
        """Let a request pass, complete it, or refuse it.

        :returns: None if it is not about copying, COPY to let Glance go on
            with it, or a response if there is nothing to do
        :raises webob.exc.HTTPException: the refusal, with one sentence
        """
        body = import_request.parse(request)
        if (
            body['method']['name'] != _METHOD
            or _METHOD not in self._conf.enabled_import_methods
        ):
            return None
        import_request.read_flags(body)
        import_request.check_method(body)
        wanted = import_request.stores(
            body,
            request.headers.get('x-image-meta-store'),
            self._conf[copy_image.GROUP].all_stores,
        )
        context = _context(request)
        image = self._image(context, image_id)
        self._check_image(context, image)
        self._check_lock(context, image)
        holding = {
            location['metadata'].get('store') for location in image.locations
        }
        if wanted is None:
            wanted = [
                name for name in drivers.store_names()
                if name not in holding and drivers.is_writable(name)
            ]
            if not wanted:
                return webob.Response(status=202)
        else:
            _check_stores(wanted, holding)
        _rewrite(request, body, wanted)
        return COPY

    def _image(self, context, image_id):
        try:
            if not _IMAGE_ID.match(image_id):
                raise exception.NotFound
            return self._gateway.get_repo(context).get(image_id)
        except exception.NotFound:
            if _IMAGE_ID.match(image_id) and history.deleted_during_copy(
                context, image_id
            ):
                raise webob.exc.HTTPGone(
                    explanation=f'Image {image_id} was deleted while it was '
                    'being copied: there is nothing left to copy.'
                ) from None
            raise webob.exc.HTTPNotFound(
                explanation='No image '
                f'{import_request.shown(image_id)} was found: check the id, '
                'and that the image is visible to your project.'
            ) from None

    def _check_image(self, context, image):
        if image.status != 'active':
            raise webob.exc.HTTPConflict(
                explanation=f'Only an active image can be copied and this '
                f'one is {image.status}: copy it when it is active.'
            )
        target = api_policy.ImageAPIPolicy(
            context, image, enforcer=self._enforcer
        )
        try:
            target.copy_image()
        except webob.exc.HTTPForbidden:
            raise webob.exc.HTTPForbidden(
                explanation="The policy 'copy_image' does not allow you to "
                'copy this image: ask an administrator to do it.'
            ) from None
        except exception.NotFound as exc:
            raise webob.exc.HTTPNotFound(explanation=exc.msg) from None

    def _check_lock(self, context, image):
        holder = image.extra_properties.get(image_record.LOCK)
        if holder is None:
            return
        repo = self._gateway.get_task_repo(context.elevated())
        try:
            task = repo.get(holder)
        except exception.NotFound:
            return
        expiry = (
            _PENDING_LOCK_EXPIRY if task.status == 'pending' else _LOCK_EXPIRY
        )
        if timeutils.utcnow() - task.updated_at < expiry:
            raise being_copied(image.image_id, holder)


def _context(request):
    try:
        return request.context
    except AttributeError:
        raise webob.exc.HTTPInternalServerError(
            explanation='The filter copy_image stands before the filter '
            'context in the paste pipeline: an operator has to put it behind.'
        ) from None


def _check_stores(wanted, holding):
    known = drivers.store_names()
    for name in wanted:
        if name.startswith(drivers.RESERVED_PREFIX):
            raise import_request.bad(
                f'Store {import_request.shown(name)} is reserved for the '
                'Image service itself: name stores that GET /v2/info/stores '
                'shows.'
            )
        if name not in known:
            raise webob.exc.HTTPConflict(
                explanation=f'There is no store {import_request.shown(name)} '
                'here: name stores that GET /v2/info/stores shows.'
            )
    for name in wanted:
        if name in holding:
            raise import_request.bad(
                f"Store '{name}' has the image already: leave it out."
            )
        if not drivers.is_writable(name):
            raise import_request.bad(
                f"Store '{name}' cannot be written: name another one."
            )


def _rewrite(request, body, wanted):
    """Hand on what was judged, in the words that Glance knows."""
    body = dict(body, stores=wanted)
    body.pop('all_stores', None)
    request.headers.pop('x-image-meta-store', None)
    request.body = json.dumps(body).encode()
