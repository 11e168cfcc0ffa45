"""The colours can be seen on their paper and told apart by everybody."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gyaku.base.errors import UnknownNameError
from gyaku.base.look import CSS_FONTS, DARK, FONTS, LIGHT, Palette, palette

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
SIGHT = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
CURVES = ("train", "dev", "test", "baseline", "forward", "backward", "right", "wrong")
TOGETHER = [("train", "dev", "test", "baseline"), ("forward", "backward"), ("right", "wrong")]


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    t = TO_XYZ @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, sight: np.ndarray) -> float:
    return float(np.linalg.norm(lab(sight @ linear(one)) - lab(sight @ linear(other))))


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_stands_out_from_its_paper(colours: Palette) -> None:
    assert contrast(colours.ink, colours.paper) >= 7
    assert {name: contrast(getattr(colours, name), colours.paper) >= 3 for name in CURVES} == dict.fromkeys(
        CURVES, True
    )


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_curves_of_one_picture_differ_for_every_eye(colours: Palette, sight: str) -> None:
    for group in TOGETHER:
        for one, other in itertools.combinations(group, 2):
            assert distance(getattr(colours, one), getattr(colours, other), SIGHT[sight]) >= 25, (one, other)


def test_the_measure_itself_catches_a_bad_pair() -> None:
    assert distance("#D55E00", "#7A8B00", SIGHT["deuteranopia"]) < 25  # orange and olive


def test_fonts_end_in_a_generic_family_and_hold_japanese() -> None:
    assert FONTS[-1] == "sans-serif" and {"Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP"} < set(FONTS)
    assert CSS_FONTS.startswith('"Hiragino Sans", ') and CSS_FONTS.endswith(", sans-serif")


def test_an_unknown_theme_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dark'"):
        palette("drak")
