"""The numerical derivative of the lectures: central differences, one element at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 1e-6


def numerical_gradient(f: Callable[[], float], x: NDArray[Any]) -> NDArray[Any]:
    """Return df/dx for every element of ``x``, which ``f`` reads and which is moved and put back (float64)."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        before = x[place]
        x[place] = before + STEP
        above = f()
        x[place] = before - STEP
        below = f()
        x[place] = before
        gradient[place] = (above - below) / (2 * STEP)
    return gradient


def close(analytic: Any, numeric: Any) -> bool:
    """Whether two gradients agree as well as central differences of step 1e-6 can tell."""
    return bool(np.allclose(analytic, numeric, rtol=1e-6, atol=1e-8))
