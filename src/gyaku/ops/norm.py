"""Normalisation. Mean and inverse deviation are outputs, so that backward may keep them and stay differentiable.

In every backward, c and d are the means of the gradient and of the gradient times the standardised value (S1 §8).
"""

from __future__ import annotations

from typing import Any

from gyaku.backend.tracing import Weak
from gyaku.base.errors import ShapeError
from gyaku.core.op import Op, apply, register
from gyaku.core.tensor import Tensor


def count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """Return how many elements a sum over ``axes`` adds."""
    n = 1
    for a in axes:
        n *= shape[a]
    return n


def standardized(xp: Any, x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """Return ((x - mean) r, mean, r) with r = 1 / sqrt(variance + eps); the reduced axes stay, with size 1."""
    n = count(x.shape, axes)
    mean = xp.sum(x, axis=axes, keepdims=True) / n
    centred = x - mean
    r = 1 / xp.sqrt(xp.sum(centred * centred, axis=axes, keepdims=True) / n + eps)
    return centred * r, mean, r


def standardized_back(xp: Any, x: Any, axes: tuple[int, ...], mean: Any, r: Any, g: Any, gmean: Any, gr: Any) -> Any:
    """Return the gradient by x of ``standardized``, given those by its three outputs."""
    n = count(x.shape, axes)
    xhat = (x - mean) * r
    c = xp.sum(g, axis=axes, keepdims=True) / n
    d = xp.sum(g * xhat, axis=axes, keepdims=True) / n
    return r * (g - c) + gmean / n - xhat * (r * d + gr * r * r / n)


def batch_axes(x: Any) -> tuple[int, ...]:
    """Return all axes but the channels' (1): (N, C, ...) -> (0, 2, ...)."""
    return (0, *range(2, x.ndim))


def by_channel(xp: Any, v: Any, ndim: int) -> Any:
    """Return (C,) -> (C, 1, ...), to be broadcast against (N, C, ...)."""
    return v if ndim == 2 else xp.reshape(v, (-1,) + (1,) * (ndim - 2))


@register
class BatchNorm(Op):
    """y = gamma (x - mean) / sigma + beta per channel, sigma = sqrt(variance + eps); also returns mean and 1/sigma.

    gbeta = sum gy, ggamma = sum gy xhat, gx = gamma/sigma (gy - c - xhat d) (S1 §8).
    """

    eps: float
    keep = "x gamma y1 y2"
    label = "batch_norm({0})"

    def forward(self, xp: Any, x: Any, gamma: Any, beta: Any) -> Any:
        axes = batch_axes(x)
        n = count(x.shape, axes)
        mean = xp.sum(x, axis=axes) / n
        centred = x - by_channel(xp, mean, x.ndim)
        r = 1 / xp.sqrt(xp.sum(centred * centred, axis=axes) / n + self.eps)
        y = centred * by_channel(xp, r if gamma is None else gamma * r, x.ndim)
        return y if beta is None else y + by_channel(xp, beta, x.ndim), mean, r

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, gamma, mean, r = saved
        g, gmean, gr = gy
        axes, ndim = batch_axes(x), x.ndim
        n = count(x.shape, axes)
        xhat = (x - by_channel(xp, mean, ndim)) * by_channel(xp, r, ndim)
        gbeta, ggamma = xp.sum(g, axis=axes), xp.sum(g * xhat, axis=axes)
        gx = None
        if needs[0]:
            scale = r if gamma is None else gamma * r
            shift = by_channel(xp, (scale * gbeta - gmean) / n, ndim)
            gx = (
                by_channel(xp, scale, ndim) * g - shift - xhat * by_channel(xp, (scale * ggamma + gr * r * r) / n, ndim)
            )
        return gx, ggamma if needs[1] else None, gbeta if needs[2] else None


@register
class BatchNormFixed(Op):
    """y = gamma (x - mean) / sqrt(variance + eps) + beta with given mean and variance, which get no gradient."""

    eps: float
    keep = "x gamma mean var"
    label = "batch_norm({0})"

    def forward(self, xp: Any, x: Any, gamma: Any, beta: Any, mean: Any, var: Any) -> Any:
        r = 1 / xp.sqrt(var + self.eps)
        scale = r if gamma is None else gamma * r
        y = (x - by_channel(xp, mean, x.ndim)) * by_channel(xp, scale, x.ndim)
        return y if beta is None else y + by_channel(xp, beta, x.ndim)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, gamma, mean, var = saved
        axes, ndim = batch_axes(x), x.ndim
        r = 1 / xp.sqrt(var + self.eps)
        gx = gy * by_channel(xp, r if gamma is None else gamma * r, ndim) if needs[0] else None
        ggamma = xp.sum(gy * (x - by_channel(xp, mean, ndim)), axis=axes) * r if needs[1] else None
        return gx, ggamma, xp.sum(gy, axis=axes) if needs[2] else None, None, None


@register
class LayerNorm(Op):
    """y = gamma xhat + beta, standardised over the last ``k`` dimensions; also returns mean and 1/sigma."""

    k: int
    eps: float
    keep = "x gamma y1 y2"
    label = "layer_norm({0})"

    def forward(self, xp: Any, x: Any, gamma: Any, beta: Any) -> Any:
        y, mean, r = standardized(xp, x, tuple(range(x.ndim - self.k, x.ndim)), self.eps)
        y = y if gamma is None else y * gamma
        return y if beta is None else y + beta, mean, r

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, gamma, mean, r = saved
        g, gmean, gr = gy
        lead, axes = tuple(range(x.ndim - self.k)), tuple(range(x.ndim - self.k, x.ndim))
        ghat = g if gamma is None else g * gamma
        gx = standardized_back(xp, x, axes, mean, r, ghat, gmean, gr) if needs[0] else None
        ggamma = xp.sum(g * ((x - mean) * r), axis=lead) if needs[1] else None
        return gx, ggamma, xp.sum(g, axis=lead) if needs[2] else None


@register
class GroupNorm(Op):
    """y = gamma xhat + beta (per channel), standardised over each of ``groups`` groups of channels of each sample."""

    groups: int
    eps: float
    keep = "x gamma y1 y2"
    label = "group_norm({0})"

    def forward(self, xp: Any, x: Any, gamma: Any, beta: Any) -> Any:
        xhat, mean, r = standardized(xp, self._grouped(xp, x), (2,), self.eps)
        y = xp.reshape(xhat, x.shape)
        y = y if gamma is None else y * by_channel(xp, gamma, x.ndim)
        return y if beta is None else y + by_channel(xp, beta, x.ndim), mean, r

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, gamma, mean, r = saved
        g, gmean, gr = gy
        grouped, axes = self._grouped(xp, x), batch_axes(x)
        gx = None
        if needs[0]:
            ghat = self._grouped(xp, g if gamma is None else g * by_channel(xp, gamma, x.ndim))
            gx = xp.reshape(standardized_back(xp, grouped, (2,), mean, r, ghat, gmean, gr), x.shape)
        ggamma = xp.sum(g * xp.reshape((grouped - mean) * r, x.shape), axis=axes) if needs[1] else None
        return gx, ggamma, xp.sum(g, axis=axes) if needs[2] else None

    def _grouped(self, xp: Any, x: Any) -> Any:
        """Return (N, C, ...) -> (N, groups, the rest)."""
        return xp.reshape(x, (x.shape[0], self.groups, count(x.shape, tuple(range(1, x.ndim))) // self.groups))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return x (N, C, ...) standardised per channel, then scaled by ``weight`` and moved by ``bias``.

    Training uses the batch's mean and (biased) variance and moves the running values, in place, by
    ``momentum`` towards the mean and the unbiased variance. Otherwise the running values are used.
    Raises ``ShapeError`` for a training batch with one value a channel, or another number of channels.
    """
    _check_channels(input, running_mean, weight)
    if not training:
        if running_mean is None or running_var is None:
            raise ShapeError("batch_norm", "running values outside training", "none", hint="pass training=True")
        return apply(BatchNormFixed(float(eps)), input, weight, bias, running_mean, running_var)
    n = count(input.shape, batch_axes(input))
    if n <= 1:
        raise ShapeError(
            "batch_norm (training)",
            "more than 1 value per channel",
            f"x of shape {input.shape}",
            hint="use a larger batch (drop_last=True), or model.eval() to predict",
        )
    y, mean, r = apply(BatchNorm(float(eps)), input, weight, bias)
    momentum = momentum if isinstance(momentum, Weak) else float(momentum)
    if running_mean is not None:
        _move(running_mean, mean._array, momentum)
    if running_var is not None:
        r_array = r._array
        _move(running_var, (1 / (r_array * r_array) - float(eps)) * (n / (n - 1)), momentum)
    return y


def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Return x standardised over its last dimensions ``normalized_shape``, then scaled and moved elementwise."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        got = str(tuple(input.shape))
        raise ShapeError("layer_norm (forward)", f"x of shape (..., {', '.join(map(str, shape))})", got)
    return apply(LayerNorm(len(shape), float(eps)), input, weight, bias)[0]


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Return x (N, C, ...) standardised over each group of C / ``num_groups`` channels, then scaled per channel."""
    if input.ndim < 2 or input.shape[1] % num_groups:
        raise ShapeError(
            "group_norm (forward)", f"x of shape (N, C, ...) with C divisible by {num_groups}", str(tuple(input.shape))
        )
    return apply(GroupNorm(num_groups, float(eps)), input, weight, bias)[0]


def _check_channels(input: Tensor, running_mean: Tensor | None, weight: Tensor | None) -> None:
    like = weight if running_mean is None else running_mean
    if input.ndim < 2 or (like is not None and input.shape[1] != like.shape[0]):
        channels = "C" if like is None else like.shape[0]
        raise ShapeError("batch_norm (forward)", f"x of shape (N, {channels}, ...)", str(tuple(input.shape)))


def _move(running: Tensor, value: Any, momentum: float) -> None:
    """Move a running value in place: running <- (1 - momentum) running + momentum value."""
    from gyaku.core.tensor import wrote

    array = running._array
    array *= 1 - momentum
    array += momentum * value
    wrote(running)
