"""Tracers: arrays and numbers without values. What is done to them is written down as equations.

A ``Tracer`` is a name for memory: operations read the value that it stands for now, in-place writes let it stand for
another one, and a view of it follows. So eager code that writes in place (running averages, gradients added up, an
update under ``no_grad``) is read as it is. A ``Scalar`` is a Python number that may differ from run to run.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from gyaku.backend.namespace import NAMESPACES
from gyaku.backend.tracing import Weak, tracing
from gyaku.base.errors import PositionError, TraceError
from gyaku.compiler.primitives import evaluate, within
from gyaku.compiler.program import Var
from gyaku.core.node import format_line, inside

_WHERE = "choose with gyaku.where(condition, a, b), or return the value and look at it outside"


def refused(what: str, hint: str = _WHERE) -> TraceError:
    """Return the error for what a traced value cannot do; it names the user's line."""
    return TraceError("compiled step", "what only the shapes decide", what, hint=hint, context=_line())


def _line() -> str:
    """Return the user's line: the innermost one that is neither ours nor NumPy's."""
    frame: Any = sys._getframe(2)
    while frame.f_back is not None and (
        inside[frame.f_code.co_filename] or frame.f_globals.get("__name__", "").startswith("numpy")
    ):
        frame = frame.f_back
    return format_line(frame.f_code, frame.f_lasti)


class _Operators:
    """Python's operators, written down."""

    __slots__ = ()
    __array_ufunc__ = None  # a NumPy array on the left leaves the operation to us
    __array_priority__ = 2000

    def __float__(self) -> float:
        raise refused("float() of a traced value")

    def __int__(self) -> int:
        raise refused("int() of a traced value")

    __index__ = __int__

    def __iter__(self) -> Any:
        raise refused("a loop over a traced value", "index it: x[i] for i in range(len(x))")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise refused("a traced value turned into a NumPy array", "keep to tensors inside, or return it")

    def __format__(self, spec: str) -> str:
        raise refused("a traced value turned into text", "return it and print it outside")

    def __bool__(self) -> bool:
        raise refused("`if` (or `while`, `and`, `not`, `bool()`) on a traced value")

    def __neg__(self) -> Any:
        return emit("negative", self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return emit("absolute", self)

    def __invert__(self) -> Any:
        return emit("invert", self)

    __hash__ = object.__hash__


_PAIRS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}


def _operator(name: str, swapped: bool = False) -> Any:
    def method(self: Any, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        return emit(name, other, self) if swapped else emit(name, self, other)

    return method


def _is_operand(value: Any) -> bool:
    return isinstance(value, (bool, int, float, np.ndarray, np.generic, Tracer, Scalar))


for _short, _full in _PAIRS.items():
    setattr(_Operators, f"__{_short}__", _operator(_full))
    setattr(_Operators, f"__r{_short}__", _operator(_full, swapped=True))
for _short, _full in _COMPARISONS.items():
    setattr(_Operators, f"__{_short}__", _operator(_full))


class Scalar(_Operators, Weak):
    """A number of the program, to Python rules a float; ``value`` is what it is now, where that is known."""

    __slots__ = ("recorder", "_var", "value")

    def __init__(self, recorder: Any, var: Var, value: Any = None) -> None:
        self.recorder, self._var, self.value = recorder, var, value

    @property
    def var(self) -> Var:
        """The value in the program."""
        return self._var

    def __bool__(self) -> bool:
        """Whether the number is not 0, where no array is involved; for the other answer there is another program."""
        if self.value is None:
            raise refused("`if` (or `while`, `and`, `not`, `bool()`) on a traced number")
        self.recorder.asked[self._var] = bool(self.value)
        return bool(self.value)

    def __float__(self) -> float:
        """Return the number, where no array is involved; another one is another program."""
        if self.value is None or self.value != self.value:
            raise refused("float() of a traced number")
        bool(emit("equal", self, self.value))
        return float(self.value)

    def __int__(self) -> int:
        return int(float(self))

    def choose(self, yes: Any, no: Any) -> Any:
        """Return ``yes`` where this number is true, else ``no``."""
        return emit("where", self, yes, no)

    def item(self) -> Scalar:
        """Return the number."""
        return self

    def __repr__(self) -> str:
        return f"<number of the program, {self._var.type}>"


class Tracer(_Operators):
    """An array of the program. ``shown`` is (base, primitive, parameters) when it shows memory of another one."""

    __slots__ = ("recorder", "_var", "shown", "source", "__weakref__")
    flags = SimpleNamespace(writeable=True, c_contiguous=True)
    base = None  # whose memory a view shows is settled when it is read

    def __init__(self, recorder: Any, var: Var, shown: Any = None) -> None:
        self.recorder, self._var, self.shown = recorder, var, shown
        self.source = shown[0].var if shown else None

    @property
    def var(self) -> Var:
        """The value this memory holds now; a view looks again when its base was written to."""
        if self.shown is not None:
            base, op, params = self.shown
            now = base.var
            if now is not self.source:
                self.source, self._var = now, self.recorder.add(op, (now,), params)[0]
        return self._var

    # -- what it is -----------------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the dimensions."""
        return self._var.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._var.shape)

    @property
    def dtype(self) -> Any:
        """The type of the numbers."""
        return self._var.dtype

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._var.size

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return int(self._var.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self._var.nbytes

    @property
    def T(self) -> Tracer:
        """The dimensions in reverse order."""
        return view_of(self, "transpose", {"axes": tuple(range(self.ndim))[::-1]})

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<array of the program, {self._var.type}>"

    # -- reading --------------------------------------------------------------------------------------------------
    def __getitem__(self, key: Any) -> Tracer:
        pattern, arrays = split_key(key)
        if not arrays:
            return view_of(self, "slice", {"key": pattern})
        return gathered(self, pattern, arrays)

    def item(self) -> Scalar:
        """Return the one element as a number of the program."""
        return emit("item", names().reshape(self, ()))

    def copy(self) -> Tracer:
        """Return a copy, which later writes do not reach."""
        return emit("copy", self)

    def astype(self, dtype: Any, copy: bool = True) -> Tracer:
        """Return the numbers as another type."""
        return self if not copy and np.dtype(dtype) == self.dtype else names().astype(self, dtype)

    def reshape(self, *shape: Any) -> Tracer:
        """Return the elements in another shape."""
        return names().reshape(self, shape[0] if len(shape) == 1 else shape)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tracer:
        """Return the sum along ``axis``."""
        return names().sum(self, axis, keepdims)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise refused(f"the numbers of a traced value (.{name})")

    # -- writing --------------------------------------------------------------------------------------------------
    def __setitem__(self, key: Any, value: Any) -> None:
        if self.shown is not None:
            raise refused("a write into a view", "write to the whole tensor, or build a new one with gyaku.where")
        if not (key is Ellipsis or key == slice(None) or key == () or key == (Ellipsis,)):
            raise refused("a write to a part of a traced tensor", "build a new one: gyaku.where, gyaku.cat")
        self.hold(value)

    def hold(self, value: Any) -> Tracer:
        """Let this memory hold another value (broadcast, converted to its type), as NumPy writes it."""
        if isinstance(value, (bool, int, float, Scalar)):
            new = names().full(self.shape, value, self.dtype)
        else:
            new = value if isinstance(value, Tracer) else Tracer(self.recorder, self.recorder.operand(value))
        if new.dtype != self.dtype:
            new = names().astype(new, self.dtype)
        if new.shape != self.shape:
            new = names().broadcast_to(new, self.shape)
        self._var = new.var
        return self

    def within(self, low: int, high: int, where: str, also: int | None = None) -> None:
        """Require whole numbers in ``low .. high - 1`` (or ``also``): a run with another one is left to eager code."""
        known, var = self.recorder.ranges.get(self.var), self.var
        if known is not None and known[0] >= low and known[1] <= high and known[2] in (None, also):
            return
        params = {"low": low, "high": high, "also": also, "what": where}
        (checked,) = self.recorder.add("require_range", (var,), params)
        self.recorder.checked[var] = checked
        self.recorder.ranges[var] = self.recorder.ranges[checked] = (low, high, also)

    def labels(self, where: str, classes: int, ignore: int | None) -> int | None:
        """Require class numbers; return ``ignore`` if such a label may be present (by the example at hand)."""
        if ignore is not None and 0 <= ignore < classes:
            self.within(0, classes, where)
            return ignore
        if ignore is not None and self.recorder.may_ignore(self, ignore):
            self.within(0, classes, where, also=ignore)
            return ignore
        self.within(0, classes, where)
        return None


def _in_place(name: str) -> Any:
    def method(self: Tracer, other: Any) -> Tracer:
        return self.hold(emit(name, self, other))

    return method


for _short, _full in _PAIRS.items():
    if _short != "matmul":
        setattr(Tracer, f"__i{_short}__", _in_place(_full))


def names() -> Any:
    """Return the vocabulary of formulas as tracers answer it (``gyaku.compiler.vocabulary``)."""
    return NAMESPACES[Tracer]


# -- writing equations down -----------------------------------------------------------------------------------------
def emit(op: str, *inputs: Any, **params: Any) -> Any:
    """Write one equation down and return its value."""
    recorder = tracing.recorder
    if recorder is None:
        raise refused("a traced value outside its compiled function", "return it from the function")
    made = recorder.add(op, tuple([recorder.operand(v) for v in inputs]), params)
    if not made[0].weak:
        return Tracer(recorder, made[0])
    known = [v.value if isinstance(v, Scalar) else v for v in inputs]
    plain = all(isinstance(v, (bool, int, float)) for v in known)
    return Scalar(recorder, made[0], evaluate(op, params, known) if plain else None)


def view_of(x: Any, op: str, params: dict[str, Any]) -> Tracer:
    """Return a view: the value of a shape primitive that looks again when ``x`` is written to."""
    if not isinstance(x, Tracer):
        return emit(op, x, **params)
    (var,) = x.recorder.add(op, (x.var,), params)
    return Tracer(x.recorder, var, (x, op, params))


def split_key(key: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """Return (pattern, index arrays) of a key; in the pattern ``"array"`` stands for the next array."""
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [p for p in parts if isinstance(p, (Tracer, np.ndarray, list))]
    return tuple(["array" if isinstance(p, (Tracer, np.ndarray, list)) else p for p in parts]), arrays


def gathered(x: Any, pattern: tuple[Any, ...], arrays: list[Any]) -> Tracer:
    """Return ``x[key]`` with index arrays, each of which must point inside."""
    check_key(x.shape, pattern, arrays)
    return emit("gather", x, *arrays, pattern=pattern)


def check_key(shape: tuple[int, ...], pattern: tuple[Any, ...], arrays: list[Any]) -> None:
    """Require that index arrays point inside; masks are refused, for their result has no fixed shape."""
    given, axis = iter(arrays), 0
    rest = len(shape) - sum(p is not None and p is not Ellipsis for p in pattern)
    for part in pattern:
        if part == "array":
            index, n = next(given), shape[axis]
            index = index if isinstance(index, Tracer) else np.asarray(index)
            if index.dtype == np.bool_:
                raise refused("a mask as an index (the shape would depend on values)", "use gyaku.where")
            if isinstance(index, Tracer):
                index.within(-n, n, "index")
            elif not within(index, -n, n):
                raise PositionError("index", f"positions inside shape {shape}", f"others along axis {axis}")
        axis += rest if part is Ellipsis else part is not None
