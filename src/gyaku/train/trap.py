"""Where a number that is not finite first came from: an observer of one forward pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.core.mode import no_grad, observe


class _Trap:
    """Remembers the first operation whose output is not finite although its inputs are."""

    def __init__(self) -> None:
        self.found = ""

    def after_forward(self, op: Any, inputs: list[Any], output: Any, node: Any) -> None:
        """Look at the outputs of one operation."""
        if self.found:
            return
        if not all(_finite(x) for x in inputs):
            self.found = f"an input or weight of {op.name}"
        elif not all(_finite(y) for y in (output if isinstance(output, tuple) else (output,))):
            self.found = op.name

    def failed_forward(self, op: Any, inputs: list[Any], error: BaseException) -> None:
        """Nothing to remember: the error itself is shown."""

    def after_backward(self, node: Any, gy: Any, gxs: tuple[Any, ...]) -> None:
        """Only the forward pass is watched."""


def _finite(value: Any) -> bool:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return kind != "f" or bool(np.isfinite(value.get() if hasattr(value, "get") else value).all())


def first_not_finite(model: Any, x: Any) -> str:
    """Run the model once more and name the first operation that gave NaN or infinity (else: the loss)."""
    trap = _Trap()
    with observe(trap), no_grad():
        model(x)
    return trap.found or "the loss"
