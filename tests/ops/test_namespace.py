"""Every name of the vocabulary, read with tensors: NumPy's answer, and a derivative where there is one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.backend.convolution import Geometry
from gyaku.backend.namespace import VOCABULARY, numpy_namespace
from gyaku.core.backward import gradients_of
from gyaku.core.tensor import Tensor
from gyaku.ops.namespace import tensor_namespace

rng = np.random.default_rng(3)
A = rng.uniform(0.3, 0.9, size=(3, 4))
B = rng.uniform(-0.9, -0.3, size=(4,))
S = (rng.permutation(12).reshape(3, 4) - 6) * 0.13 + 0.05  # no ties, nothing near a whole number
COLUMN = np.array([[2], [0], [3]])
X, W, Y = (rng.normal(size=s) for s in ((2, 2, 4, 5), (3, 2, 2, 3), (2, 3, 2, 5)))
WALK = Geometry(stride=(2, 1), padding=((0, 1), (1, 1)), dilation=(1, 1))
Call = Callable[..., Any]


def each(names: str, *arrays: np.ndarray) -> dict[str, tuple[Call, tuple[np.ndarray, ...]]]:
    """Return calls of functions that take only arrays."""
    return {name: (lambda xp, *x, n=name: getattr(xp, n)(*x), arrays) for name in names.split()}


SMOOTH: dict[str, tuple[Call, tuple[np.ndarray, ...]]] = {
    **each("abs exp expm1 sin cos tan tanh sinh cosh arcsin arccos arctan erf copy contiguous", S),
    **each("log log1p log2 log10 sqrt", A),
    **each("maximum minimum", S, A),
    **each("outer", B, B),
    **each("matmul", A, B),
    **each("float_power", A, B),
    **each("remainder", S, B),
    "where": (lambda xp, a, b: xp.where(a > 0.5, a, b), (A, B)),
    "where, a number": (lambda xp, a: xp.where(a > 0.5, a, 0), (A,)),
    "sum": (lambda xp, a: xp.sum(a, axis=(0,), keepdims=True), (A,)),
    "sum of all": (lambda xp, a: xp.sum(a), (A,)),
    "sum of nothing": (lambda xp, a: xp.sum(a, axis=()), (A,)),
    "prod": (lambda xp, a: xp.prod(a, axis=1), (A,)),
    "prod of all": (lambda xp, a: xp.prod(a, axis=None, keepdims=True), (A,)),
    "prod of two": (lambda xp, a: xp.prod(a, axis=(0, 1)), (A,)),
    "amax": (lambda xp, a: xp.amax(a, axis=-1, keepdims=True), (S,)),
    "amin": (lambda xp, a: xp.amin(a, axis=None), (S,)),
    "cumsum": (lambda xp, a: xp.cumsum(a, axis=1), (A,)),
    "sort": (lambda xp, a: xp.sort(a, axis=0), (S,)),
    "reshape": (lambda xp, a: xp.reshape(a, (2, -1)), (A,)),
    "transpose": (lambda xp, a: xp.transpose(a), (A,)),
    "transpose, in order": (lambda xp, a: xp.transpose(a, (1, 0)), (A,)),
    "swapaxes": (lambda xp, a: xp.swapaxes(a, -1, -2), (A,)),
    "moveaxis": (lambda xp, a: xp.moveaxis(a, 0, -1), (A,)),
    "expand_dims": (lambda xp, a: xp.expand_dims(a, -1), (A,)),
    "expand_dims, two": (lambda xp, a: xp.expand_dims(a, (0, -1)), (A,)),
    "squeeze": (lambda xp, a: xp.squeeze(xp.expand_dims(a, 1), axis=1), (A,)),
    "broadcast_to": (lambda xp, b: xp.broadcast_to(b, (3, 4)), (B,)),
    "concatenate": (lambda xp, a, b: xp.concatenate([a, b], axis=0), (A, S)),
    "concatenate, last": (lambda xp, a, b: xp.concatenate((a, b), axis=-1), (A, S)),
    "stack": (lambda xp, a, b: xp.stack((a, b), axis=1), (A, S)),
    "flip": (lambda xp, a: xp.flip(a, axis=1), (A,)),
    "flip all": (lambda xp, a: xp.flip(a), (A,)),
    "roll": (lambda xp, a: xp.roll(a, 1, axis=0), (A,)),
    "tril": (lambda xp, a: xp.tril(a, 1), (A,)),
    "triu": (lambda xp, a: xp.triu(a, k=-1), (A,)),
    "tile": (lambda xp, a: xp.tile(a, (2, 1)), (A,)),
    "einsum": (lambda xp, a, b: xp.einsum("ij,j->i", a, b), (A, B)),
    "tensordot": (lambda xp, a, b: xp.tensordot(a, b, axes=([1], [0])), (A, B)),
    "take": (lambda xp, a: xp.take(a, np.array([2, 0, 2]), axis=0), (A,)),
    "take_along_axis": (lambda xp, a: xp.take_along_axis(a, wrapped(xp, COLUMN), axis=1), (A,)),
    "index_add": (lambda xp, b: xp.index_add((5,), wrapped(xp, np.array([0, 2, 2, 4])), b), (B,)),
    "index_add, a slice": (lambda xp, b: xp.index_add((3, 4), (1, slice(None)), b), (B,)),
    "scatter_add": (lambda xp, a: xp.scatter_add((3, 4), wrapped(xp, COLUMN), a[:, :1], 1), (A,)),
    "windows": (lambda xp, x: xp.windows(x, (2, 3), WALK), (X,)),
    "fold": (lambda xp, x: xp.fold(xp.windows(x, (2, 3), WALK), (4, 5), WALK), (X,)),
    "conv": (lambda xp, x, w: xp.conv(x, w, WALK), (X, W)),
    "conv_input": (lambda xp, g, w: xp.conv_input(g, w, WALK, (4, 5)), (Y, W)),
    "conv_weight": (lambda xp, x, g: xp.conv_weight(x, g, WALK, (2, 3)), (X, Y)),
    "astype": (lambda xp, a: xp.astype(a, np.float64), (A,)),
}
CONSTANT: dict[str, tuple[Call, tuple[np.ndarray, ...]]] = {
    **each("sign floor ceil trunc rint isnan isfinite isinf logical_not any all argmax argmin argsort", S),
    **each("logical_and logical_or logical_xor equal floor_divide", S, B),
    **each("zeros_like ones_like", S),
    "any along": (lambda xp, a: xp.any(a > 0.8, axis=0, keepdims=True), (A,)),
    "argmax along": (lambda xp, a: xp.argmax(a, axis=1), (S,)),
    "full_like": (lambda xp, a: xp.full_like(a, 2.5), (S,)),
    "zeros": (lambda xp, a: xp.zeros((2, 3), dtype=a.dtype), (S,)),
    "ones": (lambda xp, a: xp.ones((2, 3), dtype=a.dtype), (S,)),
    "full": (lambda xp, a: xp.full((2, 3), 1.5, dtype=a.dtype), (S,)),
    "empty": (lambda xp, a: xp.empty((0, 3), dtype=a.dtype), (S,)),
    "arange": (lambda xp, a: xp.arange(2, 9, 2), (S,)),
    "eye": (lambda xp, a: xp.eye(3), (S,)),
    "linspace": (lambda xp, a: xp.linspace(0, 1, 5), (S,)),
}


def wrapped(xp: Any, index: np.ndarray) -> Any:
    """Return an index as the formula would have it."""
    return index if xp is numpy_namespace else Tensor(index)


def rows(table: dict[str, tuple[Call, tuple[np.ndarray, ...]]]) -> Any:
    return [pytest.param(*row, id=name) for name, row in table.items()]


def test_every_name_has_a_row() -> None:
    tested = {name.partition(",")[0].partition(" ")[0] for name in (*SMOOTH, *CONSTANT)}
    assert tested == set(VOCABULARY)


def test_a_name_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(AttributeError, match="not in the vocabulary"):
        tensor_namespace.median  # noqa: B018


@pytest.mark.parametrize(("call", "arrays"), rows(SMOOTH | CONSTANT))
def test_value_is_numpys(call: Call, arrays: tuple[np.ndarray, ...]) -> None:
    found = call(tensor_namespace, *[Tensor(a) for a in arrays])
    expected = np.asarray(call(numpy_namespace, *arrays))
    assert isinstance(found, Tensor)
    assert found._array.dtype == expected.dtype
    np.testing.assert_allclose(found._array, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("call", "arrays"), rows(SMOOTH))
def test_derivative_by_central_differences(call: Call, arrays: tuple[np.ndarray, ...]) -> None:
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    y = call(tensor_namespace, *leaves)
    gy_ = np.random.default_rng(5).normal(size=y.shape)
    gradients = gradients_of([y], leaves, [gy_], False, False)
    step = 1e-6
    for i, gradient in enumerate(gradients):
        direction = np.random.default_rng(6).normal(size=arrays[i].shape)
        ends = []
        for sign in (1, -1):
            moved = [a + sign * step * direction if k == i else a for k, a in enumerate(arrays)]
            ends.append(np.sum(gy_ * call(numpy_namespace, *moved)))
        assert np.sum(gradient * direction) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(("call", "arrays"), rows(CONSTANT))
def test_the_others_send_no_gradient(call: Call, arrays: tuple[np.ndarray, ...]) -> None:
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    y = call(tensor_namespace, *leaves)
    if y.requires_grad:  # a step function: recorded, and 0
        for g in gradients_of([y], leaves, [np.ones(y.shape)], False, False):
            assert not np.any(g)


def test_a_type_can_be_named_as_ours() -> None:
    assert tensor_namespace.zeros((2,), dtype=gy.float32).dtype is gy.float32
    assert tensor_namespace.astype(Tensor(A), gy.float32).dtype is gy.float32


def test_erf_is_right_to_the_last_bits() -> None:
    x = np.concatenate([np.linspace(-7, 7, 4001), 10.0 ** np.linspace(-300, 0, 301), [0.84375, 1.25, 1 / 0.35, 6.0]])
    expected = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(numpy_namespace.erf(x), expected, rtol=3e-16, atol=0)
    np.testing.assert_array_equal(numpy_namespace.erf(np.array([np.nan, np.inf, -np.inf])), [np.nan, 1, -1])
    assert numpy_namespace.erf(np.float32(0.5)).dtype == np.float32
