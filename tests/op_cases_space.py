"""Rows of ``op_cases.py`` for what moves over pictures: convolutions and pooling."""

from __future__ import annotations

from typing import Any

import conv_reference as ref
from gyaku.backend.convolution import Geometry
from gyaku.core.op import REGISTRY, apply
from gyaku.ops import conv
from op_case import Case, Refusal, at, real, t


def _by_dimension(name: str) -> Any:
    """Return the public function for one or two dimensions, by the input."""
    return lambda x, w, *b, **k: getattr(conv, f"{name}{x.ndim - 2}d")(x, w, *b, **k)


def _weight_gradient(x: Any, g: Any, **k: Any) -> Any:
    kernel = k.pop("kernel")
    pairs = tuple(ref.pairs(k["padding"], len(kernel)))
    walk = Geometry(ref.each(k["stride"], len(kernel)), pairs, ref.each(k["dilation"], len(kernel)), k["groups"])
    return apply(REGISTRY["conv_weight"](walk, kernel), x, g)


CONV = [
    Case(
        "conv",
        _by_dimension("conv"),
        ref.conv,
        (
            at(real(2, 3, 5, 4), real(2, 3, 3, 2), real(2), padding=1),
            at(real(2, 2, 6, 5), real(4, 2, 2, 3), stride=(2, 3)),  # strides that do not divide
            at(real(1, 4, 7, 6), real(6, 2, 3, 2), real(6), padding=(2, 0), dilation=(1, 2), groups=2),
            at(real(2, 2, 4, 3), real(3, 2, 4, 3), real(3)),  # the kernel is as large as the input
            at(real(2, 3, 3, 2), real(2, 3, 1, 1)),
            at(real(2, 2, 4, 5), real(2, 1, 3, 3), padding=((0, 2), (1, 0)), groups=2),
            at(real(2, 3, 9), real(4, 3, 3), real(4), stride=2, padding=1, dilation=2),
            at(real(0, 2, 3, 3), real(2, 2, 2, 2), real(2)),
        ),
        errors=(
            Refusal(
                lambda: conv.conv2d(t(2, 4, 8, 8), t(5, 3, 3, 3)),
                "conv2d (forward): expected x of shape (N, 3, H, W), got (2, 4, 8, 8).",
            ),
            Refusal(
                lambda: conv.conv2d(t(28, 28), t(5, 1, 3, 3)),
                "conv2d (forward): expected x of shape (N, 1, H, W), got (28, 28). "
                "Hint: x[None, None], if it is one picture of one channel.",
            ),
            Refusal(
                lambda: conv.conv2d(t(2, 784), t(5, 1, 3, 3)),
                "conv2d (forward): expected x of shape (N, 1, H, W), got (2, 784). "
                "Hint: x[None, None], if it is one picture of one channel.",
            ),
            Refusal(
                lambda: conv.conv2d(t(2, 3, 3, 4), t(5, 3, 5, 5)),
                "conv2d (forward): expected a kernel within the padded input (3, 4), got one that spans (5, 5). "
                "Hint: add padding, or use a smaller kernel.",
            ),
            Refusal(
                lambda: conv.conv2d(t(2, 4, 8, 8), t(5, 2, 3, 3), groups=2),
                "conv2d (forward): expected output channels divisible by groups=2, got 5.",
            ),
            Refusal(
                lambda: conv.conv2d(t(2, 4, 8, 8), t(5, 4, 3, 3), t(4)),
                "conv2d (forward): expected a bias of shape (5,), got (4,).",
            ),
            Refusal(
                lambda: conv.conv2d(t(2, 4, 8, 8).double(), t(5, 4, 3, 3)),
                "conv2d (forward): expected x of float32, as the weights, got float64. Hint: x.float().",
            ),
            Refusal(
                lambda: conv.conv2d(t(2, 4, 8, 8), t(5, 4, 3, 3), stride=0),
                "conv2d: expected stride as a whole number of at least 1, or 2 of them, got 0.",
            ),
            Refusal(
                lambda: conv.conv2d(t(2, 4, 8, 8), t(5, 4, 3, 3), stride=2, padding="same"),
                "conv2d: expected stride 1 with padding='same', got stride (2, 2).",
            ),
            Refusal(
                lambda: conv.conv1d(t(2, 4, 8), t(5, 4, 3), padding="all"),
                "conv1d: expected padding 'same', 'valid' or numbers, got 'all'.",
            ),
            Refusal(
                lambda: conv.conv2d(t(2, 4, 8, 8), t(5, 4, 3, 3), padding=((1, 2), 1)),
                "conv2d: expected padding as 2 pairs (before, after), got ((1, 2), 1).",
            ),
        ),
    ),
    Case(
        "conv_input",
        _by_dimension("conv_transpose"),
        ref.conv_transpose,
        (
            at(real(2, 3, 3, 2), real(3, 2, 3, 2), real(2), padding=1, stride=2, output_padding=1),
            at(real(1, 4, 3, 4), real(4, 1, 2, 3), real(2), stride=(2, 3), groups=2),
            at(real(2, 2, 4, 3), real(2, 3, 2, 2), dilation=(2, 1), padding=((0, 1), (1, 0))),
            at(real(2, 2, 4), real(2, 3, 3), real(3), stride=2),
            at(real(0, 2, 3, 3), real(2, 1, 2, 2)),
        ),
        errors=(
            Refusal(
                lambda: conv.conv_transpose2d(t(2, 3, 4, 4), t(2, 3, 2, 2)),
                "conv_transpose2d (forward): expected x of shape (N, 2, H, W), got (2, 3, 4, 4).",
            ),
            Refusal(
                lambda: conv.conv_transpose2d(t(2, 3, 4, 4), t(3, 3, 2, 2), stride=2, output_padding=2),
                "conv_transpose2d: expected output_padding smaller than stride or dilation, got (2, 2).",
            ),
            Refusal(
                lambda: conv.conv_transpose2d(t(2, 3, 1, 4), t(3, 3, 2, 2), padding=1),
                "conv_transpose2d (forward): expected an output of at least 1 element, got (0, 3). "
                "Hint: use less padding.",
            ),
            Refusal(
                lambda: conv.conv_transpose2d(t(2, 3, 4, 4), t(3, 3, 2, 2), groups=2),
                "conv_transpose2d (forward): expected input channels divisible by groups=2, got 3.",
            ),
        ),
    ),
    Case(
        "conv_weight",
        _weight_gradient,
        ref.conv_weight,
        (
            at(real(2, 3, 5, 4), real(2, 2, 5, 5), kernel=(3, 2), stride=1, padding=1, dilation=1, groups=1),
            at(real(2, 4, 6, 5), real(2, 2, 1, 2), kernel=(3, 1), stride=(2, 3), padding=0, dilation=(2, 1), groups=2),
            at(real(2, 2, 7), real(2, 3, 3), kernel=(3,), stride=2, padding=((0, 1),), dilation=1, groups=1),
        ),
    ),
]
