"""From the record of operations to vertices: one for each value, with the rule and the numbers behind it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from gyaku.base.errors import DtypeError, GraphError
from gyaku.core.node import FOREIGN, Leaf, Node, Pick, format_line
from gyaku.core.tensor import Tensor

Array = Any
TRACES: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # node -> recorder.Trace


class Vertex:
    """One value: a leaf, a constant or an output of an operation.

    ``sources`` are the vertices of the operation's inputs, by position (None where an input is None). ``saved`` is what
    the rule reads, or None, and then ``why`` says why not ("spent", "overwritten"). ``cells`` are its write times.
    """

    __slots__ = (
        "cells", "constant", "delta", "index", "key", "kind", "node", "op", "order", "saved", "shape", "dtype",
        "sources", "trace", "value", "why",
    )  # fmt: skip

    def __init__(self, kind: str, node: Any, shape: Any, dtype: Any, order: Any) -> None:
        self.kind, self.node, self.shape, self.dtype, self.order = kind, node, tuple(shape), dtype, order
        self.op: Any = None
        self.index: int | None = None
        self.sources: list[Vertex | None] = []
        self.saved: Any = None
        self.cells: Any = ()
        self.constant: Any = None
        self.trace: Any = None
        self.value: Array = None
        self.delta: Array = None
        self.key = self.why = ""

    @property
    def record(self) -> Any:
        """The node of the operation (a leaf's or constant's is None)."""
        return self.node if self.index is None or self.node is None else self.node.parents[0]

    @property
    def wanted(self) -> bool:
        """Whether a gradient goes here."""
        return self.kind != "constant"

    @property
    def where(self) -> str:
        """The user's line."""
        record = self.record
        return line_of(record.code, record.lasti) if type(record) is Node else ""

    @property
    def module(self) -> Any:
        """The module at work, or None."""
        record = self.record
        ref = record.module if type(record) is Node else None
        return None if ref is None else ref()


class Graph:
    """All vertices behind one result, inputs first."""

    def __init__(self, vertices: list[Vertex], result: Vertex, by_node: dict[Any, Vertex]) -> None:
        self.vertices, self.result, self.by_node = vertices, result, by_node
        self.constants = {id(v.constant): v for v in vertices if v.kind == "constant"}
        self.models: list[Any] = []  # the outermost modules: they stay as long as the graph, for folding it anew
        for number, vertex in enumerate(vertices):
            vertex.key = f"v{number}"

    def key_of(self, tensor: Any) -> str:
        """Return the key of a tensor's item; "" when it is not in the graph."""
        if not isinstance(tensor, Tensor):
            return ""
        found = self.by_node.get(tensor._node) if tensor._node is not None else self.constants.get(id(tensor._array))
        return "" if found is None else found.key


_LINES: dict[Any, str] = {}


def line_of(code: Any, lasti: int) -> str:
    """Return ``file:line``; each place is looked up once."""
    place = (code, lasti)
    if place not in _LINES:
        if len(_LINES) > 10_000:
            _LINES.clear()
        _LINES[place] = format_line(code, lasti)
    return _LINES[place]


def read(y: Any) -> Graph:
    """Return the graph behind the tensor ``y``.

    Raises ``GraphError`` for a tensor without a graph, ``DtypeError`` for anything else.
    """
    if not isinstance(y, Tensor):
        raise DtypeError("explain", "a tensor, or what gyaku.record() gave", type(y).__name__)
    if y._node is None:
        raise GraphError(
            "explain",
            "a result computed from tensors that require grad",
            "a tensor without a graph",
            hint="create its inputs with requires_grad=True, outside gyaku.no_grad()",
        )
    return graph_of(y._node)


def graph_of(root: Any) -> Graph:
    """Return the graph behind a node."""
    reader = _Reader()
    for node in sorted(_behind([root]), key=_age):
        reader.enter(node)
    return reader.graph(reader.by_node[root])


def graph_before(failure: Any, leaves: dict[int, Any]) -> Graph:
    """Return the graph of an operation that refused its inputs; ``leaves`` are nodes of parameters, by array."""
    reader = _Reader()
    parents = [p or leaves.get(id(x)) for p, x in zip(failure.parents, failure.inputs)]
    for node in sorted(_behind([p for p in parents if p is not None]), key=_age):
        reader.enter(node)
    last = Vertex("op", None, (), None, (FOREIGN, 0))
    last.op, last.why = failure.op, "failed"
    for x, parent in zip(failure.inputs, parents):
        last.sources.append(reader.by_node[parent] if parent is not None else reader.constant(x, last.order))
    reader.vertices.append(last)
    return reader.graph(last)


def _behind(roots: Iterable[Any]) -> list[Any]:
    """Return ``roots`` and all nodes that they depend on; operations with several outputs only by their Picks."""
    found = dict.fromkeys(roots)
    waiting = list(found)
    while waiting:
        node = waiting.pop()
        for parent in (node.parents[0] if type(node) is Pick else node).parents:
            if parent is not None and parent not in found:
                found[parent] = None
                waiting.append(parent)
    return list(found)


def _age(node: Any) -> tuple[int, int]:
    return (node.parents[0].id, node.index) if type(node) is Pick else (node.id, 0)


class _Reader:
    """Collects vertices, one after the other; constants are entered where they are first used."""

    def __init__(self) -> None:
        self.vertices: list[Vertex] = []
        self.by_node: dict[Any, Vertex] = {}
        self.constants: dict[int, Vertex] = {}

    def graph(self, result: Vertex) -> Graph:
        return Graph(self.vertices, result, self.by_node)

    def enter(self, node: Any) -> Vertex:
        """Return the vertex of a node whose parents are in; a second Pick of the same output shares the first's."""
        before = self.vertices[-1] if self.vertices else None
        if (
            type(node) is Pick
            and before is not None
            and before.record is node.parents[0]
            and before.index == node.index
        ):
            self.by_node[node] = before
            return before
        vertex = Vertex("leaf" if type(node) is Leaf else "op", node, node.shape, node.dtype, _age(node))
        if type(node) is not Leaf:
            self._operation(vertex, node)
        self.by_node[node] = vertex
        self.vertices.append(vertex)
        return vertex

    def _operation(self, vertex: Vertex, node: Any) -> None:
        vertex.index = node.index if type(node) is Pick else None
        record = vertex.record
        vertex.op, vertex.trace = record.op, TRACES.get(record)
        vertex.sources = [self._source(vertex, record, i) for i in range(len(record.parents))]
        vertex.saved, vertex.cells, vertex.why = kept(record, vertex.trace)

    def _source(self, vertex: Vertex, record: Any, i: int) -> Vertex | None:
        parent = record.parents[i]
        if parent is not None:
            return self.by_node[parent]
        if vertex.trace is not None:
            return self.constant(vertex.trace.inputs[i], vertex.order, _alive(vertex.trace.originals[i]))
        return self.constant(record.consts[i] if record.consts else MISSING, vertex.order)

    def constant(self, value: Any, order: Any, original: Any = None) -> Vertex | None:
        """Return the vertex of a constant; an array used twice is one, a number is a new one at each use.

        ``original`` is the array that ``value`` is a copy of, by which its name is found.
        """
        if value is None:
            return None
        array = hasattr(value, "shape")
        if array and id(value) in self.constants:
            return self.constants[id(value)]
        shape, dtype = (value.shape, value.dtype) if array else ((), None)
        vertex = Vertex("constant", None, shape, dtype, order)
        vertex.constant = value if original is None else original
        vertex.value = None if value is MISSING else value
        self.vertices.append(vertex)
        if array:
            self.constants[id(value)] = vertex
        return vertex


def _alive(original: Any) -> Any:
    return None if original is None else original()


class _Missing:
    def __repr__(self) -> str:
        return "?"


MISSING = _Missing()  # the constant of a spent operation


def kept(record: Any, trace: Any) -> tuple[Any, Any, str]:
    """Return what the rule of ``record`` reads, its write times, and why it is not there ("" when it is)."""
    saved, cells = record.saved, record.cells
    if saved is None and trace is not None:
        saved, cells = trace.saved, trace.cells
    if saved is not None and not stale(cells, record.id):
        return tuple(saved), cells, ""
    again = None if trace is None else trace.rebuilt(record)
    if again is not None:
        return again, (), ""
    return None, (), "spent" if saved is None else "overwritten"


def stale(cells: Any, time: float) -> bool:
    """Return whether memory was written to after ``time`` (memory that others may write to is not known to be)."""
    return any(cell[0] > time for cell in cells)


def fresh(t: Tensor, time: float) -> bool:
    """Return whether a tensor still holds what it held at ``time``, as far as can be known."""
    return t._cell[0] == FOREIGN or t._cell[0] <= time


def as_numpy(value: Any) -> Any:
    """Return a copy of an array on the CPU (numbers become arrays without dimensions)."""
    return np.array(value.get() if hasattr(value, "get") else value)
