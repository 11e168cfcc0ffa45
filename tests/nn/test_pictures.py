"""Layers for pictures: initial values, settings, padding modes, and what they refuse when they are made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
import gyaku.nn.functional as F
from gyaku.base.errors import GyakuError


def pictures(*shape: int) -> Any:
    return gy.tensor(np.random.default_rng(2).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [(nn.Conv2d(6, 40, (3, 5), groups=2), 45), (nn.Conv1d(8, 50, 3), 24), (nn.ConvTranspose2d(40, 6, 3, groups=2), 27)],
)
def test_initial_values_are_uniform_by_the_fan_in_of_one_unit(layer: Any, fan_in: int) -> None:
    bound = 1 / math.sqrt(fan_in)
    w = layer.weight.detach().numpy().copy()
    assert np.abs(w).max() <= bound and np.abs(w).max() > 0.95 * bound
    assert w.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)
    assert np.abs(layer.bias.detach().numpy()).max() <= bound
    gy.manual_seed(5)
    layer.reset_parameters()
    again = layer.weight.detach().numpy().copy()
    gy.manual_seed(5)
    layer.reset_parameters()
    assert layer.weight.detach().numpy().tobytes() == again.tobytes() != w.tobytes()


def test_a_layer_is_its_function() -> None:
    x = pictures(2, 4, 9, 8)
    conv = nn.Conv2d(4, 6, 3, (2, 1), 1, groups=2)
    assert conv(x).tolist() == F.conv2d(x, conv.weight, conv.bias, (2, 1), 1, 1, 2).tolist()
    back = nn.ConvTranspose2d(4, 3, 2, 2, bias=False)
    assert back(x).tolist() == F.conv_transpose2d(x, back.weight, None, 2).tolist()
    line = nn.Conv1d(4, 2, 3, padding="same")
    assert line(x[:, :, 0]).shape == (2, 2, 8)
    assert nn.MaxPool2d(2)(x).tolist() == F.max_pool2d(x, 2).tolist()
    assert nn.MaxPool1d(3, 2)(x[:, :, 0]).tolist() == F.max_pool1d(x[:, :, 0], 3, 2).tolist()
    assert nn.AvgPool2d(2, ceil_mode=True)(x).tolist() == F.avg_pool2d(x, 2, ceil_mode=True).tolist()
    assert nn.AdaptiveAvgPool2d((2, None))(x).tolist() == F.adaptive_avg_pool2d(x, (2, None)).tolist()
    assert nn.Upsample(scale_factor=2)(x).tolist() == F.interpolate(x, scale_factor=2.0).tolist()


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes(mode: str) -> None:
    x = pictures(1, 2, 5, 6)
    conv = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode)
    assert conv(x).tolist() == F.conv2d(F.pad(x, (2, 2, 1, 1), mode), conv.weight, conv.bias).tolist()
    same = nn.Conv2d(2, 3, (2, 3), padding="same", padding_mode=mode)
    assert same(x).shape == (1, 3, 5, 6)


def test_output_size_says_which_of_the_possible_sizes() -> None:
    back, x = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1), pictures(1, 2, 4, 5)
    assert back(x).shape == (1, 3, 7, 9)
    assert back(x, output_size=(8, 9)).shape == (1, 3, 8, 9)
    with pytest.raises(GyakuError, match=r"expected an output_size from \(7, 9\) to \(8, 10\), got \(9, 9\)"):
        back(x, (9, 9))


REFUSED = [
    (lambda: nn.Conv2d(3, 4, 0), "Conv2d: expected kernel_size as a whole number of at least 1, or 2 of them, got 0."),
    (lambda: nn.Conv2d(3, 4, (3, 3, 3)), "Conv2d: expected kernel_size as a whole number of at least 1, or 2 of them"),
    (lambda: nn.Conv2d(0, 4, 3), "Conv2d: expected in_channels as a whole number of at least 1, got 0."),
    (lambda: nn.Conv2d(3, 4, 3, groups=3), "Conv2d: expected channels divisible by groups=3, got (3, 4)."),
    (lambda: nn.Conv2d(3, 4, 3, stride=1.5), "Conv2d: expected stride as a whole number of at least 1"),
    (lambda: nn.Conv2d(3, 4, 3, padding=-1), "Conv2d: expected padding as a whole number of at least 0"),
    (lambda: nn.Conv2d(3, 4, 3, 2, "same"), "Conv2d: expected stride 1 with padding='same', got stride (2, 2)."),
    (
        lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"),
        "Conv2d: expected a known padding_mode (circular, reflect, replicate, zeros), got 'mirror'.",
    ),
    (
        lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"),
        "ConvTranspose2d: expected a known padding_mode (zeros), got 'reflect'.",
    ),
    (lambda: nn.MaxPool2d(2, padding=2), "MaxPool2d: expected padding of at most half a window, (1, 1), got (2, 2)."),
    (lambda: nn.MaxPool2d(0), "MaxPool2d: expected kernel_size as a whole number of at least 1"),
    (lambda: nn.AvgPool2d(2, 0), "AvgPool2d: expected stride as a whole number of at least 1"),
]


@pytest.mark.parametrize(("make", "text"), REFUSED)
def test_what_cannot_be_is_refused_when_the_layer_is_made(make: Any, text: str) -> None:
    with pytest.raises(GyakuError) as caught:
        make()
    assert str(caught.value).startswith(text)


def test_a_wrong_picture_is_refused_with_the_layers_path() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(3, 4, 3))
    with pytest.raises(GyakuError, match=r"expected x of shape \(N, 3, H, W\), got \(2, 4, 6, 6\).*layer '2'"):
        model(pictures(2, 1, 8, 8))


def test_a_small_network_learns_where_a_bar_lies() -> None:
    """Horizontal against vertical bars at any place: what a kernel that walks over the picture sees at once."""
    rng = np.random.default_rng(0)
    x, t = np.zeros((64, 1, 8, 8), np.float32), np.arange(64) % 2
    for i in range(64):
        row, column = rng.integers(0, 8), rng.integers(0, 4)
        bar = (slice(row, row + 1), slice(column, column + 5))
        x[i, 0][bar if t[i] else bar[::-1]] = 1
    gy.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    optimizer = gy.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(gy.tensor(x)), gy.tensor(t))
        loss.backward()
        optimizer.step()
    assert (model(gy.tensor(x)).argmax(1).numpy() == t).mean() == 1.0
