"""The gradient check that names the mistake (S1 §3.10, §10).

>>> import numpy as np
>>> from gyaku import check
>>> class Sigmoid:
...     def forward(self, x):
...         self.y = 1 / (1 + np.exp(-x))
...         return self.y
...     def backward(self, dout):
...         return dout * self.y
>>> check.layer(Sigmoid).ok
False
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.base.errors import DtypeError
from gyaku.check.build import cases_of, cases_of_class, made
from gyaku.check.case import Case
from gyaku.check.causes import CAUSES, Cause
from gyaku.check.diagnose import examine
from gyaku.check.result import Finding, Result
from gyaku.check.subjects import CallSubject, subject_of

__all__ = ["CAUSES", "Cause", "Finding", "Result", "gradients", "layer"]


def layer(layer: Any, *inputs: Any, seed: int = 0, lang: str | None = None) -> Result:
    """Check a layer: the gradients by its inputs and by what it learns, against numerical differentiation.

    ``layer`` is a class of the lectures (``forward``, ``backward``), an ``autograd.Function``, an ``nn.Module``, an
    object of one, or a function that makes one. ``inputs`` are the arguments of forward (arrays, batch first), or one
    tuple: the shape of x; without them shapes are guessed. Other batch sizes, other numbers and both modes are tried
    as well. ``lang`` is the language of ``print(result)``. Nothing that is given is changed.
    Raises ``ArgumentError`` when the layer cannot be made, or for another number of inputs than forward takes.

    >>> from gyaku.layers import Tanh
    >>> print(layer(Tanh(), np.array([[0.5, -1.0]]), lang="en"))
    Tanh: right. The gradients by x agree with numerical differentiation in 2 cases.
    """
    shape = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], tuple) else None

    def cases() -> list[Case]:
        if not inputs or shape is not None:
            return cases_of_class(layer, shape, seed)
        first = np.shape(inputs[0]) or (1,)
        one = made(layer, (first[0], first[-1], 5), np.random.RandomState(seed))
        return cases_of(subject_of(one), list(inputs), seed)

    return _verdict(cases, lang)


def _verdict(cases: Callable[[], list[Case]], lang: str | None) -> Result:
    """Return the verdict on cases; what they warn of while being tried is not said."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = examine(cases())
    result.lang = lang
    return result


def gradients(
    f: Callable[..., Any], *inputs: Any, grad: Callable[..., Any] | None = None, seed: int = 0, lang: str | None = None
) -> Result:
    """Check the gradient of a function at given inputs (arrays or tensors), by each that holds floating numbers.

    Without ``grad``, ``f`` takes tensors and autograd gives the gradient. With it, ``f`` takes arrays, and
    ``grad(*inputs)`` returns the gradient of the sum of f: an array, a tuple, or a dictionary (``x``; ``x0``, ``x1``
    for several inputs).
    Raises ``DtypeError`` for what is no function, or without an input of floating numbers.

    >>> gradients(lambda w: (w**2).sum(), np.array([1.0, 2.0]), grad=lambda w: -2 * w).cause
    'sign'
    """
    names = tuple([f"x{i}" if len(inputs) > 1 else "x" for i in range(len(inputs))])
    arrays = {n: np.array(a.numpy() if hasattr(a, "numpy") else a) for n, a in zip(names, inputs)}
    arrays = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}
    if not callable(f):
        raise DtypeError("check.gradients", "a function", type(f).__name__)
    if not any(a.dtype.kind == "f" for a in arrays.values()):
        got = ", ".join(str(a.dtype) for a in arrays.values()) or "none"
        raise DtypeError("check.gradients", "an input of floating numbers", got, hint="x.astype(float)")
    return _verdict(lambda: [Case(CallSubject(f, names, grad), arrays, "train", seed)], lang)
