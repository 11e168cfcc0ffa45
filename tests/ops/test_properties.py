"""Shapes by hypothesis: whatever NumPy gives for broadcasting, reductions, indexing and moving axes, we give."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
from hypothesis import given

import gyaku as gy
from gradient_check import leaf

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
FULL = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


def numbers(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def same(t: Any, a: Any) -> None:
    a = np.asarray(a)
    assert tuple(t.shape) == a.shape
    np.testing.assert_allclose(t.detach().numpy(), a, rtol=1e-12, atol=1e-12)


def counted(t: Any, x: Any, expected: Any) -> None:
    """The gradient of the weighted sum of a linear ``t`` is what NumPy's adjoint says."""
    same(gy.autograd.grad(t, x, gy.ones_like(t))[0], expected)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3))
def test_broadcasting(shapes: Any) -> None:
    a, b = (numbers(s, i) for i, s in enumerate(shapes.input_shapes))
    x, y = leaf(a), leaf(b)
    same(x * y, a * b)
    w = numbers(shapes.result_shape, 2)
    gx, gy_ = gy.autograd.grad(x * y, (x, y), gy.Tensor(w))
    assert gx.shape == a.shape and gy_.shape == b.shape
    assert np.isclose((gx.numpy() * a).sum(), (w * a * b).sum()) and np.isclose(
        (gy_.numpy() * b).sum(), (w * a * b).sum()
    )


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3))
def test_broadcast_to_and_expand(shapes: Any) -> None:
    a = numbers(shapes.input_shapes[0])
    x = leaf(a)
    same(x.expand(*shapes.result_shape) if shapes.result_shape else x, np.broadcast_to(a, shapes.result_shape))


@st.composite
def reductions(draw: Any, shapes: Any = FULL) -> Any:
    shape = draw(shapes)
    axes = draw(
        st.one_of(
            st.none(),
            st.integers(-len(shape), len(shape) - 1),
            st.sets(st.integers(0, len(shape) - 1), min_size=1).map(lambda s: tuple(sorted(s))),
        )
    )
    return shape, axes, draw(st.booleans())


@given(reductions())
def test_reductions(drawn: Any) -> None:
    shape, dim, keep = drawn
    a = numbers(shape)
    x = leaf(a)
    given_dim: dict[str, Any] = {} if dim is None and not keep else {"dim": dim, "keepdim": keep}
    same(x.sum(**given_dim), a.sum(dim, keepdims=keep))
    same(x.mean(**given_dim), a.mean(dim, keepdims=keep))
    same(x.amax(**({} if dim is None else {"dim": dim}), keepdim=keep), a.max(dim, keepdims=keep))
    same(x.amin(**({} if dim is None else {"dim": dim}), keepdim=keep), a.min(dim, keepdims=keep))
    same(
        gy.logsumexp(x, dim if dim is not None else tuple(range(a.ndim)), keep),
        np.log(np.exp(a).sum(dim, keepdims=keep)),
    )
    counted(x.sum(**given_dim), x, np.ones(shape))
    count = a.size / max(a.sum(dim, keepdims=True).size, 1)
    counted(x.mean(**given_dim), x, np.full(shape, 1 / count))
    if count > 1:
        same(x.var(**given_dim), a.var(dim, ddof=1, keepdims=keep))
        same(x.std(**given_dim), a.std(dim, ddof=1, keepdims=keep))


@given(st.data(), FULL)
def test_places_and_truth_along_one_dimension(data: Any, shape: tuple[int, ...]) -> None:
    a, dim = numbers(shape), data.draw(st.integers(-len(shape), len(shape) - 1))
    x, keep = leaf(a), data.draw(st.booleans())
    same(x.argmax(dim, keepdim=keep), a.argmax(dim, keepdims=keep))
    same(x.argmin(dim, keepdim=keep), a.argmin(dim, keepdims=keep))
    same(x.max(dim, keepdim=keep)[0], a.max(dim, keepdims=keep))
    same(x.prod(dim, keepdim=keep), a.prod(dim, keepdims=keep))
    same((x > 0).any(dim, keepdim=keep), (a > 0).any(dim, keepdims=keep))
    same((x > 0).all(dim, keepdim=keep), (a > 0).all(dim, keepdims=keep))
    same(x.cumsum(dim), a.cumsum(dim))
    same(x.sort(dim)[0], np.sort(a, dim))
    same(x.argsort(dim) if hasattr(x, "argsort") else x.sort(dim)[1], np.argsort(a, dim, kind="stable"))


@st.composite
def indexed(draw: Any) -> Any:
    """Draw a shape and an index of ints, slices, None and ellipsis, perhaps with one integer array or a mask."""
    shape = draw(FULL)
    key = draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    if draw(st.booleans()):
        axis = draw(st.integers(0, len(shape) - 1))
        n = shape[axis]
        rows = draw(st.lists(st.integers(-n, n - 1), min_size=0, max_size=5))
        key = (slice(None),) * axis + (np.array(rows, dtype=np.int64),)
    return shape, key


@given(indexed())
def test_indexing_and_its_adjoint(drawn: Any) -> None:
    shape, key = drawn
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(p, slice) and p.step is not None and p.step < 0 for p in parts):
        return  # PyTorch has no backward slices, and neither have we
    a = numbers(shape)
    x = leaf(a)
    same(x[key], a[key])
    expected = np.zeros(shape)
    np.add.at(expected, key, 1.0)
    counted(x[key], x, expected)


@given(indexed(), st.integers(0, 3))
def test_writing_through_an_index(drawn: Any, seed: int) -> None:
    shape, key = drawn
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(p, slice) and p.step is not None and p.step < 0 for p in parts):
        return
    a = numbers(shape)
    x = gy.Tensor(a.copy())
    x[key] = 7.0
    a[key] = 7.0
    same(x, a)


@given(FULL, st.integers(0, 5))
def test_indexing_with_a_mask(shape: tuple[int, ...], seed: int) -> None:
    a = numbers(shape)
    m = np.random.default_rng(seed).random(shape) < 0.5
    x = leaf(a)
    same(x[gy.Tensor(m)], a[m])
    counted(x[gy.Tensor(m)], x, m.astype(float))


@given(st.data(), SHAPES)
def test_permute_and_back(data: Any, shape: tuple[int, ...]) -> None:
    a = numbers(shape)
    x = leaf(a)
    order = data.draw(st.permutations(range(len(shape))))
    same(x.permute(*order), a.transpose(order))
    same(x.permute(*order).permute(*np.argsort(order)), a) if shape else None
    w = numbers(a.transpose(order).shape, 3)
    same(gy.autograd.grad(x.permute(*order), x, gy.Tensor(w))[0], w.transpose(np.argsort(order)) if shape else w)


@given(st.data(), SHAPES)
def test_reshape_and_back(data: Any, shape: tuple[int, ...]) -> None:
    a = numbers(shape)
    x = leaf(a)
    flat = x.reshape(-1) if a.size else x.reshape(0)
    same(flat, a.reshape(-1))
    same(flat.reshape(shape), a)
    if shape:
        start = data.draw(st.integers(0, len(shape) - 1))
        merged = (*shape[:start], int(np.prod(shape[start:], dtype=int)))
        same(x.flatten(start), a.reshape(merged))
        same(x.flatten(start).unflatten(start, shape[start:]), a) if a.size else None


@given(st.data(), FULL)
def test_squeeze_and_unsqueeze(data: Any, shape: tuple[int, ...]) -> None:
    a = numbers(shape)
    x = leaf(a)
    dim = data.draw(st.integers(-len(shape) - 1, len(shape)))
    same(x.unsqueeze(dim), np.expand_dims(a, dim))
    same(x.unsqueeze(dim).squeeze(dim), a)
    same(x.squeeze(), a.squeeze())


@given(st.data(), FULL, st.integers(1, 4))
def test_split_and_cat_undo_each_other(data: Any, shape: tuple[int, ...], size: int) -> None:
    a = numbers(shape)
    x = leaf(a)
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = gy.split(x, size, dim)
    assert [p.shape[dim] for p in parts] == [min(size, shape[dim] - k) for k in range(0, shape[dim], size)]
    same(gy.cat(parts, dim), a)
    counted(gy.cat(parts, dim), x, np.ones(shape))
    same(gy.cat(gy.chunk(x, size, dim), dim), a)
    same(gy.stack([x, 2 * x], dim), np.stack([a, 2 * a], dim if dim >= 0 else dim))


@given(st.data())
def test_matmul_shapes(data: Any) -> None:
    drawn = data.draw(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3))
    a, b = (numbers(s, i) for i, s in enumerate(drawn.input_shapes))
    x, y = leaf(a), leaf(b)
    same(x @ y, a @ b)
    w = numbers((a @ b).shape, 2)
    gx, gb = gy.autograd.grad(x @ y, (x, y), gy.Tensor(w))
    assert gx.shape == a.shape and gb.shape == b.shape
    assert np.isclose((gx.numpy() * a).sum(), (w * (a @ b)).sum()) and np.isclose(
        (gb.numpy() * b).sum(), (w * (a @ b)).sum()
    )


@given(st.data(), FULL)
def test_gather_is_take_along_axis(data: Any, shape: tuple[int, ...]) -> None:
    a = numbers(shape)
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    index = np.random.default_rng(1).integers(0, shape[dim], size=shape)
    x = leaf(a)
    same(gy.gather(x, dim, gy.Tensor(index)), np.take_along_axis(a, index, dim))
    expected = np.zeros(shape)
    grid = list(np.indices(shape))
    grid[dim] = index
    np.add.at(expected, tuple(grid), 1.0)
    counted(gy.gather(x, dim, gy.Tensor(index)), x, expected)
    same(gy.scatter_add(gy.zeros_like(x), dim, gy.Tensor(index), gy.ones_like(x)), expected)
