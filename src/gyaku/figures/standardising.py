"""Standardising a data set, then giving it any mean and deviation (lecture row 8.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import BLUE, GREY, INK, VERMILION, canvas, label
from gyaku.layers import BatchNorm

EXPERIMENT = Experiment(
    "standardising",
    ("8.1", "8.2"),
    ("Standardising, and moving to any mean and deviation", "標準化と、任意の平均・標準偏差への変換"),
    (
        "Top: data between 0 and 1. Middle: less its mean, over its deviation: mean 0, variance 1. Bottom: times γ = "
        "5, plus β = 2: mean 2, variance 25. Order and shape stay what they were, only place and width change. Batch "
        "normalization does exactly this to every column of a mini-batch, and learns γ and β.",
        "上：0 から 1 のデータ。中：平均を引き、標準偏差で割ると、平均 0、分散 1 になります。下：γ = 5 倍して β = 2 "
        "を足すと、平均 2、分散 25 になります。順序と形はそのままで、位置と幅だけが変わります。"
        "バッチ正規化はミニバッチの各列にこの変換を行い、γ と β を学習します。",
    ),
)
SAMPLES = 1_000
GAMMA, BETA = 5.0, 2.0


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the data, standardised, moved, and what a batch normalization layer makes of it."""
    x = Generator(run.seed).split("data").uniform((SAMPLES,))
    standard = (x - x.mean()) / x.std()
    layer = BatchNorm(np.array([GAMMA]), np.array([BETA]))
    return {"x": x, "standard": standard, "moved": GAMMA * standard + BETA, "layer": layer.forward(x[:, None])[:, 0]}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return three histograms over one axis, with mean and deviation."""
    figure, axes = canvas(3, 1, width=11, height=7, sharex=True)
    titles = (
        ("x", GREY, say("data between 0 and 1", "0 から 1 のデータ"), "$X$"),
        ("standard", BLUE, say("standardised", "標準化"), "$\\tilde X = (X - \\mu)/\\sigma$"),
        ("moved", VERMILION, say("mean 2, variance 25", "平均 2、分散 25"), "$Y = 5\\,\\tilde X + 2$"),
    )
    for panel, (name, colour, words, formula) in zip(axes, titles, strict=True):
        draw_histogram(panel, data[name], colour)
        panel.set_ylabel(formula, rotation=0, ha="right", va="center", color=colour)
        mean, deviation = abs(data[name].mean()), data[name].std()
        text = (
            f"{words}:  $\\mu = {mean:.3g},\\ \\sigma = {deviation:.3g}$"
            if mean > 1e-9
            else words + ":  $\\mu = 0,\\ \\sigma = 1$"
        )
        panel.set_title(text, color=colour)
    axes[-1].set(xlim=(-8, 12), xticks=range(-8, 13, 2), xlabel=say("value", "値"))
    return figure


def draw_histogram(axes: Any, values: np.ndarray, colour: str) -> None:
    """Draw counts in 12 bins, the mean as a line and one deviation to each side as an arrow."""
    counts, _, _ = axes.hist(values, bins=12, color=colour, alpha=0.75, edgecolor="white")
    mean, deviation, top = values.mean(), values.std(), counts.max() * 1.25
    axes.plot([mean, mean], [0, top], color=INK, linewidth=1.5)
    axes.annotate(
        "", (mean + deviation, top * 0.9), (mean - deviation, top * 0.9), arrowprops={"arrowstyle": "<->", "color": INK}
    )
    label(axes, mean + deviation, top * 0.9, "$\\mu \\pm \\sigma$")
    axes.set(ylim=(0, top * 1.05), yticks=[])
    axes.grid(False)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the exact means and variances, the kept order, and that the layer does the same."""
    found = []
    for name, mean, variance in (("standard", 0.0, 1.0), ("moved", BETA, GAMMA**2)):
        m, v = float(data[name].mean()), float(data[name].var())
        held = abs(m - mean) < 1e-12 and abs(v - variance) < 1e-11
        en, ja = {"standard": ("standardised", "標準化後"), "moved": ("moved", "変換後")}[name]
        errors = f"{abs(m - mean):.0e}, {abs(v - variance):.0e}"
        found.append(Claim(held, f"{en}: mean {mean:g}, variance {variance:g} (off by {errors})",
                           f"{ja}：平均 {mean:g}、分散 {variance:g}（誤差 {errors}）"))  # fmt: skip
    same = bool((np.argsort(data["x"], kind="stable") == np.argsort(data["moved"], kind="stable")).all())
    differ = float(np.abs(data["layer"] - data["moved"]).max())
    return [
        *found,
        Claim(same, "the order of the data is kept", "データの順序は変わらない"),
        Claim(differ < 1e-6, f"layers.BatchNorm gives the same to {differ:.0e} (its ε = 1e-8 stands under the root)",
              f"layers.BatchNorm も同じ値（差 {differ:.0e}、根号の中の ε = 1e-8 による）"),
    ]  # fmt: skip
