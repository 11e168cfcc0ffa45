"""The rules run backward over a read graph: gradients through single arrows, through regions, and Jacobians.

Nothing of the graph is touched: no ``.grad``, no hooks, nothing is spent. Derivatives come from the operations' own
``backward`` alone.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from gyaku.backend.namespace import NAMESPACES
from gyaku.core.backward import _unbroadcast
from gyaku.core.mode import _set, state
from gyaku.explain.read import Graph, Vertex, as_numpy, stale

Array = Any


class Missing(Exception):
    """Numbers that a rule needs are gone: ``reason`` is a key of ``words.NOTES``, ``where`` the user's line."""

    def __init__(self, reason: str, where: str) -> None:
        super().__init__(reason, where)
        self.reason, self.where = reason, where


def rule(vertex: Vertex, gy: Array) -> list[Array]:
    """Return what the operation of ``vertex`` sends to each input for ``gy`` (None where nothing is wanted).

    Raises ``Missing`` when the rule's numbers are gone.
    """
    if vertex.saved is None:
        raise Missing(vertex.why or "spent", vertex.where)
    if stale(vertex.cells, vertex.record.id):
        raise Missing("overwritten", vertex.where)
    needs = tuple([s if s is not None and s.wanted else None for s in vertex.sources])
    gxs = vertex.op.backward(NAMESPACES[type(gy)], vertex.saved, _all_outputs(vertex, gy), needs)
    gxs = gxs if type(gxs) is tuple else (gxs,)
    return [_fitted(vertex, s, gx) for s, gx in zip(vertex.sources, gxs, strict=True)]


def _all_outputs(vertex: Vertex, gy: Array) -> Any:
    """Return ``gy`` as the rule wants it: for several outputs a tuple, zero (or None) at the others."""
    if vertex.index is None:
        return gy
    record, xp = vertex.record, NAMESPACES[type(gy)]
    kinds = zip(record.shape, record.dtype)
    others = [xp.zeros(s, dtype=d) if vertex.op.materializes else None for s, d in kinds]
    return tuple([gy if k == vertex.index else other for k, other in enumerate(others)])


def _fitted(vertex: Vertex, source: Vertex | None, gx: Array) -> Array:
    """Return a gradient in its source's shape and type: summed where the source was broadcast."""
    if source is None or not source.wanted:
        return None
    if gx is None:
        return like(np.zeros(source.shape, dtype=source.dtype), vertex)
    if gx.shape != source.shape:
        gx = _unbroadcast(vertex.record, gx, source.shape)
    return gx if gx.dtype == source.dtype else NAMESPACES[type(gx)].astype(gx, source.dtype)


def pull(target: Vertex, region: Sequence[Vertex], source: Vertex, position: int | None, gy: Array) -> Array:
    """Return what arrives at ``source`` from ``gy`` at ``target``: by input ``position`` alone, or (None) through all
    ways inside ``region``, the hidden vertices between them, inputs first."""
    gy = like(gy, target)
    with quiet():
        if position is not None:
            return as_numpy(rule(target, gy)[position])
        return as_numpy(through(target, region, [source], gy)[source])


def through(target: Vertex, region: Sequence[Vertex], sources: Iterable[Vertex], gy: Array) -> dict[Vertex, Array]:
    """Return what arrives at each of ``sources`` from ``gy`` at ``target`` through the vertices of ``region``."""
    arrived: dict[Vertex, Array] = {target: gy}
    for vertex in (target, *reversed(region)):
        here = arrived.pop(vertex, None)
        if here is None:
            continue
        for source, gx in zip(vertex.sources, rule(vertex, here)):
            if source is not None and gx is not None:
                arrived[source] = arrived[source] + gx if source in arrived else gx
    return {s: arrived[s] if s in arrived else like(np.zeros(s.shape, dtype=s.dtype), target) for s in sources}


def region_of(target: Vertex, hidden: set[Vertex]) -> list[Vertex]:
    """Return the hidden vertices behind ``target`` up to the first visible ones, inputs first."""
    found: dict[Vertex, None] = {}
    waiting = [target]
    while waiting:
        for source in waiting.pop().sources:
            if source in hidden and source not in found:
                found[source] = None
                waiting.append(source)
    return sorted(found, key=_order)


def _order(vertex: Vertex) -> Any:
    return vertex.order


def fill_deltas(graph: Graph, seed: Array) -> tuple[dict[tuple[Vertex, int], Array], Missing | None]:
    """Give each vertex its delta from ``seed`` at the result; return the flow of each arrow, and what was missing.

    Behind an operation whose numbers are gone no delta is known, not even in part.
    """
    flows: dict[tuple[Vertex, int], Array] = {}
    unknown: set[Vertex] = set()
    missing: Missing | None = None
    graph.result.delta = seed
    with quiet():
        for vertex in reversed(graph.vertices):
            if vertex.kind != "op":
                continue
            gxs: list[Array] = []
            try:
                gxs = [] if vertex in unknown or vertex.delta is None else rule(vertex, vertex.delta)
            except Missing as error:
                missing = missing or error
            if not gxs:
                unknown.update(s for s in vertex.sources if s is not None)
            for i, (source, gx) in enumerate(zip(vertex.sources, gxs)):
                if source is not None and gx is not None:
                    flows[vertex, i] = gx
                    source.delta = gx if source.delta is None else source.delta + gx
    for vertex in unknown:
        vertex.delta = None
    return flows, missing


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run rules unobserved and unrecorded inside."""
    before = state.grad, state.observers
    _set(False, ())
    try:
        yield
    finally:
        _set(*before)


def jacobians(
    target: Vertex, region: Sequence[Vertex], sources: Sequence[tuple[Vertex, int | None]], most: int
) -> list[Any]:
    """Return d target / d source for each of ``sources`` (with the position, or None for all ways together).

    A number where both have one element, an array of shape ``target.shape + source.shape`` up to ``most`` elements,
    None beyond that or where the rule's numbers are gone.
    """
    m = math.prod(target.shape)
    small = [m * math.prod(s.shape) <= most and s.wanted for s, _ in sources]
    if not any(small) or m == 0:
        return [None] * len(sources)
    rows: list[list[Array]] = []
    try:
        with quiet():
            rows = [_row(target, region, sources, k) for k in range(m)]
    except Missing:
        return [None] * len(sources)
    return [_stacked(target, s, [row[i] for row in rows]) if small[i] else None for i, (s, _) in enumerate(sources)]


def _row(target: Vertex, region: Sequence[Vertex], sources: Sequence[tuple[Vertex, int | None]], k: int) -> list[Array]:
    unit = np.zeros(math.prod(target.shape), dtype=target.dtype)
    unit[k] = 1
    unit = like(unit.reshape(target.shape), target)
    if region:
        arrived = through(target, region, [s for s, _ in sources], unit)
        return [arrived[s] for s, _ in sources]
    gxs = rule(target, unit)
    return [gxs[i] for _, i in sources]  # type: ignore[index]


def like(array: Array, vertex: Vertex) -> Array:
    """Return a NumPy array on the device where the numbers of ``vertex`` lie."""
    found = next((x for x in (vertex.value, *(vertex.saved or ())) if hasattr(x, "dtype")), None)
    if found is None or not hasattr(found, "get") or not isinstance(array, np.ndarray):
        return array
    from gyaku.backend.devices import device_of, move

    return move(array, device_of(found))


def _stacked(target: Vertex, source: Vertex, rows: list[Array]) -> Any:
    rows = [as_numpy(row) for row in rows]
    if len(rows) == 1 and math.prod(source.shape) == 1:
        return float(rows[0].reshape(()))
    return np.stack(rows).reshape(target.shape + source.shape)
