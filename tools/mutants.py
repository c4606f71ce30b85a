# SPDX-License-Identifier: Apache-2.0

"""Measure what the tests notice: change one thing at a time, and run them.

``make mutants FILES='glance_copy_plugin/transfer' SAMPLE=40 SEED=3``

cosmic-ray knows the changes that can be made to a file (mutants): another
operator, number, constant or exception. A sample of them is made in a copy of
the repository, and the part of ``make test`` that concerns the file is run:

1. the tests that start no server and execute the changed line, as coverage.py
   tells, and
2. if none of them fails, the tests in ``WITH_SERVERS`` for the folder, and
   those of the field.

At the end there is a table, and what was not noticed is shown as a diff.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import coverage

# First, because cosmic-ray's modules import each other in a circle without it.
import parso  # noqa: F401  isort: skip
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
import cosmic_ray.plugins
from cosmic_ray.work_db import WorkDB

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLUGIN = 'glance_copy_plugin'
DEFAULT_FILES = (
    f'{PLUGIN}/transfer', f'{PLUGIN}/records', f'{PLUGIN}/reconcile',
    f'{PLUGIN}/ownership', f'{PLUGIN}/audit', f'{PLUGIN}/api',
    f'{PLUGIN}/flow/takeover.py',
    'glance_replicate', 'glance_store_irods',
)
WITHOUT_SERVERS = ('tests/unit', 'tests/stores', 'tests/parts')
# How the names of files in tests/functional begin. What is started for them is
# most of the time that a mutant takes.
WITH_SERVERS = {
    f'{PLUGIN}/transfer': ('copy', 'limits', 'space'),
    f'{PLUGIN}/records': ('copy', 'notifications', 'changes_kept', 'audit'),
    f'{PLUGIN}/reconcile': ('crashes', 'late_saves'),
    f'{PLUGIN}/ownership': ('crashes', 'late_saves'),
    f'{PLUGIN}/flow/takeover.py': ('crashes', 'late_saves'),
    f'{PLUGIN}/audit': ('audit',),
    f'{PLUGIN}/api': ('requests', 'limits'),
    'glance_replicate': ('replicator',),
    'glance_store_irods': ('irods',),
}
# The same result for every program: numbers and constants are one object.
EQUIVALENT = ('_Eq_Is', '_NotEq_IsNot', '_Is_Eq', '_IsNot_NotEq')
# More than any run takes; tests of known duration get less.
SECONDS = 1800
SECONDS_TO_SPARE = 60
# A machine may be busier than it was when the durations were taken.
TIMES_LONGER = 6
# What a test has started is ended by its fixtures, which takes a while.
SECONDS_TO_END = 60
NOTICED, NOT_NOTICED, TIMEOUT = 'noticed', 'not noticed', 'timeout'
NOT_MADE = 'not made'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change. ``line`` is where it is; the path is relative."""

    path: str
    operator: str
    occurrence: int
    line: int


def find_mutants(paths):
    """Return all :class:`Mutant` of some files."""
    with tempfile.TemporaryDirectory() as folder:
        database = WorkDB(f'{folder}/session.sqlite', WorkDB.Mode.create)
        init(paths, database, {})
        found = [item.mutations[0] for item in database.work_items]
        database.close()
    return [
        Mutant(
            path=str(each.module_path), operator=each.operator_name,
            occurrence=each.occurrence, line=each.start_pos[0],
        )
        for each in found if not each.operator_name.endswith(EQUIVALENT)
    ]


def choose(mutants, sample, seed):
    """Choose at random, one mutant of a line at most.

    A line with a sum has eleven mutants that differ in the operator only.
    """
    by_line = collections.defaultdict(list)
    for each in mutants:
        by_line[each.path, each.line].append(each)
    dice = random.Random(seed)  # noqa: S311  not for a secret
    # In no order, so that the first ones are a sample too.
    lines = dice.sample(sorted(by_line), min(sample, len(by_line)))
    return [
        dice.choice(sorted(
            by_line[line], key=lambda each: (each.operator, each.occurrence)
        )) for line in lines
    ]


class Selection:
    """Which tests execute a line."""

    def __init__(self, copy):
        """Run the tests that start no server once, and record it."""
        self._root = copy.root
        # Each copy of the repository has another path; lines are the same.
        outcome = copy.run([
            *WITHOUT_SERVERS, '-n', '2', '--dist', 'loadfile', '-m',
            'not long', '--cov', '--cov-context=test', '--cov-report=',
            '--durations=0', '-vv',
        ], stop_at_first=False)
        if outcome != NOT_NOTICED:
            sys.exit('The tests must pass before anything is changed; see '
                     f'{copy.log}')
        self._data = coverage.CoverageData(str(copy.root / '.coverage'))
        self._data.read()
        self._seconds = _durations(copy.log.read_text())
        names = _names(self._data.measured_contexts())
        # What cannot be found again would pass for a test that fails.
        if copy.run(['--collect-only', *names]) != NOT_NOTICED:
            sys.exit(f'A test has another name each time; see {copy.log}')

    def tests(self, mutant):
        """Return the tests for a mutant, as pytest names them.

        A line that runs when its module is loaded belongs to no test: then
        all tests that use the module are returned.
        """
        path = str(self._root / mutant.path)
        by_line = self._data.contexts_by_lineno(path)
        contexts = set(by_line.get(mutant.line, ()))
        if not contexts - {''}:
            contexts = set().union(*by_line.values())
        stem = pathlib.Path(mutant.path).stem
        # Those that are about the file, and quick ones, are the first to tell.
        return sorted(_names(contexts), key=lambda name: (
            stem not in name.partition('::')[0], self._seconds[name], name
        ))

    def limit(self, tests):
        """Return the seconds after which these tests must hang."""
        seconds = sum(self._seconds[name] for name in tests)
        return SECONDS_TO_SPARE + TIMES_LONGER * seconds


def _names(contexts):
    """Return the tests of contexts such as 'tests/x.py::test|run'."""
    return {each.rpartition('|')[0] for each in contexts} - {''}


def _durations(log):
    """Return ``{test: seconds}`` as pytest has shown them."""
    found = collections.Counter()
    for seconds, name in re.findall(
        r'^([0-9.]+)s (?:setup|call|teardown) +(.+)$', log, re.M
    ):
        found[name] += float(seconds)
    return found


class Copy:
    """A copy of the repository that may be changed."""

    def __init__(self, folder, number):
        self.root = pathlib.Path(folder) / f'copy-{number}'
        self.log = pathlib.Path(folder) / f'copy-{number}.log'
        for name in _git('ls-files').splitlines():
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)

    def run(self, arguments, stop_at_first=True, seconds=SECONDS):
        """Run pytest; return whether something was noticed."""
        names = self.root / 'arguments'
        names.write_text('\n'.join(arguments))
        command = [sys.executable, '-m', 'pytest', '-q', f'@{names}']
        command += ['-p', 'no:cacheprovider', '--tb=line']
        with self.log.open('ab') as log, subprocess.Popen(
            [*command, '-x'] if stop_at_first else command,
            cwd=self.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, 'PYTHONPATH': str(self.root),
                 'PYTHONDONTWRITEBYTECODE': '1'},
        ) as tests:
            try:
                status = tests.wait(seconds)
            except subprocess.TimeoutExpired:
                _end(tests)
                return TIMEOUT
        # 5: nothing was collected.
        return NOT_NOTICED if status in (0, 5) else NOTICED

    def judge(self, mutant, tests, seconds):
        """Make a mutant and run tests; return (outcome, diff)."""
        operator = cosmic_ray.plugins.get_operator(mutant.operator)()
        path = self.root / mutant.path
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(
                    use_mutation(path, operator, mutant.occurrence)
                )
            except AttributeError:
                # cosmic-ray fails at 'except (module.Error, ...)'.
                return NOT_MADE, ''
            diff = _git('diff', '--no-index', '-U1', ROOT / mutant.path, path)
            outcome = NOT_NOTICED
            if tests:
                outcome = self.run(tests, seconds=seconds)
        return outcome, diff


def with_servers(mutant):
    """Return the tests with servers that concern a mutant's file."""
    files = [
        str(found.relative_to(ROOT))
        for folder, names in WITH_SERVERS.items()
        if mutant.path.startswith(folder) for name in names
        for found in sorted(ROOT.glob(f'tests/functional/test_{name}*.py'))
    ]
    return [*files, 'tests/field', '-m', 'not long'] if files else []


def _git(*arguments):
    return subprocess.run(
        [shutil.which('git'), *arguments], cwd=ROOT, text=True,
        stdout=subprocess.PIPE,
    ).stdout


def _end(tests):
    tests.send_signal(signal.SIGINT)
    try:
        tests.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        tests.kill()


class Judges:
    """Judges mutants in several copies at a time."""

    def __init__(self, folder, jobs):
        copies = [Copy(folder, number) for number in range(jobs)]
        self.selection = Selection(copies[0])
        self._jobs = jobs
        self._free = queue.SimpleQueue()
        for each in copies:
            self._free.put(each)

    def judge(self, mutants, choose_tests):
        """Yield (mutant, outcome, diff) of each as it is known.

        :param choose_tests: returns the arguments of pytest for a mutant
        """
        def judge(mutant):
            copy = self._free.get()
            tests = choose_tests(mutant)
            seconds = (
                SECONDS if choose_tests is with_servers
                else self.selection.limit(tests)
            )
            try:
                return mutant, *copy.judge(mutant, tests, seconds)
            finally:
                self._free.put(copy)

        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            started = [pool.submit(judge, mutant) for mutant in mutants]
            for done in concurrent.futures.as_completed(started):
                yield done.result()


def judge_all(judges, chosen):
    """Judge mutants without servers, and what is left with them.

    :returns: a list of (mutant, outcome, diff)
    """
    known = []
    left = chosen
    for choose_tests in (judges.selection.tests, with_servers):
        begun, left, of = left, [], len(left)
        found = judges.judge(begun, choose_tests)
        for number, result in enumerate(found, 1):
            mutant, outcome, _ = result
            print(f'{number}/{of} {mutant.path}:{mutant.line} '
                  f'{mutant.operator.removeprefix("core/")}: {outcome}',
                  flush=True)
            if outcome == NOT_NOTICED and choose_tests is not with_servers:
                left.append(mutant)
            else:
                known.append(result)
    return known


def report(results):
    """Print what was not noticed, and a table for each folder."""
    counts = collections.defaultdict(collections.Counter)
    for mutant, outcome, diff in results:
        folder = str(pathlib.Path(mutant.path).parent)
        for name in (folder, 'all'):
            counts[name][outcome] += outcome != NOT_MADE
        if outcome == NOT_NOTICED:
            print(f'Not noticed: {mutant.path}:{mutant.line}\n{diff}')
    print(f'{"Folder":35} Mutants  Noticed  Share')
    for name, each in sorted(counts.items()):
        noticed = each[NOTICED] + each[TIMEOUT]
        total = each.total()
        share = f'{noticed / total:6.0%}' if total else ''
        print(f'{name:35} {total:7} {noticed:8} {share}')


def _files(names):
    for name in names:
        path = ROOT / name
        found = sorted(path.rglob('*.py')) if path.is_dir() else [path]
        for each in found:
            if not each.exists():
                sys.exit(f'There is no {name} in {ROOT}')
            yield each.relative_to(ROOT)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--files', nargs='*', default=DEFAULT_FILES)
    parser.add_argument('--sample', type=int, default=150)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--jobs', type=int, default=3)
    options = parser.parse_args()
    os.chdir(ROOT)
    chosen = choose(
        find_mutants(list(_files(options.files))), options.sample,
        options.seed,
    )
    with tempfile.TemporaryDirectory(prefix='mutants-') as folder:
        report(judge_all(Judges(folder, options.jobs), chosen))


if __name__ == '__main__':
    main()
