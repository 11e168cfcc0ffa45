"""Two-layer networks from scratch, with plain arrays: regression, two classes, K classes (lecture section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.data.synthetic import moons
from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import end_labels, paired, percent, percent_axis
from gyaku.figures.scratch import agreement, forward, gradients, initial, linear_map, score
from gyaku.figures.style import COLOURS, band, canvas

EXPERIMENT = Experiment(
    "two_layer",
    ("4", "2.1", "2.2", "2.3"),
    ("Two-layer networks from scratch", "2 層ネットワークをゼロから"),
    (
        "Forward, loss, gradients and mini-batch SGD in thirty lines of array code, the same for three tasks: only the "
        "output function differs, and the output delta is (Y - T)/N each time. Curves and tables give "
        "training and test "
        "results by epoch; the layer classes and define-by-run training give the same weights.",
        "順伝播、損失、勾配、ミニバッチ SGD を 30 行ほどの配列計算で書きました。3 つの課題で違うのは出力の関数だけで、"
        "出"
        "力のデルタはどれも (Y - T)/N です。曲線と表はエポックごとの訓練とテストの結果です。レイヤークラスでも "
        "define-by-run でも同じ重みになります。",
    ),
)
TASKS: dict[str, dict[str, Any]] = {
    "regression": {"hidden": 20, "lr": 0.2, "batch": 20, "epochs": 200},
    "binary": {"hidden": 20, "lr": 2.0, "batch": 20, "epochs": 100},
    "classes": {"hidden": 50, "lr": 0.5, "batch": 50, "epochs": 30},
}
TITLES = {
    "regression": ("regression: noisy sine", "回帰：ノイズのある正弦波"),
    "binary": ("two classes: moons", "2 クラス：三日月"),
    "classes": ("ten classes: UCI digits", "10 クラス：UCI 手書き数字"),
}
NOISE = 0.1
SEEDS = {"quick": 3, "default": 10, "full": 30}


def data_of(task: str, seed: int) -> tuple[sets.Part, sets.Part]:
    """Return (x, t) of training and test, float64, t as columns (one-hot for classes)."""
    if task == "classes":
        images = sets.images("digits")
        train, test = images.train, images.test
        return (train[0].astype(float), np.eye(10)[train[1]]), (test[0].astype(float), np.eye(10)[test[1]])
    if task == "binary":
        x, labels = moons(300, noise=0.2, seed=seed)
        t = labels[:, None].astype(float)
    else:
        g = Generator(seed).split("curve")
        x = np.pi * (2 * g.uniform((300, 1)) - 1)
        t = np.sin(x) + NOISE * g.normal((300, 1))
    return (x[:200], t[:200]), (x[200:], t[200:])


def fit(task: str, seed: int) -> dict[str, Any]:
    """Train from scratch; return scores (epochs,) on train and test, a linear map's, the interfaces' agreement."""
    (x, t), (x_test, t_test) = data_of(task, seed)
    o = TASKS[task]
    p, stream = initial(x.shape[1], o["hidden"], t.shape[1], seed), Generator(seed).split("order")
    found: dict[str, list[float]] = {"train": [], "test": []}
    for _ in range(o["epochs"]):
        order = stream.permutation(len(x))
        for i in range(0, len(x), o["batch"]):
            rows = order[i : i + o["batch"]]
            for name, g in gradients(p, x[rows], t[rows], task).items():
                p[name] -= o["lr"] * g
        found["train"].append(score(forward(p, x, task)[1], t, task))
        found["test"].append(score(forward(p, x_test, task)[1], t_test, task))
    linear = score(linear_map(x, t, x_test), t_test, task)
    curves = {name: np.array(values) for name, values in found.items()}
    return {**curves, "linear": linear, "agreement": agreement(x, t, task, seed)}


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return, for each task, the scores (seeds, epochs), the linear map's (seeds,) and the agreement (seeds, 2)."""
    n = SEEDS[level]
    results = run(fit, [{"task": task, "seed": 1000 * run.seed + i} for task in TASKS for i in range(n)])
    found = {task: results[i * n : (i + 1) * n] for i, task in enumerate(TASKS)}
    return {task: {key: np.array([r[key] for r in rows]) for key in rows[0]} for task, rows in found.items()}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return curves by epoch, and below them a table of some epochs, for each task."""
    figure, axes = canvas(2, 3, width=14, height=7.2, height_ratios=(1.6, 1))
    for task, upper, lower in zip(TASKS, *axes, strict=True):
        _curves(upper, data[task], task, say)
        _table(lower, data[task], task, say)
    return figure


def _curves(axes: Any, scores: dict[str, Any], task: str, say: Say) -> None:
    last = TASKS[task]["epochs"]
    for part in ("train", "test"):
        band(axes, np.arange(1, last + 1), scores[part], COLOURS[part])
    linear = scores["linear"].mean()
    axes.axhline(linear, color=COLOURS["baseline"], linestyle="--", linewidth=1.5)
    axes.set(xlim=(1, last), xscale="log", title=say(*TITLES[task]), xlabel=say("epoch", "エポック"))
    axes.xaxis.set_major_formatter("{x:g}")
    if task == "regression":
        axes.set(ylabel=say("root mean squared error", "二乗平均平方根誤差"), ylim=(0, 0.6))
    else:
        axes.set(ylabel=say("accuracy", "正解率"), ylim=(0.5, 1))
        percent_axis(axes.yaxis)
    names = {"train": say("train", "訓練"), "test": say("test", "テスト")}
    ends = [(scores[part][:, -1].mean(), names[part], COLOURS[part]) for part in names]
    end_labels(axes, last, [*ends, (linear, say("linear", "線形"), COLOURS["baseline"])], gap=0.075)


def _table(axes: Any, scores: dict[str, Any], task: str, say: Say) -> None:
    last = TASKS[task]["epochs"]
    epochs = [e for e in (1, 3, 10, 30, 100) if e < last] + [last]
    form = "{:.3f}" if task == "regression" else "{:.1%}"
    cells = [[str(e), *(form.format(scores[part][:, e - 1].mean()) for part in ("train", "test"))] for e in epochs]
    axes.axis("off")
    heads = [say("epoch", "エポック"), say("train", "訓練"), say("test", "テスト")]
    made = axes.table(
        cells, colLabels=heads, loc="upper center", cellLoc="right", edges="horizontal", colWidths=[0.3] * 3
    )
    made.auto_set_font_size(False)
    made.set_fontsize(12)
    made.scale(1, 1.45)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that two layers beat a linear map on every task, and that the three interfaces give the same weights."""
    return [*(_against_linear(task, data[task]) for task in TASKS), _agreement(data)]


def _against_linear(task: str, scores: dict[str, Any]) -> Claim:
    net, linear = scores["test"][:, -1], scores["linear"]
    d = paired(linear, net) if task == "regression" else paired(net, linear)
    show: Any = (lambda v: f"{v.mean():.3f}") if task == "regression" else percent
    numbers = f"{show(net)} / {show(linear)}; {d.mean:.3f} [{d.low:.3f}, {d.high:.3f}]"
    return Claim(
        d.low > 0,
        f"{TITLES[task][0]}: test, two layers / linear map, and gain: {numbers} ({d.n} seeds)",
        f"{TITLES[task][1]}：テスト、2 層／線形、改善：{numbers}（{d.n} シード）",
    )


def _agreement(data: dict[str, Any]) -> Claim:
    largest = max(float(data[task]["agreement"].max()) for task in TASKS)
    return Claim(
        largest < 1e-12,
        f"after 20 steps layer classes and define-by-run have the same weights to {largest:.1e}",
        f"20 ステップ後の重みは、レイヤークラスでも define-by-run でも {largest:.1e} まで一致",
    )
