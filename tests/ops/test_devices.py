"""One body for both devices: every operation, a training step, random draws and moves, on the CPU and on a GPU.

The second runs under ``make gpu``; CI has no GPU.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
from gyaku.core.backward import gradients_of
from gyaku.core.tensor import Tensor, new_tensor
from op_cases import CASES, Case, Sample

pytestmark = pytest.mark.filterwarnings("ignore:KLDivLoss")
every_sample = pytest.mark.parametrize(
    ("case", "sample"),
    [pytest.param(c, s, id=f"{c.op}-{i}") for c in CASES for i, s in enumerate(c.samples)],
)


def device_of(xp: ModuleType) -> str:
    return "cpu" if xp is np else "cuda"


def several(result: Any) -> list[Tensor]:
    found = list(result) if isinstance(result, (tuple, list)) else [result]
    return [t for t in found if isinstance(t, Tensor)]


def on(device: str, arrays: list[np.ndarray]) -> list[Tensor]:
    """Return leaves on a device; the floating ones want their gradient."""
    return [Tensor(a).to(device).detach().requires_grad_(a.dtype.kind == "f") for a in arrays]


def outcome(case: Case, sample: Sample, device: str) -> tuple[list[Any], list[Any]]:
    """Return values and first derivatives (of the outputs weighted by 1, 2, 3, ...), as they lie on the device."""
    leaves = on(device, sample.arrays(np.float64))
    outs = several(case.call(*leaves, **sample.static))
    roots = [t for t in outs if t.requires_grad]
    wanted = [t for t in leaves if t.requires_grad]
    if not roots or not wanted:
        return outs, []
    seeds = [new_tensor(np.arange(1.0, 1 + t.numel()).reshape(t.shape)).to(device) for t in roots]
    return outs, gradients_of(roots, wanted, seeds, False, False)


@every_sample
def test_values_and_gradients_agree_with_the_reference(xp: ModuleType, case: Case, sample: Sample) -> None:
    device = device_of(xp)
    outs, gradients = outcome(case, sample, device)
    expected = case.reference(*sample.arrays(np.float64), **sample.static)
    for found, e in zip(outs, expected if isinstance(expected, (tuple, list)) else [expected], strict=True):
        assert isinstance(found._array, xp.ndarray) and found.device.type == device
        np.testing.assert_allclose(found.detach().cpu().numpy(), e, rtol=1e-11, atol=1e-11)
    for g, reference in zip(gradients, outcome(case, sample, "cpu")[1], strict=True):
        assert (g is None) == (reference is None)
        if g is not None:
            np.testing.assert_allclose(Tensor(g).cpu().numpy(), reference, rtol=1e-10, atol=1e-10)


def _trained(device: str) -> tuple[list[np.ndarray], list[float]]:
    gy.manual_seed(5)
    layers = [nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3)]
    net = nn.Sequential(*layers).to(device)
    optimizer = gy.optim.Adam(net.parameters(), lr=0.01)
    x, t = gy.randn(30, 6).to(device), gy.randint(0, 3, (30,)).to(device)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(net(x), t)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [v.cpu().numpy() for v in net.state_dict().values()], losses


def test_a_network_trains_to_the_same_weights(xp: ModuleType) -> None:
    weights, losses = _trained(device_of(xp))
    expected, reference = _trained("cpu")
    assert losses[-1] < 0.9 * losses[0]
    np.testing.assert_allclose(losses, reference, rtol=1e-3)
    for w, e in zip(weights, expected, strict=True):
        np.testing.assert_allclose(w, e, rtol=1e-2, atol=1e-3)


def test_draws_have_the_same_bits_wherever_they_are_used(xp: ModuleType) -> None:
    device = device_of(xp)
    here, there = (gy.rand(50, generator=gy.Generator(3)).to(d) for d in ("cpu", device))
    assert (here.numpy() == there.cpu().numpy()).all()


def test_moving_there_and_back_keeps_numbers_and_graph(xp: ModuleType) -> None:
    x = gy.tensor([1.0, 2.0], requires_grad=True)
    (x.to(device_of(xp)) * 3).cpu().sum().backward()
    assert x.grad is not None and x.grad.tolist() == [3.0, 3.0] and x.grad.device.type == "cpu"
