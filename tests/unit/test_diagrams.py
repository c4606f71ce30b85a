# SPDX-License-Identifier: Apache-2.0


"""The diagrams of the documentation say what the code does."""

import importlib
import itertools
import re
import shutil
import types

import pytest
from taskflow.engines.action_engine import compiler

from glance_copy_plugin import opts
from glance_copy_plugin.flow import graph
from glance_copy_plugin.flow import settling
from glance_copy_plugin.recovery import takeover
from tools import diagrams

SOURCES = {path.stem: path for path in diagrams.sources()}
TITLE = re.compile(r'<title>(.*?)</title>')
EDGE = re.compile(r'^    (\w+(?: -> \w+)+)')
# Where the modules are that a diagram names.
HOMES = {'recovery': 'glance_copy_plugin.recovery'}


def text(name):
    return SOURCES[name].read_text()


def edges(lines):
    """Yield each edge of a diagram as a pair of names."""
    for line in lines:
        found = EDGE.match(line)
        if found:
            names = found.group(1).split(' -> ')
            yield from itertools.pairwise(names)


def reachable(pairs):
    """Return all (earlier, later) pairs that follow from these."""
    found = set(pairs)
    while True:
        more = {
            (first, last) for first, middle in found
            for other, last in found if other == middle
        } - found
        if not more:
            return found
        found |= more


def tasks_in_order():
    """Return (earlier, later) pairs of the real flow's tasks."""
    run = types.SimpleNamespace(
        task_id='0', stores=('s1', 's2'),
        options=opts.CopyOptions(staging_dir='/'),
    )
    made = compiler.PatternCompiler(graph.make_flow(run)).compile()

    def name(node):
        kind, *what = node.name.removesuffix('-0').split('-')
        return '_'.join([kind, *what]) if kind == 'ImportToStore' else kind

    nodes = {
        node: name(node) for node in made.execution_graph
        if made.execution_graph.nodes[node]['kind'] == compiler.TASK
    }
    pairs = reachable(
        (first, last) for first, last in made.execution_graph.edges()
    )
    return {
        (nodes[first], nodes[last]) for first, last in pairs
        if first in nodes and last in nodes
    }


def test_the_tasks_of_the_flow_are_drawn_in_their_order():
    bold, _, _ = text('flow').partition('style=bold')[2].partition(
        'style=dashed'
    )
    assert reachable(edges(bold.splitlines())) == tasks_in_order()


def test_the_moments_of_the_later_looks_are_those_of_the_code():
    first, second, third = settling._SECONDS
    assert f'after {first}, {second} and {third} s' in text('flow')


def test_the_number_of_attempts_is_that_of_the_code():
    words = {3: 'three'}
    most = words[takeover._MOST_ATTEMPTS]
    assert f'more than {most} times' in text('recovery')


def test_what_a_diagram_names_exists():
    named = set(re.findall(r'\b([a-z]+(?:\.\w+)+)', ' '.join(
        re.findall(r'label="(.*?)"', text('recovery'))
    ).replace('\\n', ' ')))
    assert len(named) >= 8
    for name in named:
        module, *parts = name.split('.')
        found = importlib.import_module(f'{HOMES["recovery"]}.{module}')
        for part in parts:
            found = getattr(found, part)


@pytest.mark.parametrize('name', SOURCES)
def test_the_drawing_is_that_of_the_diagram(name):
    source = SOURCES[name]
    drawn = diagrams.drawing(source).read_text()
    assert diagrams.mark(source) in drawn, 'run python -m tools.diagrams'
    titles = {
        title.replace('&#45;&gt;', '->') for title in TITLE.findall(drawn)
    }
    for first, last in edges(text(name).splitlines()):
        assert {first, last, f'{first}->{last}'} <= titles


@pytest.mark.skipif(
    not shutil.which('dot'), reason='Graphviz is not installed'
)
@pytest.mark.parametrize('name', SOURCES)
def test_the_diagram_is_drawn_like_that_by_graphviz(name):
    source = SOURCES[name]
    kept = diagrams.drawing(source).read_text()
    assert TITLE.findall(diagrams.draw(source)) == TITLE.findall(kept)
