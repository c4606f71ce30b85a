# SPDX-License-Identifier: Apache-2.0

"""The benchmark with a real OpenStack: stock, the plugin, and tools.

Stock Glance with glance_store's drivers, Glance with the plugin and
``cinder_multi``, ``rbd export`` and ``import``, and ``rclone``, if that is
installed, copy the same images in the same cloud, in turns.

Environment variables: ``ROUNDS`` (3), ``SIZES`` (512M,2G), ``PARTS``
(cinder,rbd,sites,far,s3,swift), ``CLOUD_FOLDER`` (.cloud), ``BENCH_DIR``
(.bench) for the result.
"""

import json
import os
import pathlib
import signal
import sys

from tests.cloud import services
from tests.cloud.services import install
from tests.harness import RequestFailed
from tests.harness import ServerError
from tools import bench
from tools import cloud_contenders
from tools import cloud_ways
from tools import contenders
from tools import images
from tools import measure as measuring
from tools import results

FAILURES = (
    contenders.BenchFailed, measuring.CommandFailed, RequestFailed,
    ServerError, services.CloudError, TimeoutError, ValueError,
)


def main():
    """Run the benchmark; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        plan = read_plan()
        with services.Cloud().used() as cloud:
            # The servers are copies of a process that has loaded Glance.
            os.environ['PYTHONPATH'] = str(install.own_bindings(cloud.place))
            keep(measure(cloud, *plan))
    except services.Unavailable as error:
        print(f'Skipped: {error}.')
        return 0
    except FAILURES as error:
        print(f'\nThe benchmark failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nInterrupted; everything is stopped.', file=sys.stderr)
        return 130
    return 0


def read_plan():
    """Return rounds, sizes and parts that the environment asks for."""
    rounds = int(os.environ.get('ROUNDS') or 3)
    if rounds < 1:
        raise ValueError('ROUNDS is 1 or more')
    text = os.environ.get('SIZES') or '512M,2G'
    known = cloud_ways.PARTS
    parts = (os.environ.get('PARTS') or ','.join(known)).split(',')
    if not set(parts) <= set(known):
        raise ValueError(f'PARTS holds some of {", ".join(known)}')
    sizes = sorted({images.parse_size(each) for each in text.split(',')})
    return rounds, sizes, parts


def measure(cloud, rounds, sizes, parts):
    """Let all contenders copy; return what that took."""
    found = cloud_contenders.CloudBench(cloud, parts, report)
    machine = results.machine(cloud.place.folder)
    with found.uploaded(sizes):
        for number in range(rounds):
            for who in cloud_contenders.order(number):
                found.measure(who, number, sizes)
    runs = sorted(found.runs, key=cloud_contenders.rank)
    return {
        'machine': {
            **machine, 'stores': 'Cinder and Ceph on the same disk',
            **found.distance(),
        },
        'floor': cloud_contenders.PLUGIN,
        'summary': results.summarize(runs, cloud_contenders.PLUGIN),
        'runs': runs,
    }


def keep(found):
    """Print the result, and write it."""
    folder = pathlib.Path(os.environ.get('BENCH_DIR') or bench.RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    text = bench.describe(found)
    print(f'\n{text}\n')
    (folder / 'cloud.md').write_text(text + '\n')
    (folder / 'cloud.json').write_text(json.dumps(found, indent=2))
    print(f'Written to {folder}/cloud.md and cloud.json.', flush=True)


def report(found):
    """Print one measurement."""
    print(
        f'  round {found["round"] + 1}  '
        f'{images.show_size(found["size"]):>8}  {found["stores"]:22} '
        f'{found["who"]:18} {found["wall"]:8.2f} s wall '
        f'{found["cpu"]:8.2f} s CPU',
        flush=True,
    )


if __name__ == '__main__':
    sys.exit(main())
