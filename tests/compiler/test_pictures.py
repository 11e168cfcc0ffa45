"""Networks for pictures as compiled steps: the interpreter has eager's bits, machine code agrees to rounding."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from compiler.compare import classifier_step
from gyaku import nn, optim


class Block(nn.Module):
    """A residual block: x + f(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Any) -> Any:
        return (x + self.norm(self.conv(x))).relu()


class Joined(nn.Module):
    """The shape of a U-Net: down, up again, joined with what was there before."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 3, padding=1), nn.ConvTranspose2d(4, 3, 2, 2)
        self.pool, self.last = nn.MaxPool2d(2), nn.Conv2d(6, 2, 1)

    def forward(self, x: Any) -> Any:
        return self.last(gy.cat([x, self.up(self.down(self.pool(x)).relu())], 1))


def flat(n: int) -> list[Any]:
    return [nn.Flatten(), nn.Linear(n, 5)]


NETS = {
    "lenet": lambda: [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.Tanh(), *flat(24)],
    "residual": lambda: [nn.Conv2d(3, 4, 3, 2, 1), Block(4), Block(4), nn.AdaptiveAvgPool2d(1), *flat(4)],
    "joined": lambda: [Joined(), nn.AvgPool2d(2), *flat(50)],
    "overlapping": lambda: [
        nn.MaxPool2d(3, 2, 1),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        *flat(27),
    ],
    "resized": lambda: [
        nn.Upsample(scale_factor=1.5, mode="bilinear"),
        nn.Upsample(7),
        nn.AdaptiveAvgPool2d((3, 4)),
        *flat(36),
    ],
    "odd": lambda: [
        nn.Conv2d(3, 6, (3, 2), (2, 3), ((0, 1), (2, 0)), (1, 2), groups=3),
        nn.ConvTranspose2d(6, 4, 3, 2, 1, 1, groups=2),
        nn.Dropout2d(0.3),
        nn.GroupNorm(2, 4),
        *flat(4 * 10 * 8),
    ],
    "reflected": lambda: [
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(2, ceil_mode=True),
        *flat(100),
    ],
}


def trained(make: Any, runner: str) -> tuple[list[Any], Any]:
    """Return the losses of three steps, and all weights and buffers after them."""
    gy.manual_seed(3)
    model = nn.Sequential(*make())
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    step = classifier_step(model, optimizer)
    run = step if runner == "eager" else gy.compile(step, runner=runner)
    rng = np.random.default_rng(1)
    batches = [(rng.normal(size=(4, 3, 10, 10)).astype(np.float32), rng.integers(0, 5, 4)) for _ in range(3)]
    losses = [run(gy.tensor(x), gy.tensor(t)).item() for x, t in batches]
    if runner != "eager":
        assert run.traces == 1 and run.fallback_reason == ""
    return losses, [v.numpy().copy() for v in model.state_dict().values()]


@functools.cache
def eagerly(name: str) -> tuple[list[Any], Any]:
    return trained(NETS[name], "eager")


@pytest.mark.parametrize("name", NETS)
def test_the_interpreter_has_the_bits_of_eager(name: str) -> None:
    losses, state = trained(NETS[name], "interpret")
    assert losses == eagerly(name)[0]
    assert [a.tobytes() for a in state] == [b.tobytes() for b in eagerly(name)[1]]


@pytest.mark.parametrize("name", NETS)
def test_machine_code_agrees_to_rounding(name: str) -> None:
    losses, state = trained(NETS[name], "cpu")
    np.testing.assert_allclose(losses, eagerly(name)[0], rtol=2e-5)
    for a, b in zip(state, eagerly(name)[1], strict=True):
        assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(b) + 1e-7


def test_second_derivatives_of_a_convolution_compile() -> None:
    conv = nn.Conv2d(2, 3, 3).double()
    x = gy.tensor(np.random.default_rng(0).normal(size=(2, 2, 5, 4)))

    def penalty(x: Any) -> Any:
        x = x.detach().requires_grad_()
        (gx,) = gy.autograd.grad(conv(x).tanh().sum(), x, create_graph=True)
        return gy.autograd.grad((gx * gx).sum(), [conv.weight, conv.bias])

    wanted = penalty(x)
    for runner in ("interpret", "cpu"):
        for a, b in zip(gy.compile(penalty, runner=runner)(x), wanted, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)
