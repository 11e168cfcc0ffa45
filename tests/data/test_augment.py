"""Augmentation: pure, of the same shape and type, and doing what it says; class weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, ShapeError
from gyaku.data import augment, class_weights, load, prepare

MAKERS: dict[str, Any] = {
    "shift": augment.shift(2),
    "rotate": augment.rotate(15.0),
    "noise": augment.noise(0.1),
    "elastic": augment.elastic(4.0, 2.0),
    "zoom": augment.zoom(0.3),
    "cutout": augment.cutout(4),
    "flip": augment.flip(),
    "compose": augment.compose(augment.shift(1), augment.rotate(5.0), augment.noise(0.1)),
}


def batch(dtype: Any = np.float32, n: int = 5, c: int = 2, h: int = 9, w: int = 7) -> np.ndarray:
    return Generator(3).uniform((n, c, h, w)).astype(dtype)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pure_seeded_and_of_the_same_kind(name: str, dtype: Any) -> None:
    x = batch(dtype)
    x.flags.writeable = False
    y = MAKERS[name](x, Generator(1))
    assert y.shape == x.shape and y.dtype == x.dtype and not np.shares_memory(x, y) and np.isfinite(y).all()
    np.testing.assert_array_equal(y, MAKERS[name](x, Generator(1)))
    assert not np.array_equal(y, MAKERS[name](x, Generator(2)))
    strided = np.asfortranarray(x)
    np.testing.assert_array_equal(y, MAKERS[name](strided, Generator(1)))
    assert MAKERS[name](x[:0], Generator(1)).shape == (0, 2, 9, 7)


def test_shift_is_a_slice_of_the_padded_image() -> None:
    x, p, fill = batch(n=200, c=1), 2, -0.5
    y = augment.shift(p, fill=fill)(x, Generator(0))
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=fill)
    seen = set()
    for image, moved in zip(padded, y, strict=True):
        found = [(r, s) for r in range(5) for s in range(5) if np.array_equal(image[:, r : r + 9, s : s + 7], moved)]
        assert len(found) == 1
        seen |= set(found)
    assert len(seen) == 25, "every move occurs"


def test_zero_strength_changes_nothing() -> None:
    x = batch()
    for apply in (
        augment.shift(0),
        augment.rotate(0.0),
        augment.noise(0.0),
        augment.elastic(0.0),
        augment.compose(),
        augment.flip(0.0),
        augment.zoom(0.0),
    ):
        np.testing.assert_array_equal(apply(x, Generator(0)), x)


def test_rotation_by_a_right_angle_is_rot90(monkeypatch: pytest.MonkeyPatch) -> None:
    x = batch(np.float64, n=1, h=8, w=8)
    monkeypatch.setattr(Generator, "uniform", lambda self, shape: np.ones(shape))
    y = augment.rotate(90.0)(x, Generator(0))
    turns = [np.rot90(x, k, axes=(2, 3)) for k in (1, 3)]
    assert any(np.allclose(y, turn, atol=1e-12) for turn in turns)


def test_what_comes_from_outside_is_fill() -> None:
    x = np.ones((50, 1, 8, 8), dtype=np.float32)
    for apply in (augment.shift(3, fill=-1.0), augment.rotate(45.0, fill=-1.0), augment.elastic(9.0, 2.0, fill=-1.0)):
        y = apply(x, Generator(0))
        assert y.min() == -1.0 and y.max() <= 1.0 + 1e-6


def test_elastic_moves_smoothly_and_by_less_than_alpha() -> None:
    ramp = np.tile(np.arange(32.0), (1, 1, 32, 1))
    y = augment.elastic(3.0, 4.0)(ramp, Generator(0))
    push = (y - ramp)[:, :, 5:-5, 5:-5]
    assert 0.01 < np.abs(push).max() < 3.0 and np.abs(np.diff(push, axis=3)).max() < 0.25


def test_fill_is_black_of_the_recipe() -> None:
    data = prepare(load("digits"))
    y = augment.shift(2, fill=data.recipe.black)(data.x_train, Generator(0))
    np.testing.assert_allclose(y.min(), data.x_train.min())
    assert data.recipe.black == pytest.approx(float(data.x_train.min()), rel=1e-6)


@pytest.mark.parametrize("name", MAKERS)
def test_wrong_batches(name: str) -> None:
    with pytest.raises(ShapeError, match=r"expected float images \(N, C, H, W\), got float64 \(3, 4\)"):
        MAKERS[name](np.zeros((3, 4)), Generator(0))
    with pytest.raises(ShapeError, match="got uint8"):
        MAKERS[name](np.zeros((3, 1, 4, 4), np.uint8), Generator(0))


def test_wrong_strengths_are_refused_when_given() -> None:
    for make in (augment.shift, augment.rotate, augment.noise, augment.elastic):
        with pytest.raises(ArgumentError, match=">= 0"):
            make(-1)
    with pytest.raises(ArgumentError, match="sigma"):
        augment.elastic(1.0, 0.0)


def test_class_weights_are_balanced() -> None:
    t = np.array([0, 0, 0, 2])
    weights = class_weights(t, 3)
    np.testing.assert_allclose(weights, [4 / 9, 0.0, 4 / 3], rtol=1e-6)
    assert weights.dtype == np.float32
    total = np.bincount(t, weights=weights[t], minlength=3)
    assert abs(total[0] - total[2]) < 1e-6, "each class that occurs weighs the same in sum"
    for bad, text in ((np.array([0, 3]), "3 in row 1"), (np.array([-1, 0]), "-1 in row 0")):
        with pytest.raises(ArgumentError, match=text):
            class_weights(bad, 3)


def test_flip_mirrors_about_half_of_the_images() -> None:
    x = batch(n=400)
    y = augment.flip()(x, Generator(0))
    same, mirrored = ((y == other).all(axis=(1, 2, 3)) for other in (x, x[..., ::-1]))
    assert (same ^ mirrored).all() and 0.4 < mirrored.mean() < 0.6


def test_zoom_scales_about_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = np.tile(np.arange(-4.0, 5.0), (1, 1, 9, 1))
    monkeypatch.setattr(Generator, "uniform", lambda self, shape: np.ones(shape))
    y = augment.zoom(1.0)(ramp, Generator(0))
    np.testing.assert_allclose(y, ramp / 2)


def test_cutout_covers_one_square_whose_centre_is_inside() -> None:
    x = np.ones((300, 2, 9, 7), dtype=np.float32)
    y = augment.cutout(4, fill=-1.0)(x, Generator(0))
    covered = (y == -1.0).sum(axis=(1, 2, 3))
    assert set(np.unique(y)) == {-1.0, 1.0} and covered.max() == 2 * 16 and covered.min() >= 2 * 4
    assert (y[:, 0] == y[:, 1]).all() and (y == -1.0).any(axis=(0, 1)).all(), "every pixel is covered once"


@pytest.mark.parametrize("name", MAKERS)
def test_classes_of_pixels_go_where_the_pixels_go(name: str) -> None:
    """A picture of flat squares: each of its values is a class, so after moving both must still tell the same."""
    t = np.repeat(np.repeat(Generator(2).integers(0, 3, (40, 4, 3)), 6, axis=1), 6, axis=2)
    x = t[:, None].astype(np.float32)
    y, moved = MAKERS[name].pair(x, t, Generator(1))
    np.testing.assert_array_equal(y, MAKERS[name](x, Generator(1)))
    assert moved.shape == t.shape and moved.dtype == t.dtype and set(np.unique(moved)) <= {0, 1, 2}
    if name in ("shift", "flip"):
        np.testing.assert_array_equal(y[:, 0], moved)
    elif name in ("noise", "cutout"):
        np.testing.assert_array_equal(moved, t)
    else:
        assert (np.abs(y[:, 0] - moved) < 0.6).mean() > 0.95, "only mixtures along edges differ"


def test_plain_functions_may_join_in_and_shares_are_checked() -> None:
    both = augment.compose(lambda x, generator: x + 1, augment.flip(1.0))
    t = np.arange(12).reshape(1, 3, 4)
    x, moved = both.pair(t[:, None].astype(np.float32), t, Generator(0))
    np.testing.assert_array_equal(x[:, 0], moved + 1)
    for make in (lambda: augment.flip(1.5), lambda: augment.zoom(-0.1), lambda: augment.cutout(0)):
        with pytest.raises(ArgumentError):
            make()
