"""The gradient check on layers for pictures: right ones pass, wrong backwards of a convolution are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
import gyaku.nn.functional as F
from gyaku import check

RIGHT = [
    (nn.Conv2d(2, 2, 2, stride=2, padding=1, groups=2), (2, 2, 2, 3)),
    (nn.ConvTranspose2d(1, 2, 2, 2), (2, 1, 2, 2)),
    (nn.MaxPool2d(2), (2, 1, 2, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), RIGHT, ids=lambda v: type(v).__name__)
def test_right_layers_pass(layer: Any, shape: tuple[int, ...]) -> None:
    gy.manual_seed(0)
    assert check.layer(layer, np.random.default_rng(0).normal(size=shape)).ok


class Convolution(gy.autograd.Function):
    """A convolution with its gradients written by hand, as convolutions; subclasses get one of them wrong."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any) -> Any:
        ctx.save_for_backward(x, w)
        return F.conv2d(x, w)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return F.conv_transpose2d(g, w), F.conv2d(x.transpose(0, 1), g.transpose(0, 1)).transpose(0, 1)


class Turned(Convolution):
    """The kernel is turned round once too often."""

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return F.conv_transpose2d(g, w.flip(2, 3)), F.conv2d(x.transpose(0, 1), g.transpose(0, 1)).transpose(0, 1)


class Averaged(Convolution):
    """The kernel's gradient is the mean over the batch where the sum belongs."""

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        gw = F.conv2d(x.transpose(0, 1), g.transpose(0, 1)).transpose(0, 1)
        return F.conv_transpose2d(g, w), gw / x.shape[0]


ARRAYS = [np.random.default_rng(1).normal(size=s) for s in ((2, 2, 3, 4), (2, 2, 2, 3))]


def test_gradients_written_as_convolutions_are_right() -> None:
    assert check.layer(Convolution, *ARRAYS).ok


def test_a_kernel_turned_once_too_often_is_put_right() -> None:
    text = str(check.layer(Turned, *ARRAYS, lang="en"))
    assert "of the gradient by x;" in text and "the right numbers stand in wrong places" in text
    assert "F.conv_transpose2d(g, w)," in text.split("→")[1]  # the change: without .flip(2, 3)


def test_a_mean_over_the_batch_is_named() -> None:
    text = str(check.layer(Averaged, *ARRAYS, lang="en"))
    assert "of the gradient by w;" in text and "it must be summed" in text
