"""Squared error, cross-entropy and hinge loss as functions of the scores (lecture row 2.5)."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, INK, canvas, label

EXPERIMENT = Experiment(
    "loss_surfaces",
    ("2.5",),
    ("Squared error, cross-entropy and hinge loss", "二乗誤差・交差エントロピー・ヒンジ損失"),
    (
        "Left: three classes, scores (s₀, 2, 0.5), and class 0 is right. The hinge loss is a straight line until the "
        "right score leads the best wrong one by 1, then exactly 0; cross-entropy never stops asking for more, but "
        "ever more softly; the squared error punishes a score that is too good. At s₀ = 1 the lecture's hinge is 2. "
        "Right: the same over two scores. Hinge and cross-entropy depend on the difference only, so their valleys are "
        "open; the squared error is a bowl around (1, 0).",
        "左：3 クラスでスコアは (s₀, 2, 0.5)、正解はクラス 0 です。ヒンジ損失は、正解のスコアが最良の誤りを 1 "
        "上回るまで直線で、その先はちょうど 0 です。交差エントロピーは弱まりながらも常に差を広げようとします。"
        "二乗誤差は良すぎるスコアも罰します。s₀ = 1 で講義のヒンジ損失は 2 です。右：スコアが二つの場合。"
        "ヒンジと交差エントロピーは差だけで決まるので谷は開いており、二乗誤差は (1, 0) を底とする椀です。",
    ),
)
SCORES, TARGET = (1.0, 2.0, 0.5), 0
GRID, SIDE = np.linspace(-2, 6, 401), np.linspace(-3, 4, 141)
LOSSES = ("mse", "cross_entropy", "hinge")


def losses(scores: np.ndarray) -> dict[str, np.ndarray]:
    """Return the loss of each row of scores (N, K) when class 0 is right; the squared error is ½ Σ (s - one-hot)²."""
    s, t = gy.tensor(scores), gy.tensor([TARGET] * len(scores))
    one_hot = np.eye(scores.shape[1])[TARGET]
    return {
        "mse": 0.5 * ((scores - one_hot) ** 2).sum(axis=1),
        "cross_entropy": nn.CrossEntropyLoss(reduction="none")(s, t).numpy(),
        "hinge": nn.MultiClassHingeLoss(reduction="none")(s, t).numpy(),
        "margin": nn.MultiMarginLoss(reduction="none")(s, t).numpy(),
    }


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the losses on a line and on a square of scores; exact at every level."""
    line = np.column_stack([GRID, *(np.full(len(GRID), s) for s in SCORES[1:])])
    square = np.stack(np.meshgrid(SIDE, SIDE), axis=-1).reshape(-1, 2)
    return {
        "s": GRID, "line": losses(line), "at": losses(np.array([SCORES])), "side": SIDE,
        "square": {name: values.reshape(len(SIDE), -1) for name, values in losses(square).items() if name in LOSSES},
    }  # fmt: skip


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the losses over one score and, beside it, three maps over two."""
    figure, axes = canvas(1, 4, width=17, height=4.9, width_ratios=(1.7, 1, 1, 1))
    names = {
        "mse": say("squared error", "二乗誤差"),
        "cross_entropy": say("cross-entropy", "交差エントロピー"),
        "hinge": say("hinge", "ヒンジ"),
    }
    draw_line(axes[0], data, names, say)
    for panel, name in zip(axes[1:], LOSSES, strict=True):
        draw_map(panel, data["side"], data["square"][name], COLOURS[name], names[name])
    axes[1].set_ylabel(say("wrong score $s_1$", "誤りのスコア $s_1$"))
    axes[2].set_xlabel(say("right score $s_0$", "正解のスコア $s_0$"))
    return figure


def draw_line(axes: Any, data: dict[str, Any], names: dict[str, str], say: Say) -> None:
    """Draw the three losses over the score of the right class."""
    places = {"mse": (4.05, 6.2), "cross_entropy": (2.4, 1.15), "hinge": (4.4, -0.42)}
    for name, (x, y) in places.items():
        axes.plot(data["s"], data["line"][name], color=COLOURS[name])
        label(axes, x, y, names[name], COLOURS[name], offset=(0, 0), fontsize=14)
    hinge = float(data["at"]["hinge"][0])
    axes.plot(SCORES[0], hinge, "o", color=COLOURS["hinge"], markersize=8)
    label(axes, SCORES[0], hinge, f"$s_0 = 1$: {hinge:g}", INK, offset=(0, 34), ha="center")
    title = say("scores $(s_0,\\ 2,\\ 0.5)$, class 0 is right", "スコア $(s_0,\\ 2,\\ 0.5)$、正解は 0")
    axes.set(title=title, xlabel="$s_0$", ylabel=say("loss", "損失"), ylim=(-0.8, 7.5), xlim=(-2, 6))


def draw_map(axes: Any, side: np.ndarray, values: np.ndarray, colour: str, title: str) -> None:
    """Draw level lines of a loss over (s0, s1), with the line where both scores are equal."""
    lines = axes.contour(side, side, values, levels=[0.1, 0.5, 1, 2, 3, 4, 6, 8], colors=colour, linewidths=1.6)
    axes.clabel(lines, fmt="%g", fontsize=10)
    axes.plot(side, side, ":", color=INK, linewidth=1.3)
    axes.set(title=title, aspect="equal", xticks=[-2, 0, 2, 4], yticks=[-2, 0, 2, 4])
    axes.title.set_color(colour)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the lecture's two numbers, where hinge ends, and that differences alone matter to two of the losses."""
    hinge, margin = float(data["at"]["hinge"][0]), float(data["at"]["margin"][0])
    zero = float(data["s"][np.argmax(data["line"]["hinge"] == 0)])
    drift = {name: diagonal_change(data["square"][name]) for name in LOSSES}
    worst = max(drift["hinge"], drift["cross_entropy"])
    return [
        Claim(hinge == 2.0, f"hinge of (1, 2, 0.5), class 0: {hinge:g}",
              f"(1, 2, 0.5)、正解 0 のヒンジ損失：{hinge:g}"),
        Claim(abs(margin - 2.5 / 3) < 1e-12, f"PyTorch's MultiMarginLoss of the same: {margin:.8f} = 2.5/3",
              f"同じスコアの MultiMarginLoss：{margin:.8f} = 2.5/3"),
        Claim(abs(zero - 3) < 1e-9, f"hinge is 0 from s₀ = {zero:g} on, 1 above the best wrong score",
              f"ヒンジ損失は s₀ = {zero:g} 以上で 0（最良の誤りより 1 大きい）"),
        Claim(worst < 1e-12 < drift["mse"],
              f"a number added to all scores changes hinge and cross-entropy by {worst:.1e}, "
              f"the squared error by up to {drift['mse']:.2f}",
              f"全スコアに同じ数を足したときの変化：ヒンジと交差エントロピー {worst:.1e}、"
              f"二乗誤差は最大 {drift['mse']:.2f}"),
    ]  # fmt: skip


def diagonal_change(square: np.ndarray) -> float:
    """Return the largest difference between neighbours along diagonals, where both scores grow alike."""
    return float(np.abs(square[1:, 1:] - square[:-1, :-1]).max())
