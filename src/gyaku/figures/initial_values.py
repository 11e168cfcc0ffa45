"""Initial values: 10,000 samples through a five-layer net, and what is left of them layer by layer (7.1-7.3)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, canvas, label
from gyaku.figures.training import mlp

EXPERIMENT = Experiment(
    "initial_values",
    ("7.1", "7.2", "7.3"),
    ("Initial values: the inputs of layers 2 to 5", "初期値：第2〜5層への入力の分布"),
    (
        "Each panel shows, from top to bottom, the histograms of the inputs of layers 2, 3, 4 and 5, with their "
        "standard deviation; the highest bar of each is cut to the second. A layer multiplies the variance by about "
        "N V: far below 1 the values shrink to one point (0, or 0.5 for the sigmoid), far above 1 they blow up "
        "(ReLU) or sit at the ends (sigmoid, tanh). He keeps ReLU, whose zeros cost half of the variance. LeCun and "
        "Glorot keep tanh; they agree here, since layers have as many inputs as outputs. For the sigmoid the "
        "histogram stays wide, but that is deceptive: units differ from each other, while samples become all alike.",
        "各図は上から順に、第2・3・4・5層への入力のヒストグラムと標準偏差です（最も高い棒は2番目の高さで切ってありま"
        "す）。層を一つ通ると分散はおよそ N V 倍になります。1 よりずっと小さいと値は一点（0、シグモイドでは "
        "0.5）に縮み、ずっと大きいと爆発する（ReLU）か両端に張り付きます（シグモイド、tanh）。ReLU は半分が 0 "
        "になって分散が半減するので、He の初期値が合います。tanh には LeCun と Glorot が合います（入出力の数が等しい"
        "ここでは両者は同じ分散）。シグモイドでは幅が保たれて見えますが、違うのはユニット間だけで、"
        "サンプル間の差は消えていきます。",
    ),
)
SAMPLES, UNITS, LAYERS, BINS = 10_000, 100, 5, 40
ACTIVATIONS = ("sigmoid", "tanh", "relu")
INITS: dict[str, str | float] = {"small": 0.01, "large": 1.0, "lecun": "lecun", "glorot": "glorot", "he": "he"}
FACTOR = {"small": UNITS * 0.01**2, "large": UNITS * 1.0, "lecun": 1.0, "glorot": 1.0, "he": 2.0}  # N V
SEEDS = {"quick": 1, "default": 10, "full": 50}


@functools.cache
def samples(seed: int) -> Any:
    """Return the inputs, standard normals (10,000, 100), the same for every rule and activation."""
    return Generator(seed).split("samples").normal((SAMPLES, UNITS), np.float32)


def propagate(activation: str, init: str, seed: int) -> dict[str, Any]:
    """Return for the inputs of layers 2..5: histogram, deviation, that between samples, and the law's two sides.

    ``ratio`` is the variance of a layer's a = z W over the mean square of its inputs z: about N V by the law.
    """
    net = mlp([UNITS] * (LAYERS + 1), activation=activation, init=INITS[init], seed=seed)
    z = gy.tensor(samples(seed))
    inputs, ratio = [], []
    with gy.no_grad():
        for block in list(net.children())[: LAYERS - 1]:
            affine: Any = next(m for m in block.modules() if isinstance(m, nn.Linear))
            ratio.append(float((affine(z) ** 2).mean().item() / (z**2).mean().item()))
            z = block(z)
            inputs.append(z.numpy())
    low, high = _range(activation, inputs)
    edges = np.linspace(low, high, BINS + 1)
    return {
        "edges": edges, "histogram": np.array([np.histogram(v, edges)[0] for v in inputs]), "ratio": np.array(ratio),
        "deviation": np.array([v.std() for v in inputs]),
        "between": np.array([v.std(axis=0).mean() for v in inputs]),
    }  # fmt: skip


def _range(activation: str, inputs: list[Any]) -> tuple[float, float]:
    """Return the ends of a panel: those of the activation, else what holds all but the rarest values."""
    widest = float(max(np.quantile(v, 0.999) for v in inputs))
    return {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}.get(activation, (0.0, widest))


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return per activation (identity too) and rule: the numbers of every seed; of the first one the histograms."""
    jobs = [
        {"activation": f, "init": init, "seed": run.seed + i}
        for f in (*ACTIVATIONS, "identity") for init in INITS for i in range(SEEDS[level])
    ]  # fmt: skip
    found: dict[str, Any] = {}
    for job, result in zip(jobs, run(propagate, jobs), strict=True):
        each = found.setdefault(f"{job['activation']} {job['init']}", {"edges": result.pop("edges"), "histogram": None})
        histogram = result.pop("histogram")
        each["histogram"] = histogram if each["histogram"] is None else each["histogram"]
        for name, values in result.items():
            each.setdefault(name, []).append(values)
    return {name: {k: np.array(v) for k, v in each.items()} for name, each in found.items()}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return one panel for each activation and rule, with the four histograms one below another."""
    figure, axes = canvas(len(ACTIVATIONS), len(INITS), width=14, height=8.6)
    titles = {
        "small": say("too small, σ = 0.01", "小さすぎ σ = 0.01"), "large": say("too large, σ = 1", "大きすぎ σ = 1"),
        "lecun": "LeCun  $1/N_{in}$", "glorot": "Glorot  $2/(N_{in}+N_{out})$", "he": "He  $2/N_{in}$",
    }  # fmt: skip
    for row, f in zip(axes, ACTIVATIONS, strict=True):
        for ax, init in zip(row, INITS, strict=True):
            _ridges(ax, data[f"{f} {init}"], COLOURS[init])
        row[0].set_yticks([0.4 - 1.15 * i for i in range(LAYERS - 1)], [f"{i + 2}" for i in range(LAYERS - 1)])
        row[0].set_ylabel({"relu": "ReLU"}.get(f, f) + say("\ninput of layer", "\n層への入力"))
    for ax, init in zip(axes[0], INITS, strict=True):
        ax.set_title(f"{titles[init]}\n$N_{{in}} V$ = {FACTOR[init]:g}", color=COLOURS[init])
    return figure


def _ridges(ax: Any, each: dict[str, Any], colour: str) -> None:
    """Draw the four histograms, the input of layer 2 on top, with the deviation on the right."""
    from matplotlib.ticker import MaxNLocator

    edges = each["edges"]
    end, width = edges[-1], edges[-1] - edges[0]
    for i, counts in enumerate(each["histogram"]):
        floor, full = -1.15 * i, np.sort(counts)[-2]  # the highest bar, often that of exact zeros, is cut
        ax.stairs(np.minimum(counts / full, 1.0) + floor, edges, baseline=floor, fill=True, color=colour, alpha=0.75)
        text = ("σ  " if i == 0 else "") + _short(each["deviation"][:, i].mean())
        label(ax, end, floor + 0.4, text, offset=(5, 0), fontsize=12)
    ax.set(yticks=[], xlim=(edges[0], end + 0.42 * width), ylim=(-3.5, 1.1))
    ax.grid(False)
    ticks = [edges[0], edges[0] + width / 2, end] if end == 1 else MaxNLocator(3).tick_values(0, end)
    ax.set_xticks([float(tick) for tick in ticks if tick <= end])
    ax.spines["bottom"].set_bounds(edges[0], end)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the law of the variance by numbers, and which rule shrinks, saturates, keeps."""
    law = {init: float(data[f"identity {init}"]["ratio"].mean()) for init in INITS}
    text = ", ".join(f"{init} {law[init]:.3g} ({FACTOR[init]:g})" for init in INITS)
    found = [
        Claim(
            all(abs(law[i] / FACTOR[i] - 1) < 0.1 for i in INITS),
            f"without activation a layer multiplies the variance by about N V, within 10 %: {text}",
            f"活性化がなければ一層ごとに分散はおよそ N V 倍（誤差 10 % 以内）：{text}",
        )
    ]
    last = {name: (each["deviation"] / each["deviation"][:, :1]).mean(axis=0)[-1] for name, each in data.items()}
    ends = {f: _at_ends(data[f"{f} large"]) for f in ("sigmoid", "tanh")}
    found.append(
        Claim(
            last["tanh small"] < 0.01 and last["relu small"] < 0.01,
            f"too small: from layer 2 to 5 the deviation falls to {last['tanh small']:.1g} (tanh) and "
            f"{last['relu small']:.1g} (ReLU) of it",
            f"小さすぎ：第2層から第5層までに標準偏差は {last['tanh small']:.1g} 倍（tanh）、{last['relu small']:.1g} "
            "倍（ReLU）",
        )
    )
    found.append(
        Claim(
            min(ends.values()) > 0.5 and last["relu large"] > 100,
            f"too large: {ends['sigmoid']:.0%} (sigmoid) and {ends['tanh']:.0%} (tanh) of the values lie in the outer "
            f"tenths, ReLU's deviation grows {last['relu large']:.0f} times",
            f"大きすぎ：シグモイドの {ends['sigmoid']:.0%}、tanh の {ends['tanh']:.0%} が両端の 1/10 に入り、"
            f"ReLU の標準偏差は {last['relu large']:.0f} 倍",
        )
    )
    keeps = {rule: last[f"relu {rule}"] for rule in ("lecun", "glorot", "he")}
    found.append(
        Claim(
            0.8 < keeps["he"] < 1.25 and keeps["glorot"] < 0.6 and last["tanh glorot"] > 0.4,
            f"ReLU keeps {keeps['he']:.0%} of its deviation with He, {keeps['glorot']:.0%} with Glorot; tanh keeps "
            f"{last['tanh glorot']:.0%} with Glorot",
            f"ReLU の標準偏差は He で {keeps['he']:.0%}、Glorot で {keeps['glorot']:.0%} が残り、tanh は Glorot で "
            f"{last['tanh glorot']:.0%} が残る",
        )
    )
    return [*found, _samples(data["sigmoid glorot"])]


def _at_ends(each: dict[str, Any]) -> float:
    """Return the share of layer 5's inputs in the outer tenths of the activation's range."""
    counts = each["histogram"][-1]
    return float((counts[: BINS // 10].sum() + counts[-BINS // 10 :].sum()) / counts.sum())


def _samples(each: dict[str, Any]) -> Claim:
    """Return whether Glorot keeps apart the samples, not just the units, for the sigmoid."""
    width, apart = ((each[k][:, -1] / each[k][:, 0]).mean() for k in ("deviation", "between"))
    return Claim(
        bool(apart > 0.5),
        f"Glorot keeps sigmoid's samples apart: the histogram keeps {width:.0%} of its deviation, a unit's "
        f"deviation over the samples {apart:.1%}",
        f"Glorot ならシグモイドでもサンプル間の差が残る：ヒストグラムの標準偏差は {width:.0%}、"
        f"サンプル間の標準偏差は {apart:.1%} が残る",
    )
