"""Which activation is best? An experiment, with several seeds and the same tuning for all (lecture row 1.7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import NAMES, end_labels, paired, percent, percent_axis, points, tune
from gyaku.figures.style import COLOURS, band, canvas
from gyaku.figures.training import accuracy, mlp, train

EXPERIMENT = Experiment(
    "activation_race",
    ("1.2", "1.7"),
    ("Activation race", "活性化関数の競争"),
    (
        "The same network with seven activations, each with the initial values made for it and the best of the same "
        "number of learning rates. Thin bands are 95 % intervals over seeds. Sigmoid starts late; among the others the "
        "differences in the end are small, and an experiment with several seeds is needed to see them.",
        "同じネットワークを 7 種類の活性化関数で学習させました。初期値はそれぞれに合うもの、学習率は同じ個数の候補から "
        "dev で選んだものです。帯はシードについての 95 % 信頼区間です。シグモイドは立ち上がりが遅れます。ほかの関数の最"
        "後"
        "の差は小さく、複数のシードで実験しなければ分かりません。",
    ),
)
INIT = {"sigmoid": "glorot", "tanh": "glorot"}  # He for the others
RACERS = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu")
RATES = (0.0005, 0.001, 0.002, 0.004, 0.008)
LEVELS = {"quick": (4, 1, 3), "default": (8, 1, 5), "full": (20, 4, 20)}  # seeds, tuning seeds, epochs


def race(name: str, lr: float, seed: int, data: str, epochs: int) -> dict[str, Any]:
    """Train inputs-100-100-100-classes with one activation by Adam."""
    images = sets.images(data)
    net = mlp([images.inputs, 100, 100, 100, 10], activation=name, init=INIT.get(name, "he"), seed=seed)
    curves = train(net, images.train, lr=lr, epochs=epochs, seed=seed, watch={"dev": images.dev})
    first = curves["loss"][: len(curves["loss"]) // epochs]
    return {
        "dev": curves["dev"],
        "score": curves["dev"].mean(),
        "first": first.mean(),
        "test": accuracy(net, *images.test),
    }


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return dev accuracy by epoch, the mean loss of the first epoch and test accuracy of every activation and seed."""
    n, n_tuning, epochs = LEVELS[level]
    common: dict[str, Any] = {"data": sets.chosen(level), "epochs": epochs}
    tuning_seeds = [1000 * run.seed + 500 + i for i in range(n_tuning)]
    best, _ = tune(run, race, dict.fromkeys(RACERS, RATES), tuning_seeds, **common)
    seeds = [1000 * run.seed + i for i in range(n)]
    results = run(race, [{"name": a, "lr": best[a], "seed": s, **common} for a in RACERS for s in seeds])
    found = {a: results[i * n : (i + 1) * n] for i, a in enumerate(RACERS)}
    series = {key: {a: np.array([r[key] for r in rows]) for a, rows in found.items()} for key in results[0]}
    return {**series, "rates": best, "set": common["data"]}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return dev accuracy by epoch, and test accuracy with its interval."""
    figure, (left, right) = canvas(1, 2, width=13, height=5.2, width_ratios=(1.25, 1))
    epochs = np.arange(1, len(data["dev"]["relu"][0]) + 1)
    for name in RACERS:
        band(left, epochs, data["dev"][name], COLOURS[name])
    percent_axis(left.yaxis)
    percent_axis(right.xaxis, 1)
    left.locator_params(axis="x", integer=True)
    right.locator_params(axis="x", nbins=5)
    right.grid(axis="y", visible=False)
    left.set(xlabel=say("epoch", "エポック"), ylabel=say("dev accuracy", "dev の正解率"), xlim=(epochs[0], epochs[-1]))
    left.set_title(
        sets.title(data["set"])[say.lang == "ja"]
        + say(", mean of ", "、")
        + f"{len(data['test']['relu'])} "
        + say("seeds", "シードの平均")
    )
    left.set_ylim(*_range(data["dev"]))
    end_labels(left, epochs[-1], [(data["dev"][a][:, -1].mean(), NAMES[a], COLOURS[a]) for a in RACERS])
    order = sorted(RACERS, key=lambda a: data["test"][a].mean())
    for i, name in enumerate(order):
        dot_with_interval(right, i, data["test"][name], COLOURS[name])
    right.set_yticks(range(len(order)), [f"{NAMES[a]} (λ = {data['rates'][a]:g})" for a in order])
    right.set(xlabel=say("test accuracy, 95 % interval", "テスト正解率（95 % 信頼区間）"))
    right.set_title(say("After training", "学習後"))
    return figure


def dot_with_interval(axes: Any, y: float, values: Any, colour: str) -> None:
    """Draw the runs as small dots, their mean as a large one, and the 95 % interval as a bar."""
    from gyaku.figures.statistics import interval

    low, high = interval(values)
    axes.plot(values, np.full(len(values), y), "o", color=colour, markersize=4, alpha=0.35)
    axes.plot([low, high], [y, y], color=colour, linewidth=3)
    axes.plot(np.mean(values), y, "o", color=colour, markersize=10)


def _range(curves: dict[str, Any]) -> tuple[float, float]:
    """Return limits around the means of all curves."""
    lowest = min(float(c.mean(axis=0).min()) for c in curves.values())
    return max(lowest - 0.01, 0.0), max(float(c.mean(axis=0).max()) for c in curves.values()) + 0.01


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that sigmoid starts late, and how far apart the others end."""
    late = paired(data["first"]["sigmoid"], data["first"]["relu"])
    order = sorted(RACERS, key=lambda a: -data["test"][a].mean())
    ends = paired(data["test"][order[0]], data["test"][order[-1]])
    first, last = NAMES[order[0]], NAMES[order[-1]]
    spread = f"{percent(data['test'][order[0]])}, {percent(data['test'][order[-1]])}"
    return [
        Claim(
            late.low > 0,
            f"sigmoid starts later than ReLU: its mean loss in the first epoch is higher by {late.mean:.3f} "
            f"[{late.low:.3f}, {late.high:.3f}] ({late.n} seeds)",
            f"シグモイドは ReLU より立ち上がりが遅い：最初のエポックの平均損失の差 {late.mean:.3f} "
            f"[{late.low:.3f}, {late.high:.3f}]（{late.n} シード）",
        ),
        Claim(
            ends.low > 0,
            f"the choice matters: best ({first}) and last ({last}) in test accuracy: {spread}; "
            f"paired difference {points(ends)} points",
            f"選択には意味がある：テスト正解率の最良（{first}）と最低（{last}）：{spread}、対応のある差 "
            f"{points(ends)} ポイント",
        ),
    ]
