# SPDX-License-Identifier: Apache-2.0

"""Start programs, find them again by their recorded ids, and end them."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

import psutil

from tests.cloud.services import errors

# A clock that is set moves the time at which a process seems to have started.
CLOCK_SECONDS = 10
INTERVAL = 0.1  # seconds between two looks
KILLED = 60  # seconds in which a killed process must be gone


class Processes:
    """The processes of one cloud, each in a session of its own.

    What is started is recorded in the folder, so that another process can
    find and end it. The time of its start is recorded too: a process id that
    is used again does not make a stranger look like ours.

    :param place: ``Place``
    """

    def __init__(self, place):
        self.place = place
        self._cancelled = threading.Event()

    def cancel(self):
        """Let whatever waits or runs in other threads end with an error."""
        self._cancelled.set()

    def allow(self):
        """Take :meth:`cancel` back."""
        self._cancelled.clear()

    def environment(self, venv=None, more=None):
        """Return the environment variables of a program.

        :param venv: a virtual environment that comes first in ``PATH``
        """
        kept = {
            name: value for name, value in os.environ.items()
            if not name.startswith(('OS_', 'CEPH_', 'RABBITMQ_', 'PYTHON'))
        }
        first = [str(self.place.folder / 'bin')]
        if venv:
            first.append(str(venv / 'bin'))
        path = [*first, kept.get('PATH', ''), '/usr/sbin', '/sbin']
        return {
            **kept,
            'PATH': os.pathsep.join(path),
            'LC_ALL': 'C.UTF-8',
            'TMPDIR': str(self.place.make('tmp')),
            'XDG_CACHE_HOME': str(self.place.make('cache')),
            'no_proxy': '127.0.0.1,localhost',
            'NO_PROXY': '127.0.0.1,localhost',
            **(more or {}),
        }

    def run(self, name, command, timeout=300, environment=None):
        """Run a program to its end; return what it prints.

        :param name: of the log that its errors go to
        :raises CloudError: when it fails or the time is up
        """
        printed, reason = self._run(name, command, timeout, environment)
        if reason:
            program = pathlib.Path(command[0]).name
            raise self.error(name, f'{program} {reason}')
        return printed

    def try_run(self, name, command, timeout=300, environment=None):
        """Run a program to its end; return what it prints, None if it fails.
        """
        printed, reason = self._run(name, command, timeout, environment)
        return None if reason else printed

    def _run(self, name, command, timeout, environment):
        """Return what a program prints, and what went wrong or None."""
        # A pipe would stay open as long as anything that it has started.
        with self.place.log(name).open('ab') as log, \
                tempfile.TemporaryFile() as stdout:
            process = subprocess.Popen(
                [str(part) for part in command],
                env=environment or self.environment(),
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=log,
                start_new_session=True,
            )
            reason = self._wait_ended(process, timeout)
            stdout.seek(0)
            printed = stdout.read()
            if reason:
                log.write(printed)
        return printed.decode(), reason

    def _wait_ended(self, process, timeout):
        """Return what went wrong with a program, or None."""
        deadline = time.monotonic() + timeout
        while process.poll() is None:
            late = time.monotonic() > deadline
            if late or self._cancelled.is_set():
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return (f'did not end in {timeout} s' if late
                        else 'was interrupted')
            try:
                process.wait(INTERVAL)
            except subprocess.TimeoutExpired:
                continue
        status = process.returncode
        return f'ended with {status}' if status else None

    def start(self, name, command, environment=None, folder=None):
        """Start a service, unless it runs; tell whether that was needed."""
        if self.alive(name):
            return False
        # A leader that was killed can leave workers, which hold its port.
        self.stop(name, timeout=0)
        if self._cancelled.is_set():
            raise errors.CloudError(f'{name} is not started: interrupted.')
        with self.place.log(name).open('ab') as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                env=environment or self.environment(),
                cwd=folder or self.place.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )
        self.record(name, process.pid)
        return True

    def record(self, name, pid):
        """Record the process that leads a service, and a session."""
        self._record(name).write_text(json.dumps({
            'pid': pid, 'created': psutil.Process(pid).create_time(),
        }))

    def alive(self, name):
        """Tell whether the process that leads a service runs."""
        pid = self.pid(name)
        return any(member.pid == pid for member in self.members(name))

    def pid(self, name):
        """Return the process id that is recorded for a service, or None."""
        return self._recorded(name).get('pid')

    def recorded(self):
        """Return the names of the services that were started."""
        return sorted(
            path.stem for path in self.place.make('run').glob('*.json')
        )

    def members(self, name):
        """Return the processes of a service that are alive."""
        record = self._recorded(name)
        if not record or _is_stranger(record):
            return []
        found = []
        for process in psutil.process_iter():
            try:
                if (os.getsid(process.pid) == record['pid']
                        and process.status() != psutil.STATUS_ZOMBIE):
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue  # it has ended meanwhile
        return found

    def wait(self, name, condition, timeout=300, alive=True):
        """Wait until a service is ready; return what the condition returned.

        :param alive: the service is a process, which must not have ended
        """
        deadline = time.monotonic() + timeout
        while True:
            found = condition()
            if found:
                return found
            if self._cancelled.is_set():
                raise errors.CloudError(f'Waiting for {name}: interrupted.')
            if alive and not self.alive(name):
                raise self.error(name, f'{name} ended before it was ready')
            if time.monotonic() > deadline:
                raise self.error(name, f'{name} is not ready in {timeout} s')
            time.sleep(INTERVAL)

    def stop(self, *names, timeout=60):
        """End services together: ask them, wait, then kill what is left."""
        # A leader ends what it has started, and then itself.
        leaders = [
            process for name in names if timeout
            for process in self.members(name)
            if process.pid == self.pid(name)
        ]
        for process in leaders:
            _signal(process, signal.SIGTERM)
        psutil.wait_procs(leaders, timeout)
        for name in names:
            left = self.members(name)
            for process in left:
                _signal(process, signal.SIGKILL)
            _gone, still = psutil.wait_procs(left, KILLED)
            if still:
                raise self.error(name, f'{name} cannot be killed: {still}')
            self._record(name).unlink(missing_ok=True)

    def error(self, name, what):
        """Return an error with the end of a service's log."""
        return errors.CloudError(
            f'{what}; {self.place.log(name)} ends with:\n{self.tail(name)}'
        )

    def tail(self, name, lines=20):
        """Return the last lines of a service's log."""
        path = self.place.log(name)
        if not path.exists():
            return ''
        with path.open('rb') as stream:
            stream.seek(max(0, path.stat().st_size - 65536))
            text = stream.read().decode(errors='replace')
        return '\n'.join(text.splitlines()[-lines:])

    def _record(self, name):
        return self.place.path('run', f'{name}.json')

    def _recorded(self, name):
        try:
            return json.loads(self._record(name).read_text())
        except FileNotFoundError:
            return {}


def _is_stranger(record):
    """Tell whether a process id is now that of another process."""
    try:
        created = psutil.Process(record['pid']).create_time()
    except psutil.NoSuchProcess:
        return False  # what it has started may still be there
    return abs(created - record['created']) > CLOCK_SECONDS


def _signal(process, number):
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass
