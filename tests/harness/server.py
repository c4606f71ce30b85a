# SPDX-License-Identifier: Apache-2.0

"""Start and end a real Glance: its WSGI application under some server."""

import json
import os
import pathlib
import time
import urllib.error
import urllib.request

from tests.harness import config
from tests.harness import database
from tests.harness import invariants
from tests.harness import process
from tests.harness.wsgi import gunicorn

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerError(Exception):
    """Glance did not start; the text ends with the end of its log."""


class GlanceServer:
    """A Glance in a folder; a context manager that starts and stops it.

    :param folder: where everything of it lives; made when missing
    :param plugin: put the ``copy_image`` filter into the paste pipeline
    :param workers: worker processes
    :param threads: threads of each, for requests
    :param stores: names of the file stores, the default backend first
    :param store_dirs: {store: folder} for stores that live elsewhere, the
        reserved ones (``os_glance_staging_store``) included
    :param backends: {store: driver} of further stores, such as
        ``{'ro': 'http'}``; their options go into ``settings``
    :param settings: {group: {option: value}} laid over the configuration
    :param database_url: an empty database; a SQLite file by default
    :param graceful_timeout: seconds that ``stop`` leaves running copies
    :param environment: further environment variables
    :param schema: {property: its JSON schema} for what users add to images,
        as operators say it in ``schema-image.json``
    :param wsgi: the server that runs the application, of
        :mod:`tests.harness.wsgi`; gunicorn by default
    """

    # The filter of the paste pipeline that tells who asks.
    auth = 'test_token'

    def __init__(
        self,
        folder,
        plugin=True,
        *,
        workers=1,
        threads=16,
        stores=config.STORES,
        store_dirs=None,
        backends=None,
        settings=None,
        database_url=None,
        graceful_timeout=30,
        environment=None,
        schema=None,
        wsgi=None,
    ):
        self.folder = pathlib.Path(folder).resolve()
        self.plugin = plugin
        self.workers = workers
        self.threads = threads
        self.stores = tuple(stores)
        self.store_dirs = dict(store_dirs or {})
        self.backends = dict(backends or {})
        self.settings = dict(settings or {})
        self.database_url = database_url or database.sqlite_url(self.folder)
        self.graceful_timeout = graceful_timeout
        self.environment = dict(environment or {})
        self.schema = dict(schema or {})
        self.wsgi = wsgi or gunicorn.Gunicorn()
        self.port = 0
        self.places = {}
        self.invariants = invariants.Invariants(self)
        self._group = None

    @property
    def url(self):
        """The address of the server, without a version."""
        return f'http://127.0.0.1:{self.port}'

    @property
    def log(self):
        """The file that Glance and its server write their log to."""
        return self.folder / 'glance.log'

    @property
    def conf(self):
        """The configuration file."""
        return self.folder / 'etc' / 'glance-api.conf'

    @property
    def staging(self):
        """The folder of the staging store."""
        return self.places['os_glance_staging_store']

    @property
    def pid(self):
        """The process id of the server's master."""
        return self._group.pid

    @property
    def worker_pids(self):
        """The process ids of the workers, which run Glance."""
        return [found.pid for found in self.worker_processes()]

    def worker_processes(self):
        """Return the processes that run Glance."""
        return self.wsgi.workers(self._group)

    def store_file(self, store, image_id):
        """Return where a file store keeps an image."""
        return self.places[store] / image_id

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.invariants.close()
        self.stop(timeout=1 if error[0] else None)

    def start(self, timeout=300):
        """Start it and wait until it answers, at most ``timeout`` seconds."""
        self.launch()
        try:
            self._wait(time.monotonic() + timeout)
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self):
        """Start it without asking anything of it."""
        if self.running():
            raise ServerError('it is running already')
        with process.listen(self.port) as listener:
            self.port = listener.getsockname()[1]
            self._write()
            self._group = self.wsgi.start(self, listener)

    def running(self):
        """Tell whether the server has been started and has not ended."""
        return bool(self._group) and self._group.returncode() is None

    @property
    def returncode(self):
        """The exit status of its last run, or None while it runs."""
        return self._group.returncode()

    def stop(self, timeout=None):
        """End it as an operator would (SIGTERM), then for certain.

        :param timeout: seconds until it is killed; more than its
            ``graceful_timeout`` by default
        """
        if self._group:
            wait = self.graceful_timeout + 15 if timeout is None else timeout
            self._group.terminate(wait)

    def kill(self):
        """End all its processes at once (SIGKILL), as a power cut does."""
        self._group.kill()

    def configure(self, group, **options):
        """Set options for the processes that it starts from now on."""
        self.settings[group] = {**self.settings.get(group, {}), **options}
        self._write_conf()

    def signal(self, number):
        """Send a signal to the server's master."""
        os.kill(self.pid, number)

    def restart(self, timeout=300):
        """Stop it if it runs, then start it on the same port and data."""
        self.stop()
        return self.start(timeout)

    def log_end(self, lines=30):
        """Return the last lines of the log."""
        if not self.log.exists():
            return ''
        text = self.log.read_text(errors='replace')
        return '\n'.join(text.splitlines()[-lines:])

    def locations(self, image_id):
        """Return an image's locations as the database has them."""
        return database.locations(self.database_url, image_id)

    def tasks(self, image_id):
        """Return an image's tasks as the database has them, oldest first."""
        return database.tasks(self.database_url, image_id)

    def execute(self, statement, **parameters):
        """Run an SQL statement on Glance's database; return its rows."""
        return database.execute(self.database_url, statement, **parameters)

    def process_environment(self):
        """Return the environment variables of its processes."""
        paths = [str(process.ROOT), os.environ.get('PYTHONPATH', '')]
        return {
            **os.environ,
            'PYTHONPATH': os.pathsep.join(filter(None, paths)),
            'PYTHONUNBUFFERED': '1',
            'OS_GLANCE_CONFIG_DIR': str(self.conf.parent),
            # stevedore keeps what it knows of entry points there.
            'XDG_CACHE_HOME': str(self.folder / 'cache'),
            **self.environment,
        }

    @property
    def _paste(self):
        return self.conf.with_name('glance-api-paste.ini')

    def _write(self):
        self.conf.parent.mkdir(parents=True, exist_ok=True)
        self.places = config.store_folders(
            self.folder, self.stores, self.store_dirs
        )
        config.write_paste(self._paste, self.plugin, self.auth)
        self.conf.with_name('schema-image.json').write_text(
            json.dumps(self.schema)
        )
        self._write_conf()
        try:
            database.sync(self.conf, self.database_url)
        except database.SyncFailed as error:
            raise ServerError(str(error)) from None

    def _write_conf(self):
        groups = config.options(
            self.folder,
            self.url,
            self.database_url,
            self.places,
            self.backends,
        )
        groups['paste_deploy'] = {'config_file': self._paste}
        config.merge(groups, self.settings)
        config.write_conf(self.conf, groups)

    def _wait(self, deadline):
        while not self._answers():
            status = self._group.returncode()
            if status is not None:
                raise ServerError(
                    f'Glance ended with status {status} before it answered; '
                    f'see {self.log}, which ends with:\n{self.log_end()}'
                )
            if time.monotonic() > deadline:
                raise ServerError(
                    f'Glance does not answer; see {self.log}, which ends '
                    f'with:\n{self.log_end()}'
                )
            time.sleep(0.1)

    def _answers(self):
        try:
            with _OPENER.open(f'{self.url}/healthcheck', timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
