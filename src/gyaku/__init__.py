"""Gyaku: deep learning you can see through, under PyTorch's names.

>>> import gyaku as gy
>>> x = gy.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])

Importing needs NumPy only; the larger rooms (``gy.nn``, ``gy.optim``, ``gy.data``, ``gy.train``, ...) load when first named.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from gyaku.backend import dtypes as _dtypes
from gyaku.backend.devices import device
from gyaku.backend.dtypes import dtype, get_default_dtype, set_default_dtype
from gyaku.backend.random import Generator, get_rng_state, manual_seed, set_rng_state
from gyaku.base.errors import UnknownNameError
from gyaku.core.mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from gyaku.core.op import FUNCTIONS as _FUNCTIONS
from gyaku.core.tensor import Tensor

_OPS = ("arithmetic elementwise compare reduce shape activation creation draw index sort linalg inplace namespace").split()
for _room in _OPS:  # each enters its functions and tensor methods into the registry
    try:
        importlib.import_module(f"gyaku.ops.{_room}")
    except ModuleNotFoundError as _error:
        if _error.name != f"gyaku.ops.{_room}":
            raise

_LAZY = ("autograd", "cuda", "data", "layers", "nn", "ops", "optim", "train", "utils")

# NumPy says "overflow encountered in exp" where PyTorch silently gives inf; only our own modules are quietened.
warnings.filterwarnings("ignore", r".*encountered in", RuntimeWarning, r"gyaku\.")

__version__ = "0.1.0"
globals().update(_FUNCTIONS)
globals().update(_dtypes.ALL)
globals().update(_dtypes.ALIASES)


def __getattr__(name: str) -> Any:
    """Load a room when it is first named; any other unknown name says which known one is nearest."""
    if name in _LAZY:
        return importlib.import_module(f"gyaku.{name}")
    if name.startswith("__"):  # Python itself asks for these
        raise AttributeError(name)
    raise UnknownNameError("gyaku", name, __dir__())


def __dir__() -> list[str]:
    return sorted({*_LAZY, *(n for n in globals() if not n.startswith("_"))})
