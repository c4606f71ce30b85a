# SPDX-License-Identifier: Apache-2.0

"""The benchmark: the same copies by stock Glance, the plugin and a floor.

First into file stores, then from one iRODS store to another, then from one
cloud to another, then by workers.

Environment variables: ``ROUNDS`` (3), ``SIZES`` (256M,2G), ``STORES`` (1,3),
``BENCH_DIR`` (.bench), ``PARTS`` (files,irods,clouds,workers), ``XFS=1`` to
measure file stores on XFS too, ``REPLICATE_IMAGES`` (200), ``WORKER_COPIES``
(200).
"""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import sys

from tests.harness import RequestFailed
from tests.harness import ServerError
from tools import contenders
from tools import filesystem
from tools import images
from tools import replicate_bench
from tools import results
from tools import worker_bench
from tools import zone
from tools import zone_bench

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / '.bench'


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to measure; sizes in bytes."""

    rounds: int
    sizes: tuple
    stores: tuple
    parts: tuple

    def space(self):
        """Return how many bytes the sources, copies and staging need."""
        largest = max(self.sizes)
        return sum(self.sizes) + largest * (max(self.stores) + 1)


def main():
    """Run the benchmark; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(read_plan(), pathlib.Path(os.environ.get('BENCH_DIR') or RESULTS))
    except (contenders.BenchFailed, RequestFailed, ServerError,
            TimeoutError, ValueError) as error:
        print(f'\nThe benchmark failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nInterrupted; everything is stopped.', file=sys.stderr)
        return 130
    return 0


def read_plan():
    """Read the environment variables."""

    def numbers(name, default, parse):
        text = os.environ.get(name) or default
        return tuple(sorted({parse(part) for part in text.split(',')}))

    stores = numbers('STORES', '1,3', int)
    if not set(stores) <= {1, 2, 3}:
        raise ValueError('STORES holds numbers from 1 to 3')
    rounds = int(os.environ.get('ROUNDS') or 3)
    if rounds < 1:
        raise ValueError('ROUNDS is 1 or more')
    parts = tuple((os.environ.get('PARTS') or ','.join(PARTS)).split(','))
    if not set(parts) <= set(PARTS):
        raise ValueError(f'PARTS holds some of {", ".join(PARTS)}')
    return Plan(
        rounds, numbers('SIZES', '256M,2G', images.parse_size), stores, parts
    )


def run(plan, folder):
    """Measure in a folder, and on XFS if that is asked for."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(exist_ok=True)
    parts = []
    for name in plan.parts:
        parts.append(PARTS[name](plan, folder))
        keep(parts)
    if os.environ.get('XFS'):
        try:
            size = plan.space() * 5 // 4 + 1024 * images.MIB
            with filesystem.mounted(folder, size) as (_name, place):
                parts.append(file_part(plan, place))
                keep(parts)
        except filesystem.Unavailable as error:
            print(f'\nNot measured on XFS: {error}.')


def keep(parts):
    """Print the newest part; write all of them, for what may come after."""
    print(f'\n{describe(parts[-1])}\n', flush=True)
    text = '\n\n'.join(describe(found) for found in parts)
    (RESULTS / 'result.md').write_text(text + '\n')
    (RESULTS / 'result.json').write_text(json.dumps(parts, indent=2))
    print(f'Written to {RESULTS}/result.md and result.json.', flush=True)


def file_part(plan, folder):
    """Measure copies into file stores in one folder; return it."""
    place = folder / 'data'
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    free = shutil.disk_usage(place).free
    if free < plan.space() + 256 * images.MIB:
        raise contenders.BenchFailed(
            f'it needs {images.show_size(plan.space())} in {folder}, where '
            f'{images.show_size(free)} are free.'
        )
    machine = results.machine(place)
    print(f'\n{machine["file system"]}: {place}', flush=True)
    try:
        bench = contenders.Bench(place, report)
        bench.upload(plan.sizes)
        bench.warm_up(max(plan.sizes), max(plan.stores))
        for number in range(plan.rounds):
            for who in contenders.order(number):
                bench.measure(who, number, plan.sizes, plan.stores)
        bench.measure(
            contenders.WINDOW, 0, [max(plan.sizes)], [max(plan.stores)]
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)
    runs = sorted(bench.runs, key=contenders.rank)
    summary = results.summarize(runs)
    return {'machine': machine, 'summary': summary, 'runs': runs}


def zone_part(plan, folder):
    """Measure copies from one iRODS store to another; return it."""
    place = folder / 'data'
    place.mkdir()
    machine = results.machine(place)
    print(f'\nFrom iRODS to iRODS, {machine["file system"]}: {place}')
    try:
        with zone.Zone(place / 'irods') as running:
            bench = zone_bench.ZoneBench(place, running, report)
            bench.upload(plan.sizes)
            for number in range(plan.rounds):
                for who in zone_bench.order(number):
                    bench.measure(who, number, plan.sizes)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    runs = sorted(bench.runs, key=zone_bench.rank)
    floor = zone_bench.IN_THE_ZONE
    return {
        'machine': {**machine, 'stores': 'iRODS (test double)'},
        'floor': 'in the zone', 'summary': results.summarize(runs, floor),
        'runs': runs,
    }


def replicate_part(plan, folder):
    """Measure copies from one cloud to another; return it."""
    place = folder / 'data'
    place.mkdir()
    machine = results.machine(place)
    print(f'\nFrom cloud to cloud, {machine["file system"]}: {place}')
    try:
        with (
            zone.Zone(place / 'irods') as running,
            replicate_bench.databases() as databases,
        ):
            bench = replicate_bench.ReplicateBench(
                place, running, databases, report
            )
            bench.run(plan.rounds)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    runs = sorted(bench.runs, key=replicate_bench.rank)
    floors = (replicate_bench.LIVECOPY, replicate_bench.IN_THE_ZONE)
    summary = [
        row for floor in floors for row in results.summarize(runs, floor)
        if row['wall_ratio']
    ]
    return {
        'machine': machine, 'floor': 'the faster way', 'summary': summary,
        'runs': runs,
    }


def worker_part(plan, folder):
    """Measure copies by workers; return it."""
    place = folder / 'data'
    place.mkdir()
    machine = results.machine(place)
    print(f'\nBy workers, {machine["file system"]}: {place}')
    try:
        bench = worker_bench.WorkerBench(
            place, lambda line: print(line, flush=True)
        )
        scaling, tiny = bench.scaling(), bench.tiny()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {
        'machine': machine, 'summary': [], 'runs': [*scaling, *tiny],
        'table': worker_bench.tables(scaling, tiny),
    }


def report(found):
    """Print one measurement."""
    print(
        f'  round {found["round"] + 1}  '
        f'{images.show_size(found["size"]):>8} to {found["stores"]}  '
        f'{found["who"]:24} {found["wall"]:8.2f} s wall '
        f'{found["cpu"]:8.2f} s CPU',
        flush=True,
    )


PARTS = {
    'files': file_part, 'irods': zone_part, 'clouds': replicate_part,
    'workers': worker_part,
}


def describe(found):
    """Return a part as Markdown."""
    facts = ', '.join(f'{k} {v}' for k, v in found['machine'].items())
    table = found.get('table') or results.table(
        found['summary'], found.get('floor', 'floor')
    )
    return f'{facts}\n\n{table}'


if __name__ == '__main__':
    sys.exit(main())
