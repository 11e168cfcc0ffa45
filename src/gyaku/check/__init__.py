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

from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.check.build import cases_of, cases_of_class, made
from gyaku.check.case import Case
from gyaku.check.causes import CAUSES, Cause
from gyaku.check.diagnose import examine
from gyaku.check.result import Finding, Result
from gyaku.check.subjects import CallSubject, subject_of

__all__ = ["CAUSES", "Cause", "Finding", "Result", "gradients", "layer"]


def layer(layer: Any, *inputs: Any, seed: int = 0, lang: str | None = None) -> Result:
    """Check a layer: the gradients by its inputs and by what it learns, against numerical differentiation."""
    shape = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], tuple) else None
    if isinstance(layer, type) and not inputs or shape is not None:
        cases = cases_of_class(layer, shape, seed)
    else:
        draw = np.random.RandomState(seed)
        sizes = (len(inputs[0]), np.shape(inputs[0])[-1], 5) if inputs else (3, 4, 5)
        one = made(layer, sizes, draw)
        cases = cases_of(subject_of(one), list(inputs), seed)
    result = examine(cases)
    result.lang = lang
    return result


def gradients(f: Callable[..., Any], *inputs: Any, grad: Any = None, seed: int = 0, lang: str | None = None) -> Result:
    """Check the gradient of a function at given inputs."""
    names = tuple([f"x{i}" if len(inputs) > 1 else "x" for i in range(len(inputs))])
    subject = CallSubject(f, names, grad)
    arrays = {n: np.array(a.numpy() if hasattr(a, "numpy") else a) for n, a in zip(names, inputs)}
    arrays = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}
    result = examine([Case(subject, arrays, "train", seed)])
    result.lang = lang
    return result
