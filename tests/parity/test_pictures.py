"""Convolution, pooling and resizing against PyTorch itself: values, gradients, rounding of sizes (``make parity``)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
import gyaku.nn.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity installs it", exc_type=ImportError)
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:Using padding='same'")]
TF = torch.nn.functional
RNG = np.random.default_rng(7)


def floats(*shape: int) -> Any:
    return RNG.normal(size=shape)


def same(call: Any, *arrays: Any) -> None:
    """``call(F, *tensors)`` gives both libraries' value and gradients of a function that curves: they agree."""
    found = []
    for lib, functional in ((gy, F), (torch, TF)):
        leaves = [lib.tensor(a).requires_grad_() for a in arrays]
        y = call(functional, *leaves)
        ((y + 1) ** 3).sum().backward()
        found.append([y.detach().numpy(), *[t.grad.numpy() for t in leaves]])
    for a, b in zip(*found, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def refused_alike(call: Any, *arrays: Any) -> None:
    """The same values where PyTorch gives any, an error where it gives one."""
    try:
        call(TF, *map(torch.tensor, arrays))
    except (RuntimeError, ValueError):
        with pytest.raises(RuntimeError):
            call(F, *map(gy.tensor, arrays))
        return
    same(call, *arrays)


WALKS = [
    (s, p, d, g)
    for s, p, d in itertools.product([1, (2, 3)], [0, (1, 2), "same", "valid"], [1, (2, 1)])
    for g in (1, 2)
    if s == 1 or p != "same"
]


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), WALKS)
def test_convolutions(stride: Any, padding: Any, dilation: Any, groups: int) -> None:
    walk = (stride, padding, dilation, groups)
    same(lambda f, x, w, b: f.conv2d(x, w, b, *walk), floats(2, 4, 7, 9), floats(6, 4 // groups, 3, 2), floats(6))
    same(lambda f, x, w: f.conv2d(x, w, None, *walk), floats(4, 7, 9), floats(2, 4 // groups, 1, 3))
    line = [v if isinstance(v, str) else v[0] if isinstance(v, tuple) else v for v in walk]
    same(lambda f, x, w, b: f.conv1d(x, w, b, *line), floats(2, 4, 9), floats(6, 4 // groups, 3), floats(6))


@pytest.mark.parametrize("more", [0, 1, (1, 0), (2, 1)])
@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [w for w in WALKS if not isinstance(w[1], str)])
def test_transposed_convolutions(stride: Any, padding: Any, dilation: Any, groups: int, more: Any) -> None:
    options = (stride, padding, more, groups, dilation)
    refused_alike(
        lambda f, x, w, b: f.conv_transpose2d(x, w, b, *options),
        floats(2, 4, 3, 4),
        floats(4, 3, 3, 2),
        floats(3 * groups),
    )
    line = [v[0] if isinstance(v, tuple) else v for v in options]
    refused_alike(lambda f, x, w: f.conv_transpose1d(x, w, None, *line), floats(2, 4, 5), floats(4, 3, 3))


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("padding", [0, 1, (0, 1), 2])
@pytest.mark.parametrize("stride", [None, 1, (2, 3)])
@pytest.mark.parametrize("kernel", [1, 2, 3, (3, 2)])
def test_pooling(kernel: Any, stride: Any, padding: Any, ceil: bool) -> None:
    x = floats(2, 3, 7, 6)
    for dilation in (1, 2):
        options = (kernel, stride, padding, dilation, ceil)
        refused_alike(lambda f, x, o=options: f.max_pool2d(x, *o), x)
    for include, divisor in ((True, None), (False, None), (True, 5)):
        refused_alike(lambda f, x, i=include, d=divisor: f.avg_pool2d(x, kernel, stride, padding, ceil, i, d), x)
    line = [v[0] if isinstance(v, tuple) else v for v in (kernel, stride, padding)]
    refused_alike(lambda f, x: f.max_pool1d(x, *line, 1, ceil), x[0])


def test_where_the_largest_are_and_ties() -> None:
    x = RNG.integers(0, 3, size=(2, 3, 7, 6)).astype(float)  # many ties
    for options in ((2,), (3, 2, 1), (2, 3, 0, 2, True), ((2, 3), 1, 1)):
        y, i = F.max_pool2d(gy.tensor(x), *options, return_indices=True)
        ty, ti = TF.max_pool2d(torch.tensor(x), *options, return_indices=True)
        assert y.tolist() == ty.tolist() and i.tolist() == ti.tolist()
        same(lambda f, x, o=options: f.max_pool2d(x, *o), x)


@pytest.mark.parametrize("size", [1, 2, 3, 6, (4, 5), (None, 3), (9, 2)])
def test_adaptive_means(size: Any) -> None:
    same(lambda f, x: f.adaptive_avg_pool2d(x, size), floats(2, 3, 7, 6))
    same(lambda f, x: f.adaptive_avg_pool2d(x, size), floats(3, 6, 6))


SIZES = [{"size": n} for n in (1, 5, (9, 4), 14, 20)] + [{"scale_factor": f} for f in (2, 1.5, (2.0, 0.7), 3, 0.5)]


@pytest.mark.parametrize("how", [*SIZES, {"scale_factor": 1.3, "recompute_scale_factor": True}], ids=str)
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "area"])
def test_resizing(mode: str, how: Any) -> None:
    for corners in (None, True, False) if mode == "bilinear" else (None,):
        same(lambda f, x, c=corners: f.interpolate(x, mode=mode, align_corners=c, **how), floats(2, 3, 7, 6))
    if mode == "bilinear" and not isinstance(next(iter(how.values())), tuple):
        same(lambda f, x: f.interpolate(x, mode="linear", **how), floats(2, 3, 6))


def test_resizing_without_jags() -> None:
    for size, corners in itertools.product((1, 2, (9, 4), 14), (False, True)):
        options = {"size": size, "mode": "bilinear", "antialias": True, "align_corners": corners}
        same(lambda f, x, o=options: f.interpolate(x, **o), floats(2, 3, 7, 6))


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_every_pair_of_sizes_takes_the_same_neighbours(mode: str) -> None:
    for n, m in itertools.product(range(1, 30, 2), range(1, 50)):
        x = np.arange(n, dtype=float).reshape(1, 1, n)
        mine, theirs = F.interpolate(gy.tensor(x), m, mode=mode), TF.interpolate(torch.tensor(x), m, mode=mode)
        assert mine.tolist() == theirs.tolist(), (n, m)


def test_unfold_and_fold() -> None:
    same(lambda f, x: f.unfold(x, (2, 3), (1, 2), (1, 0), 2), floats(2, 3, 7, 6))
    same(lambda f, x: f.fold(x, (7, 6), (2, 3), 1, 1, 2), floats(2, 12, 12))


def test_one_network_trained_by_both() -> None:
    """The same weights, three steps of SGD with momentum: the same losses and weights after them, buffers included."""

    def build(n: Any) -> Any:
        return n.Sequential(
            n.Conv2d(3, 8, 3, padding=1), n.BatchNorm2d(8), n.ReLU(), n.MaxPool2d(2),
            n.Conv2d(8, 6, 3, 2, groups=2), n.Tanh(),
            n.Upsample(scale_factor=2), n.ConvTranspose2d(6, 4, 2, 2), n.AvgPool2d(2), n.Flatten(), n.Linear(16, 5),
        )  # fmt: skip

    mine, theirs = build(nn).double(), build(torch.nn).double()
    mine.load_state_dict({k: gy.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    found = []
    for lib, model in ((gy, mine), (torch, theirs)):
        rng = np.random.default_rng(0)
        optimizer = lib.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            x, t = lib.tensor(rng.normal(size=(4, 3, 8, 8))), lib.tensor(rng.integers(0, 5, 4))
            optimizer.zero_grad()
            loss = lib.nn.functional.cross_entropy(model(x), t)
            loss.backward()
            optimizer.step()
            found.append((lib, loss.item()))
    losses = [[v for lib, v in found if lib is which] for which in (gy, torch)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-10)
    for (name, a), b in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-8, atol=1e-10, err_msg=name)
