"""Running sums and products along a dimension."""

from __future__ import annotations

from typing import Any

from gyaku.backend.dtypes import int64
from gyaku.core.op import Op, apply, public, register
from gyaku.core.tensor import Tensor
from gyaku.ops.dims import axis_of, ndim_of
from gyaku.ops.reduce import running_products


@register
class Cumsum(Op):
    """y_k = x_0 + ... + x_k; the gradient is the running sum from the end."""

    axis: Any
    label = "cumsum({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.cumsum(x, axis=self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.flip(xp.cumsum(xp.flip(gy, axis=self.axis), axis=self.axis), axis=self.axis)


@register
class Cumprod(Op):
    """y_k = x_0 ... x_k; gx_k = x_0 ... x_(k-1) s_k with s_k = gy_k + x_(k+1) s_(k+1): no division, zeros allowed."""

    axis: Any
    keep = "x"
    label = "cumprod({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.moveaxis(running_products(xp, xp.copy(xp.moveaxis(x, self.axis, 0))), 0, self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, gy = xp.moveaxis(saved[0], self.axis, 0), xp.moveaxis(gy, self.axis, 0)
        if x.shape[0] < 2:
            return xp.moveaxis(gy, 0, self.axis)
        one = xp.ones_like(x[:1])
        before = xp.concatenate([one, running_products(xp, x)[:-1]], axis=0)
        later = _recurrence(xp, xp.concatenate([one, x[::-1][:-1]], axis=0), gy[::-1])[::-1]
        return xp.moveaxis(before * later, 0, self.axis)


def _recurrence(xp: Any, a: Any, b: Any) -> Any:
    """Return s with s_0 = b_0, s_k = b_k + a_k s_(k-1) along the first dimension, by doubling steps."""
    step = 1
    while step < b.shape[0]:
        b = xp.concatenate([b[:step], b[step:] + a[step:] * b[:-step]], axis=0)
        a = xp.concatenate([a[:step], a[step:] * a[:-step]], axis=0)
        step *= 2
    return b


def _running(cls: type[Op], input: Tensor, dim: int, dtype: Any) -> Tensor:
    axis = axis_of(dim, ndim_of(input, cls.name), cls.name)
    if dtype is not None or input._array.dtype.kind != "f":
        input = input.to(int64 if dtype is None else dtype)
    return apply(cls(axis), input) if input._array.ndim else input.clone()


@public("cumsum")
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the running sum along ``dim``; whole numbers add up in int64."""
    return _running(Cumsum, input, dim, dtype)


@public("cumprod")
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the running product along ``dim``; the derivative is right where elements are 0."""
    return _running(Cumprod, input, dim, dtype)
