"""Gyaku: deep learning you can see through, under PyTorch's names.

>>> import gyaku as gy
>>> x = gy.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])

Importing needs NumPy only; the larger rooms (``gy.nn``, ``gy.optim``, ``gy.data``, ``gy.train``, ...) load when first
named.
"""

# ruff: noqa: F401  (names are imported here to be found here)

from __future__ import annotations

import importlib
import warnings
from typing import Any

from gyaku import ops as _ops  # each operation enters its function and its tensor methods
from gyaku.backend import dtypes as _dtypes
from gyaku.backend.devices import device
from gyaku.backend.dtypes import dtype, finfo, get_default_dtype, iinfo, set_default_dtype
from gyaku.backend.random import Generator, get_rng_state, initial_seed, manual_seed, set_rng_state
from gyaku.backend.threads import get_num_threads, set_num_threads
from gyaku.base.errors import UnknownNameError as _UnknownNameError
from gyaku.core import backward as _backward  # gives Tensor its backward
from gyaku.core.mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from gyaku.core.op import FUNCTIONS as _FUNCTIONS
from gyaku.core.show import pictures as _pictures
from gyaku.core.tensor import Size, Tensor

_ROOMS = (
    "autograd", "check", "compiler", "cuda", "data", "doctor", "energy", "explain", "layers", "models", "nn", "optim",
    "train", "utils",
)  # fmt: skip  # explain and doctor can also be called
_LAZY = {  # name: the room that has it
    "compile": "gyaku.compiler",
    "load": "gyaku.io",
    "record": "gyaku.explain",
    "save": "gyaku.io",
    "summary": "gyaku.explain.summary",
}

# NumPy says "overflow encountered in exp" where PyTorch silently gives inf; only our own modules are quietened.
warnings.filterwarnings("ignore", r".*encountered in", RuntimeWarning, r"gyaku\.")

# In a notebook a tensor shows the graph behind it; the room that draws loads then.
_pictures.append(lambda t: str(importlib.import_module("gyaku.explain.notebook").picture_of(t)))

__version__ = "0.1.0"
globals().update(_FUNCTIONS, **_dtypes.ALL, **_dtypes.ALIASES)


def __getattr__(name: str) -> Any:
    """Load a room when it is first named; any other unknown name says which known one is nearest."""
    if name in _ROOMS:
        return importlib.import_module(f"gyaku.{name}")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name.startswith("__"):  # Python itself asks for these
        raise AttributeError(name)
    raise _UnknownNameError("gyaku", name, __dir__())


def __dir__() -> list[str]:
    hidden = {"annotations", "importlib", "warnings", "Any"}
    return sorted({*_ROOMS, *_LAZY, *(n for n in globals() if not n.startswith("_") and n not in hidden)})
