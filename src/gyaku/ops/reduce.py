"""Sums, means, products, spreads and norms along dimensions; truth values over many elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.backend.dtypes import float16, float32, int64, to_dtype
from gyaku.base.errors import ArgumentError, DtypeError
from gyaku.core.op import Op, apply1, context_of_call, public, register
from gyaku.core.tensor import Tensor
from gyaku.ops.compare import ne
from gyaku.ops.dims import axis_of, count, kept, ndim_of, reduction


class Reduction(Op):
    """Base of the reductions: ``axis`` is a tuple of dimensions or None for all, ``keepdims`` leaves them as 1."""

    axis: Any
    keepdims: Any = False

    def expand(self, xp: Any, y: Any, shape: tuple[int, ...]) -> Any:
        """Return ``y``, a result or its gradient, with the reduced dimensions put back as 1."""
        return y if self.keepdims else xp.reshape(y, kept(shape, self.axis))


@register
class Sum(Reduction):
    """y = Σ x; every dy/dx is 1."""

    keep = "x.shape"
    label = "Σ {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sum(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (shape,) = saved
        return xp.broadcast_to(self.expand(xp, gy, shape), shape)


@register
class Mean(Reduction):
    """y = Σ x / n; every dy/dx is 1/n. NaN for no elements."""

    keep = "x.shape"
    label = "mean {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sum(x, axis=self.axis, keepdims=self.keepdims) / count(x.shape, self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (shape,) = saved
        return xp.broadcast_to(self.expand(xp, gy, shape) / count(shape, self.axis), shape)


_SUM = Sum(None, False)
_MEAN = Mean(None, False)


@public("sum")
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the sum along ``dim`` (an integer, a tuple, or None for all); every derivative is 1.

    Whole numbers and truth values add up in int64.
    """
    if dtype is not None or (isinstance(input, Tensor) and input._array.dtype.kind != "f"):
        input = input.to(int64 if dtype is None else dtype)
    if dim is None and not keepdim:
        return apply1(_SUM, input)
    return reduction(Sum, input, dim, keepdim)


@public("mean")
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the mean along ``dim``; every derivative is 1/n. Raises ``DtypeError`` for whole numbers."""
    input = _floating("mean", input, dtype)
    if isinstance(input, Tensor) and input._array.dtype == np.float16:  # whose sum soon passes 65504
        return mean(input.to(float32), dim, keepdim).to(float16)
    if dim is None and not keepdim:
        return apply1(_MEAN, input)
    return reduction(Mean, input, dim, keepdim)


def _floating(where: str, input: Tensor, dtype: Any = None) -> Tensor:
    if dtype is not None:
        input = input.to(to_dtype(dtype))
    if isinstance(input, Tensor) and input._array.dtype.kind != "f":
        raise DtypeError(
            where, "a floating tensor", repr(input.dtype), hint="convert it with .float()", context=context_of_call()
        )
    return input


# -- variance ----------------------------------------------------------------------------------------------------------
class Dispersion(Reduction):
    """Base of variance and deviation, with n - ``correction`` in the denominator."""

    correction: Any = 1

    def deviation(self, xp: Any, x: Any) -> Any:
        """Return x - mean x."""
        return x - xp.sum(x, axis=self.axis, keepdims=True) / count(x.shape, self.axis)

    def degrees(self, shape: tuple[int, ...]) -> float:
        """Return n - correction; NaN where that leaves nothing to divide by, so that the answer is NaN too."""
        n = count(shape, self.axis) - self.correction
        return n if n > 0 else math.nan

    def variance(self, xp: Any, x: Any) -> Any:
        """Return Σ (x - mean)² / (n - correction)."""
        d = self.deviation(xp, x)
        return xp.sum(d * d, axis=self.axis, keepdims=self.keepdims) / self.degrees(x.shape)


@register
class Var(Dispersion):
    """y = Σ (x - mean)² / (n - correction); dy/dx = 2 (x - mean) / (n - correction)."""

    keep = "x"
    label = "var {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return self.variance(xp, x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return self.expand(xp, gy, x.shape) * (2 / self.degrees(x.shape)) * self.deviation(xp, x)


@register
class Std(Dispersion):
    """y = √var x; dy/dx = (x - mean) / ((n - correction) y), and 0 where y = 0."""

    keep = "x y"
    label = "std {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sqrt(self.variance(xp, x))

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, y = saved
        ratio = xp.where(y == 0, 0, gy / xp.where(y == 0, 1, y))
        return self.expand(xp, ratio, x.shape) * (1 / self.degrees(x.shape)) * self.deviation(xp, x)


def _spread(cls: type[Op], input: Tensor, dim: Any, unbiased: Any, correction: Any, keepdim: bool) -> Any:
    """Apply ``Var`` or ``Std``; PyTorch's older form ``var(x, False)`` gives ``unbiased`` in the place of ``dim``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = int(unbiased)
    return reduction(cls, _floating(cls.name, input), dim, keepdim, correction)


@public("var")
def var(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: float = 1
) -> Tensor:
    """Return the variance, Σ (x - mean)² / (n - correction); ``unbiased=False`` is ``correction=0``. NaN for n <= 1."""
    return _spread(Var, input, dim, unbiased, correction, keepdim)


@public("std")
def std(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: float = 1
) -> Tensor:
    """Return the standard deviation, the root of ``var``; derivative 0 where it is 0."""
    return _spread(Std, input, dim, unbiased, correction, keepdim)


@public("var_mean")
def var_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: float = 1
) -> tuple[Tensor, Tensor]:
    """Return variance and mean."""
    along = None if isinstance(dim, bool) else dim
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, along, keepdim)


@public("std_mean")
def std_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: float = 1
) -> tuple[Tensor, Tensor]:
    """Return standard deviation and mean."""
    along = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, along, keepdim)


# -- norms -------------------------------------------------------------------------------------------------------------
@register
class Norm(Reduction):
    """y = (Σ |x|^p)^(1/p); dy/dx = sign x (|x| / y)^(p-1), for p = 2: x / y; 0 where y = 0."""

    p: Any = 2.0
    keep = "x y"
    label = "‖{0}‖"

    def forward(self, xp: Any, x: Any) -> Any:
        if self.p == 2:
            return xp.sqrt(xp.sum(x * x, axis=self.axis, keepdims=self.keepdims))
        return xp.sum(xp.abs(x) ** self.p, axis=self.axis, keepdims=self.keepdims) ** (1 / self.p)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, y = saved
        y, gy = self.expand(xp, y, x.shape), self.expand(xp, gy, x.shape)
        divisor = xp.where(y == 0, 1, y)
        gy = xp.where(y == 0, 0, gy)
        if self.p == 2:
            return gy / divisor * x
        return gy * xp.sign(x) * (xp.where(x == 0, 0, xp.abs(x)) / divisor) ** (self.p - 1)


@public("norm")
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the p-norm of the elements along ``dim``: p = 2 ("fro", the default), 1, inf, -inf, 0 or another number.

    The derivative at 0 is 0; at a tie of the largest (p = inf) each gets an equal share.
    """
    input = _floating("norm", input, dtype)
    if isinstance(p, str) and p != "fro":
        raise ArgumentError("norm", "p = 'fro' or a number", repr(p), context=context_of_call())
    if isinstance(input, Tensor) and input._array.dtype == np.float16:  # whose squares soon pass 65504
        return norm(input.to(float32), p, dim, keepdim).to(float16)
    power = 2.0 if p in ("fro", None) else float(p)
    if math.isinf(power):
        size = input.abs()
        return size.amax(dim, keepdim) if power > 0 else size.amin(dim, keepdim)
    if power == 0:
        return sum(ne(input, 0).to(input.dtype), dim, keepdim)
    if power == 1:
        return sum(input.abs(), dim, keepdim)
    return reduction(Norm, input, dim, keepdim, power)


@register
class Logsumexp(Reduction):
    """y = log Σ e^x, computed without overflow; dy/dx = e^(x - y). A row of -inf gives -inf and the gradient 0."""

    keep = "x y"
    promotes = "float"
    label = "log Σ exp({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        if not count(x.shape, self.axis):  # no largest to subtract: the log of the empty sum
            return xp.log(xp.sum(x, axis=self.axis, keepdims=self.keepdims))
        top = xp.amax(x, axis=self.axis, keepdims=True)
        top = xp.where(xp.isfinite(top), top, 0)
        y = xp.log(xp.sum(xp.exp(x - top), axis=self.axis, keepdims=True)) + top
        return y if self.keepdims else xp.sum(y, axis=self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, y = saved
        y = xp.where(y == -math.inf, 0, y)
        return self.expand(xp, gy, x.shape) * xp.exp(x - self.expand(xp, y, x.shape))


@public("logsumexp")
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """Return log Σ e^x along ``dim`` without overflow; derivative: the softmax. All -inf gives -inf, gradient 0."""
    return reduction(Logsumexp, input, dim, keepdim)


# -- products ----------------------------------------------------------------------------------------------------------
def running_products(xp: Any, x: Any) -> Any:
    """Return x₀, x₀x₁, ... along the first dimension by doubling steps: log₂ n array products, zeros no exception."""
    step = 1
    while step < x.shape[0]:
        x = xp.concatenate([x[:step], x[step:] * x[:-step]], axis=0)
        step *= 2
    return x


def _others(xp: Any, x: Any) -> Any:
    """Return for each element the product of all others along the first dimension."""
    if x.shape[0] < 2:
        return xp.ones_like(x)
    one = xp.ones_like(x[:1])
    before = xp.concatenate([one, running_products(xp, x)[:-1]], axis=0)
    after = xp.concatenate([one, running_products(xp, x[::-1])[:-1]], axis=0)[::-1]
    return before * after


@register
class Prod(Reduction):
    """y = Π x; dy/dx is the product of the other elements: right with one zero, and with several."""

    keep = "x"
    label = "Π {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.prod(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        axes = tuple(range(x.ndim)) if self.axis is None else self.axis
        order = (*axes, *[a for a in range(x.ndim) if a not in axes])
        front = xp.transpose(x, order)  # the multiplied dimensions first, then flat: (n, the others)
        others = _others(xp, xp.reshape(front, (count(x.shape, axes), *front.shape[len(axes) :])))
        back = tuple([order.index(a) for a in range(x.ndim)])
        return self.expand(xp, gy, x.shape) * xp.transpose(xp.reshape(others, front.shape), back)


@public("prod")
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the product of all elements, or along ``dim``; the derivative is right where elements are 0."""
    if dtype is not None or (isinstance(input, Tensor) and input._array.dtype.kind != "f"):
        input = input.to(int64 if dtype is None else dtype)
    if dim is not None:
        axis_of(dim, ndim_of(input, "prod"), "prod")
    return reduction(Prod, input, dim, keepdim)


# -- truth values ------------------------------------------------------------------------------------------------------
class Judgement(Reduction):
    """Base of the reductions that answer with truth values or counts: no derivative."""

    differentiable = False

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return None


@register
class Any_(Judgement):
    """y = whether some element is not 0."""

    name = "any"
    label = "any {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.any(x, axis=self.axis, keepdims=self.keepdims)


@register
class All(Judgement):
    """y = whether no element is 0."""

    label = "all {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.all(x, axis=self.axis, keepdims=self.keepdims)


@register
class CountNonzero(Judgement):
    """y = how many elements are not 0."""

    label = "#({0} ≠ 0)"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sum(x != 0, axis=self.axis, keepdims=self.keepdims)


@public("any")
def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return whether some element is not 0, over all or along ``dim``."""
    return reduction(Any_, input, dim, keepdim)


@public("all")
def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return whether no element is 0, over all or along ``dim``."""
    return reduction(All, input, dim, keepdim)


@public("count_nonzero")
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """Return how many elements are not 0 (int64)."""
    return reduction(CountNonzero, input, dim, False)
