"""The primitives of a program: how NumPy evaluates each, exactly as eager code calls it, and what type comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from gyaku.backend.namespace import numpy_namespace as xp
from gyaku.base.errors import GraphError, PositionError
from gyaku.compiler.program import Var

Kind = tuple[tuple[int, ...], Any, bool]  # shape, dtype, weak
Params = dict[str, Any]


@dataclass(frozen=True)
class Primitive:
    """One primitive: its kind, NumPy's way to evaluate it, and the types of its outputs."""

    name: str
    kind: str  # elementwise, reduce, shape, product, index, make, random, check, opaque
    evaluate: Callable[..., Any]  # (params, *arrays)
    infer: Callable[[Params, Sequence[Any]], list[Kind]]


PRIMITIVES: dict[str, Primitive] = {}


def infer(op: str, params: Params, inputs: Sequence[Any]) -> list[Kind]:
    """Return (shape, dtype, weak) of each output of a primitive."""
    if op not in PRIMITIVES:
        raise GraphError("compile", "a primitive", repr(op))
    return PRIMITIVES[op].infer(params, inputs)


def evaluate(op: str, params: Params, inputs: Sequence[Any]) -> Any:
    """Return the value(s) of a primitive on NumPy arrays and Python numbers."""
    return PRIMITIVES[op].evaluate(params, *inputs)


def _enter(name: str, kind: str, evaluate: Callable[..., Any], infer: Callable[..., Any]) -> None:
    PRIMITIVES[name] = Primitive(name, kind, evaluate, infer)


def probe(v: Any) -> Any:
    """Return the smallest stand-in of a value that promotes as it does."""
    if type(v) is Var:
        return v.dtype.type(1).item() if v.weak else np.ones((1,) * v.ndim, v.dtype)
    return v


def shape_of(v: Any) -> tuple[int, ...]:
    """Return the shape of a value or a literal."""
    return v.shape if type(v) is Var else ()


def _blank(shape: tuple[int, ...]) -> Any:
    """Return an array of a shape that takes no memory: what NumPy refuses of it, it refuses of the real one."""
    return np.broadcast_to(np.empty((), np.int8), shape)


# --- elementwise: NumPy's ufuncs, whose promotion is asked of NumPy itself -------------------------------------------
UFUNCS = (
    "add subtract multiply divide power float_power floor_divide remainder negative absolute exp expm1 log log1p log2 "
    "log10 sqrt sign sin cos tan tanh sinh cosh arcsin arccos arctan floor ceil trunc rint isnan isfinite isinf "
    "maximum minimum logical_and logical_or logical_not logical_xor equal not_equal less less_equal greater "
    "greater_equal bitwise_and bitwise_or bitwise_xor invert"
).split()
# What Python's own operators compute on two Python numbers (weak values) without NumPy.
_PYTHON: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b if b else float(np.divide(a, b)),
    "power": lambda a, b: _power(a, b),
    "negative": lambda a: -a,
    "absolute": abs,
}


def _power(a: Any, b: Any) -> Any:
    """Return a**b as C has it: NaN for a root of a negative number, infinity above the largest."""
    try:
        return a**b if a > 0 or (a < 0 and b == int(b)) else float(np.power(float(a), float(b)))
    except OverflowError:
        return float(np.power(float(a), float(b)))


def _plain(*x: Any) -> bool:
    return all(type(v) in (bool, int, float) for v in x)


def _ufunc(name: str) -> Callable[..., Any]:
    function, python = getattr(np, name), _PYTHON.get(name)

    def run(params: Params, *x: Any) -> Any:
        if _plain(*x):
            with np.errstate(all="ignore"):
                return python(*x) if python is not None else function(*x).item()
        return function(*x)

    return run


def _elementwise(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    def kinds(params: Params, inputs: Sequence[Any]) -> list[Kind]:
        shape = np.broadcast_shapes(*[shape_of(v) for v in inputs])
        with np.errstate(all="ignore"):
            y = evaluate(params, *[probe(v) for v in inputs])
        weak = not isinstance(y, (np.ndarray, np.generic))
        return [(shape, np.asarray(y).dtype, weak)]

    return kinds


def _enter_elementwise(name: str, run: Callable[..., Any]) -> None:
    _enter(name, "elementwise", run, _elementwise(run))


for _name in UFUNCS:
    _enter_elementwise(_name, _ufunc(_name))


def _where(params: Params, c: Any, a: Any, b: Any) -> Any:
    return (a if c else b) if _plain(c, a, b) else np.where(c, a, b)


_enter_elementwise("where", _where)
_enter_elementwise("erf", lambda params, x: xp.erf(x))
_enter_elementwise("cast", lambda params, x: xp.astype(x, params["dtype"]))
_enter_elementwise("copy", lambda params, x: xp.copy(x))
_enter_elementwise("contiguous", lambda params, x: xp.contiguous(x))
_enter_elementwise("item", lambda params, x: x.item())  # an array of one element becomes a weak number


# --- reductions ----------------------------------------------------------------------------------------------------
def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(normalize_axis_tuple(axis, ndim)))


def _reduced(params: Params, inputs: Sequence[Any]) -> list[Kind]:
    (x,) = inputs
    axes, keep = _axes(params.get("axis"), x.ndim), params.get("keepdims", False)
    if params["name"] not in ("sum", "prod", "any", "all") and any(x.shape[a] == 0 for a in axes):
        raise ValueError(f"zero-size array to reduction operation {params['name']} which has no identity")
    shape = tuple([1 if i in axes else s for i, s in enumerate(x.shape) if keep or i not in axes])
    y = evaluate(params["name"], {"axis": None}, [np.ones((1,), x.dtype)])
    return [(shape, np.asarray(y).dtype, False)]


def _enter_reduction(name: str) -> None:
    function = getattr(xp, name)

    def run(params: Params, x: Any) -> Any:
        options = {"keepdims": True} if params.get("keepdims") else {}
        return function(x, axis=params.get("axis"), **options)

    _enter(name, "reduce", run, lambda params, inputs: _reduced({**params, "name": name}, inputs))


for _name in ("sum", "prod", "amax", "amin", "any", "all", "argmax", "argmin"):
    _enter_reduction(_name)


# --- shapes ----------------------------------------------------------------------------------------------------------
def _enter_shape(name: str, run: Callable[..., Any], shape: Callable[..., Any], kind: str = "shape") -> None:
    _enter(name, kind, run, lambda p, inputs: [(shape(p, *inputs), inputs[0].dtype, False)])


def _sliced(p: Params, x: Any) -> tuple[int, ...]:
    return tuple(_blank(x.shape)[p["key"]].shape)


def _reshaped(p: Params, x: Any) -> tuple[int, ...]:
    if math.prod(p["shape"]) != math.prod(x.shape):
        raise ValueError(f"cannot reshape array of shape {x.shape} into shape {p['shape']}")
    return tuple(p["shape"])


def _joined(p: Params, *x: Any) -> tuple[int, ...]:
    axis = p["axis"]
    if not 0 <= axis < x[0].ndim or len({(*v.shape[:axis], 0, *v.shape[axis + 1 :]) for v in x}) > 1:
        raise ValueError(f"arrays of shapes {[v.shape for v in x]} cannot be joined along axis {axis}")
    return (*x[0].shape[:axis], sum(v.shape[axis] for v in x), *x[0].shape[axis + 1 :])


_enter_shape("reshape", lambda p, x: np.reshape(x, p["shape"]), _reshaped)
_enter_shape(
    "transpose", lambda p, x: np.transpose(x, p["axes"]), lambda p, x: np.transpose(_blank(x.shape), p["axes"]).shape
)
_enter_shape(
    "broadcast_to",
    lambda p, x: np.broadcast_to(x, p["shape"]),
    lambda p, x: np.broadcast_to(_blank(x.shape), p["shape"]).shape,
)
_enter_shape("slice", lambda p, x: x[p["key"]], _sliced)
_enter_shape("flip", lambda p, x: np.flip(x, p["axis"]), lambda p, x: np.flip(_blank(x.shape), p["axis"]).shape)
_enter(
    "concatenate",
    "shape",
    lambda p, *x: np.concatenate(x, axis=p["axis"]),
    lambda p, x: [(_joined(p, *x), np.result_type(*[v.dtype for v in x]), False)],
)


# --- products --------------------------------------------------------------------------------------------------------
def _product_shape(p: Params, a: Any, b: Any) -> tuple[int, ...]:
    if a.ndim and b.ndim and a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: inner sizes of {a.shape} and {b.shape} differ")
    if a.ndim < 2 or b.ndim < 2:
        return tuple(np.matmul(np.empty(a.shape, np.int8), np.empty(b.shape, np.int8)).shape)
    return (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])


_enter(
    "matmul",
    "product",
    lambda p, a, b: a @ b,
    lambda p, x: [(_product_shape(p, *x), np.result_type(x[0].dtype, x[1].dtype), False)],
)


# --- indices ---------------------------------------------------------------------------------------------------------
def fill_key(pattern: tuple[Any, ...], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Return an index from a pattern in which ``"array"`` stands for the next array."""
    given = iter(arrays)
    return tuple([next(given) if part == "array" else part for part in pattern])


def _gathered(p: Params, inputs: Sequence[Any]) -> list[Kind]:
    x, *indices = inputs
    stand = [np.zeros(i.shape, np.int64) for i in indices]
    key = fill_key(p["pattern"], stand)
    return [(tuple(_blank(x.shape)[key].shape), x.dtype, False)]


def _added_at(p: Params, inputs: Sequence[Any]) -> list[Kind]:
    values, *indices = inputs
    key = fill_key(p["pattern"], [np.zeros(i.shape, np.int64) for i in indices])
    np.broadcast_to(_blank(values.shape), _blank(p["shape"])[key].shape)
    return [(p["shape"], values.dtype, False)]


def _taken(p: Params, inputs: Sequence[Any]) -> list[Kind]:
    x, i = inputs
    _fits_beside(i.shape, x.shape, p["axis"])
    np.broadcast_shapes(*[(*s[: p["axis"]], 1, *s[p["axis"] + 1 :]) for s in (i.shape, x.shape)])
    return [(tuple([j if k == p["axis"] else s for k, (s, j) in enumerate(zip(x.shape, i.shape))]), x.dtype, False)]


def _scattered(p: Params, inputs: Sequence[Any]) -> list[Kind]:
    i, values = inputs
    _fits_beside(i.shape, p["shape"], p["axis"])
    np.broadcast_to(_blank(values.shape), i.shape)
    return [(p["shape"], values.dtype, False)]


def _fits_beside(index: tuple[int, ...], shape: tuple[int, ...], axis: int) -> None:
    """Refuse an index array that does not lie beside ``shape`` in every dimension but ``axis``."""
    apart = [k for k, (i, n) in enumerate(zip(index, shape)) if i > n and k != axis]
    if len(index) != len(shape) or not 0 <= axis < len(shape) or apart:
        raise ValueError(f"an index of shape {index} does not fit an array of shape {shape} along axis {axis}")


_enter("gather", "index", lambda p, x, *i: x[fill_key(p["pattern"], i)], _gathered)
_enter(
    "index_add",
    "index",
    lambda p, values, *i: xp.index_add(p["shape"], fill_key(p["pattern"], i), values),
    _added_at,
)
_enter(
    "take_along_axis",
    "index",
    lambda p, x, i: np.take_along_axis(x, i, axis=p["axis"]),
    _taken,
)
_enter(
    "scatter_add",
    "index",
    lambda p, i, values: xp.scatter_add(p["shape"], i, values, p["axis"]),
    _scattered,
)


# --- made from nothing, drawn, checked -------------------------------------------------------------------------------
_enter(
    "full",
    "make",
    lambda p: np.full(p["shape"], p["value"], dtype=p["dtype"]),
    lambda p, x: [(p["shape"], p["dtype"], False)],
)
_enter(
    "arange",
    "make",
    lambda p: np.arange(p["start"], p["stop"], p["step"], dtype=p["dtype"]),
    lambda p, x: [((len(range(p["start"], p["stop"], p["step"])),), p["dtype"], False)],
)


def _mask(p: Params, rng: Any) -> Any:
    from gyaku.backend.random import Generator

    seed, stream, counter = (int(v) for v in rng)
    return Generator(seed, stream=stream, counter=counter + p["offset"]).mask(p["threshold"] / 65536, p["shape"])


class OutOfRange(PositionError):
    """A number outside what a program was made for. Raised before a run has written anything: eager code takes over."""


def _require_range(p: Params, t: Any) -> Any:
    if not within(t, p["low"], p["high"], p.get("also")):
        raise OutOfRange(p.get("what", "compiled step"), f"whole numbers {p['low']}..{p['high'] - 1}", "others")
    return t


_maximum = np.maximum.reduce
_UNSIGNED = {np.dtype(f"i{n}"): np.dtype(f"u{n}") for n in (1, 2, 4, 8)}


def within(t: Any, low: int, high: int, also: int | None = None) -> bool:
    """Return whether all whole numbers in ``t`` are in low .. high - 1, or ``also``."""
    if not t.size:
        return True
    if low == 0 and also is None and t.dtype in _UNSIGNED:  # seen without sign, what is below 0 is far above
        return bool(_maximum(t.view(_UNSIGNED[t.dtype]), None) < high)
    inside = (t >= low) & (t < high)
    return bool((inside if also is None else inside | (t == also)).all())


_enter("mask", "random", _mask, lambda p, x: [(p["shape"], np.bool_, False)])
_enter("require_range", "check", _require_range, lambda p, x: [(x[0].shape, x[0].dtype, False)])


# --- opaque: evaluated by NumPy between the machine code -------------------------------------------------------------
def _opaque_kinds(p: Params, inputs: Sequence[Any], run: Callable[..., Any]) -> list[Kind]:
    with np.errstate(all="ignore"):
        y = run(p, *[np.ones(v.shape, v.dtype) if type(v) is Var else v for v in inputs])
    ys = y if isinstance(y, tuple) else (y,)
    return [(v.shape, v.dtype, False) for v in ys]


def _enter_opaque(name: str) -> None:
    function = getattr(xp, name)

    def run(p: Params, *x: Any) -> Any:
        return function(*p.get("before", ()), *x, **dict(p.get("options", ())))

    _enter(name, "opaque", run, lambda p, x: _opaque_kinds(p, x, run))


for _name in "cumsum sort argsort roll tril triu tile outer".split():
    _enter_opaque(_name)


def _einsum(p: Params, *x: Any) -> Any:
    return np.einsum(p["subscripts"], *x, optimize=p.get("optimize", False))


def _tensordot(p: Params, a: Any, b: Any) -> Any:
    return np.tensordot(a, b, p["axes"])


for _name, _run in (("einsum", _einsum), ("tensordot", _tensordot)):
    _enter(_name, "opaque", _run, lambda p, x, run=_run: _opaque_kinds(p, x, run))


# --- the three maps of a convolution ---------------------------------------------------------------------------------
def _conv_kinds(p: Params, inputs: Sequence[Any]) -> list[Kind]:
    x, w = inputs
    return [((x.shape[0], w.shape[0], *p["geometry"].out(x.shape[2:], w.shape[2:])), x.dtype, False)]


def _conv_input_kinds(p: Params, inputs: Sequence[Any]) -> list[Kind]:
    g, w = inputs
    return [((g.shape[0], p["geometry"].groups * w.shape[1], *p["size"]), g.dtype, False)]


def _conv_weight_kinds(p: Params, inputs: Sequence[Any]) -> list[Kind]:
    x, g = inputs
    return [((g.shape[1], x.shape[1] // p["geometry"].groups, *p["kernel"]), x.dtype, False)]


def _windows_kinds(p: Params, inputs: Sequence[Any]) -> list[Kind]:
    (x,) = inputs
    return [((*x.shape[:2], *p["kernel"], *p["geometry"].out(x.shape[2:], p["kernel"])), x.dtype, False)]


_enter("windows", "opaque", lambda p, x: xp.windows(x, p["kernel"], p["geometry"]), _windows_kinds)
_enter(
    "fold",
    "opaque",
    lambda p, x: xp.fold(x, p["size"], p["geometry"]),
    lambda p, x: [((*x[0].shape[:2], *p["size"]), x[0].dtype, False)],
)
_enter("conv", "opaque", lambda p, x, w: xp.conv(x, w, p["geometry"]), _conv_kinds)
_enter("conv_input", "opaque", lambda p, g, w: xp.conv_input(g, w, p["geometry"], p["size"]), _conv_input_kinds)
_enter("conv_weight", "opaque", lambda p, x, g: xp.conv_weight(x, g, p["geometry"], p["kernel"]), _conv_weight_kinds)
