"""Networks for pictures, explained: what a convolution hands back, in words and numbers; FLOPs; blocks and skips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
import gyaku.nn.functional as F
from gyaku.explain.formula_read import evaluate
from gyaku.explain.summary import summary

RNG = np.random.default_rng(4)


def leaf(*shape: int) -> Any:
    return gy.tensor(RNG.normal(size=shape)).requires_grad_()


def claims(d: Any) -> int:
    """Evaluate every formula of a derivation against the value it claims; return how many there were."""
    found = 0
    for equation in d.equations:
        for right in equation.rights:
            if right.expr is not None:
                np.testing.assert_allclose(evaluate(right.expr, right.values), equation.value, rtol=1e-9, atol=1e-12)
                found += 1
    return found


def test_the_derivation_says_both_gradients_in_words_of_convolutions() -> None:
    x, w, b = leaf(2, 2, 4, 5), leaf(3, 2, 3, 2), leaf(3)
    u = F.conv2d(x, w, b, stride=(1, 2), padding=1)
    E = (u.tanh() ** 2).sum()
    d = gy.explain(E, names={"x": x, "w": w, "b": b, "u": u}).derivation(lang="en")
    text = " ".join(str(d).split())
    assert "∂E/∂w = corr(x, ∂E/∂u)" in text and "∂E/∂x = convT(∂E/∂u, w)" in text
    assert "each element of the kernel gets what it met times what came back there" in text
    assert "∂E/∂w[l, c, k] = Σ x[n, c, o s + k d - p] · ∂E/∂u[n, l, o] (s = (1, 2), p = 1, d = 1)" in text
    assert claims(d) >= 6
    E = (F.conv2d(x, w, b) ** 2).sum()
    assert "with u1 = conv(x, w) + b, u2 = u1²" in str(gy.explain(E).derivation(lang="en"))


def test_a_transposed_convolution_goes_back_by_the_convolution_itself() -> None:
    x, w = leaf(1, 2, 3, 3), leaf(2, 1, 2, 2)
    u = F.conv_transpose2d(x, w, stride=2)
    E = (u**2).sum()
    d = gy.explain(E, names={"x": x, "w": w, "u": u}).derivation(lang="en")
    text = " ".join(str(d).split())
    assert "∂E/∂x = conv(∂E/∂u, w)" in text and "∂E/∂w = corr(∂E/∂u, x)" in text and claims(d) >= 3


def test_one_element_of_a_small_kernel_with_its_numbers() -> None:
    x = gy.tensor(np.arange(9.0).reshape(1, 1, 3, 3))
    w = gy.tensor([[[[1.0, 0.0], [0.0, -1.0]]]], dtype=gy.float64).requires_grad_()
    E = (F.conv2d(x, w) ** 2).sum()
    text = str(gy.explain(E, names={"x": x, "w": w}).derivation("w", lang="en"))
    assert "∂E/∂w[1, 1, 1, 1] = 0 · (-8) + 1 · (-8) + 3 · (-8) + 4 · (-8) = -64" in text
    japanese = str(gy.explain(E, names={"x": x, "w": w}).derivation("w", lang="ja"))
    assert "カーネルの各要素" in japanese


FLOPS = [  # layer, input, FLOPs by hand
    (nn.Conv2d(3, 4, 3, padding=1), (2, 3, 5, 6), 2 * 4 * 30 * (2 * 27 + 1)),
    (nn.Conv2d(4, 6, 3, groups=2, bias=False), (1, 4, 5, 6), 6 * 12 * 2 * 18),
    (nn.Conv1d(2, 3, 4), (1, 2, 9), 3 * 6 * (2 * 8 + 1)),
    (nn.ConvTranspose2d(3, 2, 2, 2), (1, 3, 4, 5), 2 * 60 * 2 * 4 + 2 * 80),
    (nn.MaxPool2d(2), (1, 3, 4, 6), 3 * 2 * 3 * 4),
    (nn.AvgPool2d(2), (1, 3, 4, 6), 3 * 2 * 3 * 4 + 3 * 2 * 3),
    (nn.Upsample(scale_factor=2), (1, 3, 4, 6), 4 * 72),
]


@pytest.mark.parametrize(("layer", "shape", "flops"), FLOPS, ids=lambda v: type(v).__name__)
def test_the_summary_counts_the_flops(layer: Any, shape: tuple[int, ...], flops: int) -> None:
    assert f"{flops:,} FLOPs forward" in str(summary(layer, gy.ones(*shape), lang="en"))


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Any) -> Any:
        return (x + self.norm(self.conv(x))).relu()


def test_blocks_are_drawn_with_their_skips() -> None:
    gy.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), Block(2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2))
    E = F.cross_entropy(model(gy.ones(2, 1, 6, 6)), gy.tensor([0, 1]))
    drawn = gy.explain(E)
    text = drawn.svg()
    for label in ("Block", "Conv2d", "BatchNorm2d", "maxpool", "Linear"):
        assert label in text
    added = next(item for item in drawn.items if item.kind == "op" and item.op.name == "add")
    sources = [drawn.unfolded().find(a.source) for a in added.arrows]
    assert len(sources) == 2  # the block's input, past the convolution, and what came through it
    assert "conv" in drawn.dot() and "\\operatorname{conv}" in drawn.derivation().latex()
