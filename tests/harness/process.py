# SPDX-License-Identifier: Apache-2.0

"""One server process and everything that it starts, ended by its id."""

import os
import pathlib
import signal
import socket
import subprocess
import time

import psutil

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*command, **options):
    """Run a command, which must succeed; return what it prints.

    :param options: more for ``subprocess.run``
    """
    done = subprocess.run(
        [str(part) for part in command], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def start(command, log, cwd, environment, inherit=(), **options):
    """Start a command as a :class:`ProcessGroup`.

    :param log: file that its output is appended to
    :param inherit: file descriptors that it keeps
    :param options: more for ``subprocess.Popen``, such as the user
    """
    with pathlib.Path(log).open('ab') as stream:
        return ProcessGroup(subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(inherit),
            start_new_session=True,
            **options,
        ))


class ProcessGroup:
    """A program that leads a process group of its own.

    :param leader: what :func:`start` or :func:`loaded.start` has returned
    """

    def __init__(self, leader):
        self._process = leader
        self.pid = leader.pid

    def returncode(self):
        """Return the leader's exit status, or None while it runs."""
        return self._process.poll()

    def children(self):
        """Return the processes that the leader has started."""
        try:
            return psutil.Process(self.pid).children()
        except psutil.NoSuchProcess:
            return []

    def terminate(self, timeout, number=signal.SIGTERM):
        """Ask the leader to end; kill the group after ``timeout`` seconds."""
        if self.returncode() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self):
        """End the whole group at once and wait until it is gone."""
        members = self.members()
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        while any(_alive(member) for member in members):
            time.sleep(0.01)

    def pause(self):
        """Stop the time for the whole group (SIGSTOP); return when it stands.

        A process takes the signal in one of its threads, which stops the
        others; on a busy machine those may answer a request before that.
        """
        members = self.members()
        os.killpg(self.pid, signal.SIGSTOP)
        while any(_runs(member) for member in members):
            time.sleep(0.01)

    def go_on(self):
        """Let its time run again (SIGCONT)."""
        try:
            os.killpg(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def members(self):
        """Return all processes of the group."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getpgid(process.pid) == self.pid:
                    found.append(process)
            except ProcessLookupError:
                pass
        return found


def _alive(process):
    """Tell whether any thread of a process still holds its files."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return len(os.listdir(f'/proc/{process.pid}/task')) > 1
        return process.is_running()
    except (psutil.NoSuchProcess, OSError):
        return False


def _runs(process):
    """Tell whether any thread of a process has not been stopped."""
    states = []
    for file in pathlib.Path(f'/proc/{process.pid}/task').glob('*/stat'):
        try:
            states.append(file.read_text().rpartition(')')[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            # The thread has ended.
            pass
    return not set(states) <= {'T', 'Z', 'X'}


def listen(port=0):
    """Listen on a loopback port, a free one unless it is given."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(('127.0.0.1', port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener
