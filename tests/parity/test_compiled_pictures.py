"""Convolutions of drawn geometry through machine code against the formula, and whole networks against eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from compiler.compare import distance
from compiler.test_convolution import CASES, TOLERANCE, problem, wanted
from gyaku import models, nn
from gyaku.backend.convolution import Geometry

pytestmark = pytest.mark.parity
cpu = pytest.importorskip("gyaku.compiler.cpu")


def drawn(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return a case that fits: samples, channels, size, kernel and geometry."""
    while True:
        dims = int(rng.integers(1, 3))
        n, c, l = (int(rng.integers(1, most)) for most in (8, 24, 48))
        size, kernel, stride, dilation = (tuple(map(int, rng.integers(1, most, dims))) for most in (14, 6, 4, 4))
        padding = tuple([(int(a), int(b)) for a, b in rng.integers(0, 5, (dims, 2))])
        if min(Geometry(stride, padding, dilation).out(size, kernel)) > 0:
            return n, c, l, size, kernel, stride, padding, dilation, 1


@pytest.mark.parametrize("seed", range(24))
def test_drawn_geometries(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dtype = ("float32", "float64")[seed % 2]
    monkeypatch.setitem(CASES, "drawn", drawn(np.random.default_rng(seed)))
    program, arrays = problem("drawn", dtype)
    one, three = (cpu.Executable(program, threads).run(arrays) for threads in (1, 3))
    for a, b, right in zip(one, three, wanted("drawn", arrays), strict=True):
        assert distance(a, right) < TOLERANCE[dtype], CASES["drawn"]
        np.testing.assert_array_equal(a, b, err_msg=str(CASES["drawn"]))


NETWORKS: dict[str, tuple[tuple[int, int, int], Callable[[Any], Any]]] = {
    "lenet": ((1, 28, 28), lambda size: models.LeNet(size, 10, norm="batch", dropout=0.3)),
    "resnet": ((3, 20, 24), lambda size: models.ResNet(size, 10, depth=14)),
    "bottlenecks": ((3, 16, 16), lambda size: models.ResNet(size, 10, depth=11, block="bottleneck")),
    "unet": ((2, 24, 20), lambda size: models.UNet(size, 5, depth=2, width=6)),
}


def gradients(name: str, dtype: str, threads: int | None) -> dict[str, Any]:
    """Return loss, gradients and buffers of one step; eager without ``threads``."""
    gy.manual_seed(1)
    size, make = NETWORKS[name]
    model, rng = make(size), np.random.default_rng(0)
    model.to(dtype)
    x = gy.tensor(rng.standard_normal((5, *size)).astype(dtype))
    t = gy.tensor(rng.integers(0, 5, (5, *size[1:]) if name == "unet" else 5))

    def step(x: Any, t: Any) -> Any:
        loss = nn.functional.cross_entropy(model(x), t)
        loss.backward()
        return loss

    run = step if threads is None else gy.compile(step, threads=threads)
    found = {"loss": np.array(run(x, t).item())}
    assert threads is None or not run.fallback_reason
    found |= {n: p.grad.numpy() for n, p in model.named_parameters()}
    return found | {n: b.numpy() for n, b in model.named_buffers()}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_the_models_room(name: str) -> None:
    eager, one, two = (gradients(name, "float64", threads) for threads in (None, 1, 2))
    for key, right in eager.items():
        assert distance(one[key], right, floor=1e-6) < 1e-9, key
        np.testing.assert_array_equal(one[key], two[key], err_msg=key)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_in_single_precision(name: str) -> None:
    exact, single = gradients(name, "float64", None), gradients(name, "float32", 2)
    assert abs(single["loss"] - exact["loss"]) < 1e-5 * abs(exact["loss"])
    for key, right in exact.items():
        assert distance(single[key], right, floor=1e-3) < 2e-3, key
