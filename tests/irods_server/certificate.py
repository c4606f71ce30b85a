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

"""A certificate for 127.0.0.1 and localhost, made for one test run."""

import ssl
import subprocess


def make(folder):
    """Return a server's TLS context, and the file that a client trusts."""
    key, certificate = folder / 'server.key', folder / 'server.crt'
    subprocess.run([
        'openssl', 'req', '-x509', '-newkey', 'ec', '-nodes', '-days', '2',
        '-pkeyopt', 'ec_paramgen_curve:prime256v1',
        '-subj', '/CN=localhost',
        '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-addext', 'keyUsage=critical,digitalSignature,keyCertSign',
        '-keyout', str(key), '-out', str(certificate),
    ], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
