# SPDX-License-Identifier: Apache-2.0

"""Glance under Apache's mod_wsgi, as Debian packages it.

Its interpreter is the system's Python. What Glance needs comes from the
environment of the tests, which works if the minor version is the same.
"""

import functools
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import psutil

from tests.harness import postgres
from tests.harness import process

MODULES = pathlib.Path('/usr/lib/apache2/modules')
PYTHON = '/usr/bin/python3'
NAME = 'glance'
SITE = pathlib.Path(sysconfig.get_path('purelib'))
SCRIPT = SITE / 'glance' / 'wsgi' / 'api.py'
PROBE = (
    'import sys; print(*sys.version_info[:2], sep="."); '
    'import psycopg2, glance.wsgi, tests.harness'
)
CONFIGURATION = f"""\
ServerRoot {{folder}}
ServerName 127.0.0.1
Listen 127.0.0.1:{{port}}
DefaultRuntimeDir {{folder}}
PidFile {{folder}}/apache.pid
ErrorLog {{log}}
LogLevel warn wsgi:info
TimeOut 300
LoadModule mpm_event_module {MODULES}/mod_mpm_event.so
LoadModule authz_core_module {MODULES}/mod_authz_core.so
LoadModule wsgi_module {MODULES}/mod_wsgi.so
WSGISocketPrefix {{folder}}/wsgi
WSGIChunkedRequest On
WSGIRestrictEmbedded On
WSGIDaemonProcess {NAME} processes={{workers}} threads={{threads}} \
display-name=%{{{{GROUP}}}} python-path={{path}}
# With both options Glance is loaded when a process starts, and otherwise when
# its first request comes.
WSGIScriptAlias / {SCRIPT} \
process-group={NAME} application-group=%{{{{GLOBAL}}}}
<Directory {SCRIPT.parent}>
    Require all granted
</Directory>
"""
class ModWsgi:
    """An Apache of its own, with Glance in daemon processes."""

    @staticmethod
    def missing():
        """Return why there can be no mod_wsgi here, or None."""
        if not _apache() or not (MODULES / 'mod_wsgi.so').exists():
            return (
                'Apache\'s mod_wsgi is not installed (Debian: apt-get install '
                'libapache2-mod-wsgi-py3)'
            )
        try:
            return _probe()
        except postgres.Unavailable as reason:
            return str(reason)

    def start(self, server, listener):
        """Start a ``GlanceServer`` on the port of a socket.

        Root's Apache would not run Glance as root. So all of it runs as the
        user that PostgreSQL runs as, whose socket it can use.

        :returns: its :class:`~tests.harness.process.ProcessGroup`
        """
        listener.close()
        path = server.conf.parent / 'apache.conf'
        path.write_text(self._configuration(server))
        server.log.touch()
        user = postgres.unprivileged_user()
        if user:
            _give(server.folder, user)
        return process.start(
            [_apache(), '-DFOREGROUND', '-f', path],
            server.log,
            server.folder,
            server.process_environment(),
            **_as(user),
        )

    def workers(self, group):
        """Return the processes of a group that run Glance."""
        return [
            found for found in group.children()
            if f'(wsgi:{NAME})' in _title(found)
        ]

    def _configuration(self, server):
        return CONFIGURATION.format(
            folder=server.folder,
            port=server.port,
            log=server.log,
            workers=server.workers,
            threads=server.threads,
            path=f'{process.ROOT}:{SITE}',
        )


def _title(found):
    """Return what a process calls itself; nothing if it has ended."""
    try:
        return ' '.join(found.cmdline()[:1])
    except psutil.NoSuchProcess:
        return ''


@functools.cache
def _probe():
    """Return why the system's Python cannot run Glance, or None."""
    done = subprocess.run(
        [PYTHON, '-c', PROBE],
        cwd='/',
        env={'PYTHONPATH': f'{process.ROOT}:{SITE}'},
        capture_output=True,
        text=True,
        **_as(postgres.unprivileged_user()),
    )
    found = done.stdout.strip()
    wanted = f'{sys.version_info[0]}.{sys.version_info[1]}'
    if found != wanted:
        return f'mod_wsgi runs Python {found}, and the tests Python {wanted}'
    if done.returncode:
        why = done.stderr.strip().rpartition('\n')[2]
        return f'mod_wsgi\'s Python cannot use {SITE}: {why}'
    return None


def _apache():
    return shutil.which('apache2', path=f'{os.defpath}:/usr/sbin')


def _as(user):
    """Return the arguments of Popen for a user; None is this one."""
    if not user:
        return {}
    return {'user': user.pw_uid, 'group': user.pw_gid, 'extra_groups': []}


def _give(folder, user):
    """Make a user the owner of a folder and all that is in it."""
    for path in (folder, *folder.rglob('*')):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
