# SPDX-License-Identifier: Apache-2.0

"""Real worker processes, as if on hosts of their own."""


from tests.harness import config
from tests.harness import loaded
from tests.harness import process


class Worker:
    """``glance-copy-worker`` for a server, with its own staging folder.

    :param server: a ``GlanceServer`` that has been started before
    :param name: of the "host"; its folder lies below the server's
    :param settings: {group: {option: value}} laid over the server's
    :param stores: names of the file stores that it has; all by default
    :param workers: processes
    :param concurrency: copies of each process at the same time
    :param environment: further environment variables
    :param command: what to run instead of this code, which loads it itself
    """

    def __init__(
        self, server, name, *, settings=None, stores=None, workers=1,
        concurrency=2, environment=None, command=(),
    ):
        self.server = server
        self.folder = server.folder / name
        self.workers = workers
        self.concurrency = concurrency
        self._settings = settings or {}
        self._stores = stores or server.stores
        self._environment = environment or {}
        self._command = command
        self._group = None

    @property
    def log(self):
        """The file that it writes its log to."""
        return self.folder / 'worker.log'

    @property
    def pid(self):
        """The id of the process that keeps the others."""
        return self._group.pid

    @property
    def conf(self):
        """Its configuration file."""
        return self.folder / 'etc' / 'glance-api.conf'

    @property
    def staging(self):
        """Its staging folder."""
        return self.folder / 'staging'

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.stop()

    def start(self):
        """Start it, without waiting for anything."""
        self._write()
        arguments = [
            '--config-dir', self.conf.parent,
            '--workers', self.workers,
            '--concurrency', self.concurrency,
        ]
        environment = {
            **self.server.process_environment(), **self._environment,
        }
        if self._command:
            self._group = process.start(
                [*self._command, *map(str, arguments)], self.log, self.folder,
                environment,
            )
        else:
            self._group = process.ProcessGroup(loaded.start(
                'glance_copy_plugin.cli.worker:main', arguments, log=self.log,
                folder=self.folder, environment=environment,
            ))
        return self

    def configure(self, group, **options):
        """Set options in its file, which it reads again when it is told."""
        self._settings = {
            **self._settings,
            group: {**self._settings.get(group, {}), **options},
        }
        self._write()

    def running(self):
        """Tell whether it has been started and has not ended."""
        return bool(self._group) and self._group.returncode() is None

    @property
    def returncode(self):
        """The exit status of its last run, or None while it runs."""
        return self._group.returncode()

    def stop(self, timeout=120):
        """End it as an operator would (SIGTERM), then for certain."""
        if self._group:
            self._group.terminate(timeout)

    def kill(self):
        """End all its processes at once (SIGKILL), as a power cut does."""
        self._group.kill()

    def pause(self):
        """Stop the time for all its processes (SIGSTOP)."""
        self._group.pause()

    def go_on(self):
        """Let its time run again (SIGCONT)."""
        self._group.go_on()

    def processes(self):
        """Return the process that keeps the others, and those."""
        return self._group.members()

    def _write(self):
        self.conf.parent.mkdir(parents=True, exist_ok=True)
        places = {name: self.server.places[name] for name in self._stores}
        for name, subfolder in config.RESERVED.items():
            places[name] = self.folder / subfolder
            places[name].mkdir(exist_ok=True)
        groups = config.options(
            self.folder, self.server.url, self.server.database_url, places,
            self.server.backends,
        )
        paste = self.conf.with_name('glance-api-paste.ini')
        config.write_paste(paste, True)
        groups['paste_deploy'] = {'config_file': paste}
        config.merge(groups, self.server.settings)
        config.merge(groups, self._settings)
        config.write_conf(self.conf, groups)
