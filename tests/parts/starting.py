# SPDX-License-Identifier: Apache-2.0

"""Starting Glance, and asking ``glance-copy check`` whether it would start."""

import os

from glance.common import wsgi_app

from tests.harness import config
from tests.harness import loaded


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


def check(folder):
    """Run ``glance-copy check``; return its status and its words."""
    return glance_copy('check', folder)


def glance_copy(command, folder):
    """Run a command of ``glance-copy``; return its status and its words.

    :param command: it and its options, with spaces between
    :param folder: of the configuration
    """
    done = run([*command.split(), '--config-dir', folder], os.environ)
    return done.returncode, done.stdout + done.stderr


def run(arguments, environment):
    """Run ``glance-copy``; return the ``CompletedProcess``."""
    return loaded.run(
        'glance_copy_plugin.cli.main:main', arguments, environment=environment,
    )


def glance(folder):
    """Load Glance as a server does; return 0 if it starts."""
    return loaded.run(
        'tests.parts.starting:init', [],
        environment={**os.environ, 'OS_GLANCE_CONFIG_DIR': str(folder)},
    ).returncode


def init():
    """What :func:`glance` runs."""
    try:
        wsgi_app.init_app()
    except Exception as exc:
        print(exc)
        return 1
    return 0
