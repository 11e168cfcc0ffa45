"""The value at each vertex: what is still held; where nothing is, computed again by the operation's own forward."""

from __future__ import annotations

from typing import Any

from gyaku.backend.namespace import namespace_of
from gyaku.core.node import FOREIGN
from gyaku.core.op import REGISTRY
from gyaku.core.tensor import Tensor
from gyaku.explain.read import Graph, Vertex, fresh


def fill_values(graph: Graph, known: list[Tensor]) -> None:
    """Give each vertex its value; ``known`` are tensors at hand (the result, the user's variables).

    A value is taken from where it is surely still the one of the forward pass: a recording, what operations saved, the
    tensor itself if nobody wrote to it since. The rest is computed again; where even that is not possible it stays
    None and ``why`` says "overwritten" or "lost".
    """
    held = _saved_by_users(graph)
    tensors = {t._node: t for t in known if t._node is not None}
    first_use = _first_uses(graph)
    stale = _stale_constants(graph, {id(t._array): t for t in known}, first_use)
    for vertex in graph.vertices:
        if vertex in stale:
            vertex.value, vertex.why = None, "overwritten"
        elif vertex.kind == "constant":
            vertex.value = held.get(vertex, vertex.value)
        elif vertex.why != "failed":
            _fill(vertex, held, tensors.get(vertex.node), first_use.get(vertex, FOREIGN))


def _stale_constants(graph: Graph, tensors: dict[int, Tensor], first_use: dict[Vertex, float]) -> set[Vertex]:
    """Return the constants (that are no copies) written to since their use, as far as tensors or operations know."""
    stale = set()
    for vertex in graph.vertices:
        tensor = tensors.get(id(vertex.constant)) if vertex.kind == "constant" else None
        if tensor is not None and not fresh(tensor, first_use[vertex]):
            stale.add(vertex)
        if vertex.why == "overwritten" and vertex.record is not None:
            stale.update(_stale_inputs(vertex))
    return {v for v in stale if v.kind == "constant" and v.value is v.constant}


def _stale_inputs(vertex: Vertex) -> list[Vertex]:
    """Return the inputs that an operation saved and that were written to afterwards."""
    codes = [(kind, i) for kind, i in vertex.op._codes if kind == "y" or (kind == "x" and _is_array(vertex, i))]
    pairs = zip(codes, vertex.record.cells)
    found = [vertex.sources[i] for (kind, i), cell in pairs if kind == "x" and cell[0] > vertex.record.id]
    return [source for source in found if source is not None]


def _is_array(vertex: Vertex, i: int) -> bool:
    source = vertex.sources[i]
    return source is not None and (source.kind != "constant" or hasattr(source.constant, "shape"))


def _fill(vertex: Vertex, held: dict[Vertex, Any], tensor: Tensor | None, first_use: float) -> None:
    value = _recorded(vertex)
    if value is None and vertex.kind == "leaf" and not _untouched(vertex, first_use):
        vertex.why = "overwritten"
        return
    if value is None:
        value = held.get(vertex)
    if vertex.kind == "leaf" and value is None:
        leaf = vertex.node.tensor()
        value = None if leaf is None else leaf._array
    elif value is None and tensor is not None and tensor._cell[0] <= vertex.node.id:
        value = tensor._array
    if value is None and vertex.kind == "op":
        value = _again(vertex)
    vertex.value = value
    if value is None and not vertex.why:
        vertex.why = "lost"


def _recorded(vertex: Vertex) -> Any:
    """Return the value from a recording: of the operation itself, or of a leaf as its first user saw it."""
    if vertex.trace is None:
        return vertex.value
    output = vertex.trace.output
    return output[vertex.index] if vertex.index is not None else output


def _saved_by_users(graph: Graph) -> dict[Vertex, Any]:
    """Return the values that operations hold for their rules: {vertex: array}."""
    held: dict[Vertex, Any] = {}
    for vertex in graph.vertices:
        if vertex.trace is not None:
            for source, seen in zip(vertex.sources, vertex.trace.inputs):
                if source is not None and source.kind != "constant" and seen is not None and source.value is None:
                    source.value = seen
        for (kind, i), value in zip(vertex.op._codes, vertex.saved or ()) if vertex.op is not None else ():
            if kind == "x" and i < len(vertex.sources) and vertex.sources[i] is not None:
                held.setdefault(vertex.sources[i], value)
            elif kind == "y" and (vertex.index is None or vertex.index == i):
                held.setdefault(vertex, value)
    return held


def _first_uses(graph: Graph) -> dict[Vertex, float]:
    times: dict[Vertex, float] = {}
    for vertex in graph.vertices:
        for source in vertex.sources:
            if source is not None and source.kind != "op":
                times.setdefault(source, vertex.order[0])
    return times


def _untouched(vertex: Vertex, first_use: float) -> bool:
    leaf = vertex.node.tensor()
    return leaf is None or fresh(leaf, first_use)


def _again(vertex: Vertex) -> Any:
    """Compute the value anew; only for operations of the rule book, whose forward is pure."""
    if REGISTRY.get(vertex.op.name) is not type(vertex.op):
        return None
    inputs = [None if source is None else source.value for source in vertex.sources]
    for source, x in zip(vertex.sources, inputs):
        if source is not None and x is None:
            vertex.why = vertex.why or (source.why if source.why in ("overwritten", "lost") else "")
            return None
    output = vertex.op.forward(namespace_of(*inputs), *inputs)
    return output[vertex.index] if vertex.index is not None else output
