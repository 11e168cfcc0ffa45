"""``with gy.record():`` keeps values and deltas of what runs inside, also through backward and later updates."""

from __future__ import annotations

import weakref
from typing import Any

from gyaku.base.errors import GraphError, GyakuError, ShapeError
from gyaku.core.mode import observe, state
from gyaku.core.node import Leaf, Pick
from gyaku.core.op import REGISTRY, context_of_call
from gyaku.explain.read import TRACES, stale

Array = Any


class Trace:
    """What was seen of one operation: copies of its output and of the inputs that nobody else keeps.

    ``inputs[i]`` is None where the input came from an operation that has a trace of its own; ``originals[i]`` is a weak
    reference to the array itself, by which its name is found. ``gy`` is what arrived in the last backward; ``saved``
    and ``cells`` are what the operation had saved when it did.
    """

    __slots__ = ("cells", "gy", "inputs", "originals", "output", "saved")

    def __init__(self, inputs: list[Any], originals: list[Any], output: Any) -> None:
        self.inputs, self.originals, self.output = inputs, originals, output
        self.saved: Any = None
        self.cells: Any = ()
        self.gy: Any = None

    def rebuilt(self, record: Any) -> tuple[Any, ...] | None:
        """Return what the rule of ``record`` reads, from the copies; None for operations outside the rule book."""
        if REGISTRY.get(record.op.name) is not type(record.op):
            return None
        found = []
        for kind, i in record.op._codes:
            if kind == "y":
                found.append(self.output[i] if type(self.output) is tuple else self.output)
            else:
                x = self._input(record.parents[i], i)
                found.append(x.shape if kind == "s" else x)
        return tuple(found)

    def _input(self, parent: Any, i: int) -> Any:
        if self.inputs[i] is not None or parent is None:
            return self.inputs[i]
        output = TRACES[_record(parent)].output
        return output[parent.index] if type(parent) is Pick else output


def _record(node: Any) -> Any:
    return node.parents[0] if type(node) is Pick else node


def _weakly(x: Any) -> Any:
    try:
        return weakref.ref(x)
    except TypeError:
        return None


class record:
    """Keep values and deltas of every operation inside, so that ``gy.explain`` can show them after ``backward()``.

    The copies live as long as the graph does. If the forward pass fails inside, ``gy.explain(r)`` shows what was
    computed so far, with the operation that refused its inputs.

    >>> import gyaku as gy
    >>> from gyaku.explain import explain
    >>> w = gy.tensor(2.0, requires_grad=True)
    >>> with record():
    ...     E = (w * 3.0).square()
    ...     E.backward()
    >>> explain(E)["w"].delta.item()
    36.0
    """

    def __init__(self) -> None:
        self.last: Any = None  # the newest node
        self.failure: Failure | None = None
        self._copies: dict[int, tuple[Array, Array]] = {}  # id -> (original, copy): one copy of what is used often
        self._makers: dict[int, tuple[Array, Any]] = {}  # id -> (array, its node): whose output an array is
        self._open: list[Any] = []

    def __enter__(self) -> record:
        self._open.append(observe(self))
        self._open[-1].__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._open.pop().__exit__(kind, error, trace)
        if self.failure is not None and error is not None:
            self.failure.message = str(error)
        self._copies.clear()
        self._makers.clear()

    def after_forward(self, op: Any, inputs: list[Any], output: Any, node: Any) -> None:
        """Keep what went in and came out."""
        self.failure = None  # somebody caught it and went on
        if node is None:
            return
        self.last = node
        several = type(output) is tuple
        seen = [self._seen(x, p) for x, p in zip(inputs, node.parents)]
        originals = [_weakly(x) for x in inputs]
        TRACES[node] = Trace(seen, originals, tuple([y.copy() for y in output]) if several else output.copy())
        for x, parent in zip(inputs, node.parents):
            if parent is not None:
                self._makers[id(x)] = (x, parent)
        if not several:
            self._makers[id(output)] = (output, node)

    def _seen(self, x: Any, parent: Any) -> Any:
        """Return a copy of an input, unless its maker is traced too."""
        if parent is not None and type(parent) is not Leaf and _record(parent) in TRACES:
            return None
        if not hasattr(x, "copy"):
            return x
        original, copy = self._copies.get(id(x), (None, None))
        if original is not x or not bool((original == copy).all()):
            copy = x.copy()
            self._copies[id(x)] = (x, copy)
        return copy

    def failed_forward(self, op: Any, inputs: list[Any], error: BaseException) -> None:
        """Remember the operation that refused its inputs."""
        parents = [self._makers[id(x)][1] if id(x) in self._makers else None for x in inputs]
        self.failure = Failure(op, list(inputs), parents, state.module, context_of_call(), _message(op, inputs, error))

    def after_backward(self, node: Any, gy: Any, gxs: tuple[Any, ...]) -> None:
        """Keep what arrived, and what the rule read: the walk lets it go."""
        trace = TRACES.get(node)
        if trace is not None:
            trace.gy = gy
            if not stale(node.cells, node.id):
                trace.saved, trace.cells = node.saved, node.cells

    @property
    def result(self) -> Any:
        """The node that ``gy.explain`` shows: the newest one.

        Raises ``GraphError`` when nothing was recorded.
        """
        if self.last is None:
            raise GraphError(
                "record", "operations on tensors that require grad inside the block", "none",
                hint="compute the result inside `with gy.record():`",
            )  # fmt: skip
        return _first_output(self.last)


def _first_output(node: Any) -> Any:
    """Return a node, or where it has several outputs the first one that carries a gradient."""
    if not (node.shape and type(node.shape[0]) is tuple):
        return node
    k = next(i for i, kind in enumerate(node.dtype) if kind.kind == "f")
    return Pick(node, k, node.shape[k], node.dtype[k])


def _message(op: Any, inputs: list[Any], error: BaseException) -> str:
    """Return what is known to be wrong before the error has travelled up."""
    if isinstance(error, GyakuError):
        return str(error)
    got = " and ".join(str(getattr(x, "shape", x)) for x in inputs if x is not None)
    return str(ShapeError(f"{op.name} (forward)", op.expected(*inputs), got, hint=op.hint(*inputs)))


class Failure:
    """An operation that refused its inputs: the arrays that came, and the nodes that made them (None: constants)."""

    def __init__(self, op: Any, inputs: list[Any], parents: list[Any], module: Any, where: str, message: str) -> None:
        self.op, self.inputs, self.parents = op, inputs, parents
        self.module, self.where, self.message = module, where, message
