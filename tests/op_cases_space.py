"""Rows of ``op_cases.py`` for what moves over pictures: convolutions and pooling."""

from __future__ import annotations

from typing import Any

import conv_reference as ref
from gyaku.backend.convolution import Geometry
from gyaku.core.op import REGISTRY, apply
from gyaku.ops import conv, pool, resize, windows
from op_case import Case, Kink, Refusal, at, real, spread, t


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


def _walk(dims: int, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Geometry:
    return Geometry(ref.each(stride, dims), tuple(ref.pairs(padding, dims)), ref.each(dilation, dims))


def _windows(x: Any, kernel: Any, **walk: Any) -> Any:
    return apply(REGISTRY["windows"](kernel, _walk(len(kernel), **walk)), x)


def _folded(x: Any, size: Any, **walk: Any) -> Any:
    return apply(REGISTRY["fold"](size, _walk(len(size), **walk)), x)


def _summed(x: Any, kernel_size: Any, **k: Any) -> Any:
    return pool.avg_pool2d(x, kernel_size, divisor_override=1, **k)


def _max_pooled(x: Any, *a: Any, **k: Any) -> Any:
    return getattr(pool, f"max_pool{x.ndim - 2}d")(x, *a, **k)


def _two(kernel_size: int, stride: int) -> dict[str, int]:
    return {"kernel_size": kernel_size, "stride": stride}


HALF = "expected padding of at most half a window, (1, 1), got (2, 2)."
POOL = [
    Case(
        "windows",
        _windows,
        ref.windows,
        (
            at(real(2, 3, 5, 4), kernel=(3, 2), padding=((1, 0), (0, 2))),
            at(real(2, 2, 7, 6), kernel=(2, 3), stride=(3, 2), dilation=(2, 1)),
            at(real(2, 2, 4, 6), kernel=(2, 3), stride=(2, 3)),
            at(real(1, 2, 5), kernel=(2,), stride=2, padding=1),
            at(real(0, 2, 4, 4), kernel=(2, 2)),
        ),
        errors=(
            Refusal(
                lambda: windows.unfold(t(2, 3, 4, 4), 5),
                "unfold (forward): expected a kernel within the padded input (4, 4), got one that spans (5, 5). "
                "Hint: add padding, or use a smaller kernel.",
            ),
            Refusal(lambda: windows.unfold(t(4, 4), 2), "unfold: expected x of shape (N, C, H, W), got (4, 4)."),
        ),
    ),
    Case(
        "fold",
        _folded,
        ref.fold,
        (
            at(real(2, 3, 3, 2, 4, 5), size=(5, 4), padding=((1, 0), (0, 2))),
            at(real(2, 2, 2, 3, 2, 2), size=(7, 6), stride=(3, 2), dilation=(2, 1)),
            at(real(2, 2, 2, 3, 2, 2), size=(4, 6), stride=(2, 3)),
            at(real(2, 2, 2, 2, 2, 2), size=(5, 5), stride=2),
            at(real(1, 2, 2, 3), size=(5,), stride=2, padding=1),
        ),
        errors=(
            Refusal(
                lambda: windows.fold(t(2, 12, 12), (5, 5), 2),
                "fold: expected columns of shape (N, C 4, 16), got (2, 12, 12).",
            ),
        ),
    ),
    Case(
        "max_pool",
        _max_pooled,
        ref.max_pool,
        (
            at(spread(2, 2, 4, 6), kernel_size=2),
            at(spread(2, 2, 5, 7), kernel_size=(3, 2), stride=2, padding=1),  # windows overlap
            at(spread(1, 2, 7, 6), kernel_size=2, stride=3, dilation=(1, 2), ceil_mode=True),
            at(spread(2, 2, 5, 5), kernel_size=2, ceil_mode=True),
            at(spread(2, 2, 3, 4), kernel_size=(3, 4)),
            at(spread(2, 2, 3, 4), kernel_size=1),
            at(spread(2, 3, 7), kernel_size=3, stride=2),
            at(real(0, 2, 4, 4), kernel_size=2),
        ),
        kinks=(
            Kink(([[[[1.0, 3.0, 5.0], [3.0, 3.0, 5.0]]]],), ([[[[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]],), _two(2, 1)),
            Kink(([[[[2.0, 2.0], [2.0, 2.0]]]],), ([[[[1.0, 0.0], [0.0, 0.0]]]],), _two(2, 2)),
        ),
        errors=(
            Refusal(lambda: pool.max_pool2d(t(1, 1, 4, 4), 2, padding=2), f"max_pool2d: {HALF}"),
            Refusal(
                lambda: pool.max_pool2d(t(1, 1, 2, 2), 3),
                "max_pool2d (forward): expected a kernel within the padded input (2, 2), got one that spans (3, 3). "
                "Hint: add padding, or use a smaller kernel.",
            ),
            Refusal(
                lambda: pool.max_pool2d(t(1, 1, 4, 4).long(), 2),
                "max_pool2d (forward): expected x of floating numbers, got int64. Hint: x.float().",
            ),
            Refusal(
                lambda: pool.max_pool1d(t(4, 4, 4, 4), 2),
                "max_pool1d (forward): expected x of shape (N, C, W), got (4, 4, 4, 4).",
            ),
        ),
    ),
    Case(
        "sum_pool",
        _summed,
        lambda x, *a, **k: ref.avg_pool(x, *a, **k, divisor_override=1),
        (
            at(real(2, 2, 4, 6), kernel_size=2),
            at(real(2, 2, 5, 7), kernel_size=(3, 2), stride=2, padding=1),
            at(real(2, 2, 5, 5), kernel_size=2, stride=(2, 3), ceil_mode=True),
            at(real(2, 2, 3, 4), kernel_size=(3, 4)),
            at(real(2, 2, 3, 4), kernel_size=1),
        ),
        errors=(
            Refusal(lambda: pool.avg_pool2d(t(1, 1, 4, 4), 2, padding=2), f"avg_pool2d: {HALF}"),
            Refusal(
                lambda: pool.avg_pool2d(t(1, 1, 4, 4), 2, divisor_override=0),
                "avg_pool2d: expected divisor_override as a whole number other than 0, got 0.",
            ),
            Refusal(
                lambda: resize.interpolate(t(1, 1, 4, 4), 8, 2),
                "interpolate: expected one of size and scale_factor, got both.",
            ),
            Refusal(
                lambda: resize.interpolate(t(1, 1, 4, 4), 8, align_corners=True),
                "interpolate: expected align_corners only with linear or bilinear, got mode='nearest'.",
            ),
            Refusal(
                lambda: resize.interpolate(t(1, 4, 4), 8, mode="bilinear"),
                "interpolate (bilinear): expected x of shape (N, C, H, W), got (1, 4, 4).",
            ),
        ),
    ),
]
