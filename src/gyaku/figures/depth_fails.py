"""Plain layers stop learning as depth grows; four repairs, one after another (lecture row 5.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import end_labels, paired, percent, percent_axis, points
from gyaku.figures.style import COLOURS, CYCLE, band, canvas
from gyaku.figures.training import accuracy, mlp, train

EXPERIMENT = Experiment(
    "depth_fails",
    ("5.3", "7.2", "8.5"),
    ("Deep and plain: it does not learn", "単純に深くすると学習しない"),
    (
        "With sigmoid, small random weights and gradient descent, one hidden layer learns and the next ones fall to "
        "chance (the dashed line: always the most frequent class). Initial values that keep the variance save a few "
        "layers, a better optimizer a few more, batch normalization all eight; with ReLU the curve is flat as well.",
        "シグモイド、小さな乱数の重み、勾配降下法では、隠れ層 1 つなら学習しますが、層を重ねると正解率は当"
        "てずっぽう（破"
        ""
        "線：常に最多のクラス）まで落ちます。分散を保つ初期値で数層、よい最適化手法でさらに数層が学習できるようになり、バ"
        "ッチ正規化では 8 層すべてが学習します。ReLU にしても正解率は下がりません。",
    ),
)
PLAIN = {"activation": "sigmoid", "init": 0.01, "norm": "none", "optimizer": "sgd", "lr": 0.5}
REPAIRS: dict[str, dict[str, Any]] = {  # each adds one thing to the one before
    "plain": PLAIN,
    "init": {**PLAIN, "init": "glorot"},
    "adam": {**PLAIN, "init": "glorot", "optimizer": "adam", "lr": 0.002},
    "batch_norm": {**PLAIN, "init": "glorot", "optimizer": "adam", "lr": 0.002, "norm": "batch"},
    "relu": {"activation": "relu", "init": "he", "norm": "batch", "optimizer": "adam", "lr": 0.002},
}
HUES = {**{name: COLOURS[name] for name in ("plain", "adam", "batch_norm")}, "init": CYCLE[3], "relu": CYCLE[2]}
TITLES = {
    "plain": ("plain (sigmoid, small, SGD)", "単純（シグモイド、小さな重み、SGD）"),
    "init": ("+ Glorot's initial values", "＋ Glorot の初期値"),
    "adam": ("+ Adam", "＋ Adam"),
    "batch_norm": ("+ batch normalization", "＋ バッチ正規化"),
    "relu": ("+ ReLU (He)", "＋ ReLU（He）"),
}
LEVELS = {"quick": ((1, 2, 4, 8), 3, 5), "default": (tuple(range(1, 9)), 5, 5), "full": (tuple(range(1, 9)), 10, 20)}


def fit(repair: str, depth: int, seed: int, data: str, epochs: int) -> float:
    """Return the test accuracy of ``depth`` hidden layers of 100 units."""
    images, options = sets.images(data), dict(REPAIRS[repair])
    net = mlp(
        [images.inputs, *[100] * depth, 10],
        activation=options.pop("activation"),
        init=options.pop("init"),
        norm=options.pop("norm"),
        seed=seed,
    )
    train(net, images.train, epochs=epochs, seed=seed, **options)
    return accuracy(net, *images.test)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return test accuracies (seeds, depths) of every repair, and the share of the most frequent class."""
    depths, n, epochs = LEVELS[level]
    name = sets.chosen(level)
    jobs = [
        {"repair": r, "depth": d, "seed": 1000 * run.seed + s, "data": name, "epochs": epochs}
        for r in REPAIRS
        for s in range(n)
        for d in depths
    ]
    results = np.array(run(fit, jobs)).reshape(len(REPAIRS), n, len(depths))
    t = sets.images(name).test[1]
    return {
        "set": name,
        "depths": depths,
        "epochs": epochs,
        "chance": float(np.bincount(t).max() / len(t)),
        "accuracy": dict(zip(REPAIRS, results, strict=True)),
    }


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return test accuracy against depth, a band for every repair."""
    figure, axes = canvas(width=11, height=5.6)
    for repair, values in data["accuracy"].items():
        band(axes, data["depths"], values, HUES[repair])
    axes.axhline(data["chance"], color=COLOURS["baseline"], linestyle="--", linewidth=1.5)
    axes.set(ylim=(0, 1), xlim=(1, data["depths"][-1]), xticks=data["depths"])
    axes.set_xlabel(say("hidden layers of 100 units", "隠れ層の数（各 100 ユニット）"))
    axes.set_ylabel(say("test accuracy", "テスト正解率"))
    percent_axis(axes.yaxis)
    n = len(data["accuracy"]["plain"])
    axes.set_title(
        sets.title(data["set"])[say.lang == "ja"]
        + say(
            f": after {data['epochs']} epochs, mean and 95 % interval of {n} seeds",
            f"：{data['epochs']} エポック後、{n} シードの平均と 95 % 信頼区間",
        )
    )
    ends = [(values[:, -1].mean(), say(*TITLES[r]), HUES[r]) for r, values in data["accuracy"].items()]
    end_labels(axes, data["depths"][-1], ends)
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that plain layers fall to chance, that each repair helps over all depths, and the repaired accuracy."""
    found, a, deepest = [_chance(data)], data["accuracy"], data["depths"][-1]
    for before, after in zip(list(a)[:-1], list(a)[1:], strict=True):
        d = paired(a[after].mean(axis=1), a[before].mean(axis=1))
        found.append(
            Claim(
                d.low > 0,
                f"{TITLES[after][0]}: mean over depths {points(d)} points ({d.n} seeds)",
                f"{TITLES[after][1]}：深さについての平均で {points(d)} ポイント（{d.n} シード）",
            )
        )
    repaired = paired(a["relu"][:, -1], a["plain"][:, -1])
    numbers = f"{percent(a['plain'][:, -1])} → {percent(a['relu'][:, -1])}"
    found.append(
        Claim(
            repaired.low > 0.5,
            f"with {deepest} layers all repairs together: {numbers}",
            f"{deepest} 層で、すべての対策により：{numbers}",
        )
    )
    return found


def _chance(data: dict[str, Any]) -> Claim:
    one, deep = data["accuracy"]["plain"][:, 0], data["accuracy"]["plain"][:, -1]
    held = bool(deep.max() <= data["chance"] and one.min() > 2 * data["chance"])
    numbers = f"{percent(one)} → {percent(deep)}"
    chance = f"{100 * data['chance']:.1f} %"
    return Claim(
        held,
        f"plain layers fall to chance (at most {chance}) from 1 to {data['depths'][-1]} hidden layers: {numbers}",
        f"単純な層は、隠れ層を 1 から {data['depths'][-1]} に増やすと当てずっぽう（{chance} 以下）"
        f"まで落ちる：{numbers}",
    )
