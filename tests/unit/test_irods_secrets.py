# SPDX-License-Identifier: Apache-2.0

import base64
import io
import logging
import traceback

from glance.common import store_utils
from glance_store import exceptions
from irods import exception
import pytest

from glance_store_irods import location
from tests import irods_server
from tests.parts import data
from tests.parts import irods

WRONG = 'a password that is wrong'
OF_PAM = irods.PAM_PASSWORD
SESAME = 'sesame.open.the.door'
LEGACY = (
    f'irods://rods:{SESAME}@host:1247/tempZone/home/glance/images/x'
)


def forms(secret):
    """Return how a password could stand in a message: as it is, encoded."""
    text = secret.encode()
    encoded = {secret, text.hex(), secret.replace(' ', '%20')}
    for padding in range(3):
        # The same text looks different by where in a longer one it stands.
        whole = base64.b64encode(bytes(padding) + text).decode()
        encoded.add(whole[4:-4])
    return encoded


@pytest.fixture
def log():
    """Yield all that is logged anywhere, at the level DEBUG."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level, before = root.level, logging.getLogger('irods').level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger('irods').setLevel(logging.DEBUG)
    yield stream.getvalue
    root.removeHandler(handler)
    root.setLevel(level)
    logging.getLogger('irods').setLevel(before)


def use(store):
    """Do everything that a store can do; return all errors as text."""
    said = [repr(store), repr(store.sessions), repr(store.settings)]

    def try_(function, *args, **more):
        try:
            said.append(repr(function(*args, **more)))
        except (
            exceptions.GlanceStoreException, exceptions.BackendException
        ) as exc:
            logging.getLogger('test').exception('failed')
            said.append(''.join(traceback.format_exception(exc)))
            said.append(repr(exc))

    url = store.url_of(store.new_path('image'))
    for _ in range(2):
        try_(irods.add, store, data.some(100))
        try_(irods.read, store, url)
        try_(irods.get_size, store, url)
        try_(store.list)
        try_(store.find, store.new_path('image'))
    try_(irods.delete, store, url)
    try_(irods.delete, store, url)
    for ask in (irods.read, irods.get_size, irods.delete):
        try_(ask, store, LEGACY)
    return ''.join(said)


def nothing_of(secrets, text):
    assert [
        form for secret in secrets for form in forms(secret) if form in text
    ] == []


def test_no_password_gets_into_a_log_or_an_error(zone, log):
    said = use(zone.store())
    nothing_of([irods.PASSWORD, SESAME], log() + said)
    assert 'Wrote 100 bytes' in log()


def test_no_wrong_password_gets_into_a_log_or_an_error(zone, log):
    said = use(zone.store(password=WRONG))
    nothing_of([WRONG], log() + said)
    assert 'did not accept' in log()


@pytest.mark.parametrize('password', [OF_PAM, WRONG])
def test_no_password_of_pam_gets_into_a_log_or_an_error(
    tmp_path, log, password
):
    """The client sends it as it is, and logs what it sends."""
    with irods_server.IrodsServer(tmp_path, tls='require') as server:
        zone = irods.Irods(server)
        store = zone.store(
            tls=True, ca_file=str(server.ca_file), auth_scheme='pam_password',
            password=password,
        )
        said = use(store)
        zone.end()
    nothing_of([password], log() + said)


def test_no_answer_to_a_login_gets_into_a_log(zone, log):
    """Whoever has it can try passwords until one fits."""
    irods.add(zone.store(), b'data')
    for word in ('digest', 'request_result', 'auth_agent_auth_response'):
        assert word not in log()
        encoded = base64.b64encode(word.encode()).decode()[:-4]
        assert encoded not in log()


def test_no_image_data_gets_into_a_log(zone, log):
    store = zone.store()
    url = irods.add(store, b'what the image holds' * 9)[0]
    irods.read(store, url)
    assert 'what the image holds' not in log()


def test_breaking_connections_show_no_password(zone, log, impatient):
    store = zone.store()
    for api in ('auth', 'query', 'open', 'write', 'read', 'unlink'):
        zone.server.faults.drop_on(api)
        said = use(store)
        nothing_of([irods.PASSWORD], said)
    nothing_of([irods.PASSWORD], log())


def test_what_the_client_says_is_not_shown_with_an_error(zone):
    store = zone.store()

    def fail(_session):
        raise exception.NetworkException(SESAME)

    with (
        pytest.raises(exceptions.RemoteServiceUnavailable) as caught,
        store.sessions.lease() as lease,
    ):
        lease.run(fail, 'copy', zone.collection)
    shown = ''.join(traceback.format_exception(caught.value))
    assert 'could not copy' in shown
    assert SESAME not in shown


def test_a_location_and_its_metadata_hold_no_credentials(zone):
    added = irods.add(zone.store(), b'data')
    nothing_of([irods.PASSWORD, irods.USER + ':'], repr(added))


def test_glance_does_not_log_the_credentials_of_a_location(zone, log):
    """It does not find the store of one of earlier times by its prefix."""
    zone.store()
    store_utils._get_store_id_from_uri(
        f'irods://rods:{SESAME}@host:1247/tempZone/home/x'
    )
    assert SESAME not in log()
    assert 'irods://***@host:1247/tempZone/home/x' in log()


@pytest.mark.parametrize(('text', 'shown'), [
    ('irods://a:b@h:1/z/o', 'irods://***@h:1/z/o'),
    ('irods://a:b@c@h:1/z/o, irods://d:e@h/z', 'irods://***@h:1/z/o, '
                                               'irods://***@h/z'),
    ('irods://z/c/o', 'irods://z/c/o'),
    ('at irods://z/c/o or a@b', 'at irods://z/c/o or a@b'),
])
def test_credentials_are_taken_out_of_urls(text, shown):
    assert location.redacted(text) == shown
