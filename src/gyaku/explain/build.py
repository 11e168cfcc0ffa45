"""``explain``: from a tensor to its explanation with all numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gyaku.base.errors import ShapeError
from gyaku.core.node import user_frame
from gyaku.core.tensor import Tensor
from gyaku.explain.arrows import LARGEST, MANY, arrows_into
from gyaku.explain.fold import folded
from gyaku.explain.labels import compose, label_of, number_text
from gyaku.explain.model import Arrow, Explanation, Item
from gyaku.explain.naming import Names, chain_of, names_for, variables
from gyaku.explain.read import MISSING, Graph, Vertex, as_numpy, graph_before, graph_of, read
from gyaku.explain.recorder import Failure, record
from gyaku.explain.values import fill_values
from gyaku.explain.walk import fill_deltas, like

Array = Any
_LETTERS = {"leaf": "x", "constant": "c", "op": "u"}  # of values without a name


def explain(
    y: Any, *, names: Mapping[str, Any] | None = None, fold: Any = "auto", model: Any = None, gradient: Any = None,
    scope: Mapping[str, Any] | None = None,
) -> Explanation:  # fmt: skip
    """Return the computation graph behind ``y`` with values, deltas, local derivatives and flows.

    ``names`` ({"s": s}) says what tensors are called; the variables of the calling code (or of ``scope``) and the
    parameters of modules have their names by themselves. ``fold`` chooses the view: "auto" (modules fold in graphs of
    more than 200 items), True (each layer one item), False (each operation), a number (modules at that depth; 0 is the
    whole model), "names" (only named values stay), or {"sigmoid": (x, y)}: what lies between x and y is one item.
    ``gradient`` is what arrives at ``y``, for a ``y`` that is no scalar. ``y`` may also be a ``gy.record()`` block: its
    newest result, or the forward pass that failed in it. Nothing is touched: no ``.grad``, no hook, nothing is spent.
    Raises ``GraphError`` for a tensor without a graph, ``ShapeError`` for a gradient of another shape.

    >>> import gyaku as gy
    >>> a, x, y = (gy.tensor(v, requires_grad=True) for v in (2.0, 3.0, 1.0))
    >>> picture = explain((a * x - y).square())
    >>> picture["a"].delta.item()
    30.0
    >>> [p.factors for p in picture.paths("a")]
    [(10.0, 1.0, 3.0)]
    """
    scope = _scope_of(user_frame()) if scope is None else scope
    failure = y.failure if isinstance(y, record) else None
    if failure is not None:
        return _failed(failure, names, fold, model, scope)
    graph = graph_of(y.result) if isinstance(y, record) else read(y)
    known = [y] if isinstance(y, Tensor) else []
    return _finished(graph, names_for(graph, names, model, scope), known, fold, gradient)


def _scope_of(frame: Any) -> dict[str, Any]:
    """Return the variables that the user's line sees, its own first."""
    own = dict(frame.f_locals)
    return own | {k: v for k, v in frame.f_globals.items() if k not in own}


def _finished(graph: Graph, names: Names, known: list[Tensor], fold: Any, gradient: Any) -> Explanation:
    fill_values(graph, known + names.tensors)
    flows, missing = _walked(graph, gradient)
    return folded(explanation_of(graph, names, flows, missing), fold)


def _walked(graph: Graph, gradient: Any) -> tuple[dict[Any, Array], tuple[str, str]]:
    """Fill the deltas; return the flows and (why numbers are missing, where)."""
    seed = _seed(graph.result, gradient)
    if seed is None:
        return {}, _first_gap(graph) or ("seedless", graph.result.where)
    flows, missing = fill_deltas(graph, seed)
    return flows, ("", "") if missing is None else (missing.reason, missing.where)


def _first_gap(graph: Graph) -> tuple[str, str] | None:
    gaps = [(v.why, v.where) for v in reversed(graph.vertices) if v.op is not None and v.saved is None]
    return gaps[0] if gaps else None


def _seed(result: Vertex, gradient: Any) -> Array:
    """Return what arrives at the result: given, 1 for a scalar, what a recorded backward brought, or None."""
    if gradient is not None:
        seed = as_numpy(gradient._array if isinstance(gradient, Tensor) else gradient).astype(result.dtype)
        if seed.shape != result.shape:
            raise ShapeError("explain", f"a gradient of shape {result.shape}", str(seed.shape))
        return like(seed, result)
    if math.prod(result.shape) == 1:
        return like(np.ones(result.shape, dtype=result.dtype), result)
    return result.trace.gy if result.trace is not None and result.index is None else None


def explanation_of(graph: Graph, names: Names, flows: dict[Any, Array], missing: tuple[str, str]) -> Explanation:
    """Return the unfolded explanation of a graph whose values and deltas are filled in."""
    most = LARGEST if len(graph.vertices) <= MANY else 1
    counters = {kind: itertools.count(1) for kind in _LETTERS}
    items, arrows = [], []
    by_key: dict[str, Item] = {}
    for vertex in graph.vertices:
        item = item_of(vertex, names)
        into = arrows_into(vertex, flows, most)
        finish(item, into, by_key, counters)
        items.append(item)
        arrows.extend(into)
    return Explanation(items, arrows, graph.result.key, *missing, graph=graph)


def item_of(vertex: Vertex, names: Names) -> Item:
    """Return the item of a vertex, without its arrows."""
    module = vertex.module
    called = names.of(vertex)
    inline = vertex.kind == "constant" and not hasattr(vertex.constant, "shape")
    return Item(
        key=vertex.key, kind=vertex.kind, name=called, op=vertex.op, shape=vertex.shape, dtype=vertex.dtype,
        value=None if vertex.value is None else as_numpy(vertex.value),
        delta=None if vertex.delta is None else as_numpy(vertex.delta),
        where=vertex.where,
        module=getattr(module, "path", "") if module is not None else called.rpartition(".")[0],
        layer=type(module).__name__ if module is not None else "",
        output=vertex.index, note=vertex.why, inline=inline,
        symbol=_constant_text(vertex.constant) if inline else called,
    )  # fmt: skip


def _constant_text(value: Any) -> str:
    return "?" if value is MISSING else number_text(value)


def finish(item: Item, into: list[Arrow], by_key: dict[str, Item], counters: dict[str, Any]) -> None:
    """Give an item its arrows, label, symbol and formula, and enter it."""
    item.arrows = tuple(into)
    if item.op is not None and item.kind == "op":
        item.label = label_of(item.op, 1 + max((a.position for a in into), default=-1), item.output)
    if not item.symbol:
        item.symbol = item.name or _numbered(item, counters)
    symbols = {a.position: by_key[a.source].symbol for a in into}
    parts = [symbols.get(i, "") for i in range(max(symbols, default=-1) + 1)]
    item.formula = compose(item.label, parts) if into else item.symbol
    by_key[item.key] = item


def _numbered(item: Item, counters: dict[str, Any]) -> str:
    return f"{_LETTERS[item.kind]}{next(counters[item.kind])}"


def _failed(failure: Failure, names: Any, fold: Any, model: Any, scope: Mapping[str, Any]) -> Explanation:
    """Return the partial picture of a forward pass that stopped at ``failure``."""
    module = None if failure.module is None else failure.module()
    root = model if model is not None or module is None else chain_of(module)[0]
    known = [*(() if root is None else root.parameters()), *(t for _, t in variables(scope))]
    graph = graph_before(failure, {id(t._array): t._node for t in known if t._node is not None})
    called = names_for(graph, names, root, scope)
    fill_values(graph, called.tensors)
    explanation = explanation_of(graph, called, {}, ("failed", failure.where))
    last = explanation.result
    explanation.error = last.failed = failure.message
    last.where = failure.where.rpartition(", ")[2]
    if module is not None:
        last.module, last.layer = module.path, type(module).__name__
    return folded(explanation, fold)
