"""Output layers with their losses: means over the N rows of a batch (S1 §2, §5.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.layers.base import Array, LossLayer, floats
from gyaku.ops.activation import Sigmoid, Softmax
from gyaku.ops.loss import BceWithLogits, Mse
from gyaku.ops.loss_classes import CrossEntropy, CrossEntropyProbabilities


class RegressionLoss(LossLayer):
    """E = 1/(2N) Σ (y - t)²; backward (y - t)/N. Half per sample: PyTorch's MSELoss has no ½. Keeps ``y`` and ``t``."""

    def forward(self, y: Array, t: Array) -> float:  # type: ignore[override]
        """Return half the mean over the rows of the squared differences."""
        self.y, self.t = floats("RegressionLoss.forward", y), floats("RegressionLoss.forward", t)
        _same_shape("RegressionLoss", self.y, self.t)
        return float(0.5 * self._run(Mse("batchmean"), self.y, self.t))

    def backward(self, dout: float = 1) -> Array:
        """Return (y - t)/N."""
        return self._back(0.5 * dout, True, False)[0]


class SigmoidWithLoss(LossLayer):
    """Y = sigmoid(X), E = -1/N Σ [t log y + (1 - t) log(1 - y)]; backward (Y - T)/N. Keeps ``y`` and ``t``."""

    def forward(self, x: Array, t: Array) -> float:  # type: ignore[override]
        """Return the cross-entropy of 0/1 targets ``t`` at the logits ``x`` (computed without overflow)."""
        x, self.t = floats("SigmoidWithLoss.forward", x), floats("SigmoidWithLoss.forward", t)
        _same_shape("SigmoidWithLoss", x, self.t)
        self.y = self._run(Sigmoid(), x)
        return float(self._run(BceWithLogits("batchmean"), x, self.t, None, None))

    def backward(self, dout: float = 1) -> Array:
        """Return (Y - T)/N."""
        return self._back(dout, True, False, False, False)[0]


class SoftmaxWithLoss(LossLayer):
    """Y = softmax(X) by rows, E = -1/N ΣΣ t log y; backward (Y - T)/N. Keeps ``y`` and ``t``.

    ``t`` is one-hot (N, K), or the class numbers (N,).
    """

    def forward(self, x: Array, t: Array) -> float:  # type: ignore[override]
        """Return the cross-entropy of the targets at the logits ``x`` (N, K)."""
        x = floats("SoftmaxWithLoss.forward", x)
        self.t = np.asarray(t) if isinstance(t, (list, tuple, int)) else t
        if x.ndim != 2 or self.t.shape not in (x.shape, x.shape[:1]):
            raise ShapeError(
                "SoftmaxWithLoss.forward",
                "x (N, K) with t one-hot (N, K) or class numbers (N,)",
                f"{x.shape} and {self.t.shape}",
            )
        self.y = self._run(Softmax(1), x)
        if self.t.ndim == 2:
            return float(self._run(CrossEntropyProbabilities("mean", 0.0), x, self.t.astype(x.dtype), None))
        return float(self._run(CrossEntropy("mean", None, 0.0), x, _class_numbers(self.t, x.shape[1]), None))

    def backward(self, dout: float = 1) -> Array:
        """Return (Y - T)/N."""
        return self._back(dout, True, False, False)[0]


def _same_shape(name: str, x: Array, t: Array) -> None:
    if x.shape != t.shape:
        raise ShapeError(
            f"{name}.forward",
            f"t of shape {x.shape}, as the prediction",
            str(t.shape),
            hint="t.reshape(prediction.shape)" if x.size == t.size else "",
        )


def _class_numbers(t: Any, K: int) -> Any:
    if t.dtype.kind not in "iu":
        raise DtypeError("SoftmaxWithLoss.forward", "class numbers (integers)", str(t.dtype), hint="t.astype(int)")
    wrong = (t < 0) | (t >= K)
    if wrong.any():
        row = int(wrong.argmax())
        raise ArgumentError("SoftmaxWithLoss.forward", f"class numbers 0..{K - 1}", f"{int(t[row])} in row {row}")
    return t
