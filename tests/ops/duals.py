"""Forward mode with dual numbers: an independent way to the derivative, for the tests alone.

``Dual(value, slope)`` carries a value and its derivative by one direction. Every rule below is written anew from
calculus, forwards; nothing is taken from the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Dual:
    """A value and the rate at which it changes."""

    def __init__(self, v: Any, d: Any) -> None:
        self.v, self.d = np.asarray(v, dtype=np.float64), np.asarray(d, dtype=np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.v.shape


def _sum_to(d: Any, shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(d, shape)


def add(a: Dual, b: Dual) -> Dual:
    v = a.v + b.v
    return Dual(v, _sum_to(a.d, v.shape) + _sum_to(b.d, v.shape))


def sub(a: Dual, b: Dual) -> Dual:
    v = a.v - b.v
    return Dual(v, _sum_to(a.d, v.shape) - _sum_to(b.d, v.shape))


def mul(a: Dual, b: Dual) -> Dual:
    return Dual(a.v * b.v, a.d * b.v + a.v * b.d)


def div(a: Dual, b: Dual) -> Dual:
    return Dual(a.v / b.v, (a.d * b.v - a.v * b.d) / b.v**2)


def maximum(a: Dual, b: Dual) -> Dual:
    return Dual(np.maximum(a.v, b.v), np.where(a.v > b.v, a.d, b.d))


def minimum(a: Dual, b: Dual) -> Dual:
    return Dual(np.minimum(a.v, b.v), np.where(a.v < b.v, a.d, b.d))


def matmul(a: Dual, b: Dual) -> Dual:
    return Dual(a.v @ b.v, a.d @ b.v + a.v @ b.d)


def elementwise(value: Callable[[Any], Any], derivative: Callable[[Any], Any]) -> Callable[[Dual], Dual]:
    return lambda a: Dual(value(a.v), derivative(a.v) * a.d)


neg = elementwise(lambda x: -x, lambda x: -np.ones_like(x))
exp = elementwise(np.exp, np.exp)
log = elementwise(np.log, lambda x: 1 / x)
sqrt = elementwise(np.sqrt, lambda x: 0.5 * x**-0.5)
tanh = elementwise(np.tanh, lambda x: np.cosh(x) ** -2)
sin = elementwise(np.sin, np.cos)
cos = elementwise(np.cos, lambda x: -np.sin(x))
sigmoid = elementwise(lambda x: 1 / (1 + np.exp(-x)), lambda x: 0.25 * np.cosh(x / 2) ** -2)
relu = elementwise(lambda x: np.where(x > 0, x, 0), lambda x: np.where(x > 0, 1.0, 0.0))
square = elementwise(lambda x: x**2, lambda x: 2 * x)
absolute = elementwise(np.abs, np.sign)
log1p = elementwise(np.log1p, lambda x: 1 / (1 + x))
expm1 = elementwise(np.expm1, np.exp)


def both(change: Callable[[Any], Any]) -> Callable[[Dual], Dual]:
    """Return a linear function, which does to the slope what it does to the value."""
    return lambda a: Dual(change(a.v), change(a.d))


def logsumexp(a: Dual, axis: int) -> Dual:
    e = np.exp(a.v)
    return Dual(np.log(e.sum(axis)), (e * a.d).sum(axis) / e.sum(axis))


def softmax(a: Dual, axis: int) -> Dual:
    e = np.exp(a.v)
    p = e / e.sum(axis, keepdims=True)
    return Dual(p, p * (a.d - (p * a.d).sum(axis, keepdims=True)))


def amax(a: Dual, axis: int) -> Dual:
    place = np.expand_dims(a.v.argmax(axis), axis)
    return Dual(a.v.max(axis), np.take_along_axis(a.d, place, axis).squeeze(axis))


def variance(a: Dual, axis: int) -> Dual:
    c, n = a.v - a.v.mean(axis, keepdims=True), a.v.shape[axis]
    return Dual((c**2).sum(axis) / (n - 1), (2 * c * a.d).sum(axis) / (n - 1))


def product(a: Dual, axis: int) -> Dual:
    return Dual(a.v.prod(axis), (a.v.prod(axis, keepdims=True) / a.v * a.d).sum(axis))
