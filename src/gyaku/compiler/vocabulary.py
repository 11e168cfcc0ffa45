"""The vocabulary of formulas as tracers answer it: each name becomes an equation, or several."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.backend.namespace import VOCABULARY, register_namespace
from gyaku.compiler.primitives import UFUNCS
from gyaku.compiler.tracer import Scalar, Tracer, check_key, emit, refused, split_key, view_of


class TracerNamespace:
    """Each name of the vocabulary as equations; what NumPy has twice becomes one primitive."""

    name = "tracer"

    def __getattr__(self, name: str) -> Any:
        if name not in VOCABULARY:
            raise AttributeError(f"{name!r} is not in the vocabulary of formulas (gyaku.backend.namespace)")
        raise refused(f"{name}, which a program does not know")

    # shapes
    def reshape(self, x: Any, shape: Any) -> Tracer:
        """Return the elements in another shape; one size may be -1."""
        wanted = (shape,) if isinstance(shape, int) else tuple([int(s) for s in shape])
        return view_of(x, "reshape", {"shape": _filled(x, wanted)})

    def transpose(self, x: Any, axes: Any = None) -> Tracer:
        """Return the dimensions in another order."""
        order = range(x.ndim)[::-1] if axes is None else [a % x.ndim for a in axes]
        return view_of(x, "transpose", {"axes": tuple(order)})

    def swapaxes(self, x: Any, a: int, b: int) -> Tracer:
        """Return two dimensions exchanged."""
        order = list(range(x.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(x, order)

    def moveaxis(self, x: Any, source: Any, destination: Any) -> Tracer:
        """Return dimensions moved."""
        mark = np.moveaxis(np.empty(tuple(range(x.ndim)), np.int8), source, destination)
        return self.transpose(x, mark.shape)

    def expand_dims(self, x: Any, axis: Any) -> Tracer:
        """Return dimensions of size 1 put in."""
        return self.reshape(x, np.expand_dims(_ghost(x), axis).shape)

    def squeeze(self, x: Any, axis: Any = None) -> Tracer:
        """Return dimensions of size 1 taken out."""
        return self.reshape(x, np.squeeze(_ghost(x), axis).shape)

    def broadcast_to(self, x: Any, shape: Any) -> Tracer:
        """Return the value repeated to a shape."""
        return view_of(x, "broadcast_to", {"shape": tuple(shape)})

    def concatenate(self, arrays: Any, axis: int = 0) -> Tracer:
        """Return arrays one after the other."""
        arrays = list(arrays)
        return emit("concatenate", *arrays, axis=axis % arrays[0].ndim)

    def stack(self, arrays: Any, axis: int = 0) -> Tracer:
        """Return arrays along a new dimension."""
        arrays = list(arrays)
        axis %= arrays[0].ndim + 1
        return self.concatenate([self.expand_dims(a, axis) for a in arrays], axis)

    def flip(self, x: Any, axis: Any = None) -> Tracer:
        """Return the order along ``axis`` reversed."""
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        return emit("flip", x, axis=tuple([a % x.ndim for a in axes]))

    # made from nothing
    def full(self, shape: Any, value: Any, dtype: Any = None) -> Tracer:
        """Return an array of one number."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if isinstance(value, (Tracer, Scalar, np.ndarray)):
            kind = np.dtype(dtype) if dtype is not None else getattr(value, "dtype", np.dtype(np.float64))
            return self.broadcast_to(self.astype(value, kind), shape)
        kind = np.asarray(value).dtype if dtype is None else np.dtype(dtype)
        return emit("full", shape=shape, value=kind.type(value).item(), dtype=kind)

    def zeros(self, shape: Any, dtype: Any = np.float64) -> Tracer:
        """Return zeros."""
        return self.full(shape, 0, dtype)

    empty = zeros

    def ones(self, shape: Any, dtype: Any = np.float64) -> Tracer:
        """Return ones."""
        return self.full(shape, 1, dtype)

    def zeros_like(self, x: Any, dtype: Any = None) -> Tracer:
        """Return zeros of the shape of ``x``."""
        return self.full(x.shape, 0, dtype or x.dtype)

    def ones_like(self, x: Any, dtype: Any = None) -> Tracer:
        """Return ones of the shape of ``x``."""
        return self.full(x.shape, 1, dtype or x.dtype)

    def full_like(self, x: Any, value: Any, dtype: Any = None) -> Tracer:
        """Return one number in the shape of ``x``."""
        return self.full(x.shape, value, dtype or x.dtype)

    def arange(self, *limits: int, dtype: Any = None) -> Any:
        """Return whole numbers in order."""
        start, stop, step = (0, *limits, 1) if len(limits) == 1 else (*limits, 1)[:3]
        if not all(isinstance(v, (int, np.integer)) for v in (start, stop, step)):
            return np.arange(*limits, dtype=dtype)
        kind = np.dtype(np.int64 if dtype is None else dtype)
        made = emit("arange", start=int(start), stop=int(stop), step=int(step), dtype=kind)
        if len(made) and step > 0:
            made.recorder.ranges[made.var] = (int(start), int(stop), None)
        return made

    def eye(self, *args: Any, **kwargs: Any) -> Any:
        """Return the identity matrix (a constant)."""
        return np.eye(*args, **kwargs)

    def linspace(self, *args: Any, **kwargs: Any) -> Any:
        """Return numbers at equal distances (a constant)."""
        return np.linspace(*args, **kwargs)

    # types and copies
    def astype(self, x: Any, dtype: Any) -> Tracer:
        """Return the numbers as another type."""
        return emit("cast", x, dtype=np.dtype(dtype))

    def copy(self, x: Any) -> Tracer:
        """Return a copy, which later writes do not reach."""
        return emit("copy", x)

    def contiguous(self, x: Any) -> Tracer:
        """Return a copy in C order."""
        return emit("contiguous", x)

    # indices
    def take(self, x: Any, index: Any, axis: int) -> Tracer:
        """Return the slices of ``x`` that ``index`` names along ``axis``."""
        return x[(*[slice(None)] * (axis % x.ndim), index)]

    def take_along_axis(self, x: Any, index: Any, axis: int) -> Tracer:
        """Return one chosen element for each element of ``index``."""
        axis %= x.ndim
        if isinstance(index, Tracer):
            index.within(-x.shape[axis], x.shape[axis], "index")
        return emit("take_along_axis", x, index, axis=axis)

    def scatter_add(self, shape: Any, index: Any, values: Any, axis: int) -> Tracer:
        """Return zeros with ``values`` added where ``index`` says along ``axis``."""
        axis %= len(shape)
        if isinstance(index, Tracer):
            index.within(-shape[axis], shape[axis], "index")
        return emit("scatter_add", index, values, shape=tuple(shape), axis=axis)

    def index_add(self, shape: Any, key: Any, values: Any) -> Tracer:
        """Return zeros with ``values`` added at a key."""
        pattern, arrays = split_key(key)
        check_key(tuple(shape), pattern, arrays)
        return emit("index_add", values, *arrays, shape=tuple(shape), pattern=pattern)

    # products and what NumPy evaluates whole
    def einsum(self, subscripts: str, *arrays: Any, optimize: bool = False) -> Tracer:
        """Return sums of products in Einstein's notation."""
        return emit("einsum", *arrays, subscripts=subscripts, optimize=optimize)

    def tensordot(self, a: Any, b: Any, axes: Any = 2) -> Tracer:
        """Return the sum of products over ``axes``."""
        return emit("tensordot", a, b, axes=axes)

    def outer(self, a: Any, b: Any) -> Tracer:
        """Return all products of two vectors."""
        return emit("outer", a, b)

    # windows over pictures, and the three maps of a convolution
    def windows(self, x: Any, kernel: Any, geometry: Any) -> Tracer:
        """Return what lies under each element of a kernel; where nothing overlaps or is left over, as a view."""
        kernel = tuple(kernel)
        if not geometry.tiles(x.shape[2:], kernel):
            return emit("windows", x, kernel=kernel, geometry=geometry)
        cut = [n for pair in zip(geometry.out(x.shape[2:], kernel), kernel, strict=True) for n in pair]
        n = len(kernel)
        tiles = self.reshape(x, (*x.shape[:2], *cut))  # (N, C, OH, KH, OW, KW)
        return self.transpose(tiles, (0, 1, *[3 + 2 * i for i in range(n)], *[2 + 2 * i for i in range(n)]))

    def fold(self, columns: Any, size: Any, geometry: Any) -> Tracer:
        """Return the adjoint of ``windows``."""
        n, size = len(size), tuple(size)
        if not geometry.tiles(size, columns.shape[2 : 2 + n]):
            return emit("fold", columns, size=size, geometry=geometry)
        order = [axis for i in range(n) for axis in (2 + n + i, 2 + i)]
        return self.reshape(self.transpose(columns, (0, 1, *order)), (*columns.shape[:2], *size))

    def conv(self, x: Any, w: Any, geometry: Any) -> Tracer:
        """Return the convolution of ``x`` by the kernel ``w``."""
        return emit("conv", x, w, geometry=geometry)

    def conv_input(self, g: Any, w: Any, geometry: Any, size: Any) -> Tracer:
        """Return the adjoint of ``conv`` in its input."""
        return emit("conv_input", g, w, geometry=geometry, size=tuple(size))

    def conv_weight(self, x: Any, g: Any, geometry: Any, kernel: Any) -> Tracer:
        """Return the adjoint of ``conv`` in its kernel."""
        return emit("conv_weight", x, g, geometry=geometry, kernel=tuple(kernel))


def _ghost(x: Any) -> Any:
    """Return an array of the shape of ``x`` that takes no memory."""
    return np.broadcast_to(np.empty((), np.int8), x.shape)


def _filled(x: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return ``shape`` with its -1 worked out; refuses one that does not fit, as NumPy does."""
    known = 1
    for s in shape:
        known *= 1 if s == -1 else s
    if -1 in shape and known and x.size % known == 0:
        shape = tuple([x.size // known if s == -1 else s for s in shape])
    if -1 in shape or int(np.prod(shape, dtype=np.int64)) != x.size:
        raise ValueError(f"cannot reshape array of size {x.size} into shape {shape}")
    return shape


def _enter(name: str, op: str) -> None:
    def function(self: TracerNamespace, *inputs: Any) -> Any:
        return emit(op, *inputs)

    function.__name__, function.__doc__ = name, f"Return NumPy's ``{op}``."
    setattr(TracerNamespace, name, function)


for _name in (*UFUNCS, "where", "erf", "matmul"):
    _enter(_name, _name)
_enter("abs", "absolute")


def _enter_reduction(name: str) -> None:
    def function(self: TracerNamespace, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        axes = axis if axis is None else axis % x.ndim if isinstance(axis, int) else tuple([a % x.ndim for a in axis])
        return emit(name, x, axis=axes, keepdims=bool(keepdims))

    function.__name__, function.__doc__ = name, f"Return NumPy's ``{name}`` along ``axis``."
    setattr(TracerNamespace, name, function)


for _name in ("sum", "prod", "amax", "amin", "any", "all", "argmax", "argmin"):
    _enter_reduction(_name)


def _enter_opaque(name: str, *options: str) -> None:
    def function(self: TracerNamespace, x: Any, *args: Any, **kwargs: Any) -> Any:
        return emit(name, x, options=tuple({**dict(zip(options, args, strict=False)), **kwargs}.items()))

    function.__name__, function.__doc__ = name, f"Return NumPy's ``{name}``."
    setattr(TracerNamespace, name, function)


for _name, _options in {
    "cumsum": ("axis",),
    "sort": ("axis",),
    "argsort": ("axis",),
    "roll": ("shift", "axis"),
    "tril": ("k",),
    "triu": ("k",),
    "tile": ("reps",),
}.items():
    _enter_opaque(_name, *_options)

namespace = TracerNamespace()
register_namespace(Tracer, namespace)
