"""Losses of class scores x (N, K, ...) against class numbers t (N, ...), or against probabilities (N, K, ...)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.core.op import Op, apply, register
from gyaku.core.tensor import Tensor
from gyaku.ops.activation import log_softmax_of, softmax_of
from gyaku.ops.loss import checked_reduction, concrete, legacy, reduced, shared_out, size


def class_axis(x: Any) -> int:
    """Return the axis of the classes: 1, or 0 for one sample without a batch."""
    return 1 if x.ndim > 1 else 0


def widened(v: Any, axis: int) -> Any:
    """Return ``v`` with a class axis of size 1: (N, ...) -> (N, 1, ...), or () -> (1,)."""
    return v[:, None] if axis else v[None]


def chosen(xp: Any, x: Any, t: Any) -> Any:
    """Return a truth value per score: whether its class is the target's."""
    axis = class_axis(x)
    classes = xp.arange(x.shape[axis])
    return (classes if x.ndim < 3 else xp.reshape(classes, (-1,) + (1,) * (x.ndim - 2))) == widened(t, axis)


def picked(xp: Any, x: Any, t: Any) -> Any:
    """Return the score of the target's class: (N, K, ...) -> (N, ...)."""
    if x.ndim == 2:
        return x[xp.arange(x.shape[0]), t]
    axis = class_axis(x)
    return xp.squeeze(xp.take_along_axis(x, widened(t, axis), axis=axis), axis=axis)


class IndexLoss(Op):
    """Base of the losses of class numbers: the weight of each sample, and the divisor of the mean.

    ``ignore`` is the label that counts for nothing (None: no such label is present); ``w`` weighs classes.
    """

    reduction: str
    ignore: Any

    def weights(self, xp: Any, x: Any, t: Any, w: Any) -> tuple[Any, Any, Any]:
        """Return (labels safe to look up, weight of each sample or None, 1 where it counts or None)."""
        if self.ignore is None:
            return t, None if w is None else w[t], None
        counts = t != self.ignore
        safe = xp.where(counts, t, 0)
        return safe, xp.astype(counts, x.dtype) if w is None else w[safe] * counts, counts

    def total(self, xp: Any, loss: Any, t: Any, a: Any) -> Any:
        """Return the weighted losses reduced; the mean divides by the sum of the weights."""
        if self.reduction == "mean" and a is not None:
            return xp.sum(loss) / xp.sum(a)
        return reduced(xp, loss, self.reduction)

    def share(self, xp: Any, gy: Any, t: Any, a: Any, axis: int) -> Any:
        """Return what each sample's weighted loss receives of ``gy``; with a class axis when it is one a sample."""
        if self.reduction == "none":
            return widened(gy, axis)
        if self.reduction == "sum":
            return gy
        total = (size(t) or 1) if a is None else xp.sum(a)
        return gy / (total if a is None else xp.where(total == 0, 1, total))  # nothing counts: NaN, but gradient 0


@register
class CrossEntropy(IndexLoss):
    """(1 - e) a (-log p_t) + e/K sum_k w_k (-log p_k), p = softmax(x), e the label smoothing, a = w_t.

    Without weights and smoothing gx = (p - T) / N, T the one-hot target, of which only the comparison is made (S1 §2).
    """

    smoothing: float
    keep = "x t w"
    label = "cross_entropy({0}, {1})"

    def forward(self, xp: Any, x: Any, t: Any, w: Any) -> Any:
        axis = class_axis(x)
        z = x - xp.amax(x, axis=axis, keepdims=True)
        lse = xp.log(xp.sum(xp.exp(z), axis=axis))
        safe, a, counts = self.weights(xp, x, t, w)
        loss = lse - picked(xp, z, safe)
        loss = loss if a is None else loss * a
        if self.smoothing:
            logp = z - widened(lse, axis)
            flat = -xp.sum(logp if w is None else logp * _along(xp, w, x), axis=axis)
            flat = flat if counts is None else flat * counts
            loss = loss * (1 - self.smoothing) + flat * (self.smoothing / x.shape[axis])
        return self.total(xp, loss, t, a)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t, w = saved
        axis = class_axis(x)
        safe, a, counts = self.weights(xp, x, t, w)
        p, hit = softmax_of(xp, x, axis), chosen(xp, x, safe)
        g = p - hit
        if a is not None:
            g = g * widened(a, axis)
        if self.smoothing:
            K = x.shape[axis]
            flat = p * K - 1 if w is None else p * xp.sum(w) - _along(xp, w, x)
            flat = flat if counts is None else flat * widened(counts, axis)
            g = g * (1 - self.smoothing) + flat * (self.smoothing / K)
        return g * self.share(xp, gy, t, a, axis), None, None


@register
class CrossEntropyProbabilities(Op):
    """-sum_k w_k u_k log p_k, p = softmax(x), u = (1 - e) t + e/K; gx = p sum(w u) - w u. The mean divides by N."""

    reduction: str
    smoothing: float
    keep = "x t w"
    label = "cross_entropy({0}, {1})"
    promotes = "float"

    def forward(self, xp: Any, x: Any, t: Any, w: Any) -> Any:
        axis = class_axis(x)
        loss = -xp.sum(self._target(xp, x, t, w) * log_softmax_of(xp, x, axis), axis=axis)
        return reduced(xp, loss, self.reduction)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t, w = saved
        axis = class_axis(x)
        g = gy if self.reduction != "mean" else gy / (size(x) // x.shape[axis] or 1)
        g = widened(g, axis) if self.reduction == "none" else g
        gx = gt = None
        if needs[0]:
            u = self._target(xp, x, t, w)
            gx = g * (softmax_of(xp, x, axis) * xp.sum(u, axis=axis, keepdims=True) - u)
        if needs[1]:
            gt = g * log_softmax_of(xp, x, axis) * (self.smoothing - 1)
            gt = gt if w is None else gt * _along(xp, w, x)
        return gx, gt, None

    def _target(self, xp: Any, x: Any, t: Any, w: Any) -> Any:
        """Return the probabilities, smoothed and weighted."""
        if self.smoothing:
            t = t * (1 - self.smoothing) + self.smoothing / x.shape[class_axis(x)]
        return t if w is None else t * _along(xp, w, x)


@register
class Nll(IndexLoss):
    """-w_t x_t for log-probabilities x; gx is -w_t / sum of weights at the target's class, 0 elsewhere."""

    keep = "x t w"
    label = "nll({0}, {1})"

    def forward(self, xp: Any, x: Any, t: Any, w: Any) -> Any:
        safe, a, _ = self.weights(xp, x, t, w)
        loss = -picked(xp, x, safe)
        return self.total(xp, loss if a is None else loss * a, t, a)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t, w = saved
        axis = class_axis(x)
        safe, a, _ = self.weights(xp, x, t, w)
        g = self.share(xp, gy, t, a, axis)
        g = g if a is None else g * widened(a, axis)
        return xp.where(chosen(xp, x, safe), -g, 0), None, None


@register
class MultiMargin(Op):
    """w_t / K sum_{k != t} max(0, margin - x_t + x_k)^p, p = 1 or 2; the derivative at the kink is 0."""

    p: int
    margin: float
    reduction: str
    keep = "x t w"
    label = "multi_margin({0}, {1})"

    def forward(self, xp: Any, x: Any, t: Any, w: Any) -> Any:
        z = self._excess(xp, x, t)
        loss = xp.sum(z if self.p == 1 else z * z, axis=class_axis(x)) / x.shape[-1]
        return reduced(xp, loss if w is None else loss * w[t], self.reduction)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t, w = saved
        axis = class_axis(x)
        z = self._excess(xp, x, t)
        g = xp.astype(z > 0, x.dtype) if self.p == 1 else 2 * z
        g = g - xp.where(chosen(xp, x, t), xp.sum(g, axis=axis, keepdims=True), 0)
        a = shared_out(gy, t, self.reduction) / x.shape[-1]
        a = a if w is None else a * w[t]
        return g * (widened(a, axis) if w is not None or self.reduction == "none" else a), None, None

    def _excess(self, xp: Any, x: Any, t: Any) -> Any:
        """Return max(0, margin - x_t + x_k), 0 for the right class."""
        z = xp.maximum(self.margin - widened(picked(xp, x, t), class_axis(x)) + x, 0)
        return xp.where(chosen(xp, x, t), 0, z)


@register
class MultiClassHinge(Op):
    """max(0, margin - x_t + max_{k != t} x_k) (S2). 0 at the kink; of equal scores the first gets the gradient."""

    margin: float
    reduction: str
    keep = "x t"
    label = "multi_class_hinge({0}, {1})"

    def forward(self, xp: Any, x: Any, t: Any) -> Any:
        rival = xp.amax(self._wrong(xp, x, t), axis=class_axis(x))
        return reduced(xp, xp.maximum(self.margin - picked(xp, x, t) + rival, 0), self.reduction)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t = saved
        axis = class_axis(x)
        rival = xp.argmax(self._wrong(xp, x, t), axis=axis)
        active = self.margin - picked(xp, x, t) + picked(xp, x, rival) > 0
        a = widened(shared_out(gy, t, self.reduction) * active, axis)
        return xp.where(chosen(xp, x, rival), a, 0) - xp.where(chosen(xp, x, t), a, 0), None

    def _wrong(self, xp: Any, x: Any, t: Any) -> Any:
        """Return the scores with the right class out of the way."""
        return xp.where(chosen(xp, x, t), -float("inf"), x)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean of -log softmax(x)_t over the samples (nats); gradient (p - t) / N at the logits.

    ``input``: logits (N, K), (N, K, d1, ...) or (K,). ``target``: class numbers (N, ...) or, floating, probabilities of
    the input's shape. ``weight`` (K,) weighs classes, and then the mean divides by the sum of the weights.
    Raises ``ArgumentError`` naming row and value of a label outside 0..K-1 (``ignore_index`` excepted), ``ShapeError``
    for one-hot integers and other shapes, ``DtypeError`` for float labels.
    """
    how = checked_reduction("CrossEntropyLoss", legacy(size_average, reduce, reduction))
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError("CrossEntropyLoss", "label_smoothing within 0..1", str(label_smoothing))
    _check_scores("CrossEntropyLoss", input, weight)
    if target._array.dtype.kind == "f" and target.shape == input.shape:
        return apply(CrossEntropyProbabilities(how, float(label_smoothing)), input, target, _weight(weight, input))
    ignore = check_labels("CrossEntropyLoss", input, target, ignore_index)
    return apply(CrossEntropy(how, ignore, float(label_smoothing)), input, target, _weight(weight, input))


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean of -x_t for log-probabilities x (N, K, ...), as ``log_softmax`` gives them."""
    how = checked_reduction("NLLLoss", legacy(size_average, reduce, reduction))
    _check_scores("NLLLoss", input, weight)
    ignore = check_labels("NLLLoss", input, target, ignore_index)
    return apply(Nll(how, ignore), input, target, _weight(weight, input))


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean over samples of 1/K sum over wrong classes of max(0, margin - x_t + x_k)^p."""
    how = checked_reduction("MultiMarginLoss", legacy(size_average, reduce, reduction))
    if p not in (1, 2):
        raise ArgumentError("MultiMarginLoss", "p of 1 or 2", str(p))
    _check_scores("MultiMarginLoss", input, weight, most=2)
    check_labels("MultiMarginLoss", input, target, None)
    return apply(MultiMargin(int(p), float(margin), how), input, target, _weight(weight, input))


def multi_class_hinge_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """Return the mean of max(0, margin - x_t + the highest wrong score) (S2); with linear scores an SVM. Ours."""
    how = checked_reduction("MultiClassHingeLoss", reduction)
    _check_scores("MultiClassHingeLoss", input, None, most=2)
    if input.shape[-1] < 2:
        raise ShapeError("MultiClassHingeLoss", "scores of at least 2 classes", str(tuple(input.shape)))
    check_labels("MultiClassHingeLoss", input, target, None)
    return apply(MultiClassHinge(float(margin), how), input, target)


def check_labels(where: str, x: Tensor, t: Tensor, ignore: int | None) -> int | None:
    """Refuse labels that are not class numbers of x; return ``ignore`` if such a label is (or may be) present.

    Raises ``DtypeError`` for float labels, ``ShapeError`` for one-hot or misshaped ones, ``ArgumentError`` with row and
    value for one outside 0..K-1.
    """
    axis, shape = class_axis(x._array), x.shape
    K, expected = shape[axis], (*shape[:axis], *shape[axis + 1 :])
    labels = t._array
    if labels.dtype.kind not in "iu":
        raise _not_labels(where, t, expected, tuple(shape))
    if labels.shape != expected:
        raise _misshaped(where, x, t, expected)
    if not concrete(t):
        return labels.labels(where, K, ignore)  # a tracer asks for them at each run
    if not labels.size or (labels.min() >= 0 and labels.max() < K):
        return ignore if ignore is not None and 0 <= ignore < K else None
    bad = (labels < 0) | (labels >= K)
    if ignore is not None:
        bad &= labels != ignore
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(_on_cpu(bad))[0])
        place = f" at row {at[0]}" if len(at) == 1 else f" at {at}" if at else ""
        raise ArgumentError(where, f"class indices 0..{K - 1}", f"{int(labels[at])}{place}")
    return ignore


def _on_cpu(array: Any) -> Any:
    return array if isinstance(array, np.ndarray) else np.asarray(array.get() if hasattr(array, "get") else array)


def _not_labels(where: str, t: Tensor, expected: tuple[int, ...], scores: tuple[int, ...]) -> DtypeError:
    probabilities = f", or probabilities of shape {scores}" if where == "CrossEntropyLoss" else ""
    hint = "target.long()" if t.shape == expected else "target.squeeze(1).long()" if t.shape == (*expected, 1) else ""
    return DtypeError(
        where,
        f"class indices as integers of shape {expected}{probabilities}",
        f"{t.dtype.name} of shape {tuple(t.shape)}",
        hint=hint,
    )


def _misshaped(where: str, x: Tensor, t: Tensor, expected: tuple[int, ...]) -> ShapeError:
    hint = ""
    if t.shape == x.shape:
        hint = "a one-hot target becomes class indices by target.argmax(1)"
    elif t.shape == (*expected, 1):
        hint = "target.squeeze(1)"
    return ShapeError(where, f"class indices of shape {expected}", str(tuple(t.shape)), hint=hint)


def _check_scores(where: str, x: Tensor, weight: Tensor | None, most: int = 99) -> None:
    if not isinstance(x, Tensor):
        raise DtypeError(where, "scores as a tensor", type(x).__name__, hint="gyaku.as_tensor(...)")
    if x._array.dtype.kind != "f":
        raise DtypeError(where, "floating scores", x.dtype.name, hint="x.float()")
    if not 1 <= x.ndim <= most:
        raise ShapeError(
            where, "scores of shape (N, K)" + ("" if most == 2 else " or (N, K, ...)"), str(tuple(x.shape))
        )
    if weight is not None and weight.shape != (x.shape[class_axis(x)],):
        raise ShapeError(where, f"one weight a class, ({x.shape[class_axis(x)]},)", str(tuple(weight.shape)))


def _along(xp: Any, w: Any, x: Any) -> Any:
    """Return class weights (K,) shaped to broadcast against the scores."""
    return xp.reshape(w, (-1,) + (1,) * (x.ndim - class_axis(x) - 1))


def _weight(weight: Tensor | None, x: Tensor) -> Tensor | None:
    return weight if weight is None or weight._array.dtype == x._array.dtype else weight.to(x.dtype)
