# SPDX-License-Identifier: Apache-2.0

"""Starting Glance, and asking ``glance-copy check`` whether it would start.

Run as a program, it loads Glance once. For each line of JSON that it reads,
such as ``{"how": "check", "folder": "/etc/glance"}``, a copy of it runs that
command of ``glance-copy``, or loads the service (``glance``), and ends; what
came of that is written as a line of JSON.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile

from tests.harness import config
from tests.harness import process


class Configuration:
    """The configuration of a Glance in a folder, to be spoiled.

    :param folder: where it lives; made when missing
    :param database_url: a database with the tables of Glance
    """

    def __init__(self, folder, database_url):
        self.folder = folder / 'etc'
        self.folder.mkdir(parents=True)
        self.paste = self.folder / 'glance-api-paste.ini'
        self.groups = config.options(
            folder, 'http://127.0.0.1:9292', database_url,
            config.store_folders(folder, config.STORES),
        )
        self.groups['paste_deploy'] = {'config_file': self.paste}
        config.write_paste(self.paste, plugin=True)

    def set(self, group, **values):
        """Set options; None takes one out."""
        kept = {**self.groups.get(group, {}), **values}
        self.groups[group] = {
            name: value for name, value in kept.items() if value is not None
        }

    def write(self):
        """Write it down; return the folder."""
        config.write_conf(self.folder / 'glance-api.conf', self.groups)
        return self.folder


class Starter:
    """A process with Glance loaded, which starts as often as it is asked."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', 'tests.parts.starting'],
            cwd=process.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )

    def check(self, folder):
        """Run ``glance-copy check``; return its status and its words."""
        return self.run('check', folder)

    def run(self, command, folder):
        """Run a command of ``glance-copy``; return what :meth:`check` does.

        :param command: it and its options, with spaces between
        """
        return self._ask(command, folder)

    def glance(self, folder):
        """Load Glance as a server does; return 0 if that goes well."""
        return self._ask('glance', folder)

    def close(self):
        self._process.communicate()

    def _ask(self, how, folder):
        self._process.stdin.write(
            json.dumps({'how': how, 'folder': str(folder)}) + '\n'
        )
        self._process.stdin.flush()
        return tuple(json.loads(self._process.stdout.readline()))


def _serve():
    for line in sys.stdin:
        with tempfile.TemporaryFile('w+') as said:
            if (pid := os.fork()) == 0:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                status = 1
                with contextlib.suppress(BaseException):
                    status = _start(**json.loads(line))
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
            _pid, status = os.waitpid(pid, 0)
            said.seek(0)
            answer = os.waitstatus_to_exitcode(status), said.read()
        print(json.dumps(answer), flush=True)


def _start(how, folder):
    if how != 'glance':
        return main.main([*how.split(), '--config-dir', folder])
    os.environ['OS_GLANCE_CONFIG_DIR'] = folder
    try:
        wsgi_app.init_app()
    except Exception as exc:
        print(exc)
        return 1
    return 0


if __name__ == '__main__':
    import glance.api.v2.router  # noqa: F401
    from glance.common import wsgi_app
    import glance_store._drivers.filesystem  # noqa: F401
    import keystonemiddleware.auth_token  # noqa: F401

    from glance_copy_plugin.cli import check  # noqa: F401
    from glance_copy_plugin.cli import main
    import glance_copy_plugin.paste  # noqa: F401

    _serve()
