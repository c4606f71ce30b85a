# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
import glance.db
import glance.gateway
from oslo_utils import timeutils
import webob.exc

from glance_copy_plugin import opts
from glance_copy_plugin import stores
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image as image_record
from glance_copy_plugin.transfer import errors

_METHOD = 'copy-image'
_IMPORT_PATH = re.compile(r'^/v2/images/([^/]+)/import/?$')
# As long as Glance's controller takes the lock of a task for good.
_LOCK_EXPIRY = datetime.timedelta(minutes=60)
_PENDING_LOCK_EXPIRY = datetime.timedelta(minutes=120)


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

        :returns: None to let Glance go on with the request, or a response
            if there is nothing to do
        :raises webob.exc.HTTPException: the refusal, with one sentence
        """
        body = _body(request)
        if body is None or body['method'].get('name') != _METHOD:
            return None
        if _METHOD not in self._conf.enabled_import_methods:
            return None
        _translate_allow_failure(body)
        wanted = self._wanted_stores(body, request)
        context = request.context
        image = self._image(context, image_id)
        self._check_image(context, image)
        self._check_lock(context, image)
        holding = {
            location['metadata'].get('store') for location in image.locations
        }
        if wanted is None:
            wanted = [
                name for name in stores.names()
                if name not in holding and stores.is_writable(name)
            ]
            if not wanted:
                return webob.Response(status=202)
        else:
            _check_stores(wanted, holding)
        _rewrite(request, body, wanted)
        return None

    def _wanted_stores(self, body, request):
        """Return the stores asked for; None means all that are missing."""
        header = request.headers.get('x-image-meta-store')
        if body.get('all_stores'):
            return self._all_stores(body, header)
        if 'stores' in body and header:
            raise _bad(
                "Name the stores either in 'stores' or in the header "
                'x-image-meta-store, not in both.'
            )
        wanted = body.get('stores', [header] if header else None)
        if wanted is None:
            raise _bad(
                "Say where to copy the image: give 'stores', a list of store "
                "names such as GET /v2/info/stores shows."
            )
        if not isinstance(wanted, list) or not all(
            isinstance(name, str) for name in wanted
        ):
            raise _bad("'stores' must be a list of store names.")
        if not wanted:
            raise _bad("'stores' is empty: name at least one store.")
        if len(set(wanted)) < len(wanted):
            raise _bad("'stores' names a store twice: name each one once.")
        return wanted

    def _all_stores(self, body, header):
        if self._conf[opts.GROUP].all_stores == 'reject':
            raise _bad(
                "'all_stores' cannot be used to copy an image: name the "
                "stores in 'stores'."
            )
        if 'stores' in body or header:
            raise _bad("Give either 'all_stores' or 'stores', not both.")
        return None

    def _image(self, context, image_id):
        try:
            return self._gateway.get_repo(context).get(image_id)
        except exception.NotFound:
            if history.deleted_during_copy(context, image_id):
                raise webob.exc.HTTPGone(
                    explanation=f'Image {image_id} was deleted while it was '
                    'being copied: there is nothing left to copy.'
                ) from None
            raise webob.exc.HTTPNotFound(
                explanation=f'No image {image_id} was found: check the id, '
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
            raise webob.exc.HTTPConflict(
                explanation=f'Task {holder} is still working on this image: '
                'ask again when it has ended, as GET /v2/images/'
                f'{image.image_id}/tasks shows.'
            )


def _check_stores(wanted, holding):
    known = stores.names()
    for name in wanted:
        if name.startswith(stores.RESERVED_PREFIX):
            raise _bad(
                f"Store '{name}' is reserved for the Image service itself: "
                'name stores that GET /v2/info/stores shows.'
            )
        if name not in known:
            raise webob.exc.HTTPConflict(
                explanation=f"There is no store '{name}' here: name stores "
                'that GET /v2/info/stores shows.'
            )
    for name in wanted:
        if name in holding:
            raise _bad(
                f"Store '{name}' has the image already: leave it out."
            )
        if not stores.is_writable(name):
            raise _bad(
                f"Store '{name}' cannot be written: name another one."
            )


def _body(request):
    """Return the request's body if it is an object with a method."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise _bad('The body of an import request must be JSON.') from None
    if not isinstance(body, dict):
        raise _bad('The body of an import request must be a JSON object.')
    method = body.get('method')
    if not isinstance(method, dict) or not isinstance(
        method.get('name'), str
    ):
        raise _bad(
            "An import request needs a 'method' with a 'name', such as "
            '{"method": {"name": "copy-image"}, "stores": ["store1"]}.'
        )
    return body


def _translate_allow_failure(body):
    """Check the flags; put the specification's example into Glance's words.

    That example says ``allow_failure`` where the API, as it was released,
    says ``all_stores_must_succeed``.
    """
    for name in ('all_stores', 'all_stores_must_succeed', 'allow_failure'):
        if not isinstance(body.get(name, False), bool):
            raise _bad(f"'{name}' must be true or false.")
    if 'allow_failure' in body:
        strict = not body.pop('allow_failure')
        if body.setdefault('all_stores_must_succeed', strict) != strict:
            raise _bad(
                "'allow_failure' and 'all_stores_must_succeed' contradict "
                'each other: give one of them.'
            )


def _rewrite(request, body, wanted):
    """Hand on what was judged, in the words that Glance knows."""
    body = dict(body, stores=wanted)
    body.pop('all_stores', None)
    request.headers.pop('x-image-meta-store', None)
    request.body = json.dumps(body).encode()


def _bad(sentence):
    return webob.exc.HTTPBadRequest(explanation=errors.redact(sentence))
