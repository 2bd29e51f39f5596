"""The least bytes that must cross memory for a frame: passes over the picture, and what they hand on.

Whoever runs a network may keep maps in registers and caches from one operation to the next, but not across a
sum over the whole picture (attention's, or a mean): its result is known only after the last pixel, and until
then a picture of maps does not fit on a chip. So a network with n such sums, each needing the one before, is
n + 1 passes over the picture at least. Between two passes, maps are handed on through memory: the cheapest
set from which the next pass can compute what it must, which is a minimum cut of the graph. A pass may repeat
operations of the pass before (the first convolution costs less than its result's way to memory and back), but
no older ones, or all passes could begin at the input and repeat the whole network.

What it leaves out makes it smaller, so that it stays a lower bound: the borders that neighbouring tiles both
read, and caches that are too small for a tile.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import networkx as nx

from refusion.benchmarks.roofline_graph import Graph

_START, _END = "start", "end"


@dataclass(frozen=True)
class Passes:
    """How a frame passes through memory at best."""

    count: int
    bytes: int
    """Read and written, weights once."""
    handed_on_bytes: tuple[int, ...]
    """What each pass but the first reads of what was there before it."""


def least_passes(graph: Graph) -> Passes:
    """Return the cheapest passes of a network over one frame."""
    levels = _levels(graph)
    # Each map that a later pass reads is written by the pass in which it can be computed first.
    wanted: defaultdict[int, set[int]] = defaultdict(set)
    wanted[levels[graph.output]].add(graph.output)
    handed_on: list[int] = []
    for level in range(max(levels), 0, -1):
        cut = _cheapest(graph, levels, level, wanted[level])
        handed_on.insert(0, _bytes(graph, cut))
        for number in cut - {0}:
            wanted[levels[number]].add(number)
    written = sum(_bytes(graph, numbers) for numbers in wanted.values())
    read = graph.nodes[0].bytes + sum(handed_on)
    return Passes(max(levels) + 1, graph.weight_bytes + read + written, tuple(handed_on))


def _levels(graph: Graph) -> list[int]:
    """Return, for each tensor, how many sums over the picture must have ended before it can be computed."""
    levels: list[int] = []
    for node in graph.nodes:
        level = max((levels[operand] for operand in node.operands), default=0)
        is_sum = not node.is_map and any(graph.nodes[operand].is_map for operand in node.operands)
        levels.append(level + is_sum)
    return levels


def _cheapest(graph: Graph, levels: list[int], level: int, wanted: set[int]) -> set[int]:
    """Return the maps that the pass of a level reads: the cheapest from which it can compute what it must.

    Args:
        graph: The network.
        levels: Of its tensors.
        level: Of the pass.
        wanted: Maps of this level that later passes read.
    """
    flow = nx.DiGraph()
    maps = [number for number, node in enumerate(graph.nodes) if node.is_map and levels[number] <= level]
    for number in maps:
        # What it costs to have it in memory: the input is there, others are written before they are read.
        cost = graph.nodes[number].bytes * (1 if number == 0 else 2)
        into, out = (number, "in"), (number, "out")
        if levels[number] < level:
            flow.add_edge(into, out, capacity=cost)
        else:
            flow.add_edge(into, out)
        if number == 0 or levels[number] < level - 1:
            flow.add_edge(_START, into)
        else:
            for operand in graph.nodes[number].operands:
                if graph.nodes[operand].is_map:
                    flow.add_edge((operand, "out"), into)
    summed = {
        operand
        for number, node in enumerate(graph.nodes)
        if not node.is_map and levels[number] == level + 1
        for operand in node.operands
        if graph.nodes[operand].is_map
    }
    for number in wanted | summed:
        flow.add_edge((number, "out"), _END)
    _, (before, _) = nx.minimum_cut(flow, _START, _END)
    return {number for number in maps if (number, "in") in before and (number, "out") not in before}


def _bytes(graph: Graph, numbers: set[int]) -> int:
    return sum(graph.nodes[number].bytes for number in numbers)
