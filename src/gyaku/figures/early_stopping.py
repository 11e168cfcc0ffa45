"""Early stopping: keep the weights of the epoch that is best on the dev part (lecture row 9.4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.gains import gain
from gyaku.figures.jobs import Runner
from gyaku.figures.race import percent
from gyaku.figures.style import COLOURS, INK, band, canvas, label
from gyaku.figures.training import mlp, train

EXPERIMENT = Experiment(
    "early_stopping",
    ("2.7", "9.4"),
    ("Early stopping on dev accuracy", "dev の正解率による早期終了"),
    (
        "With right labels only, dev accuracy rises to a plateau and stays: stopping early saves time and changes "
        "little. Where "
        "every fifth label is wrong (in train and dev; the test part is right), the network first learns the digits "
        "and later "
        "the wrong labels by heart, and its accuracy on new digits falls. Going back to the epoch that was best on dev "
        "keeps "
        "what was learned first.",
        "ラベルがすべて正しいときは、dev の正解率は平らになるまで上がり、そのままです。早く止めると時間は節約できます"
        "が、結果はほとんど変わりません。"
        "（訓練と dev の）ラベルの 5 つに 1 つが誤りのときは、まず数字の特徴を、次に誤ったラベルを丸暗記し、"
        "新しい数字の正解率が下がります。"
        "dev で最良だったエポックの重みに戻せば、先に学んだものが残ります。",
    ),
)
ROWS, PATIENCE, NOISE = 600, 10, (0.0, 0.2)
LEVELS = {"quick": (4, 30), "default": (10, 80), "full": (30, 150)}  # seeds, epochs


def fit(noise: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train 64-100-100-10 by Adam on digits of which a share ``noise`` has wrong labels; return the curves."""
    digits = sets.images("digits")
    x, t = digits.few(ROWS, seed)
    part = (x, sets.wrong_labels(t, noise, seed))
    dev = (digits.dev[0], sets.wrong_labels(digits.dev[1], noise, seed + 500))
    net = mlp([digits.inputs, 100, 100, 10], seed=seed)
    return train(net, part, epochs=epochs, batch=50, seed=seed, watch={"train": part, "dev": dev, "test": digits.test})


def stopped(dev: np.ndarray) -> tuple[int, int]:
    """Return (best, last): training ends when dev has not risen for PATIENCE epochs; the best one's weights are kept.

    >>> stopped(np.array([0.1, 0.5, 0.4] + [0.3] * 20))
    (1, 11)
    """
    best = 0
    for epoch, accuracy in enumerate(dev):
        if accuracy > dev[best]:
            best = epoch
        if epoch - best >= PATIENCE:
            return best, epoch
    return best, len(dev) - 1


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return, without and with wrong labels, the curves (seeds, epochs), and what early stopping makes of each run."""
    n, epochs = LEVELS[level]
    seeds = [1000 * run.seed + i for i in range(n)]
    results = run(fit, [{"noise": noise, "seed": s, "epochs": epochs} for noise in NOISE for s in seeds])
    found = {}
    for name, rows in zip(("clean", "noisy"), (results[:n], results[n:]), strict=True):
        curves = {key: np.array([r[key] for r in rows]) for key in ("train", "dev", "test")}
        ends = np.array([stopped(dev) for dev in curves["dev"]])
        kept = curves["test"][np.arange(n), ends[:, 0]]
        found[name] = {
            **curves,
            "best": ends[:, 0] + 1,
            "epochs": ends[:, 1] + 1,
            "kept": kept,
            "last": curves["test"][:, -1],
        }
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the curves without and with wrong labels, and the epochs that early stopping keeps."""
    figure, panels = canvas(1, 2, width=14, height=5.2, sharey=True)
    figure.suptitle(say(*sets.title("digits")), fontsize=14)
    titles = (
        say("all labels right", "ラベルはすべて正しい"),
        say("every fifth label of train and dev wrong", "訓練と dev のラベルの 5 つに 1 つが誤り"),
    )
    names = {"train": say("train", "訓練"), "dev": "dev", "test": say("test", "テスト")}
    for axes, found, title in zip(panels, (data["clean"], data["noisy"]), titles, strict=True):
        epochs = np.arange(1, found["dev"].shape[1] + 1)
        for part, text in names.items():
            band(axes, epochs, 100 * found[part], COLOURS[part], text)
        axes.plot(
            found["best"],
            100 * found["kept"],
            "*",
            color=INK,
            markersize=11,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
        axes.set(xlabel=say("epoch", "エポック"), title=title, xlim=(1, epochs[-1]), ylim=(50, 101))
    panels[0].set_ylabel(say("accuracy (%)", "正解率 (%)"))
    label(
        panels[0],
        0.35,
        0.1,
        say(
            "★ the epoch kept, and its test accuracy,\nfor each seed", "★ 各シードで残したエポックと\nそのテスト正解率"
        ),
        xycoords="axes fraction",
        offset=(0, 0),
    )
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return what early stopping changes in test accuracy and in time, without and with wrong labels."""
    clean, noisy = data["clean"], data["noisy"]
    total, spent = (
        clean["dev"].shape[1],
        {k: percent(data[k]["epochs"] / data[k]["dev"].shape[1]) for k in ("clean", "noisy")},
    )
    return [
        gain(
            (
                "with wrong labels, going back to the best epoch on dev raises test accuracy above that of the last "
                "epoch",
                "誤ったラベルがあるとき、dev で最良のエポックに戻すと、最後のエポックよりテスト正解率が高い",
            ),
            noisy["kept"],
            noisy["last"],
        ),
        gain(
            (
                "with right labels, less than 2 points are lost by it",
                "ラベルが正しいとき、それで失うのは 2 ポイント未満",
            ),
            clean["kept"],
            clean["last"],
            least=-0.02,
        ),
        Claim(
            bool(max(clean["epochs"].mean(), noisy["epochs"].mean()) < total),
            f"with a patience of {PATIENCE} epochs, {spent['clean']} of the {total} epochs are spent with right "
            "labels, "
            f"{spent['noisy']} with wrong ones",
            f"{PATIENCE} エポック待つ設定で、{total} エポックのうち使うのは、正しいラベルで {spent['clean']}、"
            f"誤りがあるとき {spent['noisy']}",
        ),
    ]
