"""One visual language for all figures: sizes, fonts, and one colour for each thing wherever it appears."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from gyaku.base import look
from gyaku.base.errors import require
from gyaku.figures.statistics import interval

INK, FAINT, MUTED = look.LIGHT.ink, look.LIGHT.faint, look.LIGHT.baseline

# Okabe and Ito's palette (safe for colour-blind readers), in the order in which unnamed curves take it.
BLUE, VERMILION, GREEN, PINK, SKY, ORANGE, PLUM, GREY = CYCLE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#3B0F4A", "#767676",
)  # fmt: skip

COLOURS = {
    "train": look.LIGHT.train, "dev": look.LIGHT.dev, "test": look.LIGHT.test, "baseline": look.LIGHT.baseline,
    "forward": look.LIGHT.forward, "backward": look.LIGHT.backward,
    "sgd": GREY, "momentum": BLUE, "nesterov": SKY, "adagrad": GREEN, "rmsprop": PINK, "adam": VERMILION,
    "step": PLUM, "sigmoid": GREY, "tanh": GREEN, "relu": VERMILION, "leaky_relu": ORANGE, "elu": PINK,
    "gelu": BLUE, "silu": SKY, "identity": INK, "softmax": BLUE,
    "small": GREY, "large": PLUM, "glorot": BLUE, "he": VERMILION, "lecun": GREEN,
    "plain": GREY, "batch_norm": BLUE, "residual": PLUM, "dropout": GREEN, "l1": VERMILION, "l2": BLUE,
    "mse": BLUE, "cross_entropy": VERMILION, "hinge": GREEN,
}  # fmt: skip

_SETTINGS = {
    "figure.dpi": 110, "savefig.dpi": 150, "font.size": 13, "axes.titlesize": 14, "axes.labelsize": 13,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": MUTED, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": FAINT, "grid.linewidth": 0.7, "lines.linewidth": 2.2,
    "figure.constrained_layout.use": True, "svg.fonttype": "path", "pdf.fonttype": 42, "axes.unicode_minus": False,
    "svg.hashsalt": "gyaku",
    "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "xtick.color": INK, "ytick.color": INK,
}  # fmt: skip


# A text with a formula in it takes all its letters from the first font. IPAexGothic's Greek is as wide as kanji, so
# Greek is written in formulas ($\\lambda$) where Japanese is near.
_FONTS = {"en": ["DejaVu Sans", "IPAexGothic"], "ja": ["IPAexGothic", "DejaVu Sans"]}


@contextlib.contextmanager
def drawing(lang: str = "en") -> Iterator[None]:
    """Set matplotlib to the house style inside the block: a Japanese font, thin frames, sizes for a projector."""
    matplotlib: Any = require("matplotlib", where="figure", extra="plots")
    with matplotlib.rc_context():
        fontja: Any = require("matplotlib_fontja", where="figure", extra="plots")
        fontja.japanize()  # registers the font file that the package ships
        matplotlib.rcParams.update(
            {**_SETTINGS, "font.family": _FONTS[lang], "axes.prop_cycle": matplotlib.cycler(color=CYCLE)}
        )
        yield


def canvas(
    rows: int = 1, columns: int = 1, *, width: float = 10.0, height: float = 4.6, **options: Any
) -> tuple[Any, Any]:
    """Return a new figure and its axes (an array of them for more than one), without pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, **options)


def label(
    axes: Any, x: float, y: float, text: str, colour: str = INK, *, offset: tuple[float, float] = (7, 0), **options: Any
) -> Any:
    """Write a text beside a point, ``offset`` (points) away, on a white edge that keeps it legible over lines."""
    from matplotlib.patheffects import withStroke

    edge = [withStroke(linewidth=3.5, foreground=look.LIGHT.paper, alpha=0.85)]
    place = {"va": "center", "ha": "left", "annotation_clip": False, **options}
    return axes.annotate(
        text, (x, y), xytext=offset, textcoords="offset points", color=colour, path_effects=edge, zorder=6, **place
    )


def end_label(axes: Any, x: float, y: float, text: str, colour: str, **options: Any) -> None:
    """Write a name at the end of a curve, in its colour: a direct label instead of a legend.

    ``settle`` later moves such labels of one axes up or down until none covers another.
    """
    label(axes, x, y, text, colour, **options).set_gid("end label")


def band(axes: Any, x: Any, values: Any, colour: str, label: str = "") -> None:
    """Draw the mean of several runs (runs, points) with a band of its 95 % interval (Student's t)."""
    low, high = interval(np.asarray(values))
    mean = np.asarray(values).mean(axis=0)
    axes.plot(x, mean, color=colour)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    if label:
        end_label(axes, float(x[-1]), float(mean[-1]), label, colour)


def settle(figure: Any) -> Any:
    """Move the end labels of each axes apart where they cover each other, and return the figure."""
    figure.draw_without_rendering()  # places stand fixed only after the layout
    groups = [[t for t in axes.texts if t.get_gid() == "end label"] for axes in figure.axes]
    for group in groups:
        _spread(group, figure.dpi / 72)
    return figure


def _spread(labels: list[Any], pixels: float) -> None:
    """Stack labels that share columns of the picture; ``pixels`` a point."""
    for column in _columns([(t, t.get_window_extent()) for t in labels]):
        bottoms = spaced([b.y0 for _, b in column], [b.height * 1.05 for _, b in column])
        for (text, box), bottom in zip(column, bottoms, strict=True):
            dx, dy = text.xyann
            text.xyann = (dx, dy + (bottom - box.y0) / pixels)


def _columns(boxes: list[tuple[Any, Any]]) -> list[list[tuple[Any, Any]]]:
    """Group labels whose boxes overlap from left to right."""
    found: list[list[tuple[Any, Any]]] = []
    for each in sorted(boxes, key=lambda pair: float(pair[1].x0)):
        beside = bool(found) and each[1].x0 < max(b.x1 for _, b in found[-1])
        if beside:
            found[-1].append(each)
        else:
            found.append([each])
    return found


def spaced(starts: list[float], lengths: list[float]) -> list[float]:
    """Return new starts of intervals, in the same order, near the old ones and without overlap.

    Intervals that touch form a block, which stands where its members wish it on average.

    >>> spaced([0.0, 0.5, 9.0], [1.0, 1.0, 1.0])
    [-0.25, 0.75, 9.0]
    """
    order = sorted(range(len(starts)), key=lambda i: starts[i] + lengths[i] / 2)
    blocks: list[tuple[float, float, list[int]]] = []  # start, length, members
    for i in order:
        block = (starts[i], lengths[i], [i])
        while blocks and blocks[-1][0] + blocks[-1][1] > block[0]:
            block = _merged(blocks.pop(), block)
        blocks.append(block)
    found = list(starts)
    for start, _, members in blocks:
        for i in members:
            found[i], start = start, start + lengths[i]
    return found


def _merged(a: tuple[float, float, list[int]], b: tuple[float, float, list[int]]) -> tuple[float, float, list[int]]:
    """Return two blocks as one, at the mean of the starts that its members wish for."""
    n, m = len(a[2]), len(b[2])
    return (n * a[0] + m * (b[0] - a[1])) / (n + m), a[1] + b[1], a[2] + b[2]
