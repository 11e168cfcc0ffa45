"""The three maps of a convolution, over geometry that divides nothing: naive loops are the oracle of the formula,
the formula that of the quick form; and the identities that make the maps adjoint."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given

import conv_reference as ref
import gyaku as gy
import gyaku.nn.functional as F
from gyaku.backend import convolution as formula
from gyaku.backend import convolution_quick as quick
from gyaku.backend.convolution import Geometry
from gyaku.base.errors import GyakuError

ATOL = 1e-12


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@st.composite
def walks(draw: Any) -> tuple[np.ndarray, np.ndarray, Geometry]:
    """Return an input, a kernel and how it walks; one or two dimensions, everything odd allowed."""
    n = draw(st.integers(1, 2))

    def several(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=n, max_size=n)))

    kernel, stride, dilation = several(1, 3), several(1, 3), several(1, 2)
    padding = tuple(zip(several(0, 2), several(0, 2), strict=True))
    groups, channels, rows = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    geometry = Geometry(stride, padding, dilation, groups)
    size = several(1, 7)
    assume(min(geometry.out(size, kernel)) > 0)
    x = normal(draw(st.integers(1, 3)), groups * channels, *size)
    return x, normal(groups * rows, channels, *kernel, seed=1), geometry


@given(walks())
def test_the_formula_is_what_naive_loops_give(case: Any) -> None:
    x, w, g = case
    walk = {"stride": g.stride, "padding": g.padding, "dilation": g.dilation, "groups": g.groups}
    y = formula.conv(np, x, w, g)
    np.testing.assert_allclose(y, ref.conv(x, w, **walk), rtol=ATOL, atol=ATOL)
    gy_ = normal(*y.shape, seed=2)
    wanted = ref.conv_weight(x, gy_, w.shape[2:], **walk)
    np.testing.assert_allclose(formula.conv_weight(np, x, gy_, g, w.shape[2:]), wanted, rtol=ATOL, atol=ATOL)
    columns = formula.windows(np, x, w.shape[2:], g)
    loops = {k: walk[k] for k in ("stride", "padding", "dilation")}
    np.testing.assert_array_equal(columns, ref.windows(x, w.shape[2:], **loops))
    folded = formula.fold(np, columns, x.shape[2:], g)
    np.testing.assert_allclose(folded, ref.fold(columns, x.shape[2:], **loops), rtol=ATOL, atol=ATOL)


@given(walks())
def test_the_quick_form_is_the_formula(case: Any) -> None:
    x, w, g = case
    y = quick.conv(x, w, g)
    gy_ = normal(*y.shape, seed=2)
    size, kernel = x.shape[2:], w.shape[2:]
    columns = quick.windows(x, kernel, g)
    for found, wanted in (
        (y, formula.conv(np, x, w, g)),
        (quick.conv_input(gy_, w, g, size), formula.conv_input(np, gy_, w, g, size)),
        (quick.conv_weight(x, gy_, g, kernel), formula.conv_weight(np, x, gy_, g, kernel)),
        (columns, formula.windows(np, x, kernel, g)),
        (quick.fold(columns, size, g), formula.fold(np, columns, size, g)),
    ):
        assert found.shape == wanted.shape and found.flags.c_contiguous and found.flags.writeable
        np.testing.assert_allclose(found, wanted, rtol=ATOL, atol=ATOL)


@given(walks())
def test_each_map_is_the_adjoint_of_the_others(case: Any) -> None:
    """<conv(x, w), g> = <x, conv_input(g, w)> = <w, conv_weight(x, g)>, to 1e-12 of the sizes; windows and fold too."""
    x, w, geometry = case
    for maps, library in ((formula, (np,)), (quick, ())):
        y = maps.conv(*library, x, w, geometry)
        g = normal(*y.shape, seed=2)
        left = (y * g).sum()
        size = np.linalg.norm(y) * np.linalg.norm(g) + 1e-300
        assert abs(left - (x * maps.conv_input(*library, g, w, geometry, x.shape[2:])).sum()) <= 1e-12 * size
        assert abs(left - (w * maps.conv_weight(*library, x, g, geometry, w.shape[2:])).sum()) <= 1e-12 * size
        c = maps.windows(*library, x, w.shape[2:], geometry)
        d = normal(*c.shape, seed=3)
        size = np.linalg.norm(c) * np.linalg.norm(d) + 1e-300
        assert abs((c * d).sum() - (x * maps.fold(*library, d, x.shape[2:], geometry)).sum()) <= 1e-12 * size


@pytest.mark.parametrize(("n", "c", "rows", "size"), [(64, 1, 16, 28), (64, 16, 32, 14), (40, 32, 32, 7)])
def test_many_samples_go_through_in_blocks(n: int, c: int, rows: int, size: int) -> None:
    x, w = normal(n, c, size, size).astype(np.float32), normal(rows, c, 3, 3, seed=1).astype(np.float32)
    g = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))
    y = quick.conv(x, w, g)
    gy_ = normal(*y.shape, seed=2).astype(np.float32)
    for found, wanted in (
        (y, formula.conv(np, x, w, g)),
        (quick.conv_input(gy_, w, g, (size, size)), formula.conv_input(np, gy_, w, g, (size, size))),
        (quick.conv_weight(x, gy_, g, (3, 3)), formula.conv_weight(np, x, gy_, g, (3, 3))),
    ):
        assert found.dtype == np.float32
        assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()


@given(walks(), st.integers(15, 18))
def test_many_channels_go_channels_last(case: Any, channels: int) -> None:
    x, w, g = case
    g = dataclasses.replace(g, groups=1)
    x, w = normal(len(x), channels, *x.shape[2:]), normal(len(w), channels, *w.shape[2:], seed=1)
    y = quick.conv(x, w, g)
    gy_ = normal(*y.shape, seed=2)
    for found, wanted in (
        (y, formula.conv(np, x, w, g)),
        (quick.conv_input(gy_, w, g, x.shape[2:]), formula.conv_input(np, gy_, w, g, x.shape[2:])),
        (quick.conv_weight(x, gy_, g, w.shape[2:]), formula.conv_weight(np, x, gy_, g, w.shape[2:])),
    ):
        assert found.shape == wanted.shape and found.flags.c_contiguous
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)


def test_the_same_input_gives_the_same_bits() -> None:
    x, w = normal(33, 8, 9, 7).astype(np.float32), normal(4, 8, 3, 3, seed=1).astype(np.float32)
    g = Geometry((2, 1), ((1, 0), (0, 1)), (1, 1))
    assert quick.conv(x, w, g).tobytes() == quick.conv(x.copy(), w.copy(), g).tobytes()


# --- the public functions ---
def test_an_ordinary_picture_by_hand() -> None:
    """One picture, one kernel, by hand: each y is the sum of four products."""
    x = gy.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]], requires_grad=True)
    w = gy.tensor([[[[1.0, 0.0], [0.0, -1.0]]]], requires_grad=True)
    y = F.conv2d(x, w)  # x[i,j] - x[i+1,j+1]
    assert y.tolist() == [[[[-4.0, -4.0], [-4.0, -4.0]]]]
    y.sum().backward()
    assert w.grad.tolist() == [[[[12.0, 16.0], [24.0, 28.0]]]]  # what each element of the kernel met, added up
    assert x.grad.tolist() == [[[[1.0, 1.0, 0.0], [1.0, 0.0, -1.0], [0.0, -1.0, -1.0]]]]


def test_one_sample_alone() -> None:
    x, w, v = gy.tensor(normal(3, 6, 5)), gy.tensor(normal(2, 3, 3, 3)), gy.tensor(normal(3, 2, 2, 2))
    assert F.conv2d(x, w).tolist() == F.conv2d(x[None], w)[0].tolist()
    assert F.conv_transpose2d(x, v).tolist() == F.conv_transpose2d(x[None], v)[0].tolist()
    for pooled in (F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d):
        assert pooled(x, 2).tolist() == pooled(x[None], 2)[0].tolist()
    assert F.unfold(x, 2).tolist() == F.unfold(x[None], 2)[0].tolist()
    assert F.fold(F.unfold(x, 2), (6, 5), 2).shape == (3, 6, 5)


def test_same_padding_keeps_the_size_and_puts_the_odd_one_last() -> None:
    x = gy.tensor(normal(1, 1, 5, 6))
    w = gy.zeros(1, 1, 2, 4).double()
    w._array[0, 0, 0, 1] = 1.0  # reads the element it stands on: total padding (1, 3) is (0, 1) and (1, 2)
    assert F.conv2d(x, w, padding="same").tolist() == x.tolist()


def test_padding_in_pairs_is_pad_before() -> None:
    x, w = gy.tensor(normal(2, 3, 5, 6)), gy.tensor(normal(4, 3, 2, 3))
    np.testing.assert_allclose(
        F.conv2d(x, w, padding=((0, 2), (1, 3))).numpy(), F.conv2d(F.pad(x, (1, 3, 0, 2)), w).numpy(), atol=1e-12
    )
    back = F.conv_transpose2d(x[:, :2], w[:2], padding=((0, 1), (1, 0)))
    np.testing.assert_allclose(back.numpy(), F.conv_transpose2d(x[:, :2], w[:2])[:, :, :-1, 1:].numpy(), atol=1e-12)


def test_groups_are_separate_convolutions() -> None:
    x, w = gy.tensor(normal(2, 4, 5, 6)), gy.tensor(normal(6, 2, 3, 3))
    halves = [F.conv2d(x[:, 2 * i : 2 * i + 2], w[3 * i : 3 * i + 3]) for i in range(2)]
    np.testing.assert_allclose(F.conv2d(x, w, groups=2).numpy(), gy.cat(halves, 1).numpy(), atol=1e-12)


def test_a_transposed_convolution_is_the_gradient_of_one() -> None:
    g, w = gy.tensor(normal(2, 3, 4, 5)), gy.tensor(normal(3, 2, 3, 2))
    x = gy.zeros(2, 2, 9, 10).double().requires_grad_()
    (gx,) = gy.autograd.grad(F.conv2d(x, w, stride=2), x, g)
    np.testing.assert_allclose(F.conv_transpose2d(g, w, stride=2).numpy(), gx.numpy(), atol=1e-12)


def test_output_padding_larger_than_the_stride() -> None:
    """With dilation more rows may be asked for than a stride: first what the padding cut off, then zeros."""
    g, w, b = gy.tensor(normal(1, 2, 3, 3)), gy.tensor(normal(2, 1, 2, 2)), gy.tensor([0.5]).double()
    y = F.conv_transpose2d(g, w, b, padding=1, output_padding=2, dilation=3)
    whole = ref.conv_transpose(g.numpy(), w.numpy(), b.numpy(), 1, 1, 2, 1, 3)
    np.testing.assert_allclose(y.numpy(), whole, atol=1e-12)
    np.testing.assert_allclose(y.numpy()[..., -1, :], 0.5, atol=1e-15)


@pytest.mark.parametrize("function", [F.max_pool2d, F.avg_pool2d])
def test_overlapping_pools_are_windows_reduced(function: Any) -> None:
    x = gy.tensor(normal(2, 3, 6, 7))
    columns = F.unfold(x, (3, 2), stride=2).reshape(2, 3, 6, -1)
    wanted = columns.amax(2) if function is F.max_pool2d else columns.mean(2)
    np.testing.assert_allclose(function(x, (3, 2), 2).reshape(2, 3, -1).numpy(), wanted.numpy(), atol=1e-12)


def test_where_the_largest_is() -> None:
    x = gy.tensor([[[[1.0, 9.0, 9.0, 2.0], [9.0, 0.0, 3.0, 9.0]]]])
    y, where = F.max_pool2d(x, 2, return_indices=True)
    assert y.tolist() == [[[[9.0, 9.0]]]] and where.tolist() == [[[[1, 2]]]] and where.dtype is gy.int64


def test_where_nan_is_and_that_a_frame_is_no_place() -> None:
    """As PyTorch says it; a place of -1 would read the last pixel."""
    nan, low = float("nan"), float("-inf")
    x = gy.tensor([[[[nan, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [0.0, 1.0, low, low], [2.0, 3.0, low, low]]]])
    assert F.max_pool2d(x, 2, return_indices=True)[1].tolist() == [[[[0, 7], [13, 10]]]]
    x = gy.full((1, 1, 2, 2), low)
    assert F.max_pool2d(x, 2, stride=2, padding=1, return_indices=True)[1].tolist() == [[[[0, 1], [2, 3]]]]


def test_interpolation_by_hand() -> None:
    x = gy.tensor([[[0.0, 4.0, 8.0]]])
    assert F.interpolate(x, 6).tolist() == [[[0, 0, 4, 4, 8, 8]]]
    assert F.interpolate(x, 6, mode="linear").tolist() == [[[0, 1, 3, 5, 7, 8]]]
    assert F.interpolate(x, 5, mode="linear", align_corners=True).tolist() == [[[0, 2, 4, 6, 8]]]
    assert F.interpolate(x, scale_factor=0.5).tolist() == [[[0]]]
    with pytest.raises(GyakuError, match="unknown mode|cubic"):
        F.interpolate(x, 6, mode="cubic")


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(1, 12))
def test_resampling_keeps_a_constant_picture(h: int, w: int, oh: int, ow: int) -> None:
    x = gy.full((1, 2, h, w), 3.0).double()
    for mode in ("nearest", "nearest-exact", "bilinear", "area"):
        y = F.interpolate(x, (oh, ow), mode=mode)
        assert y.shape == (1, 2, oh, ow)
        np.testing.assert_allclose(y.numpy(), 3.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "channels", "repair"),
    [
        ((2, 8, 9, 3), 3, lambda x: x.permute(0, 3, 1, 2)),
        ((8, 9, 3), 3, lambda x: x.permute(2, 0, 1)),
        ((2, 8, 9), 1, lambda x: x[:, None]),
        ((2, 8, 9, 4), 3, None),
    ],
)
def test_channels_in_another_place_are_refused_with_the_way_to_move_them(
    shape: tuple[int, ...], channels: int, repair: Any
) -> None:
    conv, x = gy.nn.Conv2d(channels, 2, 3), gy.zeros(*shape)
    with pytest.raises(GyakuError, match=rf"expected x of shape \(N, {channels}, H, W\)") as caught:
        conv(x)
    if repair is None:
        assert "Hint" not in str(caught.value)
        return
    assert conv(repair(x)).shape[-3:] == (2, 6, 7)
    assert ("x[:, None]" if channels == 1 else f"x.permute{(0, 3, 1, 2) if x.ndim == 4 else (2, 0, 1)}") in str(
        caught.value
    )
