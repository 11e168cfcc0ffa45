"""The NaN trap: says which operation first made a number that is none."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from gyaku.base.errors import GraphError
from gyaku.core.mode import observe
from gyaku.core.op import context_of_call


class detect_anomaly(contextlib.ContextDecorator):
    """Raise ``GraphError`` at the first operation whose forward or backward makes NaN from numbers without NaN.

    The message names the operation, the place in the array and the user's line.

    >>> import gyaku as gy
    >>> with detect_anomaly():
    ...     gy.tensor([-1.0]).log()
    Traceback (most recent call last):
    gyaku.base.errors.GraphError: log (forward): expected no NaN from inputs without, got NaN at (0,)...
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        self._open: list[Any] = []

    def __enter__(self) -> detect_anomaly:
        self._open.append(observe(self))
        self._open[-1].__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.pop().__exit__(*error)

    def after_forward(self, op: Any, inputs: list[Any], output: Any, node: Any) -> None:
        """Look for NaN in an output."""
        self._look(f"{op.name} (forward)", inputs, output, "no NaN from inputs without", context_of_call)

    def failed_forward(self, op: Any, inputs: list[Any], error: BaseException) -> None:
        """Do nothing: the error itself speaks."""

    def after_backward(self, node: Any, gy: Any, gxs: tuple[Any, ...]) -> None:
        """Look for NaN in the gradients that a rule returned."""
        what = "no NaN from gradients without"
        self._look(f"{node.op.name} (backward)", [gy], gxs, what, lambda: f"made at {node.where}")

    def _look(self, where: str, inputs: Any, outputs: Any, expected: str, context: Any) -> None:
        if not self.check_nan:
            return
        place = next((p for y in _arrays(outputs) if (p := _nan_at(y)) is not None), None)
        if place is not None and all(_nan_at(x) is None for x in _arrays(inputs)):
            raise GraphError(
                where, expected, f"NaN at {place}", hint="look at the inputs of this line", context=context()
            )


def _arrays(values: Any) -> list[Any]:
    flat = values if isinstance(values, (tuple, list)) else [values]
    found = [a for v in flat for a in (v if isinstance(v, (tuple, list)) else [v])]
    return [getattr(a, "_array", a) for a in found if hasattr(a, "dtype")]


def _nan_at(x: Any) -> tuple[int, ...] | None:
    if x.dtype.kind != "f" or not isinstance(x, (np.ndarray, np.generic)):
        return None
    places = np.argwhere(np.isnan(x))
    return tuple(int(i) for i in places[0]) if len(places) else None
