"""The rule of an operation, and the one place where operations are called.

An operation is a small class: ``forward(self, xp, *x) -> y`` and ``backward(self, xp, saved, gy, needs) -> gx...``, both
in array language only. Its annotated fields are its static parameters; ``keep`` names what backward reads: inputs by
forward's own argument names, ``y`` (or ``y0``, ``y1``, ...) for outputs, ``x.shape`` for a shape alone. Because only
inputs and outputs are ever kept, the same backward, read with tensors, is differentiable again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import numpy as np

from gyaku.backend.dtypes import get_default_dtype, promote
from gyaku.backend.namespace import NAMESPACES, namespace_of, numpy_namespace
from gyaku.base.errors import GyakuError, ShapeError
from gyaku.core.mode import state
from gyaku.core.node import FOREIGN, Node, Pick, clock, format_line, user_frame
from gyaku.core.tensor import Tensor, new_tensor

Array = Any
REGISTRY: dict[str, type[Op]] = {}
_new = object.__new__
OpType = TypeVar("OpType", bound="type[Op]")

_NONE, _INPUTS, _OUTPUT, _MIXED = range(4)
_ndarray = np.ndarray


class Op:
    """Base of all operations. Class attributes describe the rule; instances hold static parameters and nothing else."""

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""  # how a lecturer writes it, `{0}` the first input: "exp({0})", "{0} + {1}"
    keep: ClassVar[str] = ""
    promotes: ClassVar[str] = ""  # "" as they come; "join": one common dtype; "float": the same, integers become floats
    view: ClassVar[bool] = False  # the output may share memory with the first input
    differentiable: ClassVar[bool] = True
    arguments: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[tuple[str, ...]] = ()
    _plan: ClassVar[tuple[int, tuple[tuple[str, int], ...]]] = (_NONE, ())

    def __init__(self, *static: Any, **named: Any) -> None:
        values = self.__dict__
        for name, value in zip(self.fields, static, strict=False):
            values[name] = value
        values.update(named)

    @property
    def static(self) -> tuple[Any, ...]:
        """The static parameters, in the order of ``fields``."""
        return tuple([getattr(self, f) for f in self.fields])

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.static == other.static  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self.static))

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{f}={getattr(self, f)!r}' for f in self.fields)})"

    def forward(self, xp: Any, *x: Array) -> Any:
        """Return the output (a tuple for several) from input arrays. Pure: writes to nothing it is given."""
        raise NotImplementedError

    def backward(self, xp: Any, saved: tuple[Any, ...], gy: Any, needs: tuple[Any, ...]) -> Any:
        """Return the gradient by each input (None where ``needs`` is false); several outputs bring a tuple ``gy``."""
        raise NotImplementedError

    def expected(self, *x: Array) -> str:
        """Say what inputs would have fitted, for the message when ``forward`` fails."""
        return "shapes that fit"

    def hint(self, *x: Array) -> str:
        """Say what to do about inputs that do not fit."""
        return ""


def register(cls: OpType) -> OpType:
    """Enter an operation into the registry: its fields become static parameters, its ``keep`` a plan."""
    for slot in ("forward", "backward"):
        if slot not in cls.__dict__ and not any(slot in b.__dict__ for b in cls.__mro__[1:-2]):
            raise TypeError(f"{cls.__name__} has no rule {slot!r}")
    cls.name = cls.__dict__.get("name") or _snake(cls.__name__)
    cls.fields = tuple(f for c in reversed(cls.__mro__) for f, kind in c.__dict__.get("__annotations__", {}).items()
                       if not str(kind).startswith("ClassVar"))
    cls.arguments = tuple(inspect.signature(cls.forward).parameters)[2:]
    cls._plan = _plan(cls)
    REGISTRY[cls.name] = cls
    return cls


FUNCTIONS: dict[str, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
Function = TypeVar("Function", bound=Callable[..., Any])


def public(*methods: str, top: bool = True) -> Callable[[Function], Function]:
    """Export a function as ``gyaku.<name>`` (unless ``top`` is false) and as the tensor methods named.

    ``@public("exp")`` above ``def exp(input)`` gives ``gyaku.exp(x)`` and ``x.exp()``; ``@public("__add__")`` an operator.
    """

    def enter(function: Function) -> Function:
        if top:
            FUNCTIONS[function.__name__] = function
        for name in methods:
            METHODS[name] = function
            setattr(Tensor, name, function)
        return function

    return enter


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _plan(cls: type[Op]) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Turn ``keep`` into (pattern, codes): codes are ("x", input), ("y", output) or ("s", shape of input)."""
    codes: list[tuple[str, int]] = []
    for word in cls.keep.split():
        base, _, attribute = word.partition(".")
        if base[0] == "y" and base[1:].isdigit() or base == "y":
            codes.append(("y", int(base[1:] or 0)))
        else:
            codes.append(("s" if attribute == "shape" else "x", cls.arguments.index(base)))
    if not codes:
        return _NONE, ()
    if codes == [("x", i) for i in range(len(cls.arguments))]:
        return _INPUTS, tuple(codes)
    return (_OUTPUT if codes == [("y", 0)] else _MIXED), tuple(codes)


def apply(op: Op, *inputs: Any) -> Any:
    """Run ``op`` on tensors (numbers and None are constants), record it when a gradient is wanted, return tensors.

    Raises ``ShapeError`` (or what the operation itself raises) with the user's line and the layer's path.
    """
    xs, track, plain, common = [], False, True, None
    for t in inputs:
        if isinstance(t, Tensor):
            x = t._array
            if t._node is not None:
                track = True
            if type(x) is not _ndarray:
                plain = False
            elif x.dtype is not common:
                if common is None and x.dtype.kind == "f":
                    common = x.dtype
                else:
                    plain = False
            xs.append(x)
        else:
            if t.__class__ is not float and t.__class__ is not int:
                plain = False
            xs.append(t)
    xp = numpy_namespace
    if not plain:  # anything but NumPy arrays of one floating type and Python numbers
        if op.promotes:
            promoted = _promoted(op, inputs, xs)
            if promoted is not None:
                return apply(op, *promoted)
        xp = namespace_of(*xs)
    try:
        y = op.forward(xp, *xs)
    except Exception as error:
        raise _explained(op, xs, error) from error
    if type(y) is not _ndarray:
        y = _as_arrays(y)
    if not (track and state.grad and op.differentiable):
        if state.observers:
            _tell(op, xs, y, None)
        return _plain(op, inputs, y)
    return _recorded(op, inputs, xs, y)


def _as_arrays(y: Any) -> Any:
    if isinstance(y, (tuple, list)):
        return tuple(np.asarray(v) if isinstance(v, np.generic) else v for v in y)
    return np.asarray(y) if isinstance(y, (np.generic, float, int)) else y


def _tell(op: Op, xs: list[Any], y: Any, node: Node | None) -> None:
    for observer in state.observers:
        observer.after_forward(op, xs, y, node)


def _plain(op: Op, inputs: tuple[Any, ...], y: Any) -> Any:
    cell = inputs[0]._cell if op.view else None
    if type(y) is tuple:
        return tuple([new_tensor(v, None, cell) for v in y])
    return new_tensor(y, None, cell)


def _recorded(op: Op, inputs: tuple[Any, ...], xs: list[Any], y: Any) -> Any:
    """Make the node of a call and the tensors of its outputs."""
    node = _new(Node)
    parents = [t._node if isinstance(t, Tensor) else None for t in inputs]
    node.op, node.parents, node.hooks, node.module = op, parents, None, state.module
    node.consts = [x if p is None else None for x, p in zip(xs, parents)] if None in parents else None
    frame = user_frame()
    node.code, node.lasti, node.id = frame.f_code, frame.f_lasti, clock()
    if type(y) is tuple:
        cell = None
        out = _several(op, node, inputs, y)
    else:
        node.shape, node.dtype = y.shape, y.dtype
        cell = inputs[0]._cell if op.view else [0]
        out = new_tensor(y, node, cell)
    pattern, codes = op._plan
    if pattern == _NONE:
        node.saved = node.cells = ()
    elif pattern == _OUTPUT and type(y) is not tuple:
        node.saved, node.cells = (y,), (cell,)
    else:
        node.saved, node.cells = _saved(codes, inputs, xs, y if type(y) is tuple else (y,), cell)
    if state.observers:
        _tell(op, xs, y, node)
    return out


def _several(op: Op, node: Node, inputs: tuple[Any, ...], y: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """Give each differentiable output its Pick; whole numbers and truth values carry no gradient."""
    node.shape, node.dtype = tuple([v.shape for v in y]), tuple([v.dtype for v in y])
    cell = inputs[0]._cell if op.view else None
    return tuple([
        new_tensor(v, Pick(node, k, v.shape, v.dtype) if v.dtype.kind == "f" else None, cell) for k, v in enumerate(y)
    ])


def _saved(
    codes: tuple[tuple[str, int], ...], inputs: tuple[Any, ...], xs: list[Any], ys: tuple[Any, ...], cell: Any
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    saved, cells = [], []
    for kind, i in codes:
        if kind == "y":
            saved.append(ys[i])
            cells.append(cell)
        elif kind == "s":
            saved.append(xs[i].shape)
        elif isinstance(inputs[i], Tensor):
            c = inputs[i]._cell
            foreign = c[0] == FOREIGN  # others may write to this memory unseen: keep the value of now
            saved.append(xs[i].copy() if foreign else xs[i])
            cells.append(None if foreign else c)
        else:
            saved.append(xs[i])
    return tuple(saved), tuple(cells)


def _promoted(op: Op, inputs: tuple[Any, ...], xs: list[Any]) -> list[Any] | None:
    """Return the inputs cast to one common type, or None when they are right as they are."""
    arrays = [x for x in xs if hasattr(x, "dtype")]
    joined = arrays[0].dtype
    joined_0d = arrays[0].ndim == 0
    for a in arrays[1:]:
        joined, joined_0d = promote(joined, a.dtype, a_0d=joined_0d, b_0d=a.ndim == 0), joined_0d and a.ndim == 0
    floats = any(isinstance(x, float) for x in xs)
    if joined.kind != "f" and (floats or op.promotes == "float"):
        joined = get_default_dtype().numpy
    elif joined.kind == "b" and any(type(x) is int for x in xs):
        joined = np.dtype(np.int64)
    if all(a.dtype == joined for a in arrays):
        return None
    cast = REGISTRY["cast"]
    return [apply(cast(joined), t) if isinstance(t, Tensor) and t._array.dtype != joined else t for t in inputs]


def _explained(op: Op, xs: list[Any], error: Exception) -> Exception:
    """Turn a failure inside ``forward`` into one message in the grammar; an error that is one gets its context."""
    for observer in state.observers:
        observer.failed_forward(op, xs, error)
    if isinstance(error, GyakuError):
        error.context = error.context or context_of_call()
        return error
    if not isinstance(error, (ValueError, IndexError, TypeError)):
        return error
    got = " and ".join(str(x.shape) if hasattr(x, "shape") else repr(x) for x in xs if x is not None)
    return ShapeError(f"{op.name} (forward)", op.expected(*xs), got, hint=op.hint(*xs), context=context_of_call())


def context_of_call() -> str:
    """Return "layer path, file:line" of the running call, as far as known."""
    frame = user_frame()
    module = state.module() if state.module is not None else None
    path = getattr(module, "path", "") if module is not None else ""
    line = format_line(frame.f_code, frame.f_lasti)
    return ", ".join(part for part in (f"layer {path!r}" if path else "", line) if part)
