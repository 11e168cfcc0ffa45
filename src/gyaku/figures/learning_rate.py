"""The learning rate: too large, too small, and lowered during training (lecture row 6.8)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import NAMES, end_labels, paired, percent, percent_axis, points
from gyaku.figures.style import COLOURS, CYCLE, canvas, label
from gyaku.figures.training import accuracy, mlp, train

EXPERIMENT = Experiment(
    "learning_rate",
    ("6.8",),
    ("The learning rate", "学習率"),
    (
        "Left: the loss under SGD with a rate that is too small (slow), one that is right, and one that is too large "
        "(unstable: it jumps, or stays at the loss of guessing). Middle: the training loss after equal work "
        "against the "
        "rate, for SGD and Adam: a valley. Right: test accuracy of runs that keep their best rate, and of "
        "the same runs "
        "when the rate falls to zero along half a cosine; lines join equal seeds. It helps where the noise of the "
        "mini-batches holds the end back, and elsewhere only shortens the way: on MNIST Adam gains "
        "and SGD loses a little.",
        "左：SGD で、小さすぎる（遅い）、適切、大きすぎる（不安定：跳ねるか、当てずっぽうの損失のまま）学習率での損失。"
        "中：同じ計算量の後の訓練損失を学習率に対して描くと、SGD でも Adam でも谷になります。右：最良の学習率を保った場"
        "合"
        "と、同じ学習を半周期の余弦で 0 まで下げた場合のテスト正解率。線は同じシードを結びます。"
        "減衰は、ミニバッチのゆらぎが最後の精度を妨げている場合に効き、そうでなければ進む距離を縮めるだけです。"
        "MNIST では、Adam なら上がり、SGD ならわずかに下がります。",
    ),
)
RATES = {"sgd": (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), "adam": (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.1, 1.0)}
LEVELS = {"quick": (3, 6, 4, 10), "default": (3, 10, 4, 12), "full": (10, 30, 10, 40)}  # seeds twice, epochs twice
DECAYS: dict[str, Any] = {"constant": None, "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2}
GUESSING = math.log(10)  # the loss of equal probabilities
DIVERGED, SHOWN = 1e3, 20.0  # what stands for a loss that is not finite; the largest loss that the picture shows


def fit(optimizer: str, lr: float, decay: str, seed: int, data: str, epochs: int) -> dict[str, Any]:
    """Train inputs-100-100-10; return the losses, the dev and the test accuracy in the end."""
    images = sets.images(data)
    net = mlp([images.inputs, 100, 100, 10], seed=seed)
    loss = train(net, images.train, optimizer=optimizer, lr=lr, epochs=epochs, seed=seed, decay=DECAYS[decay])["loss"]
    loss = np.where(np.isfinite(loss), loss, DIVERGED)
    return {"loss": loss, "dev": accuracy(net, *images.dev), "test": accuracy(net, *images.test)}


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the sweep's losses (rates, seeds, steps) of both, and test accuracies with and without decay."""
    n_sweep, n, short, epochs = LEVELS[level]
    name, found = sets.chosen(level), {}
    for optimizer, rates in RATES.items():
        sweep = run(
            fit,
            [
                {
                    "optimizer": optimizer,
                    "lr": lr,
                    "decay": "constant",
                    "seed": 1000 * run.seed + 500 + i,
                    "data": name,
                    "epochs": short,
                }
                for lr in rates
                for i in range(n_sweep)
            ],
        )
        loss = np.array([r["loss"] for r in sweep]).reshape(len(rates), n_sweep, -1)
        dev = np.array([r["dev"] for r in sweep]).reshape(len(rates), n_sweep).mean(axis=1)
        best = int(dev.argmax())
        ends = run(
            fit,
            [
                {
                    "optimizer": optimizer,
                    "lr": rates[best],
                    "decay": d,
                    "seed": 1000 * run.seed + i,
                    "data": name,
                    "epochs": epochs,
                }
                for d in DECAYS
                for i in range(n)
            ],
        )
        test = np.array([r["test"] for r in ends]).reshape(len(DECAYS), n)
        found[optimizer] = {"loss": loss, "best": best, "test": dict(zip(DECAYS, test, strict=True))}
    return {"set": name, "epochs": epochs, **found}


def final(loss: Any) -> Any:
    """Return the mean loss of the last tenth of the steps."""
    return loss[..., -max(loss.shape[-1] // 10, 1) :].mean(axis=-1)


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return curves of three rates, the sweep, and the ends with and without decay."""
    figure, (left, middle, right) = canvas(1, 3, width=15, height=5.2, width_ratios=(1.15, 1.1, 0.9))
    figure.suptitle(sets.title(data["set"])[say.lang == "ja"], fontsize=14)
    _curves(left, data["sgd"], say)
    _sweep(middle, data, say)
    _ends(right, data, say)
    return figure


def _curves(axes: Any, sgd: dict[str, Any], say: Say) -> None:
    steps, shown = sgd["loss"].shape[2], (0, sgd["best"], len(RATES["sgd"]) - 1)
    x, labels = np.arange(1, steps + 1), []
    for i, colour in zip(shown, (COLOURS["small"], CYCLE[2], COLOURS["large"]), strict=True):
        loss = np.clip(sgd["loss"][i, 0], 1e-3, SHOWN)
        axes.plot(x, loss, color=colour, linewidth=1.3)
        diverged = say(": diverged", "：発散") if loss[-1] >= SHOWN else ""
        labels.append((float(loss[-10:].mean()), f"λ = {RATES['sgd'][i]:g}{diverged}", colour))
    axes.axhline(GUESSING, color=COLOURS["baseline"], linestyle="--", linewidth=1.5)
    axes.set(
        xlabel=say("iteration", "反復"),
        ylabel=say("training loss", "訓練損失"),
        yscale="log",
        xlim=(1, steps),
        ylim=(0.01, 30),
        title=say("SGD, one seed (dashed: guessing)", "SGD、1 シード（破線：当てずっぽう）"),
    )
    end_labels(axes, steps, labels)


def _sweep(axes: Any, data: dict[str, Any], say: Say) -> None:
    for optimizer, rates in RATES.items():
        ends, best = np.clip(final(data[optimizer]["loss"]), 1e-3, SHOWN), data[optimizer]["best"]
        axes.plot(rates, ends, "-", color=COLOURS[optimizer], alpha=0.35, linewidth=1)
        axes.plot(rates, np.median(ends, axis=1), "-", color=COLOURS[optimizer])
        axes.plot(rates[best], np.median(ends[best]), "o", color=COLOURS[optimizer], markersize=9)
        label(axes, rates[1], np.median(ends[1]), NAMES[optimizer], COLOURS[optimizer], va="bottom")
        if ends[-1].max() >= SHOWN:
            axes.text(rates[-1], 1.1 * SHOWN, say("diverged", "発散"), ha="right", color=COLOURS[optimizer])
    axes.axhline(GUESSING, color=COLOURS["baseline"], linestyle="--", linewidth=1.5)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=say("learning rate λ", "学習率 λ"),
        ylim=(None, 2 * SHOWN),
        title=say("Loss after equal work (dot: best on dev)", "同じ計算量の後の損失（点：dev で最良）"),
    )


def _ends(axes: Any, data: dict[str, Any], say: Say) -> None:
    for k, optimizer in enumerate(RATES):
        both = np.array([data[optimizer]["test"][d] for d in DECAYS])
        x = np.array([2.5 * k, 2.5 * k + 1])
        axes.plot(x, both, "-", color=COLOURS[optimizer], alpha=0.3, linewidth=1)
        axes.plot(x, both.mean(axis=1), "o-", color=COLOURS[optimizer], markersize=10, linewidth=3)
        rate = RATES[optimizer][data[optimizer]["best"]]
        axes.text(
            x.mean(),
            1.0,
            f"{NAMES[optimizer]}\nλ = {rate:g}",
            color=COLOURS[optimizer],
            ha="center",
            va="top",
            transform=axes.get_xaxis_transform(),
        )
    axes.margins(x=0.15, y=0.25)
    axes.set_title(say(f"Test accuracy, {data['epochs']} epochs", f"テスト正解率、{data['epochs']} エポック"))
    axes.set_xticks([0, 1, 2.5, 3.5], [say("kept", "一定"), say("lowered", "減衰")] * 2)
    percent_axis(axes.yaxis, 1)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return for both optimizers: too small is slow, too large fails, lowering the rate raises the accuracy."""
    return [claim for o in RATES for claim in (*_extremes(o, data[o]), _decay(o, data[o]))]


def _extremes(optimizer: str, found: dict[str, Any]) -> list[Claim]:
    ends, rates, name = final(found["loss"]), RATES[optimizer], NAMES[optimizer]
    d, lowest = paired(ends[0], ends[found["best"]]), float(ends[-1].min())
    end = ("diverged", "発散") if lowest >= DIVERGED else (f"{lowest:.2f}",) * 2
    more = f"{d.mean:.2f} [{d.low:.2f}, {d.high:.2f}]"
    return [
        Claim(
            d.low > 0,
            f"{name}: λ = {rates[0]:g} is slow, after equal work its loss is higher by {more}",
            f"{name}：λ = {rates[0]:g} は遅い。同じ計算量の後の損失の差 {more}",
        ),
        Claim(
            lowest > 0.8 * GUESSING,
            f"{name}: λ = {rates[-1]:g} is unstable, all seeds end at guessing ({GUESSING:.2f}) or worse ({end[0]})",
            f"{name}：λ = {rates[-1]:g} は不安定で、どのシードも当てずっぽう（{GUESSING:.2f}）"
            f"程度以上の損失に終わる（{end[1]}）",
        ),
    ]


def _decay(optimizer: str, found: dict[str, Any]) -> Claim:
    kept, lowered = found["test"]["constant"], found["test"]["cosine"]
    d = paired(lowered, kept)
    numbers = f"{percent(kept)} → {percent(lowered)}, {points(d)}"
    return Claim(
        d.low > 0,
        f"{NAMES[optimizer]}: lowering the rate raises the final accuracy: {numbers} points, {d.wins}/{d.n} seeds",
        f"{NAMES[optimizer]}：学習率を下げると最終の正解率が上がる：{numbers} ポイント、{d.wins}/{d.n} シード",
    )
