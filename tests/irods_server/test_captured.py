# SPDX-License-Identifier: Apache-2.0

"""The server's answers beside those of a real iRODS 5.0.2.

captured.txt holds what python-irodsclient 3.3.0 asked a real server in one
session, and what that answered: the API, the length of the raw bytes and
the XML of each request; the length of the header, that of the message,
that of the raw bytes, the number and the XML of each reply. The XML is
without line ends, and '...' stands for columns that are empty.
"""

import base64
import hashlib
import json
import pathlib
import re
import socket
import struct
import tempfile

import pytest

from tests import irods_server
from tests.irods_server import packing

CAPTURED = pathlib.Path(__file__).with_name('captured.txt')
EMPTY_COLUMN = (
    '<SqlResult_PI><attriInx>0</attriInx><reslen>0</reslen></SqlResult_PI>'
)
IDS = {401, 402, 423, 500, 603}
TIMES = {419, 420, 424, 508, 509}
PATHS = {410}


class Plain:
    """A client that knows lengths and text, and nothing of iRODS."""

    def __init__(self, server):
        self.socket = socket.create_connection(
            (server.host, server.port), timeout=30
        )

    def _receive(self, count):
        return self.socket.recv(count, socket.MSG_WAITALL)

    def ask(self, type_, message, body=b'', info=0):
        """Return a reply as (header length, lengths, number, message)."""
        header = (
            f'<MsgHeader_PI><type>{type_}</type><msgLen>{len(message)}'
            f'</msgLen><errorLen>0</errorLen><bsLen>{len(body)}</bsLen>'
            f'<intInfo>{info}</intInfo></MsgHeader_PI>'
        ).encode()
        self.socket.sendall(
            struct.pack('>i', len(header)) + header + message.encode() + body
        )
        length, = struct.unpack('>i', self._receive(4))
        header = self._receive(length).decode()
        self.header = header
        lengths = [
            int(re.search(f'<{tag}>(.*)</{tag}>', header)[1])
            for tag in ('msgLen', 'bsLen', 'intInfo')
        ]
        text = self._receive(lengths[0]).decode()
        self._receive(lengths[1])
        return length, *lengths, text

    def connect(self, server):
        return self.ask('RODS_CONNECT', (
            '<StartupPack_PI><irodsProt>1</irodsProt><connectCnt>0'
            '</connectCnt><proxyUser>rods</proxyUser><proxyRcatZone>tempZone'
            '</proxyRcatZone><clientUser>rods</clientUser><clientRcatZone>'
            'tempZone</clientRcatZone><relVersion>rods5.0.2</relVersion>'
            '<apiVersion>d</apiVersion><option>test</option></StartupPack_PI>'
        ))

    def authenticate(self, said):
        data = base64.b64encode(json.dumps(said).encode()).decode()
        return self.ask('RODS_API_REQ', (
            f'<BinBytesBuf_PI><buflen>{len(data)}</buflen><buf>{data}</buf>'
            '</BinBytesBuf_PI>'
        ), info=110000)

    def log_in(self, password=b'rods'):
        said = {
            'user_name': 'rods', 'zone_name': 'tempZone', 'scheme': 'native',
            'next_operation': 'auth_agent_auth_request',
        }
        self.challenge = self.authenticate(said)
        answer = payload(self.challenge[-1])
        digest = hashlib.md5(
            answer['request_result'].encode() + password.ljust(50, b'\0'),
            usedforsecurity=False,
        ).digest().replace(b'\0', b'\1')
        return self.authenticate(answer | {
            'digest': base64.b64encode(digest).decode(),
            'next_operation': 'auth_agent_auth_response',
        })


def payload(text):
    """Return the JSON in a reply, which must end in a NUL."""
    data = base64.b64decode(re.search('<buf>(.*)</buf>', text)[1])
    assert data.endswith(b'\0')
    return json.loads(data[:-1])


@pytest.fixture
def plain():
    # Short enough for physical paths not to widen the columns.
    with (
        tempfile.TemporaryDirectory(prefix='', dir='/tmp') as folder,
        irods_server.IrodsServer(folder) as server,
    ):
        client = Plain(server)
        client.greeting = client.connect(server)
        yield client
        client.socket.close()


def exchanges():
    lines = CAPTURED.read_text().splitlines()
    for request, reply in zip(lines[::2], lines[1::2], strict=True):
        _, api, count, message = request.split(' ', 3)
        _, header, length, body, info, answer = reply.split(' ', 5)
        yield (
            int(api), message, (b'hello wire' * 10)[:int(count)],
            [int(header), int(length), int(body), int(info)], answer,
        )


def columns(text):
    """Return the parts of a reply that name a column, with its values."""
    return re.findall(
        r'<attriInx>(\d+)</attriInx><reslen>\d+</reslen>'
        r'((?:<value>[^<]*</value>)*)', text,
    )


def masked(text):
    """Return ``text`` without what differs from one server to the next."""
    def mask(match):
        if int(match[1]) not in IDS | TIMES | PATHS:
            return match[0]
        values = match[3].count('<value>') * '<value>*</value>'
        return match[0].replace(match[3], values) if match[3] else match[0]
    return re.sub(
        r'<attriInx>(\d+)</attriInx><reslen>(\d+)</reslen>'
        r'((?:<value>[^<]*</value>)*)', mask, text,
    )


def learn(known, theirs, ours):
    """Note which of our numbers stands for which of the real server's."""
    for (column, old), (_, new) in zip(
        columns(theirs), columns(ours), strict=False
    ):
        if int(column) in IDS:
            known.update(zip(
                re.findall(r'\d+', old), re.findall(r'\d+', new), strict=True
            ))


def test_every_answer_of_the_captured_session_is_given_again(plain):
    assert plain.log_in()[3] == 0
    known, count = {}, 0
    for api, message, body, expected, text in exchanges():
        message = re.sub(
            r"'(\d{5})'", lambda m: f"'{known.get(m[1], m[1])}'", message
        )
        *numbers, answer = plain.ask('RODS_API_REQ', message, body, api)
        if text.endswith('...'):
            used = int(re.search('<attriCnt>(.*?)<', text)[1])
            text = text[:-3] + (50 - used) * EMPTY_COLUMN + '</GenQueryOut_PI>'
        answer = answer.replace('\n', '')
        learn(known, text, answer)
        assert masked(answer) == masked(text), (api, message)
        shift = sum(len(old[1]) for old in columns(text)) - sum(
            len(new[1]) for new in columns(answer)
        )
        numbers[1] += shift
        assert numbers == expected, (api, message)
        count += 1
    assert count == 32


def test_the_greeting_has_the_real_server_s_elements_and_lengths(plain):
    length, message, body, info, text = plain.greeting
    assert (length, message, body, info) == (139, 182, 0, 0)
    assert text.replace('\n', '') == (
        '<Version_PI><status>0</status><relVersion>rods5.0.2</relVersion>'
        '<apiVersion>d</apiVersion><reconnPort>0</reconnPort><reconnAddr>'
        '</reconnAddr><cookie>400</cookie></Version_PI>'
    )
    assert plain.header.startswith(
        '<MsgHeader_PI>\n<type>RODS_VERSION</type>\n'
    )


def test_a_login_is_answered_with_the_real_server_s_lengths(plain):
    answer = plain.log_in()
    assert plain.challenge[:4] == (141, 320, 0, 0)
    assert answer[:4] == (141, 372, 0, 0)
    said = payload(plain.challenge[-1])
    assert re.fullmatch('[0-9a-f]{64}', said.pop('request_result'))
    assert said == {
        'next_operation': 'auth_agent_auth_request', 'scheme': 'native',
        'user_name': 'rods', 'zone_name': 'tempZone',
    }
    assert list(payload(answer[-1])) == [
        'digest', 'next_operation', 'request_result', 'scheme', 'user_name',
        'zone_name',
    ]


def test_a_wrong_password_is_answered_as_by_the_real_server(plain):
    assert plain.log_in(b'wrong') == (145, 0, 0, -826000, '')


def test_text_is_escaped_as_by_the_real_server():
    assert packing.pack('STR_PI', [('myStr', '<&>"\'')]) == (
        '<STR_PI>\n<myStr>&lt;&amp;&gt;&quot;&apos;</myStr>\n</STR_PI>\n'
    )


def test_nothing_is_done_before_the_login(plain):
    answer = plain.ask(
        'RODS_API_REQ', '<DataObjInp_PI></DataObjInp_PI>', info=602
    )
    assert answer[3] == -13000


def test_an_api_that_the_server_does_not_have_is_refused(plain):
    plain.log_in()
    assert plain.ask('RODS_API_REQ', '', info=633)[3] == -14000
