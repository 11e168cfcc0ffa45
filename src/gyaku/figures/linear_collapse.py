"""Affine layers without an activation between them are one affine layer (lecture row 1.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, INK, canvas, label
from gyaku.layers import Affine, Tanh

EXPERIMENT = Experiment(
    "linear_collapse",
    ("1.3",),
    ("Affine layers without activations collapse into one", "活性化関数のないアフィン層は一層と同じ"),
    (
        "A square lattice goes through two affine layers. Without an activation between them straight lines stay "
        "straight and parallel: the crosses, computed by the single layer W = W₁W₂, b = b₁W₂ + b₂, hit every node. Any "
        "number of such layers can do no more than one. A tanh between the same two layers bends the lattice, and no "
        "single affine layer does that.",
        "正方格子を二つのアフィン層に通します。間に活性化関数がなければ直線は直線のまま、平行線は平行のままで、"
        "一つの層 W = W₁W₂、b = b₁W₂ + b₂ で計算した×印が全ての格子点に一致します。"
        "何層重ねても一層分のことしかできません。同じ二層の間に tanh を入れると格子が曲がります。"
        "これは一つのアフィン層では表せません。",
    ),
)
SIDE, DEPTH, HIDDEN = 11, 10, 6
LATTICE = np.stack(np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE)), axis=-1).reshape(-1, 2)


def weights(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (W, b) of two layers, 2 -> HIDDEN -> 2."""
    stream = Generator(seed).split("weights")
    shapes = ((2, HIDDEN), (HIDDEN, 2))
    return [(stream.normal((k, n)) * (1.2 / np.sqrt(k)), 0.3 * stream.normal((n,))) for k, n in shapes]


def through(layers: list[Any], x: np.ndarray) -> np.ndarray:
    """Return x after all layers."""
    for layer in layers:
        x = layer.forward(x)
    return x


def collapsed(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the one (W, b) that many affine layers are."""
    W, b = pairs[0]
    for W2, b2 in pairs[1:]:
        W, b = W @ W2, b @ W2 + b2
    return W, b


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the lattice after each of the nets; exact at every level."""
    pairs = weights(run.seed)
    tower = [weights(run.seed + i)[0][0][:, :2] for i in range(DEPTH)]
    deep = [(W, W[0]) for W in tower]
    first, second = (Affine(W, b) for W, b in pairs)
    return {
        "x": LATTICE,
        "two": through([first, second], LATTICE),
        "one": Affine(*collapsed(pairs)).forward(LATTICE),
        "bent": through([first, Tanh(), second], LATTICE),
        "deep": through([Affine(W, b) for W, b in deep], LATTICE),
        "deep_as_one": Affine(*collapsed(deep)).forward(LATTICE),
    }


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the lattice before, after two affine layers, and after two with tanh between."""
    figure, axes = canvas(1, 3, width=14, height=5.2)
    titles = (
        say("the input", "入力"),
        say("two affine layers", "アフィン層二つ"),
        say("with tanh between", "間に tanh"),
    )
    panels = (("x", INK), ("two", COLOURS["forward"]), ("bent", COLOURS["tanh"]))
    for panel, title, (name, colour) in zip(axes, titles, panels, strict=True):
        lattice(panel, data[name], colour)
        panel.set(title=title, xlabel="$x_1$" if name == "x" else "$y_1$")
        panel.set_aspect("equal", adjustable="datalim")
        panel.set_ylabel("$x_2$" if name == "x" else "$y_2$", rotation=0, labelpad=12)
    axes[1].plot(*data["one"].T, "x", color=COLOURS["backward"], markersize=5, markeredgewidth=1.4)
    axes[1].text(0.5, -0.2, say("crosses: one layer, $W_1W_2$ and $b_1W_2+b_2$", "×：一つの層 $W_1W_2,\\ b_1W_2+b_2$"),
                 color=COLOURS["backward"], transform=axes[1].transAxes, ha="center")  # fmt: skip
    return figure


def lattice(axes: Any, points: np.ndarray, colour: str) -> None:
    """Draw the lines of a lattice (SIDE * SIDE, 2)."""
    square = points.reshape(SIDE, SIDE, 2)
    for lines in (square, square.transpose(1, 0, 2)):
        for line in lines:
            axes.plot(*line.T, color=colour, linewidth=1.4)
    for corner, name in ((square[0, 0], "1"), (square[-1, -1], "2")):
        away = corner - points.mean(axis=0)
        label(axes, corner[0], corner[1], name, colour, offset=tuple(13 * away / np.linalg.norm(away)), ha="center")
    axes.plot(*square[[0, -1], [0, -1]].T, "o", color=colour, markersize=5)
    axes.margins(0.12)  # room for the names of the corners


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the agreement of many layers with one, and that tanh breaks it."""
    two, deep = (float(np.abs(data[a] - data[b]).max()) for a, b in (("two", "one"), ("deep", "deep_as_one")))
    rest = misfit(data["x"], data["bent"])
    return [
        Claim(two < 1e-13, f"two layers and W₁W₂, b₁W₂ + b₂ differ by at most {two:.1e}",
              f"二層と W₁W₂、b₁W₂ + b₂ の差は最大 {two:.1e}"),
        Claim(deep < 1e-11, f"{DEPTH} layers and their one layer differ by at most {deep:.1e}",
              f"{DEPTH} 層とそれをまとめた一層の差は最大 {deep:.1e}"),
        Claim(rest > 0.01, f"with tanh between, the best single affine layer leaves {rest:.1%} of the variance",
              f"間に tanh を入れると、最良のアフィン層でも分散の {rest:.1%} が残る"),
    ]  # fmt: skip


def misfit(x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of the variance of y (N, 2) that no affine function of x (N, 2) explains."""
    columns = np.column_stack([x, np.ones(len(x))])
    left = y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
    return float((left**2).sum() / ((y - y.mean(axis=0)) ** 2).sum())
