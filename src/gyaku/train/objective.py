"""Output layer and loss, chosen from the target (``lectures.md`` 2.6), and the figure that is logged beside the loss.

| target | output layer | loss | figure |
|---|---|---|---|
| real numbers | identity | mean squared error | rmse |
| two classes, one output unit | sigmoid | binary cross-entropy on the logit | accuracy |
| K classes | softmax | cross-entropy on the logits | accuracy |
| K classes of every pixel | softmax | cross-entropy on the logits, mean over pixels | accuracy, mean IoU |
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError, ShapeError, UnknownNameError
from gyaku.core.tensor import Tensor, new_tensor

Array = NDArray[Any]
TASKS = ("regression", "binary", "multiclass", "segmentation")
_WRONG_PAIRS = {
    ("multiclass", "Softmax"): "nn.CrossEntropyLoss takes logits and applies the softmax itself",
    ("binary", "Sigmoid"): "the binary loss takes the logit and applies the sigmoid itself",
    ("binary", "Softmax"): "a softmax of one unit is always 1",
    ("multiclass", "Sigmoid"): "nn.CrossEntropyLoss takes logits: the sigmoid squeezes them into 0..1",
    ("regression", "Softmax"): "a softmax gives probabilities, not values",
}


class Objective:
    """The loss of one task, with the output function and the logged figure that belong to it.

    ``label_smoothing`` in [0, 1) mixes the targets with equal probabilities; ``class_weight`` (K,) weighs classes.
    Raises ``UnknownNameError`` for another task, ``ArgumentError`` for options that the task has not.
    """

    def __init__(
        self,
        task: str,
        *,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        loss: Callable[..., Any] | None = None,
    ) -> None:
        if task not in TASKS:
            raise UnknownNameError("Objective", task, TASKS, what="task")
        if not 0.0 <= label_smoothing < 1.0:
            raise ArgumentError("fit", "0 <= label_smoothing < 1", str(label_smoothing))
        if task == "regression" and (label_smoothing or class_weight is not None):
            raise ArgumentError("fit", "label_smoothing and class_weight for classes only", "a regression")
        if loss is not None and (label_smoothing or class_weight is not None):
            hint = "give them to your loss"
            raise ArgumentError("fit", "label_smoothing and class_weight with the chosen loss", "loss=...", hint=hint)
        self.task, self.custom, self.smoothing = task, loss, float(label_smoothing)
        self.class_weight = None if class_weight is None else np.asarray(class_weight, dtype=np.float32)
        self._weights: dict[Any, Tensor] = {}
        self.metric = "rmse" if task == "regression" else "accuracy"
        self.judged = judged_by(task)

    def loss(self, y: Tensor, t: Tensor) -> Any:
        """Return the mean loss of outputs (N, K) or (N, 1) and targets, as a scalar tensor."""
        if self.custom is not None:
            return self.custom(y, t)
        from gyaku.nn import functional as F

        if self.task == "regression":
            return F.mse_loss(y, t)
        if self.task in ("multiclass", "segmentation"):
            return F.cross_entropy(y, t, weight=self._weight(y), label_smoothing=self.smoothing)
        soft = new_tensor((t._array * (1.0 - self.smoothing) + 0.5 * self.smoothing).astype(y._array.dtype)[:, None])
        weight = self._weight(y)
        per_sample = None if weight is None else weight[t][:, None]
        return F.binary_cross_entropy_with_logits(y, soft, weight=per_sample)

    def place(self, on: Any) -> None:
        """Put the class weights where the outputs will be, before a compiled step meets them."""
        if self.class_weight is not None:
            for kind in (np.float32, np.float64):
                place = np.dtype(kind), on
                self._weights.setdefault(place, new_tensor(self.class_weight.astype(kind)).to(on))

    def _weight(self, y: Tensor) -> Tensor | None:
        if self.class_weight is None:
            return None
        place = np.dtype(y._array.dtype), y.device
        if place not in self._weights:
            self._weights[place] = new_tensor(self.class_weight.astype(place[0])).to(y.device)
        return self._weights[place]

    def probabilities(self, outputs: Array) -> Array:
        """Return what the output layer says: probabilities (N, K), for two classes too, or values (N,) as they are."""
        y = outputs.astype(np.float64)
        if self.task == "regression":
            return y.reshape(len(y), -1)[:, 0]
        if self.task == "binary":
            y = np.concatenate([np.zeros_like(y), y], axis=1)  # sigmoid(a) is the softmax of (0, a)
        e = np.exp(y - y.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def score(self, outputs: Array, t: Array) -> float:
        """Return a sum over the batch: samples (or shares of their pixels) answered right, or squared errors."""
        if self.task == "regression":
            return float(((outputs.astype(np.float64) - t) ** 2).sum())
        predicted = outputs[:, 0] > 0 if self.task == "binary" else outputs.argmax(axis=1)
        return float((predicted == t).sum()) / math.prod(t.shape[1:])

    def scored(self, y: Tensor, t: Tensor) -> Tensor:
        """Return ``score`` of tensors, as a tensor."""
        if self.task == "regression":
            return ((y.double() - t.double()) ** 2).sum()
        predicted = (y[:, 0] > 0).long() if self.task == "binary" else y.argmax(1)
        right = (predicted == t).sum()
        return right / math.prod(t.shape[1:]) if t.ndim > 1 else right

    def figure(self, score: float, n: int) -> float:
        """Return the logged figure from a sum of scores over ``n`` samples."""
        return (score / n) ** 0.5 if self.task == "regression" else score / n

    def better(self, row: dict[str, Any], part: str) -> tuple[float, float]:
        """Return what is compared between epochs, larger is better: accuracy (of a segmentation, the mean IoU), of
        equals the lower loss; or -rmse."""
        value, loss = float(row[f"{part}_{self.judged}"]), float(row[f"{part}_loss"])
        return (-value, -loss) if self.task == "regression" else (value, -loss)


def judged_by(task: str) -> str:
    """Return the figure by which networks are compared: ``rmse``, ``iou`` or ``accuracy``."""
    return {"regression": "rmse", "segmentation": "iou"}.get(task, "accuracy")


def task_of(t: Array, n_outputs: int | None = None) -> str:
    """Return the task that a target array asks for, given the units of the output layer if known.

    Whole numbers or truth values (N,) are classes: ``binary`` with one output unit, else ``multiclass``; (N, H, W) are
    classes of pixels, ``segmentation``; floating (N, L) is a regression. Raises ``ShapeError`` with a hint for
    anything else.
    """
    if t.dtype.kind in "iub" and t.ndim == 1:
        return "binary" if n_outputs == 1 else "multiclass"
    if t.dtype.kind in "iub" and t.ndim == 3:
        return "segmentation"
    if t.dtype.kind == "f" and t.ndim == 2:
        return "regression"
    if t.dtype.kind == "f" and t.ndim == 1:
        raise ShapeError("fit", "values of shape (N, 1)", str(t.shape), hint="t[:, None], or t.astype(int) for classes")
    hint = "one-hot rows become classes by t.argmax(1)" if t.ndim == 2 else ""
    raise ShapeError(
        "fit", "classes (N,) of whole numbers or values (N, L) of floats", f"{t.dtype} {t.shape}", hint=hint
    )


def warn_of_wrong_pair(model: Any, objective: Objective) -> None:
    """Warn when the last layer applies an output function that the chosen loss applies again."""
    if objective.custom is not None:
        return
    leaves = [m for m in model.modules() if not list(m.children())]
    last = type(leaves[-1]).__name__ if leaves else ""
    reason = _WRONG_PAIRS.get((objective.task, last))
    if reason:
        hint = f"Hint: leave nn.{last} out of the model; probabilities come with predict."
        warnings.warn(f"fit: expected logits from the last layer, got nn.{last}: {reason}. {hint}", stacklevel=4)
