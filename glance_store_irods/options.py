# SPDX-License-Identifier: Apache-2.0

"""The options of an iRODS store, in the group that is named after it."""

from oslo_config import cfg

PREFIX = 'irods_store_'

OPTIONS = [
    cfg.HostAddressOpt('irods_store_host', help="""
Host of an iRODS server of the zone.

It is not part of an image's location, so that a zone can move to another
host.

Related options:
    * irods_store_environment_file
"""),
    cfg.PortOpt(
        'irods_store_port', default=1247,
        help='Port of that iRODS server.',
    ),
    cfg.StrOpt(
        'irods_store_zone', help='Zone in which the user is known.',
    ),
    cfg.StrOpt('irods_store_path', help="""
Collection that holds the images, with its zone.

The collection must exist, and the user needs permission to write there. Two
stores must not use the same collection, nor may one lie in the other's: the
path is how the store of a location is found.

Possible values:
    * An absolute path, such as /tempZone/home/glance/images. It may lie in a
      zone that is federated with ``irods_store_zone``.
"""),
    cfg.StrOpt('irods_store_primary_res', help="""
Resource that images are written to.

Possible values:
    * Name of a resource
    * Not set: the one that the zone chooses
"""),
    cfg.StrOpt('irods_store_replica_res', help="""
Resource that gets a second replica of each image.

An image is stored only when this replica is complete and verified too.

Possible values:
    * Name of a resource other than ``irods_store_primary_res``
    * Not set: no second replica is made
"""),
    # Logging in.
    cfg.StrOpt(
        'irods_store_user', help='User that the images belong to.',
    ),
    cfg.StrOpt('irods_store_password', secret=True, help="""
Password of that user.

It never becomes part of a location. With the scheme ``pam_password`` it is
the one that PAM asks for.
"""),
    cfg.StrOpt(
        'irods_store_auth_scheme',
        default='native',
        choices=[
            ('native', 'iRODS keeps the password.'),
            ('pam_password', 'PAM checks the password on the server. It is '
                             'sent there, so TLS is needed.'),
        ],
        help='How the user logs in.',
    ),
    cfg.StrOpt('irods_store_environment_file', help="""
An ``irods_environment.json`` that says where the zone is and how to log in.

It takes the place of the options for host, port, zone, user, password, scheme
and TLS, which must not be set then. If it asks for TLS, the server's
certificate is verified, with the system's certificate authorities unless it
names others.

Possible values:
    * Absolute path of a file that the Image service can read
    * Not set: the options say it

Related options:
    * irods_store_authentication_file
"""),
    cfg.StrOpt('irods_store_authentication_file', help="""
The file with the obfuscated password that belongs to the environment file.

``iinit`` writes it. The operating system's user that runs the Image service
must have written it, because its content depends on the user's number. It is
read at each login, so it can be renewed while the service runs.

Possible values:
    * Absolute path of a file that the Image service can read
    * Not set: what the environment file says, else
      ``$IRODS_AUTHENTICATION_FILE``, else ``~/.irods/.irodsA``
"""),
    # TLS.
    cfg.BoolOpt('irods_store_tls', default=False, help="""
Whether to require TLS from the server.

Without it, image data travels unprotected; a native password does not travel
at all.
"""),
    cfg.StrOpt(
        'irods_store_tls_verify',
        default='hostname',
        choices=[
            ('hostname', 'The certificate must be valid for the host.'),
            ('cert', 'The certificate must be valid, for any host.'),
            ('none', 'Nothing is verified: whoever answers gets the data.'),
        ],
        help='What to verify of the server\'s certificate.',
    ),
    cfg.StrOpt('irods_store_ca_file', help="""
File with the certificate authorities to trust, in PEM format.

Possible values:
    * Absolute path of a file
    * Not set: those in ``irods_store_ca_path``, else the system's
"""),
    cfg.StrOpt('irods_store_ca_path', help="""
Directory with the certificate authorities to trust, hashed for OpenSSL.

Possible values:
    * Absolute path of a directory
    * Not set: those in ``irods_store_ca_file``, else the system's
"""),
    # Transfers.
    cfg.FloatOpt(
        'irods_store_connection_timeout', default=10.0, min=0.1,
        help='Seconds to wait for a connection and for each step of the login.'
    ),
    cfg.FloatOpt('irods_store_timeout', default=120.0, min=0.1, help="""
Seconds to wait for an answer or for the next bytes.

Also how long a request waits for a free connection.

Related options:
    * irods_store_pool_size
"""),
    cfg.FloatOpt('irods_store_long_timeout', default=14400.0, min=0.1, help="""
Seconds to wait for what the zone does with a whole image.

That is a checksum, a replica, a copy inside the zone, or closing an image
that was written, when the zone may replicate it by itself. Choose it longer
than the slowest resource needs to read the biggest image.
"""),
    cfg.IntOpt('irods_store_pool_size', default=32, min=1, help="""
The most connections that one process of the service has to this store.

Each upload, download or other request uses one at a time, and the zone runs
one process for each.

Related options:
    * irods_store_timeout
"""),
    cfg.FloatOpt(
        'irods_store_connection_idle', default=60.0, min=0.1, help="""
Seconds after which a connection is closed that nobody uses.

The zone has a process for each open connection.
"""),
    cfg.FloatOpt(
        'irods_store_connection_max_age', default=600.0, min=0.1, help="""
Seconds after which a connection is not used for further requests.

The zone's process for a connection reads only once, when it begins, which
resources there are and which of them are up. What a resource refuses is asked
again on a new connection in any case.
"""),
    cfg.IntOpt(
        'irods_store_chunk_size',
        default=4 * 1024 * 1024, min=4096, max=256 * 1024 * 1024,
        help="""
Bytes to send or ask for at a time.

iRODS is fastest with about 4 MiB. A transfer needs memory for three of them.
"""),
    cfg.IntOpt('irods_store_transfer_threads', default=1, min=1, max=16,
               help="""
Connections over which one image is read at the same time.

More than one helps where a single connection cannot fill the network, as over
a long distance. It costs memory for a chunk and a process of the zone each. An
image is read over fewer if not so many connections are free. Images are always
written over one: iRODS writes in parallel only from a local file.

Related options:
    * irods_store_pool_size
    * irods_store_chunk_size
"""),
]


def list_opts():
    """Return the options for oslo-config-generator."""
    return [('irods', OPTIONS)]
