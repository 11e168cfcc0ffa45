"""Tensors as readers of formulas: the vocabulary of ``gyaku.backend.namespace`` answered by recorded operations.

A backward read with this namespace is itself recorded, and so can be differentiated again. NumPy's argument names here
(``axis``, ``keepdims``), because formulas are written in them. Most names are those of public functions, looked up
when first used; where they differ, ``translated`` enters what stands in for them, here or beside the operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.backend.namespace import VOCABULARY, namespace_of, register_namespace
from gyaku.core.op import FUNCTIONS, REGISTRY, apply
from gyaku.core.tensor import Parameter, Tensor, new_tensor


class TensorNamespace:
    """Each name of the vocabulary as a function of tensors."""

    name = "tensor"

    def __getattr__(self, name: str) -> Any:
        if name not in VOCABULARY:
            raise AttributeError(f"{name!r} is not in the vocabulary of formulas (gyaku.backend.namespace)")
        function = _TRANSLATED.get(name) or FUNCTIONS[_RENAMED.get(name, name)]
        setattr(self, name, function)
        return function


_TRANSLATED: dict[str, Any] = {}
_RENAMED = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "rint": "round", "float_power": "pow"}


def translated(function: Any) -> Any:
    """Enter a function under its own name (without a final underscore) as the tensors' answer to that name."""
    _TRANSLATED[function.__name__.rstrip("_")] = function
    return function


def _constant(name: str) -> None:
    """Let a name that makes or inspects arrays, without derivative, answer from the library of the arrays inside."""

    def answer(*args: Any, **kwargs: Any) -> Any:
        plain = [a._array if isinstance(a, Tensor) else a for a in args]
        kwargs = {k: getattr(v, "numpy", v) if k == "dtype" else v for k, v in kwargs.items()}
        result = getattr(namespace_of(*plain), name)(*plain, **kwargs)
        return new_tensor(result if hasattr(result, "flags") or not hasattr(result, "item") else Tensor(result)._array)

    _TRANSLATED[name] = answer


for _name in (
    "isnan isfinite isinf logical_and logical_or logical_not logical_xor equal any all argmax argmin argsort "
    "zeros ones full empty arange eye linspace zeros_like ones_like full_like"
).split():
    _constant(_name)


@translated
def sum_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the sum along ``axis``; all of them for None, none for ()."""
    return x if axis == () else FUNCTIONS["sum"](x, axis, keepdims)


@translated
def prod_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the product along ``axis``."""
    return apply(REGISTRY["prod"](_axis_tuple(x, axis), keepdims), x)


def _axis_tuple(x: Tensor, axis: Any) -> Any:
    return axis if axis is None else tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


@translated
def amax(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the largest element along ``axis``."""
    return FUNCTIONS["amax"](x, axis, keepdims)


@translated
def amin(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the smallest element along ``axis``."""
    return FUNCTIONS["amin"](x, axis, keepdims)


@translated
def cumsum(x: Tensor, axis: int) -> Tensor:
    """Return the running sum along ``axis``."""
    return FUNCTIONS["cumsum"](x, axis)


@translated
def sort_(x: Tensor, axis: int = -1) -> Tensor:
    """Return the elements in rising order along ``axis``."""
    return FUNCTIONS["sort"](x, axis)[0]


@translated
def reshape(x: Tensor, shape: Any) -> Tensor:
    """Return the same elements in another shape."""
    return FUNCTIONS["reshape"](x, shape)


@translated
def transpose(x: Tensor, axes: Any = None) -> Tensor:
    """Return the dimensions in the order ``axes``, or reversed."""
    return FUNCTIONS["permute"](x, tuple(range(x.ndim))[::-1] if axes is None else axes)


@translated
def expand_dims(x: Tensor, axis: Any) -> Tensor:
    """Return ``x`` with dimensions of size 1 put in so that they stand at ``axis``."""
    places = axis if isinstance(axis, tuple) else (axis,)
    ndim = x.ndim + len(places)
    for place in sorted(p % ndim for p in places):
        x = FUNCTIONS["unsqueeze"](x, place)
    return x


@translated
def squeeze(x: Tensor, axis: Any = None) -> Tensor:
    """Return ``x`` without its dimensions of size 1, or without those in ``axis``."""
    return FUNCTIONS["squeeze"](x, axis)


@translated
def stack(arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Return tensors along a new dimension."""
    return FUNCTIONS["stack"](list(arrays), axis)


@translated
def concatenate(arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Return tensors one after the other."""
    sizes = tuple([a.shape[axis] for a in arrays])
    return apply(REGISTRY["concatenate"](axis % arrays[0].ndim, sizes), *arrays)


@translated
def flip(x: Tensor, axis: Any = None) -> Tensor:
    """Return the order along ``axis`` reversed (all dimensions for None)."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return apply(REGISTRY["flip"](axes), x)


@translated
def roll(x: Tensor, shift: Any, axis: Any = None) -> Tensor:
    """Return the elements moved around the end by ``shift``."""
    return FUNCTIONS["roll"](x, shift, axis)


@translated
def tril(x: Tensor, k: int = 0) -> Tensor:
    """Return the lower triangle of each matrix."""
    return FUNCTIONS["tril"](x, k)


@translated
def triu(x: Tensor, k: int = 0) -> Tensor:
    """Return the upper triangle of each matrix."""
    return FUNCTIONS["triu"](x, k)


@translated
def tile(x: Tensor, reps: Any) -> Tensor:
    """Return ``x`` repeated."""
    return FUNCTIONS["tile"](x, *(reps if isinstance(reps, (tuple, list)) else (reps,)))


@translated
def tensordot(a: Tensor, b: Tensor, axes: Any = 2) -> Tensor:
    """Return the sum of products over ``axes``."""
    return FUNCTIONS["tensordot"](a, b, axes)


@translated
def astype(x: Tensor, dtype: Any) -> Tensor:
    """Return the numbers as another type (NumPy's or this package's)."""
    return apply(REGISTRY["cast"](np.dtype(getattr(dtype, "numpy", dtype))), x)


@translated
def copy(x: Tensor) -> Tensor:
    """Return a copy."""
    return FUNCTIONS["clone"](x)


@translated
def contiguous(x: Tensor) -> Tensor:
    """Return a copy in C order."""
    return apply(REGISTRY["contiguous"](), x)


tensor_namespace = TensorNamespace()
register_namespace(Tensor, tensor_namespace)
register_namespace(Parameter, tensor_namespace)
