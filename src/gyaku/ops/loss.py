"""Losses of a prediction x against a target t of the same shape: regression and yes/no. Means unless they say sum."""

from __future__ import annotations

import warnings
from typing import Any

from gyaku.backend.namespace import NAMESPACES
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.core.op import Op, apply, register
from gyaku.core.tensor import Tensor
from gyaku.ops.activation import sigmoid_of, softplus_of


def size(x: Any) -> int:
    """Return the number of elements of an array."""
    n = 1
    for s in x.shape:
        n *= s
    return n


def reduced(xp: Any, loss: Any, reduction: str) -> Any:
    """Return the loss as it is ("none"), its sum, its mean, or its sum over the batch size ("batchmean")."""
    if reduction == "none":
        return loss
    if loss.dtype == "float16":  # whose sum soon passes 65504
        return xp.astype(reduced(xp, xp.astype(loss, "float32"), reduction), loss.dtype)
    total = xp.sum(loss)
    if reduction == "sum":
        return total
    n = size(loss) if reduction == "mean" else _batch(loss)
    return total / n if n else total * float("nan")


def shared_out(gy: Any, x: Any, reduction: str) -> Any:
    """Return what each element's loss receives of ``gy``: 1/N of it for a mean."""
    if reduction == "mean":
        return gy / (size(x) or 1)
    return gy / (_batch(x) or 1) if reduction == "batchmean" else gy


def _batch(x: Any) -> int:
    return int(x.shape[0]) if x.ndim else 1


class DifferenceLoss(Op):
    """Base of the losses of d = x - t: a subclass says the ``value`` and its ``slope``."""

    reduction: str
    keep = "x t"
    promotes = "float"

    def value(self, xp: Any, d: Any) -> Any:
        """Return the loss of each difference."""
        raise NotImplementedError

    def slope(self, xp: Any, d: Any) -> Any:
        """Return its derivative."""
        raise NotImplementedError

    def forward(self, xp: Any, x: Any, t: Any) -> Any:
        return reduced(xp, self.value(xp, x - t), self.reduction)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t = saved
        g = self.slope(xp, x - t) * shared_out(gy, x, self.reduction)
        return g if needs[0] else None, -g if needs[1] else None


@register
class Mse(DifferenceLoss):
    """d²; slope 2 d. (The lecture's regression loss is half of it.)"""

    label = "mse({0}, {1})"

    def value(self, xp: Any, d: Any) -> Any:
        """Return the loss of each difference."""
        return d * d

    def slope(self, xp: Any, d: Any) -> Any:
        """Return its derivative."""
        return 2 * d


@register
class L1(DifferenceLoss):
    """|d|; slope sign d, 0 at 0."""

    label = "l1({0}, {1})"

    def value(self, xp: Any, d: Any) -> Any:
        """Return the loss of each difference."""
        return xp.abs(d)

    def slope(self, xp: Any, d: Any) -> Any:
        """Return its derivative."""
        return xp.sign(d)


@register
class Huber(DifferenceLoss):
    """scale (d²/2 where |d| <= delta, else delta (|d| - delta/2)); slope scale d, cut to [-delta, delta]."""

    delta: float
    scale: float
    label = "huber({0}, {1})"

    def value(self, xp: Any, d: Any) -> Any:
        """Return the loss of each difference."""
        inside = xp.minimum(xp.abs(d), self.delta)
        return inside * (xp.abs(d) - 0.5 * inside) * self.scale

    def slope(self, xp: Any, d: Any) -> Any:
        """Return its derivative."""
        return xp.minimum(xp.maximum(d, -self.delta), self.delta) * self.scale


@register
class BceWithLogits(Op):
    """w [(1 - t) x + (1 + (q - 1) t) log(1 + e^-x)], q the weight of positives; gx = sigmoid(x) - t when w = q = 1.

    This is -[t log s + (1 - t) log(1 - s)] with s = sigmoid(x), without overflow (S1 §2).
    """

    reduction: str
    keep = "x t w q"
    label = "bce_with_logits({0}, {1})"
    promotes = "float"

    def forward(self, xp: Any, x: Any, t: Any, w: Any, q: Any) -> Any:
        positive = 1 if q is None else 1 + (q - 1) * t
        loss = (1 - t) * x + positive * softplus_of(xp, -x)
        return reduced(xp, loss if w is None else loss * w, self.reduction)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t, w, q = saved
        share = shared_out(gy, x, self.reduction)
        share = share if w is None else share * w
        gx = gt = None
        if needs[0]:
            s = sigmoid_of(xp, x)
            gx = share * (s - t if q is None else 1 - t - (1 + (q - 1) * t) * (1 - s))
        if needs[1]:
            gt = share * (-x if q is None else (q - 1) * softplus_of(xp, -x) - x)
        return gx, gt, None, None


def _log_floored(xp: Any, p: Any) -> Any:
    """Return log p, at least -100 (p = 0 included), as PyTorch's BCELoss has it."""
    some = p > 0
    return xp.where(some, xp.maximum(xp.log(xp.where(some, p, 1)), -100), -100)


@register
class Bce(Op):
    """-w [t log x + (1 - t) log(1 - x)], each log at least -100; gx = w (x - t) / max(x (1 - x), 1e-12)."""

    reduction: str
    keep = "x t w"
    label = "bce({0}, {1})"
    promotes = "float"

    def forward(self, xp: Any, x: Any, t: Any, w: Any) -> Any:
        loss = (t - 1) * _log_floored(xp, 1 - x) - t * _log_floored(xp, x)
        return reduced(xp, loss if w is None else loss * w, self.reduction)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t, w = saved
        share = shared_out(gy, x, self.reduction)
        share = share if w is None else share * w
        gx = share * (x - t) / xp.maximum(x * (1 - x), 1e-12) if needs[0] else None
        gt = share * (_log_floored(xp, 1 - x) - _log_floored(xp, x)) if needs[1] else None
        return gx, gt, None


@register
class HingeEmbedding(Op):
    """x where t = 1, max(0, margin - x) where t = -1; at x = margin the derivative is -1, as in PyTorch."""

    margin: float
    reduction: str
    keep = "x t"
    label = "hinge_embedding({0}, {1})"

    def forward(self, xp: Any, x: Any, t: Any) -> Any:
        far = xp.where(t != 1, xp.maximum(self.margin - x, 0), 0)
        return reduced(xp, far + xp.where(t != -1, x, 0), self.reduction)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t = saved
        share = shared_out(gy, x, self.reduction)
        return xp.where(t != -1, share, 0) - xp.where((t != 1) * (x <= self.margin), share, 0), None


@register
class KlDiv(Op):
    """t (log t - x) for a log-probability x (0 where t = 0); with ``log_target`` t is a logarithm too: e^t (t - x)."""

    reduction: str
    log_target: bool
    keep = "x t"
    label = "kl_div({0}, {1})"
    promotes = "float"

    def forward(self, xp: Any, x: Any, t: Any) -> Any:
        if self.log_target:
            return reduced(xp, xp.exp(t) * (t - x), self.reduction)
        return reduced(xp, t * (xp.log(xp.where(t > 0, t, 1)) - x), self.reduction)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, t = saved
        share = shared_out(gy, x, self.reduction)
        p = xp.exp(t) if self.log_target else t
        gx = -share * p if needs[0] else None
        if not needs[1]:
            return gx, None
        if self.log_target:
            return gx, share * p * (t - x + 1)
        return gx, share * xp.where(t > 0, xp.log(xp.where(t > 0, t, 1)) + 1 - x, 0)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean of (x - t)² over all elements; gradient 2 (x - t) / N. ``weight`` weighs elements.

    The lecture's regression loss is 1/(2N) of the sum: ``gyaku.layers.RegressionLoss``.
    """
    how = checked("MSELoss", input, target, legacy(size_average, reduce, reduction))
    if weight is None:
        return apply(Mse(how), input, target)
    return weighted(apply(Mse("none"), input, target), weight, how)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean of |x - t|; derivative sign(x - t) / N, 0 where they are equal. ``weight`` weighs elements."""
    how = checked("L1Loss", input, target, legacy(size_average, reduce, reduction))
    if weight is None:
        return apply(L1(how), input, target)
    return weighted(apply(L1("none"), input, target), weight, how)


def weighted(loss: Any, weight: Tensor, reduction: str) -> Tensor:
    """Return each element's loss times its weight, reduced; the mean divides by the sum of the weights."""
    if weight.shape != loss.shape:
        raise ShapeError("weighted loss", f"a weight of shape {tuple(loss.shape)}", str(tuple(weight.shape)))
    loss = loss * weight
    if reduction == "none":
        return loss
    return loss.sum() / weight.sum() if reduction == "mean" else loss.sum()


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Return the mean of d²/(2 beta) where |d| < beta, else |d| - beta/2; beta = 0 is ``l1_loss``."""
    how = checked("SmoothL1Loss", input, target, legacy(size_average, reduce, reduction))
    if beta < 0:
        raise ArgumentError("SmoothL1Loss", "beta >= 0", str(beta))
    op = L1(how) if beta == 0 else Huber(how, float(beta), 1.0 / beta)
    return apply(op, input, target)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Return the mean of d²/2 where |d| <= delta, else delta (|d| - delta/2).

    ``weight`` weighs elements; here the mean divides by their number, as in PyTorch.
    """
    how = checked("HuberLoss", input, target, reduction)
    if delta <= 0:
        raise ArgumentError("HuberLoss", "delta > 0", str(delta))
    if weight is None:
        return apply(Huber(how, float(delta), 1.0), input, target)
    loss = weighted(apply(Huber("none", float(delta), 1.0), input, target), weight, "none")
    return loss if how == "none" else loss.mean() if how == "mean" else loss.sum()


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Return the mean of -[q t log s + (1 - t) log(1 - s)], s = sigmoid(x); gradient (s - t) / N at the logit x.

    ``weight`` weighs elements, ``pos_weight`` (q, one a column) positives; both broadcast. Overflows nowhere.
    """
    how = checked("BCEWithLogitsLoss", input, target, legacy(size_average, reduce, reduction))
    return apply(BceWithLogits(how), input, target, _as(weight, input), _as(pos_weight, input))


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean of -[t log x + (1 - t) log(1 - x)] for probabilities x; the logs stop at -100, as in PyTorch.

    Raises ``ArgumentError`` for an x outside [0, 1] (a logit: use ``binary_cross_entropy_with_logits``).
    """
    how = checked("BCELoss", input, target, legacy(size_average, reduce, reduction))
    if concrete(input):
        x = input._array
        bad = ~((x >= 0) & (x <= 1))
        if bad.any():
            raise ArgumentError(
                "BCELoss",
                "probabilities within 0..1",
                str(float(x[bad][0])),
                hint="apply sigmoid, or use BCEWithLogitsLoss",
            )
    return apply(Bce(how), input, target, _as(weight, input))


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean of x where t = 1 and max(0, margin - x) where t = -1."""
    how = checked("HingeEmbeddingLoss", input, target, legacy(size_average, reduce, reduction))
    return apply(HingeEmbedding(float(margin), how), input, target)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Return t (log t - x), x a log-probability: the mean over all elements, or their sum over N ("batchmean").

    In nats. Only "batchmean" is the Kullback-Leibler divergence per sample; "mean" (PyTorch's default) warns.
    """
    how = checked("KLDivLoss", input, target, legacy(size_average, reduce, reduction), more=("batchmean",))
    if how == "mean":
        warnings.warn(
            "KLDivLoss: expected reduction='batchmean' for the divergence per sample, got 'mean', which also "
            "divides by the number of classes. Hint: pass reduction='batchmean'.",
            stacklevel=3,
        )
    return apply(KlDiv(how, log_target), input, target)


def legacy(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """Return the reduction that PyTorch's two old flags mean, or ``reduction`` when neither is given."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def checked_reduction(where: str, reduction: str, more: tuple[str, ...] = ()) -> str:
    """Return ``reduction``, or raise ``ArgumentError`` for an unknown one."""
    known = ("none", "mean", "sum", *more)
    if reduction not in known:
        raise ArgumentError(where, "reduction " + ", ".join(map(repr, known)), repr(reduction))
    return reduction


def checked(where: str, x: Tensor, t: Tensor, reduction: str, more: tuple[str, ...] = ()) -> str:
    """Return ``reduction`` after refusing shapes that differ: (N, 1) against (N,) would pair all with all."""
    try:
        if x._array.shape != t._array.shape:
            raise _shapes(where, x, t)
    except AttributeError:
        odd = t if isinstance(x, Tensor) else x
        raise DtypeError(where, "tensors", type(odd).__name__, hint="gyaku.as_tensor(...)") from None
    return checked_reduction(where, reduction, more)


def concrete(t: Tensor) -> bool:
    """Return whether the numbers are there to look at (a tracer's are not)."""
    return getattr(NAMESPACES.get(type(t._array)), "name", "") in ("numpy", "cupy")


def _shapes(where: str, x: Tensor, t: Tensor) -> ShapeError:
    hint = ""
    if x.shape == (*t.shape, 1):
        hint = f"prediction.squeeze({t.ndim}), or target.unsqueeze({t.ndim})"
    elif t.shape == (*x.shape, 1):
        hint = f"target.squeeze({x.ndim}), or prediction.unsqueeze({x.ndim})"
    elif size(x) == size(t):
        hint = "target.reshape(prediction.shape)"
    return ShapeError(where, "prediction and target of one shape", f"{tuple(x.shape)} and {tuple(t.shape)}", hint=hint)


def _as(weight: Tensor | None, x: Tensor) -> Tensor | None:
    """Return a weight with the numbers' type of ``x``, so that it never widens the loss."""
    if weight is None or weight._array.dtype == x._array.dtype or x._array.dtype.kind != "f":
        return weight
    return weight.to(x.dtype)
