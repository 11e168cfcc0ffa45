"""Does pre-training pay? A deep sigmoid net with few and many labels, against today's remedies; δ by layer (11.5)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gyaku.energy import DBN
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired, percent, percent_axis, points
from gyaku.figures.sets import Images, chosen, pixels, title
from gyaku.figures.statistics import interval
from gyaku.figures.style import BLUE, COLOURS, GREEN, PLUM, band, canvas, end_label
from gyaku.figures.training import accuracy, deltas, mlp, quickest_step, train
from gyaku.models import StackedAutoencoder
from gyaku.train import fit_layers

EXPERIMENT = Experiment(
    "pretraining",
    ("11.1", "11.3", "11.5"),
    ("Does pre-training pay?", "事前学習に効果はあるか"),
    (
        "One deep sigmoid net, from random (Glorot) values or pre-trained without labels on all training digits, as a "
        "deep belief net (DBN) or a stacked autoencoder (SAE); beside it what is used today, ReLU with He's values and "
        "batch normalization, without pre-training. All get the same digits, steps of Adam and number of learning "
        "rates, the best by the development data. Left: test accuracy by the number of labels, with 95 % intervals "
        "over seeds. Middle and right: the size of δ by layer relative to the last hidden layer, before the first step "
        "with labels, and after fine-tuning with all labels.",
        "同じ深いシグモイドの網を、ランダムな初期値（Glorot）から、またはラベルなしの全学習データで事前学習してから学"
        "習します。事前学習は深層信念ネットワーク（DBN）と積層自己符号化器（SAE）。比べるのは、今日ふつうに使われる "
        "ReLU と He の初期値、およびバッチ正規化で、事前学習なしです。数字・Adam の回数・学習率の候補数は皆同じで、"
        "学習率は開発データで選びます。左：ラベル数とテスト正解率（シードについての95%信頼区間）。"
        "中央と右：各層の δ の大きさ（最後の隠れ層との比）。ラベルを使い始める前と、全ラベルで微調整した後。",
    ),
)
DEPTH, UNITS, BATCH = 5, 64, 50
RATES = (0.001, 0.003, 0.01)
NETS: dict[str, dict[str, Any]] = {
    "random": {"activation": "sigmoid", "init": "glorot"},
    "dbn": {},
    "sae": {},
    "batch_norm": {"activation": "sigmoid", "init": "glorot", "norm": "batch"},
    "relu": {"activation": "relu", "init": "he"},
}
PRETRAINED, TODAY = ("dbn", "sae"), ("batch_norm", "relu")
NAMES = {
    "random": ("sigmoid, random", "シグモイド、乱数"), "dbn": ("sigmoid, DBN", "シグモイド、DBN"),
    "sae": ("sigmoid, SAE", "シグモイド、SAE"), "batch_norm": ("sigmoid, batch norm", "シグモイド、バッチ正規化"),
    "relu": ("ReLU, He", "ReLU、He"),
}  # fmt: skip
COLOUR = {"random": COLOURS["plain"], "dbn": PLUM, "sae": GREEN, "batch_norm": BLUE, "relu": COLOURS["relu"]}
SIZES = {"quick": (2, 40, 1), "default": (10, 1000, 30), "full": (10, 4000, 20)}  # seeds, steps, epochs a layer


def labels_of(data: Images) -> list[int]:
    """Return the numbers of labels: 100, 1,000 and all."""
    return [100, 1000, len(data.train[0])]


def initial(name: str, data: Images, seed: int, epochs: int) -> Any:
    """Return a function that makes the net anew, with the same values each time; pre-training is done here, once."""
    x, sizes = data.train[0], [UNITS] * DEPTH
    if name == "dbn":
        belief = DBN(data.inputs, sizes, seed=seed)
        belief.fit(x, epochs=epochs, batch_size=BATCH, lr=0.1, momentum=0.9, seed=seed)
        return lambda: belief.to_network(10, seed=seed)
    if name == "sae":
        stack = StackedAutoencoder(data.inputs, sizes, seed=seed)
        fit_layers(stack, x, epochs=epochs, batch_size=BATCH, lr=0.003, seed=seed)
        return lambda: stack.to_classifier(10, seed=seed)
    return lambda: mlp([data.inputs, *sizes, 10], seed=seed, **NETS[name])


@functools.cache
def step_for(steps: int) -> Any:
    """Return the step, as machine code where that pays, one for all nets of this process."""
    return quickest_step(steps)


def one(name: str, seed: int, data: str, steps: int, epochs: int) -> dict[str, Any]:
    """Return ``dev`` and ``test`` (labels, rates), and δ before and, with all labels, after (rates, layers)."""
    found = pixels(data)
    make = initial(name, found, seed, epochs)
    result: dict[str, Any] = {"before": profile(make(), found), "dev": [], "test": [], "after": []}
    for labels in labels_of(found):
        nets = [make() for _ in RATES]
        for net, lr in zip(nets, RATES, strict=True):
            part, rounds = found.few(labels, seed), max(1, steps // (labels // BATCH))
            train(net, part, lr=lr, epochs=rounds, batch=BATCH, seed=seed, step=step_for(steps))
        for key, (x, t) in (("dev", found.dev), ("test", found.test)):
            result[key].append([accuracy(net, x, t) for net in nets])
    result["after"] = [profile(net, found) for net in nets]
    return {key: np.array(value) for key, value in result.items()}


def profile(net: Any, data: Images) -> Any:
    """Return the norm of δ of each hidden layer over 100 training digits, relative to the last hidden layer."""
    norms = [np.linalg.norm(delta.astype(np.float64)) for delta in deltas(net, data.few(100))[:-1]]
    return np.array(norms) / max(norms[-1], 1e-300)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return for each net ``test`` (labels, seeds), ``lr`` (labels,), ``before`` and ``after`` (seeds, layers)."""
    seeds, steps, epochs = SIZES[level]
    name = chosen(level) if level == "full" else "digits"  # small digits, so that ten seeds are cheap
    options = {"data": name, "steps": steps, "epochs": epochs}
    jobs = [{"name": net, "seed": run.seed + i, **options} for net in NETS for i in range(seeds)]
    results = run(one, jobs)
    found: dict[str, Any] = {"data": name, "labels": labels_of(pixels(name)), "nets": {}}
    for i, net in enumerate(NETS):
        own = {k: np.array([r[k] for r in results[i * seeds : (i + 1) * seeds]]) for k in results[0]}
        best = own["dev"].mean(axis=0).argmax(axis=1)  # of the rates, for each number of labels
        test = np.array([own["test"][:, j, rate] for j, rate in enumerate(best)])
        lr = [RATES[rate] for rate in best]
        found["nets"][net] = {"test": test, "lr": lr, "before": own["before"], "after": own["after"][:, best[-1]]}
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return accuracy by labels, and δ by layer before and after fine-tuning."""
    figure, (left, middle, right) = canvas(1, 3, width=17, height=5.8, width_ratios=[1.45, 1, 1])
    places = np.arange(len(data["labels"]))
    for i, (name, each) in enumerate(data["nets"].items()):
        low, high = interval(each["test"].T)
        mean, x = each["test"].mean(axis=1), places + 0.04 * (i - 2)  # beside one another
        left.errorbar(x, mean, yerr=(mean - low, high - mean), fmt="o-", color=COLOUR[name], capsize=3, linewidth=1.6)
        end_label(left, places[-1] + 0.12, mean[-1], say(*NAMES[name]), COLOUR[name])
    percent_axis(left.yaxis)
    left.set_ylim(max(0.0, left.get_ylim()[0]), 1.02)
    left.set_xticks(places, [f"{n:,}" for n in data["labels"]])
    left.set(
        xlim=(-0.2, places[-1] + 1.5), xlabel=say("labels", "ラベルの数"), ylabel=say("test accuracy", "テスト正解率")
    )
    left.set_title(say(*title(data["data"])) + say(f", {DEPTH} hidden layers", f"、隠れ層 {DEPTH}"))
    times = (middle, "before", say("before fine-tuning", "微調整の前")), (right, "after", say("after", "微調整の後"))
    for ax, when, text in times:
        for name, each in data["nets"].items():
            band(ax, np.arange(1, DEPTH + 1), np.log10(each[when]), COLOUR[name])
        ax.set(xlabel=say("hidden layer (1: nearest the input)", "隠れ層（1：入力側）"), xticks=range(1, DEPTH + 1))
        ax.set_title(say("size of δ, ", "δ の大きさ、") + text)
        ax.yaxis.set_major_formatter(lambda value, _: f"{10**value:.2g}")
    low, high = (f(ax.get_ylim()[k] for ax in (middle, right)) for k, f in ((0, min), (1, max)))
    for ax in (middle, right):
        ax.set_ylim(low, high)
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return what pre-training gains over random values, and a DBN over today's nets, by number of labels; and δ."""
    nets = data["nets"]
    found = [_gain(data, i, name, "random") for name in PRETRAINED for i in range(len(data["labels"]))]
    found += [_gain(data, i, "dbn", name) for name in TODAY for i in range(len(data["labels"]))]
    first = {name: (np.median(nets[name]["before"][:, 0]), np.median(nets[name]["after"][:, 0])) for name in NETS}
    for name in PRETRAINED:
        (before, after), (plain, plain_after), (en, ja) = first[name], first["random"], NAMES[name]
        found.append(
            Claim(
                bool(before > 10 * plain),
                f"{en}: δ at layer 1 relative to layer {DEPTH} is {before:.2g} after pre-training, with random values "
                f"{plain:.2g}; after fine-tuning {after:.2g} and {plain_after:.2g}",
                f"{ja}：第1層の δ（第{DEPTH}層との比）は事前学習後 {before:.2g}、乱数では {plain:.2g}。"
                f"微調整後は {after:.2g} と {plain_after:.2g}",
            )
        )
    return found


def _gain(data: dict[str, Any], i: int, name: str, other: str) -> Claim:
    """Return whether ``name`` is better than ``other`` with this number of labels, by the paired interval."""
    a, b = (data["nets"][n]["test"][i] for n in (name, other))
    d, labels = paired(a, b), f"{data['labels'][i]:,}"
    (en, ja), (en_other, ja_other) = NAMES[name], NAMES[other]
    return Claim(
        d.low > 0,
        f"{labels} labels: {en} is better than {en_other}: {percent(a)} and {percent(b)}, difference {points(d)} "
        f"points ({d.n} seeds)",
        f"ラベル {labels} 枚：「{ja}」は「{ja_other}」より良い：{percent(a)} と {percent(b)}、差 {points(d)} "
        f"ポイント（シード {d.n} 個）",
    )
