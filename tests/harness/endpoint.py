# SPDX-License-Identifier: Apache-2.0

"""The HTTP endpoint of a real worker, asked as an operator's tools ask it."""

from prometheus_client import parser
import psutil
import requests

from tests.harness import process

_PREFIX = 'glance_copy_'


class Endpoint:
    """The endpoint of a worker, on a port that was free."""

    def __init__(self):
        with process.listen() as listener:
            self.port = listener.getsockname()[1]

    @property
    def settings(self):
        """What a worker has to be configured with."""
        return {'copy_image': {'worker_metrics_port': self.port}}

    def ask(self, path):
        """Return the answer to a request, None if there is nobody."""
        try:
            return requests.get(
                f'http://127.0.0.1:{self.port}{path}', timeout=60
            )
        except requests.ConnectionError:
            return None

    def health(self):
        """Return the status of ``/health``, and what it says."""
        answer = self.ask('/health')
        if answer is None:
            return None
        return answer.status_code, answer.text.strip()

    def healthy(self):
        """True if the worker says that it claims copies."""
        return self.health() == (200, 'this worker claims copies')

    def samples(self):
        """Return all samples, as Prometheus would read them."""
        answer = self.ask('/metrics')
        assert answer.status_code == 200
        return [
            sample
            for family in parser.text_string_to_metric_families(answer.text)
            for sample in family.samples
        ]

    def values(self):
        """Return what is counted as ``{'name{label=value}': number}``.

        Names are without their common beginning. What depends on time is
        left out, and so is what may become less.
        """
        return {
            _shown(sample): sample.value for sample in self.samples()
            if sample.name.endswith(('_total', '_count'))
        }

    def increased(self, before):
        """Return by how much what is counted has become more since then.

        :param before: what :meth:`values` has returned
        """
        return {
            name: value - before.get(name, 0)
            for name, value in self.values().items()
            if value != before.get(name, 0)
        }

    def value(self, name, **labels):
        """Return one value without the common beginning of its name.

        None if there is none.
        """
        found = [
            sample.value for sample in self.samples()
            if (sample.name, sample.labels) == (_PREFIX + name, labels)
        ]
        assert len(found) < 2
        return found[0] if found else None


def listening(processes):
    """Return the addresses that processes listen on."""
    return {
        tuple(connection.laddr)
        for each in processes
        for connection in each.net_connections('inet')
        if connection.status == psutil.CONN_LISTEN
    }


def _shown(sample):
    labels = ','.join(
        f'{name}={value}' for name, value in sorted(sample.labels.items())
    )
    name = sample.name.removeprefix(_PREFIX)
    return f'{name}{{{labels}}}' if labels else name
