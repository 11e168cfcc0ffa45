"""The vocabulary of formulas: the names a ``forward`` or ``backward`` may call on its ``xp``, and who answers them.

A formula is written in ordinary operators (``+ - * / ** @``, comparisons, ``x[i]``), ``x.shape``, ``x.ndim``,
``x.dtype``, ``x.T`` of a matrix and the names of ``VOCABULARY`` called on ``xp``. NumPy and CuPy arrays, tensors (for
derivatives of derivatives) and tracers each register one namespace object here; ``namespace_of(array)`` finds it by the
type of the array.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from gyaku.backend import convolution, convolution_quick, kernels
from gyaku.base.errors import DeviceError

# Taken from the array library as they are (NumPy's names and meaning).
SHARED = (
    "abs exp expm1 log log1p log2 log10 sqrt sign sin cos tan tanh sinh cosh arcsin arccos arctan floor ceil "
    "trunc rint isnan isfinite isinf "
    "maximum minimum where logical_and logical_or logical_not logical_xor equal "
    "sum prod amax amin any all cumsum argmax argmin argsort sort "
    "reshape transpose swapaxes moveaxis expand_dims squeeze broadcast_to concatenate stack flip roll tril triu tile "
    "matmul einsum tensordot outer take take_along_axis "
    "zeros ones full empty arange eye linspace zeros_like ones_like full_like float_power floor_divide remainder"
).split()

# Written in kernels.py because NumPy lacks them; each takes the array library first.
KERNELS = "astype erf index_add scatter_add copy contiguous".split()

# Windows over a picture and their adjoint, and the three bilinear maps of a convolution.
CONVOLUTIONS = "windows fold conv conv_input conv_weight".split()

VOCABULARY = frozenset(SHARED) | frozenset(KERNELS) | frozenset(CONVOLUTIONS)


class Namespace:
    """The functions of one array library under the names of ``VOCABULARY``; ``name`` says whose they are."""

    def __init__(self, name: str, library: ModuleType) -> None:
        self.name, self.library = name, library
        for function in SHARED:
            setattr(self, function, getattr(library, function))
        for function in KERNELS:
            setattr(self, function, kernels.bound(function, library))
        for function in CONVOLUTIONS:
            setattr(self, function, convolution.bound(function, library))

    def __repr__(self) -> str:
        return f"<namespace {self.name}>"

    def __getattr__(self, name: str) -> Any:  # only reached for a name outside the vocabulary
        raise AttributeError(f"{name!r} is not in the vocabulary of formulas (gyaku.backend.namespace)")


numpy_namespace = Namespace("numpy", np)
for _name in kernels.QUICK:
    setattr(numpy_namespace, _name, getattr(kernels, f"quick_{_name}"))
for _name in CONVOLUTIONS:
    setattr(numpy_namespace, _name, getattr(convolution_quick, _name))
NAMESPACES: dict[type, Any] = {np.ndarray: numpy_namespace}
NAMESPACES.update(dict.fromkeys(np.sctypeDict.values(), numpy_namespace))  # NumPy returns scalars for 0-d results


def enter_cupy(cupy: ModuleType) -> None:
    """Make formulas on CuPy arrays run on CuPy; called when the first array moves to a GPU."""
    if cupy.ndarray not in NAMESPACES:
        NAMESPACES[cupy.ndarray] = Namespace("cupy", cupy)


def register_namespace(array_type: type, namespace: Any) -> None:
    """Let a new reader of formulas (tensors, a tracer) answer for ``array_type``."""
    NAMESPACES[array_type] = namespace


def namespace_of(*arrays: Any) -> Any:
    """Return the namespace that answers for ``arrays``; Python numbers go with any.

    A tracer or tensor among NumPy arrays wins, because it must see the operation; two devices are an error.
    """
    found = numpy_namespace
    kinds = {NAMESPACES[type(a)] for a in arrays if type(a) in NAMESPACES}
    if len(kinds) > 1:
        kinds.discard(numpy_namespace) if all(k.name not in ("numpy", "cupy") for k in kinds - {found}) else None
    if len(kinds) > 1:
        devices = " and ".join(sorted({"numpy": "cpu", "cupy": "cuda"}.get(k.name, k.name) for k in kinds))
        raise DeviceError("operation", "all arrays on one device", devices, hint="move them with .to(device)")
    return kinds.pop() if kinds else found
