"""Remedies against vanishing: ReLU with He's values, batch normalization, skips; δ and accuracy side by side (10.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired, percent, points
from gyaku.figures.sets import images, title
from gyaku.figures.statistics import interval
from gyaku.figures.style import COLOURS, band, canvas
from gyaku.figures.training import accuracy, deltas, mlp, train

EXPERIMENT = Experiment(
    "remedies",
    ("10.1", "10.2"),
    ("Remedies against vanishing gradients", "勾配消失への対策"),
    (
        "Left: the size of δ at each layer before training, relative to the last hidden layer. In the plain sigmoid "
        "net the first layers receive almost nothing; each remedy alone brings δ back by many powers of ten. Right: "
        "accuracy on the development data while the same nets train with the same SGD. The plain net stays at "
        "chance; with ReLU and He's initial values, with batch normalization, or with a skip around each layer it "
        "learns. The remedy is one line of the network.",
        "左：学習前の各層の δ の大きさ（最後の隠れ層との比）。シグモイドだけの網では、入力に近い層にはほとんど何も届"
        "きません。対策をどれか一つ入れるだけで δ は何桁も回復します。右：同じ SGD で学習したときの開発データの正解"
        "率。元の網は当てずっぽうのままですが、ReLU と He の初期値、バッチ正規化、各層を飛び越すスキップ接続のどれで"
        "も学習が進みます。どの対策もネットワークの一行の変更です。",
    ),
)
DEPTH, UNITS, RATE, CHANCE = 10, 32, 0.05, 0.1
NETS: dict[str, dict[str, Any]] = {
    "plain": {"activation": "sigmoid", "init": "glorot"},
    "relu": {"activation": "relu", "init": "he"},
    "batch_norm": {"activation": "sigmoid", "init": "glorot", "norm": "batch"},
    "residual": {"activation": "sigmoid", "init": "glorot", "residual": True},
}
NAMES = {
    "plain": ("plain sigmoid", "シグモイドのみ"), "relu": ("ReLU + He", "ReLU + He"),
    "batch_norm": ("batch norm", "バッチ正規化"), "residual": ("skips", "スキップ接続"),
}  # fmt: skip
SIZES = {"quick": (3, 8), "default": (10, 30), "full": (30, 60)}  # seeds, epochs


def one(name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Return the norms of δ of the hidden layers before training, and the accuracies while and after it."""
    data = images("digits")
    net = mlp([data.inputs, *[UNITS] * DEPTH, 10], seed=seed, **NETS[name])
    norms = [np.linalg.norm(delta.astype(np.float64)) for delta in deltas(net, data.few(100))[:-1]]
    curves = train(
        net, data.train, optimizer="sgd", lr=RATE, epochs=epochs, batch=50, seed=seed, watch={"dev": data.dev}
    )
    return {"delta": np.array(norms) / norms[-1], "dev": curves["dev"], "test": accuracy(net, *data.test)}


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return for each net ``delta`` (seeds, layers), ``dev`` (seeds, epochs) and ``test`` (seeds,)."""
    seeds, epochs = SIZES[level]
    jobs = [{"name": name, "seed": run.seed + i, "epochs": epochs} for name in NETS for i in range(seeds)]
    results = run(one, jobs)
    return {
        name: {key: np.array([r[key] for r in results[i * seeds : (i + 1) * seeds]]) for key in results[0]}
        for i, name in enumerate(NETS)
    }


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return δ by layer on the left, accuracy by epoch on the right."""
    figure, (left, right) = canvas(1, 2, width=13, height=5.4)
    for name, each in data.items():
        text = say(*NAMES[name])
        band(left, np.arange(DEPTH, 0, -1), np.log10(each["delta"][:, ::-1]), COLOURS[name], text)
        band(right, np.arange(1, each["dev"].shape[1] + 1), each["dev"], COLOURS[name], text)
    left.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:.0f}}}$")
    left.set(
        xlabel=say("hidden layer (1: nearest the input)", "隠れ層（1：入力側）"),
        xlim=(DEPTH + 0.3, -2.6),
        xticks=[10, 8, 6, 4, 2, 1],
        ylabel=say("size of δ relative to the last hidden layer", "δ の大きさ（最後の隠れ層との比）"),
        title=say("before training", "学習前"),
    )
    epochs = data["plain"]["dev"].shape[1]
    right.set(
        xlabel=say("epoch", "エポック"),
        ylabel=say("accuracy (development)", "正解率（開発データ）"),
        ylim=(0, 1.02),
        xlim=(0.5, epochs * 1.36),
        xticks=np.linspace(0, epochs, 4).round(),
        title=say(*title("digits")) + say(f", {DEPTH} hidden layers, SGD", f"、隠れ層 {DEPTH}、SGD"),
    )
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that plain stays at chance, and what each remedy gains with its interval over the seeds."""
    plain, n = data["plain"]["test"], len(data["plain"]["test"])
    found = [
        Claim(
            bool(interval(plain)[1] < 2 * CHANCE),
            f"plain sigmoid with {DEPTH} hidden layers stays at chance: test accuracy {percent(plain)}, {n} seeds",
            f"隠れ層 {DEPTH} のシグモイドのみの網は当てずっぽうのまま：テスト正解率 {percent(plain)}、シード {n} 個",
        )
    ]
    for name in list(NETS)[1:]:
        gain, test = paired(data[name]["test"], plain), percent(data[name]["test"])
        first, before = (np.median(data[k]["delta"][:, 0]) for k in (name, "plain"))
        en, ja = NAMES[name]
        found.append(
            Claim(
                bool(gain.low > 0 and first > 1000 * before),
                f"{en}: test accuracy {test}, {points(gain)} points above plain; δ at layer 1 is {first:.2g} instead "
                f"of {before:.1g}",
                f"{ja}：テスト正解率 {test}、元の網より {points(gain)} ポイント上。第1層の δ は {before:.1g} から "
                f"{first:.2g} に",
            )
        )
    return found
