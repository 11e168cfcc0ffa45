"""Batch normalization: its effect on training, training against prediction, and a batch of one (8.2-8.4)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import gyaku as gy
from gyaku import layers
from gyaku.backend.random import Generator
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired, percent, points
from gyaku.figures.sets import images, title
from gyaku.figures.style import COLOURS, INK, band, canvas, end_label, label
from gyaku.figures.training import accuracy, mlp, train

EXPERIMENT = Experiment(
    "batch_norm",
    ("8.2", "8.3", "8.4"),
    ("Batch normalization: training, prediction, a batch of one", "バッチ正規化：学習、予測、サンプル1個のバッチ"),
    (
        "Left: loss while a net of five hidden layers trains. From He's values both nets learn, and batch "
        "normalization brings no gain; from initial values so small that the plain net does not move (dashed) it "
        "learns all the same. Middle: test accuracy of the trained net when it normalizes by the batch at hand, by "
        "batch size: with few rows the mean and deviation are guesses, and with one row every answer is the same. "
        "The running averages of prediction do not depend on the batch. Right: one column of one layer. A training "
        "batch of one gives β whatever x is, a pair gives β ± γ; only the running averages keep the line γ(x - μ)/σ "
        "+ β.",
        "左：隠れ層 5 の網の学習中の損失。He の初期値ならどちらも学習でき、バッチ正規化をしてもよくなりません。"
        "元の網がまったく動かないほど小さい初期値（破線）からでも、バッチ正規化があれば学習できます。中央："
        "学習済みの網が手元のバッチで正規化した場合のテスト正解率。バッチが小さいと平均と標準偏差は当てにならず、"
        "1 個なら答えはすべて同じになります。予測で使う移動平均はバッチに依存しません。右：ある層の一列。"
        "学習時にサンプル 1 個のバッチを入れると x が何でも β、2 個なら β ± γ。直線 γ(x - μ)/σ + β "
        "を保つのは移動平均だけです。",
    ),
)
HIDDEN, RATE, ROWS, BATCHES = 5, 0.05, 320, (1, 2, 4, 8, 16, 32, 64)
INITS = {"he": ("-", "He"), "small": ("--", "σ = 0.01")}  # line and name
NORMS = {"none": "plain", "batch": "batch_norm"}
GAMMA, BETA = 1.5, 2.0
SIZES = {"quick": (3, 5), "default": (10, 20), "full": (50, 40)}  # seeds, epochs


def one(norm: str, init: str, seed: int, epochs: int) -> dict[str, Any]:
    """Return the loss by step (10 steps' mean), the test accuracy, and with batch norm that by size of the batch."""
    data = images("digits")
    net = mlp([data.inputs, *[50] * HIDDEN, 10], norm=norm, init=init, seed=seed)
    loss = train(net, data.train, optimizer="sgd", lr=RATE, epochs=epochs, batch=50, seed=seed)["loss"]
    found = {"loss": loss[: len(loss) // 10 * 10].reshape(-1, 10).mean(axis=1), "test": accuracy(net, *data.test)}
    if norm == "batch":
        x, t = data.test[0][:ROWS], data.test[1][:ROWS]
        found["predicting"] = accuracy(net, x, t)
        found["by_batch"] = np.array([(answers(net, x, size) == t).mean() for size in BATCHES])
    return found


def answers(net: Any, x: Any, size: int) -> Any:
    """Return the classes that a net in training mode gives to rows in batches of ``size``."""
    net.train()
    with gy.no_grad():
        if size == 1:  # nn refuses it; in the lecture's layer every norm gives β, so the last one decides
            _, norm, activation = net[-2]
            return np.full(len(x), net[-1](activation(norm.bias)).numpy().argmax())
        parts = [net(gy.tensor(x[i : i + size])).numpy() for i in range(0, len(x), size)]
    return np.concatenate(parts).argmax(axis=1)


def column(seed: int) -> dict[str, Any]:
    """Return y over x of the lecture's layer, one column: batches of one, pairs (x, x + 2), and prediction."""
    layer = layers.BatchNorm(np.array([GAMMA]), np.array([BETA]))
    x = np.linspace(-3, 9, 25)
    for i in range(50):
        layer.forward(3 + 2 * Generator(seed).split(i).normal((200, 1)))
    predicted = layer.forward(x[:, None], train=False)[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the layer says why a batch of one gives β
        alone = np.array([layer.forward(np.array([[v]]))[0, 0] for v in x])
    pairs = np.array([layer.forward(np.array([[v], [v + 2]]))[:, 0] for v in x])
    return {"x": x, "alone": alone, "pairs": pairs, "predicted": predicted}


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return ``NORM INIT``: loss (seeds, tens of steps), test (seeds,), by_batch (seeds, sizes); and ``column``."""
    seeds, epochs = SIZES[level]
    found: dict[str, Any] = {"column": column(run.seed)}
    nets = [(n, i) for n in NORMS for i in INITS]
    jobs = [{"norm": n, "init": i, "seed": run.seed + s, "epochs": epochs} for n, i in nets for s in range(seeds)]
    results = run(one, jobs)
    for k, (norm, init) in enumerate(nets):
        mine = results[k * seeds : (k + 1) * seeds]
        found[f"{norm} {init}"] = {key: np.array([r[key] for r in mine]) for key in mine[0]}
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the loss curves, the accuracy by batch size, and the column."""
    figure, (left, middle, right) = canvas(1, 3, width=15.5, height=5.4)
    names = {"plain": say("plain", "なし"), "batch_norm": say("batch norm", "バッチ正規化")}
    for norm, colour in NORMS.items():
        for init, (style, start) in INITS.items():
            loss = data[f"{norm} {init}"]["loss"]
            steps = 10 * np.arange(1, loss.shape[1] + 1)
            band(left, steps, loss, COLOURS[colour])
            left.lines[-1].set_linestyle(style)
            text = names[colour] + say(", ", "・") + start
            end_label(left, steps[-1], loss[:, -1].mean(), text, COLOURS[colour])
    left.set(
        xlabel=say("iteration", "反復回数"),
        ylabel=say("loss (mean of 10)", "損失（10回平均）"),
        xlim=(0, steps[-1] * 1.85),
        xticks=[0, steps[-1] // 2, steps[-1]],
        title=say(*title("digits")),
    )
    _by_batch(middle, data["batch he"], say)
    _column(right, data["column"], say)
    return figure


def _by_batch(ax: Any, each: dict[str, Any], say: Say) -> None:
    """Draw accuracy against the size of the batch that the net normalizes by."""
    k = np.arange(len(BATCHES))
    band(ax, k, each["by_batch"], COLOURS["train"])
    predicting = each["predicting"].mean()
    ax.axhline(predicting, color=COLOURS["test"], linestyle="--")
    label(ax, 0, predicting, say("running averages", "移動平均で予測"), COLOURS["test"], offset=(0, 12))
    label(
        ax,
        2.3,
        each["by_batch"].mean(axis=0)[2] - 0.1,
        say("this batch's mean\nand deviation", "そのバッチの\n平均と標準偏差"),
        COLOURS["train"],
    )
    ax.set(
        xticks=k,
        xticklabels=BATCHES,
        ylim=(0, 1.08),
        xlabel=say("rows in the batch", "バッチのサンプル数"),
        title=say("test accuracy", "テスト正解率"),
    )


def _column(ax: Any, each: dict[str, Any], say: Say) -> None:
    """Draw y over x: batches of one, pairs, and prediction."""
    ax.plot(each["x"], each["predicted"], color=COLOURS["test"])
    ax.plot(each["x"], each["alone"], "o", color=COLOURS["train"], markersize=5)
    ax.plot(each["x"], each["pairs"], ".", color=INK, markersize=4)
    label(ax, 8.6, each["predicted"][-1], say("prediction", "予測"), COLOURS["test"], offset=(-6, 8), ha="right")
    label(ax, -3, BETA, say("batch of one: β", "1個のバッチ：β"), COLOURS["train"], offset=(0, 14))
    label(ax, 9, BETA - GAMMA, say("pairs: β ± γ", "2個のバッチ：β ± γ"), INK, offset=(0, -14), ha="right")
    ax.set(xlabel="$x$", ylabel="$y$", title=f"γ = {GAMMA}, β = {BETA:g}")


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return what batch norm gains from each start, and what a batch of one gives (exact)."""
    found = []
    for init, (_, start) in INITS.items():
        plain, normed = (data[f"{norm} {init}"] for norm in NORMS)
        gain, area = (
            paired(normed["test"], plain["test"]),
            paired(normed["loss"].mean(axis=1), plain["loss"].mean(axis=1)),
        )
        found.append(
            Claim(
                gain.low > 0 and area.high < 0,
                f"initial values {start}: batch norm trains faster and ends higher, {percent(normed['test'])} instead "
                f"of {percent(plain['test'])}, {points(gain)} points over {gain.n} seeds; mean loss while training "
                f"{area.mean:+.2f}",
                f"初期値 {start}：バッチ正規化の方が速く学習し、正解率も高い：{percent(plain['test'])} が "
                f"{percent(normed['test'])} に、{points(gain)} ポイント（シード {gain.n} 個）。学習中の平均損失 "
                f"{area.mean:+.2f}",
            )
        )
    c = data["column"]
    found.append(
        Claim(
            bool((c["alone"] == BETA).all() and np.allclose(np.abs(c["pairs"] - BETA), GAMMA, rtol=1e-7)),
            f"a training batch of one gives exactly β = {BETA:g} for all {len(c['x'])} values of x, a pair β ± γ",
            f"サンプル 1 個の学習バッチは {len(c['x'])} 個の x すべてで正確に β = {BETA:g}、2 個なら β ± γ",
        )
    )
    each = data["batch he"]
    drop = paired(each["predicting"], each["by_batch"][:, 0])
    return [
        *found,
        Claim(
            drop.low > 0.5,
            f"a trained net that normalizes by batches of one falls to {percent(each['by_batch'][:, 0])}, with running "
            f"averages it has {percent(each['predicting'])}",
            f"学習済みの網は、1 個ずつのバッチで正規化すると {percent(each['by_batch'][:, 0])}、移動平均なら "
            f"{percent(each['predicting'])}",
        ),
    ]
