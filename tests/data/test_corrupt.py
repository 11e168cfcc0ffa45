"""Damaged inputs: how much of what, and the same for the same generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, UnknownNameError
from gyaku.data.corrupt import corruption, gaussian, masking, salt_and_pepper


@pytest.mark.parametrize("shape", [(200, 64), (200, 1, 8, 8)])
@pytest.mark.parametrize("damage", [masking(0.3), gaussian(0.5), salt_and_pepper(0.3)])
def test_the_same_generator_gives_the_same_damage_of_the_same_kind(damage: Any, shape: tuple[int, ...]) -> None:
    x = Generator(1).uniform(shape, np.float32)
    kept = x.copy()
    first, second = damage(x, Generator(3)), damage(x, Generator(3))
    assert first.dtype == np.float32 and first.shape == shape and np.array_equal(first, second)
    assert np.array_equal(x, kept) and not np.array_equal(first, damage(x, Generator(4)))


def test_shares_and_deviations_are_as_said() -> None:
    x, g = np.full((100, 100), 0.5, dtype=np.float32), Generator(0)
    assert abs((masking(0.3)(x, g) == 0).mean() - 0.3) < 0.02
    assert abs(gaussian(0.2)(x, g).std() - 0.2) < 0.01
    salted = salt_and_pepper(0.4, high=2.0)(x, g)
    assert [round(float((salted == v).mean()), 1) for v in (0.0, 0.5, 2.0)] == [0.2, 0.6, 0.2]


def test_names_and_ranges_are_checked() -> None:
    assert corruption("none", 0.3) is None and corruption("masking", 0.3) is not None
    with pytest.raises(UnknownNameError, match="did you mean 'masking'"):
        corruption("maskin", 0.3)
    for make in (lambda: masking(1.5), lambda: gaussian(-1.0), lambda: salt_and_pepper(float("nan"))):
        with pytest.raises(ArgumentError):
            make()
