# SPDX-License-Identifier: Apache-2.0

"""What an import request's body says, checked for its form alone."""

import json

import webob.exc

_PRIORITIES = ('low', 'normal')
_EXAMPLE = '{"method": {"name": "copy-image"}, "stores": ["store1"]}'


def bad(sentence):
    """Return a 400 with one sentence that says what to do."""
    return webob.exc.HTTPBadRequest(explanation=sentence)


def shown(name):
    """Return a name from outside in a form that is safe to show."""
    return ascii(name[:64])


def parse(request):
    """Return the body of an import request, if it has the form of one.

    :raises webob.exc.HTTPBadRequest: if it does not
    """
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise bad('The body of an import request must be JSON.') from None
    if not isinstance(body, dict):
        raise bad('The body of an import request must be a JSON object.')
    method = body.get('method')
    if not isinstance(method, dict) or not isinstance(
        method.get('name'), str
    ):
        raise bad(
            "An import request needs a 'method' with a 'name', such as "
            f'{_EXAMPLE}.'
        )
    return body


def read_flags(body):
    """Check the flags; put the specification's example into Glance's words.

    That example says ``allow_failure`` where the API, as it was released,
    says ``all_stores_must_succeed``.
    """
    for name in ('all_stores', 'all_stores_must_succeed', 'allow_failure'):
        if not isinstance(body.get(name, False), bool):
            raise bad(f"'{name}' must be true or false.")
    if 'allow_failure' in body:
        strict = not body.pop('allow_failure')
        if body.setdefault('all_stores_must_succeed', strict) != strict:
            raise bad(
                "'allow_failure' and 'all_stores_must_succeed' contradict "
                'each other: give one of them.'
            )


def check_method(body):
    """Check what else the method says than its name."""
    if body['method'].get('priority', 'normal') not in _PRIORITIES:
        raise bad(
            "The 'priority' of a copy can be 'low', so that it waits for all "
            "others, or 'normal'."
        )


def is_low(body):
    """True if a copy is to wait for all others, as its request says."""
    return body['method'].get('priority') == 'low'


def stores(body, header, all_stores):
    """Return the names of the stores asked for; None means all missing ones.

    :param header: value of ``x-image-meta-store``, or None
    :param all_stores: the option: ``reject`` or ``missing``
    """
    if body.get('all_stores'):
        if all_stores == 'reject':
            raise bad(
                "'all_stores' cannot be used to copy an image: name the "
                "stores in 'stores'."
            )
        if 'stores' in body or header:
            raise bad("Give either 'all_stores' or 'stores', not both.")
        return None
    if 'stores' in body and header:
        raise bad(
            "Name the stores either in 'stores' or in the header "
            'x-image-meta-store, not in both.'
        )
    wanted = body.get('stores', [header] if header else None)
    if wanted is None:
        raise bad(
            "Say where to copy the image: give 'stores', a list of store "
            'names such as GET /v2/info/stores shows.'
        )
    if not isinstance(wanted, list) or not all(
        isinstance(name, str) for name in wanted
    ):
        raise bad("'stores' must be a list of store names.")
    if not wanted:
        raise bad("'stores' is empty: name at least one store.")
    if len(set(wanted)) < len(wanted):
        raise bad("'stores' names a store twice: name each one once.")
    return wanted
