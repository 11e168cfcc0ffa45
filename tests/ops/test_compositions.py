"""Functions composed of others, which have no row of their own: their values are NumPy's, their gradients pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy

X = np.random.default_rng(8).normal(size=(2, 3, 4))
VALUES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "frac": (gy.frac, lambda x: x - np.trunc(x)),
    "fix": (gy.fix, np.trunc),
    "movedim": (lambda x: gy.movedim(x, 0, 2), lambda x: np.moveaxis(x, 0, 2)),
    "movedim of two": (lambda x: x.movedim((0, 1), (1, 2)), lambda x: np.moveaxis(x, (0, 1), (1, 2))),
    "swapdims": (lambda x: gy.swapdims(x, 0, -1), lambda x: np.swapaxes(x, 0, -1)),
    "hstack": (lambda x: gy.hstack([x, x * 2]), lambda x: np.hstack([x, x * 2])),
    "vstack": (lambda x: gy.vstack([x, x * 2]), lambda x: np.vstack([x, x * 2])),
    "concat": (lambda x: gy.concat([x, x], dim=1), lambda x: np.concatenate([x, x], axis=1)),
    "repeat_interleave": (lambda x: gy.repeat_interleave(x, 2, dim=1), lambda x: np.repeat(x, 2, axis=1)),
    "repeat_interleave of all": (lambda x: x.repeat_interleave(3), lambda x: np.repeat(x, 3)),
    "true_divide": (lambda x: gy.true_divide(x, 3), lambda x: x / 3),
    "view_as": (lambda x: x.view_as(gy.zeros(4, 6)), lambda x: x.reshape(4, 6)),
    "reshape_as": (lambda x: x.reshape_as(gy.zeros(24)), lambda x: x.reshape(24)),
    "narrow": (lambda x: gy.narrow(x, 2, -3, 2), lambda x: x[..., 1:3]),
    "var_mean": (lambda x: gy.var_mean(x, 1)[0], lambda x: x.var(1, ddof=1)),
    "mean of var_mean": (lambda x: gy.var_mean(x, 1)[1], lambda x: x.mean(1)),
    "std_mean": (lambda x: gy.std_mean(x, (0, 2), correction=0)[0], lambda x: x.std((0, 2))),
    "mean of std_mean": (lambda x: gy.std_mean(x)[1], np.mean),
}


@pytest.mark.parametrize("name", VALUES)
def test_value_is_numpys_and_the_gradient_passes(name: str) -> None:
    ours, numpys = VALUES[name]
    x = gy.tensor(X, requires_grad=True)
    np.testing.assert_allclose(ours(x).detach().numpy(), numpys(X), rtol=1e-12, atol=1e-14)
    assert gy.autograd.gradcheck(ours, x)


def test_what_a_tensor_says_of_its_memory_and_makes_like_itself() -> None:
    x = gy.tensor(X)
    assert (x.element_size(), x.is_contiguous(), x.mT.is_contiguous()) == (8, True, False)
    assert (x.stride(), x.mT.stride()) == ((12, 4, 1), (12, 1, 4))
    for made, value in ((x.new_zeros(2), 0.0), (x.new_ones((2,)), 1.0)):
        assert made.dtype == gy.float64 and made.tolist() == [value] * 2
