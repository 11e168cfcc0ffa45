"""Rows of ``op_cases.py`` for operations that choose, multiply and rearrange."""

from __future__ import annotations

import numpy as np

import gyaku as gy
import op_reference as ref
from gyaku.backend.kernels import index_add as index_add_array
from gyaku.ops import linear
from gyaku.ops import namespace as _tensors
from op_case import Case, Refusal, Sample, at, exactly, mask, real, t, whole

INDEX = [
    Case(
        "slice",
        lambda x, key: x[key],
        lambda x, key: x[key],
        tuple(
            at(real(3, 4, 2), key=k)
            for k in (
                1,
                -1,
                (1, 2),
                (slice(1, None),),
                (slice(None), slice(1, None, 2)),
                (..., 0),
                None,
                (slice(None), None, 1),
                (2, 3, 1),
                ...,
            )
        ),
        view=True,
        errors=(
            Refusal(
                lambda: t(3, 4)[3],
                "index: expected positions inside shape (3, 4), got index 3 is out of bounds for axis 0 with size 3.",
            ),
        ),
    ),
    Case(
        "index",
        lambda x, *i, key: x[key(*i)],
        lambda x, *i, key: x[key(*i)],
        (
            at(real(4, 3), whole(4, 6), key=lambda i: i),
            at(real(4, 3), whole(4, 2, 2), key=lambda i: (i, slice(None))),
            at(real(2, 3, 4), whole(4, 5), key=lambda i: (slice(None), slice(1, None), i)),
            at(real(4, 4), whole(4, 3), whole(4, 3), key=lambda i, j: (i, j)),
            at(real(3, 4), mask(3, 4), key=lambda m: m),
            at(real(5, 2), mask(5), key=lambda m: (m, 1)),
            at(real(3, 4), whole(3, 0), key=lambda i: i),
        ),
        errors=(
            Refusal(
                lambda: t(3)[gy.Tensor(np.array([0, 3]))],
                "index: expected positions inside shape (3,), got index 3 is out of bounds for axis 0 with size 3.",
            ),
        ),
    ),
    Case(
        "index_add",
        lambda x, i: _tensors.tensor_namespace.index_add((4, 3), i, x),
        lambda x, i: index_add_array(np, (4, 3), i, x),
        (at(real(6, 3), exactly([0, 3, 3, 1, 0, 0])), at(real(0, 3), whole(4, 0))),
    ),
    Case(
        "gather",
        lambda x, i, dim: gy.gather(x, dim, i),
        ref.gather,
        (
            at(real(3, 4), whole(4, 3, 6), dim=1),
            at(real(3, 4), whole(3, 2, 4), dim=0),
            at(real(3, 4), whole(4, 2, 2), dim=-1),
            at(real(3, 4), whole(4, 0, 4), dim=1),
        ),
        errors=(
            Refusal(
                lambda: gy.gather(t(2, 3), 1, gy.Tensor(np.array([[3]]))),
                "gather: expected indices from 0 to 2, got 3.",
            ),
        ),
    ),
    Case(
        "spread",
        lambda x, i, dim: gy.scatter_add(gy.Tensor(np.zeros((3, 5), x._array.dtype)), dim, i, x),
        lambda x, i, dim: ref.scatter_add((3, 5), x, i, dim),
        (at(real(3, 4), whole(5, 3, 4), dim=1), at(real(2, 4), whole(3, 2, 4), dim=0)),
    ),
]


def _letters(equation: str, *shapes: tuple[int, ...]) -> Sample:
    return at(*[real(*s) for s in shapes], equation=equation)


LINALG = [
    Case(
        "matmul",
        gy.matmul,
        np.matmul,
        tuple(
            at(real(*a), real(*b))
            for a, b in (
                ((3, 4), (4, 2)),
                ((4,), (4,)),
                ((4,), (4, 2)),
                ((3, 4), (4,)),
                ((2, 3, 4), (4, 5)),
                ((2, 3, 4), (2, 4, 5)),
                ((3, 4), (2, 4, 5)),
                ((4,), (2, 4, 5)),
                ((2, 3, 4), (4,)),
                ((2, 1, 3, 4), (5, 4, 2)),
                ((0, 3), (3, 2)),
                ((2, 0), (0, 3)),
                ((29, 7), (7, 5)),
            )
        ),
        errors=(
            Refusal(
                lambda: t(3, 4) @ t(3, 4),
                "matmul (forward): expected inner sizes that agree: (..., N, K) @ (..., K, L), got (3, 4) and (3, 4). "
                "Hint: transpose the second: @ B.T.",
            ),
            Refusal(
                lambda: t(2) @ t(),
                "matmul (forward): expected inner sizes that agree: (..., N, K) @ (..., K, L), got (2,) and (). "
                "Hint: use * with numbers.",
            ),
        ),
    ),
    Case(
        "einsum",
        lambda *x, equation: gy.einsum(equation, *x),
        lambda *x, equation: np.einsum(equation, *x),
        (
            _letters("ij,jk->ik", (2, 3), (3, 4)),
            _letters("ij->ji", (2, 3)),
            _letters("ij->", (2, 3)),
            _letters("ij->i", (2, 3)),
            _letters("ii->i", (3, 3)),
            _letters("ii", (3, 3)),
            _letters("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
            _letters("i,j->ij", (2,), (3,)),
            _letters("...ij,...jk->...ik", (2, 3, 4), (4, 5)),
            _letters("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
            _letters("ij,jk->ik", (0, 3), (3, 4)),
        ),
        errors=(
            Refusal(lambda: gy.einsum("ij,jk->ik", t(2, 3)), "einsum: expected 2 operands for 'ij,jk->ik', got 1."),
        ),
    ),
    Case(
        "linear",
        linear.linear,
        lambda x, W, b=0.0: x @ W.T + b,
        (
            at(real(5, 3), real(2, 3), real(2)),
            at(real(5, 3), real(2, 3)),
            at(real(2, 5, 3), real(4, 3), real(4)),
            at(real(3), real(4, 3), real(4)),
            at(real(0, 3), real(4, 3), real(4)),
        ),
        errors=(
            Refusal(
                lambda: linear.linear(t(32, 28, 28), t(10, 784)),
                "linear (forward): expected x of shape (N, 784), got (32, 28, 28). Hint: x.flatten(1).",
            ),
        ),
    ),
    Case(
        "bilinear",
        linear.bilinear,
        lambda u, v, W, b=0.0: np.einsum("...i,kij,...j->...k", u, W, v) + b,
        (
            at(real(5, 3), real(5, 2), real(4, 3, 2), real(4)),
            at(real(5, 3), real(5, 2), real(4, 3, 2)),
            at(real(2, 5, 3), real(2, 5, 2), real(4, 3, 2), real(4)),
        ),
    ),
    Case(
        "embedding",
        lambda W, i, **k: linear.embedding(i, W, **k),
        lambda W, i, **k: W[i],
        (at(real(5, 4), whole(5, 2, 3)), at(real(5, 4), whole(5, 0))),
    ),
]

SHAPING = [
    Case(
        "reshape",
        lambda x, shape: gy.reshape(x, shape),
        lambda x, shape: np.reshape(x, shape),
        (
            at(real(3, 4), shape=(2, 6)),
            at(real(2, 3, 2), shape=(-1,)),
            at(real(), shape=(1, 1)),
            at(real(0, 3), shape=(3, 0)),
        ),
        view=True,
        errors=(
            Refusal(
                lambda: t(3, 4).reshape(5, 2),
                "reshape (forward): expected a shape of 12 elements instead of (5, 2), got (3, 4).",
            ),
        ),
    ),
    Case(
        "permute",
        lambda x, dims: gy.permute(x, dims),
        lambda x, dims: x.transpose(dims),
        (
            at(real(2, 3, 4), dims=(2, 0, 1)),
            at(real(3, 4), dims=(1, 0)),
            at(real(0, 3), dims=(1, 0)),
            at(real(), dims=()),
        ),
        view=True,
    ),
    Case(
        "expand",
        lambda x, shape: x.expand(shape),
        lambda x, shape: np.broadcast_to(x, shape),
        (
            at(real(1, 4), shape=(3, 4)),
            at(real(3, 1), shape=(2, 3, 4)),
            at(real(), shape=(2,)),
            at(real(0, 1), shape=(0, 3)),
        ),
        view=True,
    ),
    Case("clone", gy.clone, np.array, (at(real(3, 4)), at(real()), at(real(0, 3)))),
    Case("contiguous", lambda x: x.T.contiguous(), lambda x: x.T.copy(), (at(real(3, 4)), at(real(29, 5)))),
    Case(
        "concatenate",
        lambda *x, dim=0: gy.cat(x, dim),
        lambda *x, dim=0: np.concatenate(x, dim),
        (
            at(real(2, 3), real(1, 3)),
            at(real(2, 3), real(2, 1), real(2, 2), dim=1),
            at(real(2, 3), real(0, 3)),
            at(real(3, 2), real(3, 5), dim=-1),
        ),
        errors=(
            Refusal(
                lambda: gy.cat([t(2, 3), t(2, 4)]),
                "concatenate (forward): expected shapes that differ in dimension 0 only, got (2, 3) and (2, 4).",
            ),
        ),
    ),
    Case(
        "stack",
        lambda *x, dim=0: gy.stack(x, dim),
        lambda *x, dim=0: np.stack(x, dim),
        (
            at(real(2, 3), real(2, 3)),
            at(real(2, 3), real(2, 3), real(2, 3), dim=-1),
            at(real(), real()),
            at(real(0, 3), real(0, 3), dim=1),
        ),
        errors=(
            Refusal(
                lambda: gy.stack([t(2, 3), t(2, 4)]),
                "stack (forward): expected tensors of one shape, got (2, 3) and (2, 4).",
            ),
        ),
    ),
    Case(
        "split",
        lambda x, size, dim=0: gy.split(x, size, dim),
        lambda x, size, dim=0: np.split(
            x, np.cumsum(size)[:-1] if isinstance(size, list) else range(size, x.shape[dim], size), dim
        ),
        (at(real(5, 3), size=2), at(real(5, 3), size=[1, 4]), at(real(2, 3), size=2, dim=1), at(real(6), size=3)),
        view=True,
    ),
    Case(
        "unbind",
        lambda x, dim=0: gy.unbind(x, dim),
        lambda x, dim=0: list(np.moveaxis(x, dim, 0)),
        (at(real(3, 4)), at(real(3, 2), dim=1)),
        view=True,
    ),
    Case(
        "flip",
        lambda x, dims: gy.flip(x, dims),
        lambda x, dims: np.flip(x, dims),
        (at(real(3, 4), dims=(0,)), at(real(2, 3, 4), dims=(0, 2)), at(real(0, 3), dims=(1,))),
    ),
    Case(
        "roll",
        lambda x, shifts, dims: gy.roll(x, shifts, dims),
        lambda x, shifts, dims: np.roll(x, shifts, dims),
        (at(real(3, 4), shifts=1, dims=0), at(real(3, 4), shifts=(1, -2), dims=(0, 1))),
    ),
    Case(
        "tile",
        lambda x, times: x.repeat(*times),
        lambda x, times: np.tile(x, times),
        (at(real(2, 2), times=(2, 3)), at(real(3), times=(2, 1)), at(real(0, 3), times=(2, 2))),
    ),
    Case(
        "tril",
        gy.tril,
        lambda x, diagonal=0: np.tril(x, diagonal),
        (at(real(3, 4)), at(real(4, 3), diagonal=1), at(real(2, 3, 3), diagonal=-1), at(real(0, 3))),
    ),
    Case(
        "triu",
        gy.triu,
        lambda x, diagonal=0: np.triu(x, diagonal),
        (at(real(3, 4)), at(real(4, 3), diagonal=-1), at(real(2, 3, 3), diagonal=1)),
    ),
    Case(
        "diagonal",
        lambda x, offset=0: gy.diagonal(x, offset, -2, -1),
        lambda x, offset=0: np.diagonal(x, offset, -2, -1),
        (at(real(3, 4)), at(real(2, 3, 3), offset=1), at(real(4, 2), offset=-1)),
    ),
    Case(
        "diagflat",
        lambda x, diagonal=0: gy.diag(x, diagonal),
        lambda x, diagonal=0: np.diag(x, diagonal),
        (at(real(3)), at(real(3), diagonal=1), at(real(2), diagonal=-2)),
    ),
]
