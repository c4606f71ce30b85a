# SPDX-License-Identifier: Apache-2.0

"""The DevStack plugin with a board and workers, which are real ones."""

import shutil
import stat

import psutil
import pytest

from tests import devstack_host
from tests.devstack_host import host
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import process

pytestmark = [
    pytest.mark.functional,
    pytest.mark.skipif(
        shutil.which('redis-server') is None, reason='redis is not installed'
    ),
]

STORES = ('fast', 'slow', 'archive')


@pytest.fixture
def devstack(tmp_path):
    """A DevStack with workers, whose own part is done."""
    with process.listen() as listener:
        port = listener.getsockname()[1]
    made = devstack_host.DevStack(
        tmp_path / 'stack',
        f'COPY_IMAGE_JOBBOARD=True\nCOPY_IMAGE_REDIS_PORT={port}',
    )
    made.configure_glance()
    yield made
    made.end()


@pytest.mark.long
def test_workers_make_the_copies_of_a_stacked_glance(devstack):
    before = devstack.files()
    devstack.make_database()
    devstack.run(*host.STACK)
    running = devstack.running()
    assert set(running) == {'copy-image-redis', 'copy-image-worker'}
    for pid in running.values():
        command = psutil.Process(pid).cmdline()
        assert 'devstack-secret' not in ' '.join(command)
    with devstack_host.DevStackGlance(devstack, stores=STORES) as server:
        client = Client(server)
        image_id = client.create_image(helpers.data(2 * MIB + 1))
        task = client.copy_and_wait(image_id, ['slow', 'archive'])
        assert task['status'] == 'success'
        helpers.assert_copied(server, client, image_id, STORES)
        done = f'Image {image_id} was copied to store slow'
        assert done not in helpers.log_of(server)
    log = (devstack.processes / 'copy-image-worker.log').read_text()
    assert done in log
    devstack.run('unstack')
    assert devstack.running() == {}
    for pid in running.values():
        assert not psutil.pid_exists(pid) or (
            psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        )
    assert devstack.files() == before
    assert devstack.calls('stop_process') == [
        'stop_process copy-image-worker', 'stop_process copy-image-redis',
    ]


def test_the_services_have_what_devstack_needs_of_them(devstack):
    devstack.without_check()
    devstack.localrc += (
        '\nfunction run_process { _record_call "$@"; }'
        '\nfunction redis-cli { echo PONG; }'
    )
    devstack.run(*host.STACK)
    redis, worker = devstack.calls('run_process')
    assert redis == (
        f'run_process copy-image-redis {shutil.which("redis-server")} '
        f'{redis_of(devstack)}/redis.conf'
    )
    assert worker.endswith(
        f'glance-copy-worker --config-dir {devstack.etc} --workers 2'
    )
    assert devstack.calls('setup_develop')[0].endswith(' glance,redis,metrics')
    assert len(devstack.calls('install_package')) == 1


def redis_of(devstack):
    """Return the folder of the board."""
    return devstack.data / 'glance-copy-plugin' / 'redis'


def test_the_password_of_the_board_is_private_and_goes_with_clean(devstack):
    devstack.run(*host.CONFIGURE)
    conf = redis_of(devstack) / 'redis.conf'
    assert 'devstack-secret' in conf.read_text()
    assert stat.S_IMODE(conf.stat().st_mode) == 0o600
    devstack.localrc += '\nfunction stop_process { :; }'
    devstack.run('unstack', 'clean')
    assert not redis_of(devstack).exists()


def test_a_board_that_does_not_start_fails_the_stack(devstack):
    devstack.run('stack post-config')
    devstack.localrc += '\nfunction sleep { :; }\nfunction run_process { :; }'
    with pytest.raises(
        devstack_host.PhaseFailed, match='redis does not answer at port'
    ):
        devstack.run('stack extra')


def test_without_it_nothing_is_installed_or_started(devstack):
    devstack.localrc = ''
    devstack.without_check()
    devstack.run(*host.STACK)
    assert devstack.value('copy_image', 'jobboard_connection') is None
    assert devstack.calls('run_process') == []
    assert devstack.calls('install_package') == []
    devstack.run('unstack')
    assert devstack.calls('stop_process') == []
