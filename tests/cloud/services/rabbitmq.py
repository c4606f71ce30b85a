# SPDX-License-Identifier: Apache-2.0

"""RabbitMQ, which Cinder's services talk through."""

import shutil

from tests.cloud.services import mariadb

NAME = 'rabbitmq'
EPMD = 'epmd'
USER = 'cloud'
PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server'
CONF = """\
listeners.tcp.1 = 127.0.0.1:{port}
num_acceptors.tcp = 2
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 100MB
default_user = {user}
default_pass = {password}
"""
ERLANG = '+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}'


class RabbitMQ:
    """The broker and its port mapper.

    Nothing in the broker outlives its clients, and one that was stopped in
    its very first start refuses the data of it: it starts empty each time.

    :param processes: ``Processes``
    """

    def __init__(self, processes):
        self._processes = processes
        self._place = processes.place

    @property
    def url(self):
        """The address for oslo.messaging and kombu, without a scheme."""
        secret = self._place.password('amqp')
        return f'{USER}:{secret}@127.0.0.1:{self._place.port("amqp")}//'

    def up(self):
        """Start it unless it runs; return once it answers."""
        folder = self._place.make(NAME)
        # The broker would start one that listens for everybody.
        self._processes.start(EPMD, [
            'epmd', '-address', '127.0.0.1',
            '-port', str(self._place.port('epmd')),
        ])
        if not self._processes.alive(NAME):
            shutil.rmtree(folder / 'mnesia', ignore_errors=True)
            self._write_conf(folder)
        started = self._processes.start(
            NAME, [PROGRAM], self._environment(folder), folder
        )
        port = self._place.port('amqp')
        self._processes.wait(NAME, lambda: mariadb.listens(port))
        return started

    def _write_conf(self, folder):
        self._place.write_private(folder / 'rabbitmq.conf', CONF.format(
            port=self._place.port('amqp'), user=USER,
            password=self._place.password('amqp'),
        ))
        (folder / 'enabled_plugins').write_text('[].\n')

    def _environment(self, folder):
        variables = {
            'NODENAME': f'{self._place.cluster}@localhost',
            'NODE_IP_ADDRESS': '127.0.0.1',
            'NODE_PORT': str(self._place.port('amqp')),
            'DIST_PORT': str(self._place.port('erlang')),
            'MNESIA_BASE': str(folder / 'mnesia'),
            'LOG_BASE': str(self._place.make('logs')),
            'CONFIG_FILE': str(folder / 'rabbitmq'),
            'ENABLED_PLUGINS_FILE': str(folder / 'enabled_plugins'),
            'CONF_ENV_FILE': '/dev/null',
            'PID_FILE': str(folder / 'pid'),
            'SERVER_ADDITIONAL_ERL_ARGS': ERLANG,
        }
        more = {f'RABBITMQ_{name}': text for name, text in variables.items()}
        return self._processes.environment(more={
            **more,
            'HOME': str(folder),
            'ERL_EPMD_ADDRESS': '127.0.0.1',
            'ERL_EPMD_PORT': str(self._place.port('epmd')),
            # Its script then becomes the broker, which SIGTERM ends cleanly,
            # instead of waiting for it with a second Erlang at the end.
            'RUNNING_UNDER_SYSTEMD': '1',
        })
