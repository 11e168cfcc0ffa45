"""Residual nets and U-Net (10.3, 10.4): the experiments at a tiny level, and claims that can fail."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from figures.quick import assert_draws_in_both_languages, assert_finite_with_claims, outcome
from gyaku import nn
from gyaku.figures import residual_block, residual_depth, thousand_layers, training, unet_skips
from gyaku.models.resnet import Block, ResNet

pytest.importorskip("matplotlib_fontja")
pytest.importorskip("threadpoolctl")  # here, not inside a test: its import sets an environment variable

CLAIMS = {"residual_block": 3, "residual_depth": 4, "thousand_layers": 3, "unet_skips": 3}
TINY: dict[str, Any] = {"residual_depth": ((8, 14), 2, 2), "thousand_layers": (26, 2, 1, 3), "unet_skips": (100, 1, 2)}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the quick level be one that takes a second."""
    monkeypatch.delenv("GYAKU_DATA", raising=False)
    for name, level in TINY.items():
        monkeypatch.setitem(importlib.import_module(f"gyaku.figures.{name}").LEVELS, "quick", level)
    monkeypatch.setattr(residual_depth, "BATCH", 400)


@pytest.mark.parametrize("name", CLAIMS)
def test_runs_with_finite_numbers_and_two_sided_claims(name: str) -> None:
    assert_finite_with_claims(name, CLAIMS[name])


@pytest.mark.parametrize("name", CLAIMS)
def test_draws_in_both_languages(name: str) -> None:
    assert_draws_in_both_languages(name)


def test_block_by_hand_is_the_library() -> None:
    assert all(c.held for c in outcome("residual_block").claims)


def test_block_notices_a_wrong_gradient_and_a_skip_that_scales() -> None:
    data = copy.deepcopy(outcome("residual_block").data)
    data["wider"]["gradients"]["W1"][0] = 1e-9
    data["gradients"]["s"] = data["gradients"]["s"] * 1.001
    assert [c.held for c in residual_block.claims(data)] == [False, True, False]


def test_block_compare_sees_what_the_library_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library whose skip handed back twice the gradient would be found out, by x's gradient and by nothing else."""
    exact = residual_block.compare("equal", 0)

    def doubled(block: Any, x: Any) -> Any:
        return x * 2 - x.detach()

    monkeypatch.setattr(Block, "shortcut", doubled)
    wrong = residual_block.compare("equal", 0)["gradients"]
    assert max(exact["gradients"].values()) < 1e-12
    assert wrong["x"] > 1e-3
    assert max(value for name, value in wrong.items() if name != "x") < 1e-12


@pytest.mark.parametrize("stride", [1, 2])
def test_the_maps_by_hand_are_adjoint(stride: int) -> None:
    rng = np.random.default_rng(stride)
    x, W, g = rng.normal(size=(2, 3, 6, 8)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=(2, 4, 6, 8))
    g = g[:, :, ::stride, ::stride]
    y = residual_block.conv(x, W, stride)
    np.testing.assert_allclose(y, nn.functional.conv2d(gy.tensor(x), gy.tensor(W), None, stride, 1).numpy(), atol=1e-12)
    inner = (y * g).sum()
    assert (x * residual_block.conv_input(g, W, stride, x.shape)).sum() == pytest.approx(inner, rel=1e-12)
    assert (W * residual_block.conv_weight(x, g, stride)).sum() == pytest.approx(inner, rel=1e-12)
    cut, wide = residual_block.shortcut(x, 5, stride), rng.normal(size=(2, 5, *g.shape[2:]))
    back = residual_block.shortcut_back(wide, stride, x.shape)
    assert (cut * wide).sum() == pytest.approx((x * back).sum(), rel=1e-12)


def test_depth_has_every_layer_and_its_claims_follow_the_numbers() -> None:
    data = dict(outcome("residual_depth").data)
    each = data["plain"]["14"]
    assert each["delta"].shape == (2, 13) and each["loss"].shape == (
        2,
        6,
    )  # 13 convolutions, 2 epochs of 3 mini-batches
    good = {**each, "test": np.array([0.9, 0.91]), "train": np.array([0.95, 0.96]), "delta": np.ones((2, 13))}
    bad = {**good, "test": np.array([0.1, 0.12]), "train": np.array([0.1, 0.13]), "delta": good["delta"].copy()}
    bad["delta"][:, 0] = 1e4
    lecture = {**data, "residual": {"8": good, "14": good}, "plain": {"8": good, "14": bad}}
    assert [c.held for c in residual_depth.claims(lecture)] == [True] * 4
    swapped = {**data, "residual": {"8": good, "14": bad}, "plain": {"8": good, "14": good}}
    assert [c.held for c in residual_depth.claims(swapped)] == [False] * 4


def test_delta_of_convolutions_is_what_autograd_gives() -> None:
    x, t = thousand_layers.digits(6)
    net = ResNet((1, 8, 8), 10, depth=8, width=2, seed=3).double()
    found = training.deltas(net, (x, t))
    assert [d.shape for d in found] == [(6, 2, 8, 8)] * 3 + [(6, 4, 4, 4)] * 2 + [(6, 8, 2, 2)] * 2 + [(6, 10)]
    bias = found[-1].sum(axis=0)  # the gradient of the last bias is the sum of the last δ
    np.testing.assert_allclose(bias, net.output.bias.grad.numpy(), atol=1e-12)


def test_a_thousand_layers_starts_as_the_identity() -> None:
    found = thousand_layers.one_pass(26, "identity", 0)
    first = found["gradients"][:4]  # the first stage: F = 0 and the same shape, so the very same gradient
    assert (first == first[0]).all() and (found["values"][:4] == found["values"][0]).all()
    plain = thousand_layers.one_pass(26, "plain", 0)
    assert (plain["gradients"][:4] != plain["gradients"][0]).any()


def test_a_thousand_layers_claims_can_fail() -> None:
    data = copy.deepcopy(outcome("thousand_layers").data)
    data["plain"]["gradients"][:, 0] = 1e60
    data["loss"] = {"identity": np.full((1, 8), 1.5), "plain": np.full((1, 8), 2.4)}
    assert [c.held for c in thousand_layers.claims(data)] == [True, True, True]
    data["plain"]["gradients"][:, 0] = 1.0
    data["plain"]["values"][:, -1] = 1e9
    data["loss"]["plain"] = np.full((1, 8), 1.4)
    assert [c.held for c in thousand_layers.claims(data)] == [False, False, False]


def test_unet_claims_follow_the_numbers() -> None:
    data = dict(outcome("unet_skips").data)
    assert data["skips"]["iou"].shape == (2, 11) and data["skips"]["answers"].shape[2:] == (32, 32)
    high, low = ({"iou": np.full((3, 11), v) + 0.01 * np.arange(3)[:, None]} for v in (0.5, 0.3))
    assert [c.held for c in unet_skips.claims({**data, "skips": high, "plain": low})] == [True] * 3
    assert [c.held for c in unet_skips.claims({**data, "skips": low, "plain": high})] == [False] * 3


def test_scenes_are_standardised_and_train_and_test_differ() -> None:
    parts = unet_skips.parts(20, 0)
    x, t = parts["train"]
    assert x.shape == (20, 1, 32, 32) and t.shape == (20, 32, 32) and t.max() <= 10
    assert abs(float(x.mean())) < 1e-4 and float(x.std()) == pytest.approx(1, abs=1e-3)
    assert len(parts["test"][0]) == 4 and (parts["test"][0][0] != x[0]).any()


def test_long_training_is_compiled_and_reaches_the_same_losses() -> None:
    assert training.quickest_step(10) is training.gradient_step
    compiled, runs = training.quickest_step(10_000), []
    x, t = thousand_layers.digits(200)
    for step in (compiled, training.gradient_step):
        net = ResNet((1, 8, 8), 10, depth=8, width=2, seed=1)
        runs.append(training.train(net, (x.astype(np.float32), t), epochs=2, batch=50, step=step)["loss"])
    assert compiled.traces == 1 and compiled.fallback_reason == ""  # type: ignore[attr-defined]
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-3)
