# SPDX-License-Identifier: Apache-2.0

"""What has to be installed: Debian's packages, and a virtual environment."""

from concurrent import futures
import contextlib
import os
import pathlib
import subprocess
import sys
import sysconfig

from tests.cloud.services import errors

PACKAGES = (
    'ceph-mon', 'ceph-mgr', 'ceph-osd', 'ceph-common', 'iproute2',
    'python3-rados', 'python3-rbd', 'python3-venv', 'qemu-utils',
    'rabbitmq-server', 'radosgw', 'mariadb-server-core',
    'mariadb-client-core',
)
REQUIREMENTS = pathlib.Path(__file__).with_name('requirements.txt')
# The services run with Debian's Python, which its bindings are made for.
PYTHON = pathlib.Path('/usr/bin/python3')
BINDINGS = pathlib.Path('/usr/lib/python3/dist-packages')
POLICY = pathlib.Path('/usr/sbin/policy-rc.d')
APT = {'DEBIAN_FRONTEND': 'noninteractive', 'RUNLEVEL': '1'}


def missing_reason():
    """Return why this machine cannot have the services, or None."""
    release = pathlib.Path('/etc/os-release')
    text = release.read_text() if release.exists() else ''
    if 'ID=debian' not in text or 'VERSION_ID="12"' not in text:
        return 'the real Keystone, Cinder and Ceph are for Debian 12 only'
    if os.geteuid() != 0:
        return ('only root can start the real Keystone, Cinder and Ceph: '
                'os-brick reads keys in /etc/ceph')
    return None


def require():
    """Raise ``Unavailable`` where the services cannot be had."""
    reason = missing_reason()
    if reason:
        raise errors.Unavailable(reason)


def install(processes):
    """Install everything that is missing; return the services' venv."""
    require()
    with futures.ThreadPoolExecutor() as beside:
        packages = beside.submit(_install_packages, processes)
        if not _is_installed('python3-venv'):
            packages.result()
        venv = _make_venv(processes)
        packages.result()
    link_bindings(next(venv.glob('lib/python3.*/site-packages')))
    return venv


def _install_packages(processes):
    wanted = [name for name in PACKAGES if not _is_installed(name)]
    if not wanted:
        return
    environment = processes.environment(more=APT)
    apt = ['apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=600']
    with _no_daemons():
        processes.run('apt', [*apt, 'update'], 900, environment)
        processes.run(
            'apt',
            [*apt, 'install', '-y', '--no-install-recommends', *wanted],
            1800, environment,
        )


def _is_installed(name):
    done = subprocess.run(
        ['dpkg-query', '-W', '-f', '${db:Status-Status}', name],
        capture_output=True, text=True, timeout=60,
    )
    return done.stdout == 'installed'


@contextlib.contextmanager
def _no_daemons():
    """Let no package start a daemon, which would listen for everybody."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text('#!/bin/sh\nexit 101\n')
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def venv_of(place):
    """Return the services' virtual environment."""
    return place.folder / 'venv'


def _make_venv(processes):
    """Make the services' virtual environment, or take the one there is."""
    venv = venv_of(processes.place)
    complete = venv / 'complete'
    if complete.exists() and complete.read_text() == REQUIREMENTS.read_text():
        return venv
    processes.run('venv', [PYTHON, '-m', 'venv', venv], 300)
    processes.run(
        'venv',
        # Most of what is installed is never imported.
        [venv / 'bin/pip', 'install', '-q', '--no-input', '--no-compile',
         '-r', REQUIREMENTS],
        1800,
    )
    complete.write_text(REQUIREMENTS.read_text())
    return venv


def link_bindings(packages):
    """Make Debian's librados and librbd importable, and nothing more."""
    for name in ('rados', 'rbd'):
        for source in BINDINGS.glob(f'{name}.cpython-*.so'):
            # Another process of the tests may do the same just now.
            with contextlib.suppress(FileExistsError):
                (packages / source.name).symlink_to(source)


def bindings_reason():
    """Return why the tests' own Python cannot have the bindings, or None."""
    ours = sysconfig.get_config_var('SOABI')
    if (BINDINGS / f'rbd.{ours}.so').exists():
        return None
    return (f'Debian has no librbd for {sys.executable} ({ours}): a Glance '
            'with it cannot open volumes or images in Ceph')


def own_bindings(place):
    """Return a folder that makes the bindings importable for the tests.

    It is no part of their virtual environment: other tests need a Glance to
    which rbd stores are broken.
    """
    reason = bindings_reason()
    if reason:
        raise errors.Unavailable(reason)
    folder = place.make('bindings')
    link_bindings(folder)
    return folder


def write_sudo(place):
    """Write a ``sudo`` that keeps the PATH, for who is root already.

    ``sudo glance-rootwrap`` would not find a virtual environment's program.
    """
    path = place.path('bin', 'sudo')
    path.write_text('#!/bin/sh\nexec "$@"\n')
    path.chmod(0o755)
