"""The rule of an operation, and the one place where operations are called.

An operation is a small class: ``forward(self, xp, *x) -> y`` and ``backward(self, xp, saved, gy, needs) -> gx...``,
both in array language only. Its annotated fields are its static parameters; ``keep`` names what backward reads: inputs
by forward's own argument names, ``y`` (or ``y0``, ``y1``, ...) for outputs, ``x.shape`` for a shape alone. Because only
inputs and outputs are ever kept, the same backward, read with tensors, is differentiable again.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from gyaku.backend.dtypes import get_default_dtype, promote
from gyaku.backend.namespace import namespace_of, numpy_namespace
from gyaku.backend.tracing import Weak
from gyaku.base.errors import ArgumentError, DeviceError, DtypeError, GyakuError, ShapeError
from gyaku.core.guard import guarded
from gyaku.core.mode import state
from gyaku.core.node import FOREIGN, Node, Pick, clock, format_line, inside, user_frame
from gyaku.core.tensor import Tensor, as_tensor_like, new_tensor

Array = Any
REGISTRY: dict[str, type[Op]] = {}
_new = object.__new__
_getframe = sys._getframe
OpType = TypeVar("OpType", bound="type[Op]")

_ndarray = np.ndarray


class Op:
    """Base of all operations. Class attributes describe the rule; instances hold static parameters and nothing else."""

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""  # how a lecturer writes it, `{0}` the first input: "exp({0})", "{0} + {1}"
    keep: ClassVar[str] = ""
    promotes: ClassVar[str] = ""  # "" as they come; "join": one common dtype; "float": the same, integers become floats
    view: ClassVar[bool] = False  # the output may share memory with the first input
    differentiable: ClassVar[bool] = True
    materializes: ClassVar[bool] = True  # an output that nobody used brings zeros to backward, not None
    arguments: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[tuple[str, ...]] = ()
    _codes: ClassVar[tuple[tuple[str, int], ...]] = ()
    _keeps: ClassVar[int] = 0  # 0 nothing, 1 all inputs, 2 the output, 3 some other choice

    def __init__(self, *static: Any, **named: Any) -> None:
        values = self.__dict__
        for name, value in zip(self.fields, static, strict=False):
            values[name] = value.item() if isinstance(value, np.generic) else value  # NumPy's float64 would widen all
        for name, value in named.items():
            values[name] = value.item() if isinstance(value, np.generic) else value

    @property
    def static(self) -> tuple[Any, ...]:
        """The static parameters, in the order of ``fields``."""
        return tuple([getattr(self, f) for f in self.fields])

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.static == other.static

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
    cls.fields = tuple(
        f
        for c in reversed(cls.__mro__)
        for f, kind in c.__dict__.get("__annotations__", {}).items()
        if not str(kind).startswith("ClassVar")
    )
    cls.arguments = tuple(inspect.signature(cls.forward).parameters)[2:]
    cls._codes = _codes(cls)
    everything = tuple(("x", i) for i in range(len(cls.arguments)))
    cls._keeps = {(): 0, everything: 1, (("y", 0),): 2}.get(cls._codes, 3)
    REGISTRY[cls.name] = cls
    return cls


FUNCTIONS: dict[str, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
Function = TypeVar("Function", bound=Callable[..., Any])


def public(*methods: str, top: bool = True) -> Callable[[Function], Function]:
    """Export a function as ``gyaku.<name>`` (unless ``top`` is false) and as the tensor methods named.

    ``@public("exp")`` above ``def exp(input)`` gives ``gyaku.exp(x)`` and ``x.exp()``; ``"__add__"`` an operator.
    """

    def enter(function: Function) -> Function:
        function = guarded(function)
        if top:
            FUNCTIONS[function.__name__] = function
        for name in methods:
            METHODS[name] = function
            setattr(Tensor, name, function)
        return function

    return enter


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _codes(cls: type[Op]) -> tuple[tuple[str, int], ...]:
    """Turn ``keep`` into codes: ("x", input), ("y", output) or ("s", shape of input)."""
    codes: list[tuple[str, int]] = []
    for word in cls.keep.split():
        base, _, attribute = word.partition(".")
        if base == "y" or (base[0] == "y" and base[1:].isdigit()):
            codes.append(("y", int(base[1:] or 0)))
        else:
            codes.append(("s" if attribute == "shape" else "x", cls.arguments.index(base)))
    return tuple(codes)


def apply(op: Op, *inputs: Any) -> Any:
    """Run ``op`` on tensors (numbers and None are constants), record it when a gradient is wanted, return tensors.

    Raises ``ShapeError`` (or what the operation itself raises) with the user's line and the layer's path. ``apply1``
    and ``apply2`` are its straight roads; they and ``walk`` are the hot paths of the package.
    """
    xs, parents = [], []
    track, native, uniform, common = False, True, True, None
    for t in inputs:
        if isinstance(t, Tensor):
            x, node = t._array, t._node
            if node is not None:
                track = True
            parents.append(node)
            if type(x) is not _ndarray:
                native = uniform = False
            elif x.dtype is not common:
                if common is None and x.dtype.kind == "f":
                    common = x.dtype
                else:
                    uniform = False
            xs.append(x)
        else:
            if t.__class__ is not float and t.__class__ is not int:
                uniform = False
            parents.append(None)
            xs.append(t)
    if not uniform or common is None:  # anything but NumPy arrays of one floating type and Python numbers
        _refuse_plain(op, inputs)
        promoted = _promoted(op, xs, inputs) if op.promotes else None
        if promoted is not None:
            return apply(op, *promoted)
    try:
        y = op.forward(numpy_namespace if native else _reader(op, xs), *xs)
    except Exception as error:
        raise _explained(op, xs, error) from error
    if type(y) is not _ndarray:
        y = _as_arrays(y)
    if track and state.grad and op.differentiable:
        return _recorded(op, inputs, xs, parents, y)
    if state.observers:
        _tell(op, xs, y, None)
    out = new_tensor(y, None, inputs[0]._cell if op.view else None)
    return _several(None, out) if type(y) is tuple else out


def _refuse_plain(op: Op, inputs: Sequence[Any]) -> None:
    """Refuse a call in which no input is a tensor."""
    if inputs and not any(isinstance(t, Tensor) for t in inputs):
        got = type(inputs[0]).__name__
        raise DtypeError(op.name, "a tensor", got, hint="wrap it: gyaku.tensor(...)", context=context_of_call())


def _recorded(op: Op, inputs: Sequence[Any], xs: list[Any], parents: list[Any], y: Any) -> Any:
    """Make the node of a call, of one output or several, and return the tensors of its outputs."""
    node = _new(Node)
    node.op, node.parents, node.module, node.hooks, node.id = op, parents, state.module, None, clock()
    frame: Any = _getframe(2)  # the user's line is the first frame outside this package
    while inside[frame.f_code.co_filename]:
        frame = frame.f_back
    node.code, node.lasti = frame.f_code, frame.f_lasti
    node.consts = [x if p is None else None for x, p in zip(xs, parents)] if None in parents else None
    out: Any = new_tensor(y, node, inputs[0]._cell if op.view else None)
    if type(y) is tuple:
        out = _several(node, out)
    else:
        node.shape, node.dtype = y.shape, y.dtype
    if op._codes:
        _save(node, inputs, xs, out)
    else:
        node.saved = node.cells = ()
    if state.observers:
        _tell(op, xs, y, node)
    return out


def apply1(op: Op, t: Tensor) -> Any:
    """``apply`` for one tensor and one output: the straight road of the common case (measured: 0.7 us less)."""
    if isinstance(t, Tensor):
        x, parent, recording = t._array, t._node, state.recording
        if type(x) is _ndarray and x.dtype.kind == "f" and not op.view and (recording or not state.observers):
            try:
                y = op.forward(numpy_namespace, x)
            except Exception as error:
                raise _explained(op, [x], error) from error
            if type(y) is not _ndarray:
                y = np.asarray(y)
            if parent is None or not recording:
                return new_tensor(y)
            node = _new(Node)
            node.parents, node.consts = (parent,), None
            return _record(op, node, y, (t,), (x,), (t._cell,))
    return apply(op, t)


def apply2(op: Op, a: Any, b: Any) -> Any:
    """``apply`` for two operands and one output: the straight road of two tensors (measured: 0.7 us less)."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        x, z, recording = a._array, b._array, state.recording
        if type(x) is _ndarray and type(z) is _ndarray and (recording or not state.observers):
            kind = x.dtype
            if kind is z.dtype and kind.kind == "f":
                p, q = a._node, b._node
                try:
                    y = op.forward(numpy_namespace, x, z)
                except Exception as error:
                    raise _explained(op, [x, z], error) from error
                if type(y) is not _ndarray:
                    y = np.asarray(y)
                if (p is None and q is None) or not recording:
                    return new_tensor(y)
                node = _new(Node)
                node.parents = (p, q)
                both = p is not None and q is not None
                node.consts = None if both else (x if p is None else None, z if q is None else None)
                return _record(op, node, y, (a, b), (x, z), (a._cell, b._cell))
    return apply(op, *operands(a, b))


def operands(a: Any, b: Any) -> tuple[Any, Any]:
    """Return both operands as tensors or Python numbers; NumPy numbers become Python's, arrays become tensors."""
    a, b = operand(a, b), operand(b, a)
    return (a, b) if isinstance(a, Tensor) or isinstance(b, Tensor) else (Tensor(a), b)


def operand(value: Any, partner: Any = None) -> Any:
    """Return ``value`` as a tensor (on the device of ``partner``) or a Python number; anything else is refused."""
    if isinstance(value, Tensor) or type(value) in (float, int, bool):
        return value
    if isinstance(value, Weak):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, list, tuple)):
        return as_tensor_like(value, partner) if isinstance(partner, Tensor) else Tensor(value)
    if isinstance(value, (float, int)):
        return value.__float__() if isinstance(value, float) else int(value)
    raise DtypeError("arithmetic", "a tensor or a number", type(value).__name__, context=context_of_call())


def _record(
    op: Op, node: Node, y: Any, inputs: tuple[Tensor, ...], xs: tuple[Any, ...], cells: tuple[Any, ...]
) -> Tensor:
    """Fill ``node`` for one output ``y`` of ``xs`` and return its tensor."""
    node.op = op
    node.module = state.module
    node.hooks = None
    node.id = clock()
    node.shape = y.shape
    node.dtype = y.dtype
    frame: Any = _getframe(3)  # _record, apply1 or apply2, the public function; then the caller
    code = frame.f_code
    while inside[code.co_filename]:
        frame = frame.f_back
        code = frame.f_code
    node.code = code
    node.lasti = frame.f_lasti
    out = _new(Tensor)
    out._array = y
    out._node = node
    out._cell = [0]
    out._grad = out._extra = None
    keep = op._keeps
    if keep == 1:  # all inputs
        node.saved, node.cells = xs, cells
        for cell in cells:
            if cell[0] == FOREIGN:
                _save(node, inputs, xs, out)
    elif keep == 2:  # the output
        node.saved, node.cells = (y,), (out._cell,)
    elif keep == 0:
        node.saved = node.cells = ()
    else:
        _save(node, inputs, xs, out)
    return out


def _as_arrays(y: Any) -> Any:
    if isinstance(y, (tuple, list)):
        return tuple(np.asarray(v) if isinstance(v, np.generic) else v for v in y)
    return np.asarray(y) if isinstance(y, (np.generic, float, int)) else y


def _tell(op: Op, xs: list[Any], y: Any, node: Node | None) -> None:
    for observer in state.observers:
        observer.after_forward(op, xs, y, node)


def _several(node: Node | None, out: Tensor) -> tuple[Tensor, ...]:
    """Give each output a tensor and each floating one its Pick; whole numbers and truth values carry no gradient.

    All share one write cell, so that a write to any is noticed.
    """
    ys, cell = out._array, out._cell
    if node is None:
        return tuple([new_tensor(v, None, cell) for v in ys])
    node.shape, node.dtype = tuple([v.shape for v in ys]), tuple([v.dtype for v in ys])
    picks = [Pick(node, k, v.shape, v.dtype) if v.dtype.kind == "f" else None for k, v in enumerate(ys)]
    return tuple([new_tensor(v, pick, cell) for v, pick in zip(ys, picks)])


def _save(node: Node, inputs: Sequence[Any], xs: Any, out: Any) -> None:
    """Keep on ``node`` what its op's backward reads, and the cells that tell when that is overwritten."""
    saved, cells = [], []
    for kind, i in node.op._codes:
        if kind == "x":
            x, t = xs[i], inputs[i]
            if isinstance(t, Tensor):
                cell = t._cell
                if cell[0] == FOREIGN:  # others may write to this memory unseen: keep the value of now
                    x, cell = x.copy(), [0]
                cells.append(cell)
            saved.append(x)
        elif kind == "s":
            saved.append(xs[i].shape)
        else:
            y = out[i] if type(out) is tuple else out
            cells.append(y._cell)
            saved.append(y._array)
    node.saved, node.cells = saved, cells


def _promoted(op: Op, xs: list[Any], inputs: tuple[Any, ...]) -> list[Any] | None:
    """Return the inputs cast to one common type, or None when they are right as they are."""
    arrays = [x for x in xs if hasattr(x, "dtype")]
    parts = [[a.dtype for a in arrays if (a.ndim == 0) is flat] for flat in (False, True)]
    joined, *flat = [functools.reduce(promote, part) for part in parts if part]
    joined = promote(joined, flat[0], b_0d=True) if flat else joined
    floats = any(isinstance(x, (float, Weak)) for x in xs)
    if joined.kind != "f" and (floats or op.promotes == "float"):
        joined = get_default_dtype().numpy
    elif joined.kind == "b" and any(type(x) is int for x in xs):
        joined = np.dtype(np.int64)
    if all(a.dtype == joined for a in arrays):
        return None
    cast = REGISTRY["cast"]
    return [apply(cast(joined), t) if isinstance(t, Tensor) and t._array.dtype != joined else t for t in inputs]


def _reader(op: Op, xs: Sequence[Any]) -> Any:
    """Return the namespace that answers for ``xs``; arrays of two devices are an error that names ``op``."""
    try:
        return namespace_of(*xs)
    except DeviceError as mixed:
        mixed.where, mixed.context = f"{op.name} (forward)", context_of_call()
        raise


def _explained(op: Op, xs: list[Any], error: Exception) -> Exception:
    """Turn a failure inside ``forward`` into one message in the grammar; an error that is one gets its context."""
    for observer in state.observers:
        observer.failed_forward(op, xs, error)
    if isinstance(error, GyakuError):
        error.context = error.context or context_of_call()
        return error
    if isinstance(error, OverflowError):
        return ArgumentError(f"{op.name} (forward)", "numbers within the type", str(error), context=context_of_call())
    if not isinstance(error, (ValueError, IndexError, TypeError)):
        return error
    _reader(op, xs)  # arrays of two devices have a message of their own
    got = " and ".join(str(x.shape) if hasattr(x, "shape") else repr(x) for x in xs if x is not None)
    return ShapeError(f"{op.name} (forward)", op.expected(*xs), got, hint=op.hint(*xs), context=context_of_call())


def context_of_call() -> str:
    """Return "layer path, file:line" of the running call, as far as known."""
    frame = user_frame()
    module = state.module() if state.module is not None else None
    path = getattr(module, "path", "") if module is not None else ""
    line = format_line(frame.f_code, frame.f_lasti)
    return ", ".join(part for part in (f"layer {path!r}" if path else "", line) if part)
