# SPDX-License-Identifier: Apache-2.0

"""A process that has loaded Glance, of which copies run programs.

Loading Glance takes seconds of CPU time, and hundreds of servers and commands
are started by the tests. This process has loaded what most of them load. A
copy of it becomes a session of its own with the folder, the environment, the
output and the files of the program, and calls its function.
"""

import fcntl
import functools
import gc
import importlib
import json
import logging
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile

import stevedore

from tests.harness import moments

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
_ORDER_BYTES = 1 << 17
_FILES = 8
# Where files wait for their numbers.
_ABOVE = 500
_END_SECONDS = 120


class Copy:
    """A program that runs, or has run, in a copy of the process.

    It has of :class:`subprocess.Popen` what the tests use.

    :param connection: socket that its id and, later, its status come from
    """

    def __init__(self, connection):
        self._stream = connection.makefile('rb')
        connection.close()
        self.returncode = None
        self.pid = int(self._stream.readline())

    def poll(self):
        """Return its exit status, or None while it runs."""
        return self._look(0)

    def wait(self, timeout=None):
        """Return its exit status.

        :raises subprocess.TimeoutExpired: if it runs longer than that
        """
        if self._look(timeout) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return self.returncode

    def send_signal(self, number):
        """Send a signal to it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _look(self, timeout):
        if self.returncode is None and select.select(
            [self._stream], [], [], timeout
        )[0]:
            self.returncode = int(self._stream.readline())
            self._stream.close()
        return self.returncode


def start(
    function, arguments, *, log, folder, environment, inherit=(), errors=None,
):
    """Run a function as a program; return its :class:`Copy`.

    :param function: what is called, ``module:function``; what it returns is
        the exit status
    :param arguments: what stands in ``sys.argv``, without the first
    :param log: file that its output is appended to
    :param environment: its environment variables, all of them
    :param inherit: file descriptors that it keeps
    :param errors: file that its errors are appended to, if not ``log``
    """
    order = json.dumps({
        'function': function, 'arguments': [str(each) for each in arguments],
        'folder': str(folder), 'environment': dict(environment),
        'files': list(inherit),
    }).encode()
    ours, theirs = socket.socketpair()
    with theirs, open(log, 'ab') as out, open(errors or log, 'ab') as err:
        socket.send_fds(
            _process().control, [order],
            [theirs.fileno(), out.fileno(), err.fileno(), *inherit],
        )
    return Copy(ours)


def run(function, arguments, *, folder=ROOT, environment=os.environ):
    """Run a function as a program to its end.

    :returns: a :class:`subprocess.CompletedProcess`, with texts
    """
    with tempfile.NamedTemporaryFile('r') as out, \
            tempfile.NamedTemporaryFile('r') as err:
        status = start(
            function, arguments, log=out.name, errors=err.name,
            folder=folder, environment=environment,
        ).wait()
        return subprocess.CompletedProcess(
            [function, *arguments], status, out.read(), err.read()
        )


def end():
    """End the process, if there is one: no further copies are needed."""
    if _process.cache_info().currsize:
        _process().end()
        _process.cache_clear()


class _Process:
    """The process, as seen from the tests."""

    def __init__(self):
        self.control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        paths = [ROOT, os.environ.get('PYTHONPATH', '')]
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable, '-W', 'ignore', '-m',
                    'tests.harness.loaded', str(theirs.fileno()),
                ],
                cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()], env={
                    **os.environ,
                    'PYTHONPATH': os.pathsep.join(filter(None, paths)),
                },
            )

    def end(self):
        self.control.close()
        # It waits for its copies, so that their CPU time counts as ours.
        self._process.wait(_END_SECONDS)


@functools.cache
def _process():
    return _Process()


def _serve(control):
    """Start copies until nobody can ask for one any more.

    :returns: in a copy, the function that it is to call; else None
    """
    while True:
        order, files, _flags, _address = socket.recv_fds(
            control, _ORDER_BYTES, _FILES
        )
        _reap(os.WNOHANG)
        if not order:
            _reap(0)
            return None
        if os.fork() == 0:
            control.close()
            return _keep(files, **json.loads(order))
        for file in files:
            os.close(file)


def _reap(how):
    try:
        while os.waitpid(-1, how)[0]:
            pass
    except ChildProcessError:
        pass


def _keep(received, files, **program):
    """Start a program, and tell its status when it has ended."""
    connection, out, err, *others = received
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.write(connection, f'{os.getpid()}\n'.encode())
        _give(out, err, dict(zip(files, others, strict=True)))
        return _become(**program)
    for file in (out, err, *others):
        os.close(file)
    _pid, status = os.waitpid(pid, 0)
    try:
        os.write(connection, f'{os.waitstatus_to_exitcode(status)}\n'.encode())
    except BrokenPipeError:
        # Nobody wants to know any more.
        pass
    os._exit(0)


def _give(out, err, files):
    """Let the program have its files, and no others.

    :param files: ``{number: file descriptor}``
    """
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    kept = {
        number: fcntl.fcntl(file, fcntl.F_DUPFD, _ABOVE)
        for number, file in files.items()
    }
    os.closerange(3, _ABOVE)
    for number, file in kept.items():
        os.dup2(file, number)
        os.close(file)


def _become(function, arguments, folder, environment):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    moments.install()
    module, _, name = function.partition(':')
    sys.argv = [name, *arguments]
    return getattr(importlib.import_module(module), name)


def _load():
    """Load what most programs load, the drivers of all stores with it."""
    for name in (
        'cliff.app', 'cliff.commandmanager', 'cliff.lister',
        'glance.api.v2.router', 'glance.async_.flows.api_image_import',
        'glance.common.wsgi_app', 'glance.db.sqlalchemy.api',
        'glance_copy_plugin.audit.repair', 'glance_copy_plugin.cli.check',
        'glance_copy_plugin.worker.launcher', 'glance_copy_plugin.paste',
        'gunicorn.app.wsgiapp', 'keystonemiddleware.auth_token',
        'oslo_messaging._drivers.impl_rabbit', 'psycopg2',
        'taskflow.engines',
    ):
        importlib.import_module(name)
    stevedore.ExtensionManager(
        'glance_store.drivers',
        # Libraries of some of them are not installed.
        on_load_failure_callback=lambda *_failure: None,
    )


def _main():
    # stevedore keeps there what it knows of entry points.
    cache = os.environ['XDG_CACHE_HOME'] = tempfile.mkdtemp(
        prefix='copy-image-test-'
    )
    sys.stdout.reconfigure(line_buffering=True)
    logging.disable()
    _load()
    logging.disable(logging.NOTSET)
    # No copy has to look at all that again.
    gc.freeze()
    program = _serve(socket.socket(fileno=int(sys.argv[1])))
    if program is None:
        shutil.rmtree(cache)
    else:
        sys.exit(program())


if __name__ == '__main__':
    _main()
