"""How Gyaku's pictures and pages look: one colour for each meaning, on light and on dark paper, and the fonts.

Blue against orange stays apart for every kind of colour blindness; where more than two meanings meet, they differ in
lightness as well. The tests measure both: contrast with the paper at least 3 (WCAG 2.2, 1.4.11), and distances between
the curves of one picture as seen with each deficiency (matrices of Machado, Oliveira and Fernandes, 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

from gyaku.base.errors import UnknownNameError


@dataclass(frozen=True)
class Palette:
    """Colours as ``#rrggbb``, named by what they mean."""

    paper: str  # the ground
    ink: str  # text and axes
    faint: str  # grid lines and frames
    train: str
    dev: str
    test: str
    baseline: str
    forward: str  # values
    backward: str  # deltas and derivatives
    right: str
    wrong: str


LIGHT = Palette(
    paper="#FFFFFF",
    ink="#1B1F24",
    faint="#D5D9DE",
    train="#0072B2",
    dev="#D55E00",
    test="#3B0F4A",
    baseline="#767676",
    forward="#0072B2",
    backward="#D55E00",
    right="#0072B2",
    wrong="#C1121F",
)
DARK = Palette(
    paper="#15181D",
    ink="#E6E9ED",
    faint="#3A4048",
    train="#56B4E9",
    dev="#E8743B",
    test="#FFF3B0",
    baseline="#8A8A8A",
    forward="#56B4E9",
    backward="#E8743B",
    right="#56B4E9",
    wrong="#FF6B6B",
)

# The first one installed is used: the fonts of macOS, Windows, Linux and Android that hold Japanese, then anything.
FONTS = (
    "Hiragino Sans",
    "Hiragino Kaku Gothic ProN",
    "Yu Gothic",
    "Meiryo",
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "IPAexGothic",
    "Segoe UI",
    "Helvetica Neue",
    "DejaVu Sans",
    "sans-serif",
)
CSS_FONTS = ", ".join(font if font.islower() else f'"{font}"' for font in FONTS)


def palette(theme: str = "light") -> Palette:
    """Return the colours of ``"light"`` or ``"dark"``. Raises ``UnknownNameError`` for any other theme.

    >>> palette("dark").train
    '#56B4E9'
    """
    themes = {"light": LIGHT, "dark": DARK}
    if theme not in themes:
        raise UnknownNameError("palette", theme, themes, what="theme")
    return themes[theme]
