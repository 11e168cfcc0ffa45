"""Depth 8 to 56 with and without skips: δ layer by layer before training, accuracy after it (10.1-10.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import end_labels, paired, percent, percent_axis, points
from gyaku.figures.sets import images, title
from gyaku.figures.style import COLOURS, INK, band, canvas, end_label, label
from gyaku.figures.training import accuracy, deltas, quickest_step, train
from gyaku.models.resnet import ResNet

EXPERIMENT = Experiment(
    "residual_depth",
    ("10.1", "10.2", "10.3"),
    ("Deep convolutional nets with and without skips", "深い畳み込みネットワーク：スキップの有無"),
    (
        "Residual nets for small images, of four channels, and their plain twins: the same layers and parameters, "
        "without the sums. Left: δ of each convolution before training, relative to the last one. Batch norm keeps "
        "the values, but each plain layer enlarges δ a little, and through many layers that is an explosion; with "
        "skips it stays within about a power of ten (the two convolutions of a block take turns). Middle: accuracy "
        "after the same training; a deeper plain net is worse on the digits it was trained on as well (dashed), so "
        "this is not overfitting. Right: the loss of the deepest nets.",
        "小さい画像用の残差ネットワーク（4 チャネル）と、和だけを除いた同じ層・同じパラメータ数の網です。左：学習前の"
        "各畳み込み層の δ（最後の層との比）。バッチ正規化は値の大きさを保ちますが、スキップのない層は δ を少しずつ大き"
        "くし、層が多いと爆発します。スキップがあると一桁ほどの変化にとどまります（上下は二つの層の差）。中央："
        "同じ学習の後の正解率。スキップのない網は、深くなると学習データ（破線）でも悪くなります。つまり過学習ではあり"
        "ません。右：最も深い網の損失。",
    ),
)
WIDTH, BATCH, RATE, ROWS = 4, 100, 0.01, 100
KINDS = {"residual": True, "plain": False}  # with skips?
LEVELS = {  # depths, seeds, epochs
    "quick": ((8, 20), 3, 4),
    "default": ((8, 20, 32, 56), 5, 8),
    "full": ((8, 14, 20, 26, 32, 38, 44, 50, 56), 10, 20),
}


def fit(depth: int, kind: str, seeds: list[int], epochs: int) -> dict[str, Any]:
    """Return for each seed ``delta`` (layers,), ``loss`` (steps,), and the accuracies ``train`` and ``test``."""
    data = images("digits")
    step = quickest_step(len(seeds) * epochs * len(data.train[0]) // BATCH)  # one program for all seeds
    parts = {name: (data.pictures(part[0]), part[1]) for name, part in (("train", data.train), ("test", data.test))}
    shape, found = parts["train"][0].shape[1:], []
    for seed in seeds:
        net = ResNet(shape, 10, depth=depth, width=WIDTH, skips=KINDS[kind], seed=seed)
        each: dict[str, Any] = {"delta": sizes(net.state_dict(), shape, depth, kind)}
        each["loss"] = train(
            net, parts["train"], lr=RATE, epochs=epochs, batch=BATCH, seed=seed, decay=lambda done: 1 - done,
            step=step,
        )["loss"]  # fmt: skip
        found.append(each | {name: accuracy(net, *part) for name, part in parts.items()})
    return {name: np.array([each[name] for each in found]) for name in found[0]}


def sizes(state: Any, shape: tuple[int, ...], depth: int, kind: str) -> Any:
    """Return ‖δ‖ of each convolution, the first one first, in double precision."""
    net = ResNet(shape, 10, depth=depth, width=WIDTH, skips=KINDS[kind]).double()
    net.load_state_dict(state)
    x, t = images("digits").few(ROWS)
    part = (images("digits").pictures(x).astype(np.float64), t)
    return np.array([np.linalg.norm(delta) for delta in deltas(net, part)[:-1]])


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return ``residual`` and ``plain``: for each depth what ``fit`` found, and ``depths``."""
    depths, n, epochs = LEVELS[level]
    seeds = [run.seed + i for i in range(n)]
    jobs: list[dict[str, Any]] = [
        {"depth": d, "kind": k, "seeds": seeds, "epochs": epochs} for d in sorted(depths)[::-1] for k in KINDS
    ]
    found: dict[str, Any] = {kind: {} for kind in KINDS}
    for job, result in zip(jobs, run(fit, jobs), strict=True):
        found[job["kind"]][str(job["depth"])] = result
    return {**found, "depths": list(depths), "epochs": epochs}


NAMES = {"residual": ("with skips", "スキップあり"), "plain": ("without", "スキップなし")}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return δ by layer, accuracy by depth, and the loss of the deepest nets by epoch."""
    figure, (left, middle, right) = canvas(1, 3, width=16, height=5.4, width_ratios=[1.15, 1, 1])
    _deltas(left, data, say)
    _accuracies(middle, data, say)
    _losses(right, data, say)
    return figure


def _deltas(ax: Any, data: dict[str, Any], say: Say) -> None:
    depths = data["depths"]
    for kind in KINDS:
        for depth in depths:
            values = data[kind][str(depth)]["delta"]
            passed = np.arange(values.shape[1])
            heights = np.log10(values / values[:, -1:])[:, ::-1]
            band(ax, passed, heights, COLOURS[kind])
            if depth == depths[-1]:
                end_label(ax, passed[-1], heights.mean(axis=0)[-1], say(*NAMES[kind]), COLOURS[kind])
            if kind == "plain":
                label(ax, passed[-1], heights.mean(axis=0)[-1], str(depth), COLOURS[kind], offset=(-4, 9), ha="right")
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.set(
        xlim=(0, depths[-1] * 1.42),
        xticks=[0, *[d for d in depths if d != 14]],
        xlabel=say("layers that δ has passed", "$\\delta$ が通った層の数"),
        title=say("size of δ before training (last: 1)", "学習前の $\\delta$ の大きさ（最後の層 1）"),
    )
    ax.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")


def _accuracies(ax: Any, data: dict[str, Any], say: Say) -> None:
    depths, ends = data["depths"], []
    for kind in KINDS:
        for part, line in (("test", "-"), ("train", "--")):
            values = np.array([data[kind][str(d)][part] for d in depths]).T
            if part == "test":
                band(ax, depths, values, COLOURS[kind])
                ends.append((float(values.mean(axis=0)[-1]), say(*NAMES[kind]), COLOURS[kind]))
            else:
                ax.plot(depths, values.mean(axis=0), line, color=COLOURS[kind], linewidth=1.4)
    ax.set(
        xlim=(depths[0], depths[-1] * 1.4),
        ylim=(0, 1.02),
        xticks=depths,
        xlabel=say("layers", "層の数"),
        ylabel=say(*title("digits")),
        title=say("accuracy (test; dashed: training)", "正解率（テスト、破線は学習データ）"),
    )
    percent_axis(ax.yaxis)
    end_labels(ax, depths[-1], ends)


def _losses(ax: Any, data: dict[str, Any], say: Say) -> None:
    deepest = data["depths"][-1]
    for kind in KINDS:
        values = data[kind][str(deepest)]["loss"].reshape(len(data[kind][str(deepest)]["loss"]), data["epochs"], -1)
        band(ax, np.arange(1, data["epochs"] + 1), values.mean(axis=2), COLOURS[kind], say(*NAMES[kind]))
    ax.axhline(np.log(10), color=COLOURS["baseline"], linestyle="--", linewidth=1.4)
    ax.set(
        xlim=(1, 1 + (data["epochs"] - 1) * 1.4),
        ylim=(0, None),
        xticks=np.unique(np.linspace(1, data["epochs"], 4).round()),
        xlabel=say("epoch", "エポック"),
        title=say(f"loss, {deepest} layers (dashed: chance)", f"損失、{deepest} 層（破線：当てずっぽう）"),
    )


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return what depth does to both kinds in accuracy, and to δ."""
    first, last = (str(data["depths"][i]) for i in (0, -1))
    plain, skip = ({d: data[kind][d] for d in (first, last)} for kind in ("plain", "residual"))
    n = len(plain[last]["test"])
    fall, gap = paired(plain[last]["test"], plain[first]["test"]), paired(skip[last]["test"], plain[last]["test"])
    trained, kept = (paired(each[last]["train"], each[first]["train"]) for each in (plain, skip))
    return [
        Claim(
            fall.high < 0 and trained.high < 0,
            f"without skips {last} layers are worse than {first}: {points(fall)} points on test, {points(trained)} on "
            f"the training digits, {n} seeds",
            f"スキップなしでは {last} 層が {first} 層より悪い：テストで {points(fall)} ポイント、学習データで "
            f"{points(trained)} ポイント、シード {n} 個",
        ),
        Claim(
            gap.low > 0,
            f"{last} layers with skips: test accuracy {percent(skip[last]['test'])}, without "
            f"{percent(plain[last]['test'])}, difference {points(gap)} points",
            f"{last} 層のテスト正解率：スキップあり {percent(skip[last]['test'])}、"
            f"なし {percent(plain[last]['test'])}、差 {points(gap)} ポイント",
        ),
        Claim(
            kept.low > -0.05,
            f"with skips {last} layers learn the training digits as {first} do, less than 5 points worse: "
            f"{points(kept)} points",
            f"スキップがあると {last} 層も {first} 層と同じように学習データを学ぶ（5 ポイント未満の差）："
            f"{points(kept)} ポイント",
        ),
        _growth(plain[last]["delta"], skip[last]["delta"], last),
    ]


def _growth(plain: np.ndarray, skip: np.ndarray, layers: str) -> Claim:
    """Return that δ explodes through plain layers with batch norm and not through those with skips."""
    grown = [v[:, 0] / v[:, -1] for v in (plain, skip)]
    rate = float(np.exp(np.log(grown[0]).mean() / (plain.shape[1] - 1)))
    return Claim(
        bool(rate > 1 and grown[0].min() > grown[1].max()),
        f"through {layers} layers without skips δ grows at least {grown[0].min():.3g} times ({rate:.2f} times a layer: "
        f"batch norm turns vanishing into exploding), with skips at most {grown[1].max():.3g} times",
        f"スキップなしの {layers} 層で δ は少なくとも {grown[0].min():.3g} 倍になる（1 層ごとに {rate:.2f} 倍：バッチ"
        f"正規化が勾配消失を勾配爆発に変える）。スキップありでは最大 {grown[1].max():.3g} 倍",
    )
