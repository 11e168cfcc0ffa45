"""Losses as modules: PyTorch's names and settings; means unless ``reduction`` says "sum" or "none"."""

from __future__ import annotations

from typing import Any

from gyaku.core.tensor import Tensor
from gyaku.nn.module import Module
from gyaku.ops import loss as ops
from gyaku.ops import loss_classes as classes


class _Loss(Module):
    """Base: the reduction, also in PyTorch's two old flags."""

    more: tuple[str, ...] = ()

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__()
        name = type(self).__name__
        self.reduction = ops.checked_reduction(name, ops.legacy(size_average, reduce, reduction), self.more)


class MSELoss(_Loss):
    """Mean of (x - t)² over all elements. (The lecture's regression loss is half the mean over samples.)"""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of two tensors of one shape."""
        return ops.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """Mean of |x - t| over all elements, x and t of one shape; slope sign(x - t), 0 at 0."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of two tensors of one shape."""
        return ops.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Mean of d²/(2 beta) where |d| < beta, else |d| - beta/2, for d = x - t; ``HuberLoss`` divided by its delta."""

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of two tensors of one shape."""
        return ops.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Mean of d²/2 where |d| <= delta, else delta (|d| - delta/2), for d = x - t; slope d, cut to ±delta."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of two tensors of one shape."""
        return ops.huber_loss(input, target, self.reduction, self.delta)


class _Weighted(_Loss):
    """Base: a loss with a weight for each class or element, kept as a buffer."""

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_Weighted):
    """Mean of -log softmax(x)_t (nats): logits x (N, K, ...), class numbers t (N, ...) or probabilities (N, K, ...).

    Gradient at the logits (p - t) / N. Takes logits: no Softmax before it.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits and class numbers or probabilities."""
        return classes.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_Weighted):
    """Mean of -x_t for log-probabilities x (N, K, ...), as LogSoftmax gives them."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of log-probabilities and class numbers."""
        return classes.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(_Weighted):
    """Mean of -[t log x + (1 - t) log(1 - x)] for probabilities x; for logits use BCEWithLogitsLoss."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of probabilities and targets of one shape."""
        return ops.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Mean of -[q t log s + (1 - t) log(1 - s)], s = sigmoid(x), q = ``pos_weight``; gradient (s - t) / N for q = 1."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits and targets of one shape."""
        return ops.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class MultiMarginLoss(_Weighted):
    """Mean over samples of 1/K sum over wrong classes of max(0, margin - x_t + x_k)^p."""

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.p, self.margin = p, margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores (N, K) and class numbers."""
        return classes.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiClassHingeLoss(_Loss):
    """Mean of max(0, margin - x_t + the highest wrong score) (S2); not in PyTorch, and not MultiMarginLoss.

    >>> import gyaku as gy
    >>> MultiClassHingeLoss()(gy.tensor([[1.0, 2.0, 0.5]]), gy.tensor([0])).item()
    2.0
    """

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores (N, K) and class numbers."""
        return classes.multi_class_hinge_loss(input, target, self.margin, self.reduction)


class HingeEmbeddingLoss(_Loss):
    """Mean of x where t = 1 and max(0, margin - x) where t = -1: x is a distance; slope 0 at the margin."""

    def __init__(
        self, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of distances and targets ±1 of one shape."""
        return ops.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class KLDivLoss(_Loss):
    """t (log t - x), x a log-probability; use ``reduction="batchmean"`` for the divergence per sample (nats)."""

    more = ("batchmean",)

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean", log_target: bool = False
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of log-probabilities and probabilities of one shape."""
        return ops.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)
