# SPDX-License-Identifier: Apache-2.0

"""The options of the jobboard and of workers, and what the code gets."""

import dataclasses
import urllib.parse

from oslo_config import cfg

JOBBOARD_OPTS = [
    cfg.StrOpt(
        'jobboard_connection',
        secret=True,
        help="""
The jobboard on which copies wait for ``glance-copy-worker``.

With it, the Image service only posts copies there; worker processes, on any
number of hosts, make them. A request is accepted when its job is on the
jobboard, and answered with 503 when the jobboard cannot be reached.

Give the same jobboard, the same namespace and the same database to the Image
service and to all workers. Copies that a jobboard has forgotten are posted
again by a worker, from the Image service's own records.

Of etcd, 3.4 or later is needed, and one member is asked: give an address that
leads to one that lives. This service speaks to its HTTP gateway, to which a
certificate says nothing of who asks: a user needs a password.

Possible values:
    * ``redis://[USER@]HOST[:PORT][/DATABASE]``
    * ``etcd://[USER@]HOST[:PORT]``
    * ``zookeeper://[USER@]HOST[:PORT][,HOST[:PORT]...]``
    * Not set: the processes of the Image service copy by themselves
"""),
    cfg.StrOpt(
        'jobboard_password',
        secret=True,
        help="""
Password for the jobboard, in whatever characters.

It is used instead of one in ``jobboard_connection``.
"""),
    cfg.BoolOpt(
        'jobboard_tls',
        default=False,
        help="""
Encrypt the connection to the jobboard. Its certificate is always verified.

Without it, the password can be read on the way.
"""),
    cfg.StrOpt(
        'jobboard_tls_ca_file',
        help="""
File with the certificates that may have signed the jobboard's own.

Possible values:
    * Path of a PEM file
    * Not set: the authorities that the system trusts
"""),
    cfg.StrOpt(
        'jobboard_tls_cert_file',
        help="""
File with the certificate that this service shows to the jobboard.
"""),
    cfg.StrOpt(
        'jobboard_tls_key_file',
        help="""
File with the private key of ``jobboard_tls_cert_file``.
"""),
    cfg.IntOpt(
        'jobboard_claim_expiry',
        default=60,
        min=4,
        max=60,
        help="""
Seconds after which the job of a worker that gives no sign of life is taken
over by another one.

A worker renews its claims four times as often. Shorter, and a dead worker's
copies go on earlier; longer, and copies survive a longer outage of the
jobboard, up to three quarters of this time.

ZooKeeper brings it within its own limits, ``minSessionTimeout`` and
``maxSessionTimeout``, which are 4 and 40 seconds as it comes. There a claim
lasts as long as the session of its process, which a thread of the client's
library keeps up, even if the rest of the process hangs.
"""),
    cfg.StrOpt(
        'jobboard_namespace',
        default='glance-copy',
        regex=r'^[A-Za-z0-9._-]+$',
        help="""
Prefix of everything that is kept on the jobboard, for servers that others use
too.
"""),
]
WORKER_OPTS = [
    cfg.PortOpt(
        'worker_metrics_port',
        default=0,
        help="""
Port on which ``glance-copy-worker`` answers over HTTP.

``/health`` answers 200 while all processes of the worker claim copies, and 503
with a sentence otherwise; ``/metrics`` is for Prometheus. One port stands for
all processes that one ``glance-copy-worker`` has started. Needs the extra
``metrics`` of the package.

Possible values:
    * 0: there is no endpoint
    * A port that is free on the worker's host
"""),
    cfg.HostAddressOpt(
        'worker_metrics_address',
        default='127.0.0.1',
        help="""
Address on which ``worker_metrics_port`` is opened.

Nobody has to log in there. What is shown are numbers and the names of stores,
never an image or a project. If it has to be reached from other hosts, let only
those in that ask for it.
"""),
]

_PORTS = {'redis': 6379, 'etcd': 2379, 'zookeeper': 2181}
_FORM = (
    'redis://[USER@]HOST[:PORT][/DATABASE], etcd://[USER@]HOST[:PORT] or '
    'zookeeper://[USER@]HOST[:PORT][,HOST[:PORT]...]'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobboardOptions:
    """How to reach the jobboard; times in seconds.

    :param kind: ``redis``, ``etcd`` or ``zookeeper``
    :param hosts: (name, port) of each server; one, except for ZooKeeper
    :param database: number of the database in redis
    :param password: kept out of what is printed
    :param expiry: how long a claim lasts that is not renewed
    """

    kind: str
    hosts: tuple
    database: int
    username: str | None
    password: str | None = dataclasses.field(repr=False)
    tls: bool
    ca_file: str | None
    cert_file: str | None
    key_file: str | None
    namespace: str
    expiry: int


def is_enabled(group):
    """True if copies are made by workers.

    :param group: the options of ``[copy_image]``
    """
    return bool(group.jobboard_connection)


def settings(group):
    """Return the :class:`JobboardOptions` that ``[copy_image]`` gives.

    :raises RuntimeError: if they cannot work, in one sentence that shows
        nothing of the address, which may hold a password
    """
    try:
        url = urllib.parse.urlsplit(group.jobboard_connection)
        hosts, database = _hosts(url), _database(url)
    except ValueError:
        raise _bad(f'is no address of the form {_FORM}') from None
    if url.query or url.fragment:
        raise _bad(f'is no address of the form {_FORM}')
    username, password = _user(url)
    if bool(group.jobboard_tls_cert_file) != bool(group.jobboard_tls_key_file):
        raise RuntimeError(
            '[copy_image] jobboard_tls_cert_file and jobboard_tls_key_file '
            'work only together: set both, or none'
        )
    if not group.jobboard_tls and (
        group.jobboard_tls_ca_file or group.jobboard_tls_cert_file
    ):
        raise RuntimeError(
            '[copy_image] names files for TLS, but jobboard_tls is false: '
            'set it, or leave the files out'
        )
    return JobboardOptions(
        kind=url.scheme,
        hosts=hosts,
        database=database,
        username=username,
        password=group.jobboard_password or password,
        tls=group.jobboard_tls,
        ca_file=group.jobboard_tls_ca_file,
        cert_file=group.jobboard_tls_cert_file,
        key_file=group.jobboard_tls_key_file,
        namespace=group.jobboard_namespace,
        expiry=group.jobboard_claim_expiry,
    )


def _hosts(url):
    """Return (name, port) of each server; ValueError if that is no list."""
    if url.scheme not in _PORTS:
        raise ValueError
    names = url.netloc.rpartition('@')[2].split(',')
    if len(names) > 1 and url.scheme != 'zookeeper':
        raise ValueError
    return tuple(_host(name, _PORTS[url.scheme]) for name in names)


def _host(name, usual_port):
    one = urllib.parse.urlsplit(f'//{name}')
    if not one.hostname:
        raise ValueError
    return one.hostname, one.port or usual_port


def _user(url):
    """Return name and password that an address has, or None for each."""
    login = url.netloc.rpartition('@')[0]
    return tuple(
        urllib.parse.unquote(text) if text else None
        for text in login.partition(':')[::2]
    )


def _database(url):
    path = url.path.strip('/')
    number = int(path) if path else 0
    if number < 0 or (path and url.scheme != 'redis'):
        raise ValueError
    return number


def _bad(what):
    return RuntimeError(f'[copy_image] jobboard_connection {what}')
