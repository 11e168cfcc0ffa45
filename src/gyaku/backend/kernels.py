"""Array kernels that NumPy lacks, in terms of an array library ``np`` (NumPy or CuPy)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any


def bound(name: str, library: ModuleType) -> Callable[..., Any]:
    """Return the kernel ``name`` with its array library filled in."""
    return functools.partial(globals()[name], library)


def astype(np: ModuleType, x: Any, dtype: Any) -> Any:
    """Return a copy of ``x`` with numbers of type ``dtype``."""
    return np.asarray(x).astype(dtype)


def copy(np: ModuleType, x: Any) -> Any:
    """Return a copy of ``x`` that shares nothing."""
    return np.array(x)


def contiguous(np: ModuleType, x: Any) -> Any:
    """Return a C-contiguous copy of ``x``."""
    return np.array(x, order="C")


def index_add(np: ModuleType, shape: tuple[int, ...], key: Any, values: Any) -> Any:
    """Return zeros of ``shape`` with ``values`` added at ``key``: the adjoint of ``x[key]`` (repeats add up)."""
    out = np.zeros(shape, dtype=values.dtype)
    if _basic(key):
        out[key] += values
    elif np.__name__ == "numpy":
        np.add.at(out, key, values)
    else:  # CuPy's name for the same
        np.add.at(out, key, values) if hasattr(np.add, "at") else np.scatter_add(out, key, values)
    return out


def scatter_add(np: ModuleType, shape: tuple[int, ...], index: Any, values: Any, axis: int) -> Any:
    """Return zeros of ``shape`` with ``values`` added where ``index`` says along ``axis`` (adjoint of take_along_axis)."""
    grid = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[axis] = index
    return index_add(np, shape, tuple(grid), values)


def _basic(key: Any) -> bool:
    """Whether ``key`` selects each element at most once, as slices, integers, None, ellipsis and masks do."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        isinstance(p, (slice, int, type(None), type(Ellipsis))) or getattr(p, "dtype", None) == bool for p in parts
    )


def erf(np: ModuleType, x: Any) -> Any:
    """Return the error function 2/sqrt(pi) * integral of exp(-t^2) from 0 to x, to about 1e-16 relative."""
    raise NotImplementedError
