"""Arrows of the model from vertices of the record: local derivatives, flows, and the rule behind each."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from gyaku.explain.model import Arrow
from gyaku.explain.read import Vertex, as_numpy
from gyaku.explain.walk import Missing, jacobians, pull, quiet, through

Array = Any
MANY = 200  # items beyond which a graph folds by itself
LARGEST = 256  # elements of a Jacobian that is written out; in graphs of more than MANY items only numbers are


def arrows_into(vertex: Vertex, flows: dict[tuple[Vertex, int], Array], most: int) -> list[Arrow]:
    """Return the arrows into a vertex, one for each input that is there."""
    used = [(s, i) for i, s in enumerate(vertex.sources) if s is not None]
    found = jacobians(vertex, (), used, most)
    return [_arrow(vertex, (), s, i, local, flows.get((vertex, i))) for (s, i), local in zip(used, found)]


def arrows_through(vertex: Vertex, region: Sequence[Vertex], sources: list[Vertex], most: int) -> list[Arrow]:
    """Return the arrows into a vertex from each of ``sources``, all ways through the hidden ``region`` together."""
    found = jacobians(vertex, region, [(s, None) for s in sources], most)
    arrived: dict[Vertex, Array] = {}
    try:
        with quiet():
            arrived = {} if vertex.delta is None else through(vertex, region, sources, vertex.delta)
    except Missing:
        pass
    each = enumerate(zip(sources, found))
    return [_arrow(vertex, region, s, i, local, arrived.get(s) if s.wanted else None) for i, (s, local) in each]


def _arrow(vertex: Vertex, region: Sequence[Vertex], source: Vertex, position: int, local: Any, flow: Array) -> Arrow:
    rule = functools.partial(pull, vertex, region, source, None if region else position) if source.wanted else None
    shapes = (vertex.shape, source.shape)
    flow = None if flow is None else as_numpy(flow)
    return Arrow(source.key, vertex.key, position, local, flow, "", shapes, source.wanted, rule)
