# SPDX-License-Identifier: Apache-2.0

import json

import pytest
import webob
import webob.exc

from glance_copy_plugin.api import request_rules
from glance_copy_plugin.records import import_request

IMAGE = '71c675ab-d94f-49cd-a114-e12490b328d9'


def request(path, method='POST', **more):
    return webob.Request.blank(path, method=method, **more)


# Which requests are looked at.


@pytest.mark.parametrize('path', [
    f'/v2/images/{IMAGE}/import', f'/v2/images/{IMAGE}/import/',
    f'/v2/images/{IMAGE}/import?x=y',
])
def test_an_import_request_names_its_image(path):
    assert request_rules.import_target(request(path)) == IMAGE


def test_an_import_request_below_a_prefix_names_its_image():
    prefixed = request(
        f'/v2/images/{IMAGE}/import', environ={'SCRIPT_NAME': '/image'}
    )
    assert request_rules.import_target(prefixed) == IMAGE


@pytest.mark.parametrize(('path', 'method'), [
    (f'/v2/images/{IMAGE}/import', 'GET'),
    (f'/v2/images/{IMAGE}', 'POST'),
    (f'/v2/images/{IMAGE}/file', 'POST'),
    (f'/v2/images/{IMAGE}/import/more', 'POST'),
    (f'/v2/images/{IMAGE}/actions/import', 'POST'),
    (f'/v1/images/{IMAGE}/import', 'POST'),
    ('/v2/images//import', 'POST'),
    ('/', 'POST'),
])
def test_every_other_request_is_left_alone(path, method):
    assert request_rules.import_target(request(path, method)) is None


# The form of the body.


def parse(body):
    return import_request.parse(request('/', body=body))


@pytest.mark.parametrize('body', [
    b'', b'nonsense', b'\xff\xfe', b'[' * 100_000, b'[]', b'null', b'"x"',
    b'{}', b'{"method": null}', b'{"method": "copy-image"}',
    b'{"method": {}}', b'{"method": {"name": 1}}',
])
def test_a_body_without_a_method_is_refused(body):
    with pytest.raises(webob.exc.HTTPBadRequest):
        parse(body)


def test_a_body_with_a_method_is_taken():
    body = {'method': {'name': 'copy-image'}, 'stores': ['s1']}
    assert parse(json.dumps(body).encode()) == body


@pytest.mark.parametrize('name', [
    'all_stores', 'all_stores_must_succeed', 'allow_failure',
])
@pytest.mark.parametrize('value', ['true', 1, None, [], {}])
def test_a_flag_must_be_true_or_false(name, value):
    with pytest.raises(webob.exc.HTTPBadRequest, match=name):
        import_request.read_flags({name: value})


@pytest.mark.parametrize('allow', [True, False])
def test_allow_failure_is_the_opposite_of_must_succeed(allow):
    body = {'allow_failure': allow}
    import_request.read_flags(body)
    assert body == {'all_stores_must_succeed': not allow}


def test_flags_that_say_the_same_are_taken():
    body = {'allow_failure': True, 'all_stores_must_succeed': False}
    import_request.read_flags(body)
    assert body == {'all_stores_must_succeed': False}


def test_flags_that_contradict_each_other_are_refused():
    with pytest.raises(webob.exc.HTTPBadRequest, match='contradict'):
        import_request.read_flags(
            {'allow_failure': True, 'all_stores_must_succeed': True}
        )


@pytest.mark.parametrize(('method', 'low'), [
    ({}, False), ({'priority': 'normal'}, False), ({'priority': 'low'}, True),
])
def test_a_copy_may_be_less_urgent_than_others(method, low):
    import_request.check_method({'method': method})
    assert import_request.is_low({'method': method}) is low


@pytest.mark.parametrize('priority', ['high', '', None, 1, 'LOW'])
def test_no_other_priority_is_taken(priority):
    with pytest.raises(webob.exc.HTTPBadRequest, match='priority'):
        import_request.check_method({'method': {'priority': priority}})


# The stores.


@pytest.mark.parametrize('wanted', [
    [], 's1', {'s1': 1}, ['s1', 's1'], ['s1', 1], [None], [['s1']], None, 7,
])
@pytest.mark.parametrize('policy', ['reject', 'missing'])
def test_stores_must_be_a_list_of_different_names(wanted, policy):
    with pytest.raises(webob.exc.HTTPBadRequest):
        import_request.stores({'stores': wanted}, None, policy)


def test_the_stores_are_taken_in_their_order():
    assert import_request.stores(
        {'stores': ['s2', 's1']}, None, 'reject'
    ) == ['s2', 's1']


def test_a_header_can_name_one_store():
    assert import_request.stores({}, 's1', 'reject') == ['s1']


def test_a_header_and_a_list_are_one_too_many():
    with pytest.raises(webob.exc.HTTPBadRequest, match='not in both'):
        import_request.stores({'stores': ['s1']}, 's1', 'reject')


def test_somebody_who_names_no_store_is_told_where_to_find_them():
    with pytest.raises(webob.exc.HTTPBadRequest, match='/v2/info/stores'):
        import_request.stores({}, None, 'reject')


@pytest.mark.parametrize('body', [
    {'all_stores': True}, {'all_stores': True, 'stores': ['s1']},
])
def test_all_stores_are_refused_unless_an_operator_allows_it(body):
    with pytest.raises(webob.exc.HTTPBadRequest, match='all_stores'):
        import_request.stores(body, None, 'reject')


def test_all_stores_mean_those_that_are_missing_if_that_is_allowed():
    assert import_request.stores({'all_stores': True}, None, 'missing') is None


@pytest.mark.parametrize(('body', 'header'), [
    ({'all_stores': True, 'stores': ['s1']}, None),
    ({'all_stores': True}, 's1'),
])
def test_all_stores_and_some_stores_contradict_each_other(body, header):
    with pytest.raises(webob.exc.HTTPBadRequest, match='not both'):
        import_request.stores(body, header, 'missing')


def test_all_stores_false_is_like_not_saying_it():
    assert import_request.stores(
        {'all_stores': False, 'stores': ['s1']}, None, 'reject'
    ) == ['s1']


@pytest.mark.parametrize('name', ['s1\n<script>', 'é' * 10, 'x' * 1000])
def test_a_name_from_outside_is_shown_in_a_safe_form(name):
    shown = import_request.shown(name)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) < 300
