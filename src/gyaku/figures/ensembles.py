"""Ensembles: the mean of K networks' predictions against one network's (lecture row 9.4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.gains import gain
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired
from gyaku.figures.style import BLUE, COLOURS, band, canvas, label
from gyaku.figures.training import mlp, train
from gyaku.train import predict

EXPERIMENT = Experiment(
    "ensembles",
    ("9.4",),
    ("Ensembles: the mean of K networks", "アンサンブル：K 個のネットワークの平均"),
    (
        "K networks learn the same digits from different initial values and in a different order; their probabilities "
        "are "
        "averaged. The loss of the mean is never above the mean of the losses, because -log is convex (Jensen): that "
        "holds for "
        "every test digit. The accuracy has no such guarantee, but the members' mistakes differ, and the mean removes "
        "some of "
        "them; the first few members bring most of it.",
        "K 個のネットワークが同じ数字を、異なる初期値と順序で学び、その確率を平均します。平均の損失は損失の平均を超えま"
        "せん。-log が凸だから"
        "（イェンセンの不等式）で、どのテスト画像でも成り立ちます。正解率にはその保証がありませんが、"
        "ネットワークごとに間違いが異なるので、平均はその"
        "一部を取り除きます。効果の大部分は最初の数個で得られます。",
    ),
)
ROWS, MOST = 200, 10
LEVELS = {"quick": (5, 12), "default": (10, 40), "full": (30, 100)}  # repetitions, epochs


def member(rows_seed: int, seed: int, data: str, epochs: int) -> np.ndarray:
    """Train inputs-50-50-10 by Adam on few digits; return the probabilities (N, 10) of the test digits."""
    images = sets.images(data)
    net = mlp([images.inputs, 50, 50, 10], seed=seed)
    train(net, images.few(ROWS, rows_seed), lr=0.003, epochs=epochs, batch=50, seed=seed)
    p: np.ndarray = predict(net, images.test[0])
    return p


def scores(p: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
    """Return accuracy and cross-entropy of probabilities (..., N, 10)."""
    chance = np.take_along_axis(p, t.reshape((1,) * (p.ndim - 2) + (-1, 1)), axis=-1)[..., 0]
    return {
        "accuracy": (p.argmax(axis=-1) == t).mean(axis=-1),
        "loss": -np.log(np.maximum(chance, 1e-12)).mean(axis=-1),
    }


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return accuracy and loss of the mean of the first K members, and of the members, each (repetitions, K)."""
    n, epochs = LEVELS[level]
    name = sets.chosen(level)
    repetitions = [1000 * run.seed + i for i in range(n)]
    jobs = [
        {"rows_seed": r, "seed": 100 * r + k, "data": name, "epochs": epochs} for r in repetitions for k in range(MOST)
    ]
    p = np.array(run(member, jobs)).reshape(n, MOST, -1, 10)
    counts = np.arange(1, MOST + 1)
    means = np.cumsum(p, axis=1) / counts[:, None, None]
    t = sets.images(name).test[1]
    alone = {key: np.cumsum(v, axis=1) / counts for key, v in scores(p, t).items()}
    return {"set": name, "K": counts, "ensemble": scores(means, t), "members": alone}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return accuracy and loss of the mean of K predictions by K, and of one network (the mean of all members)."""
    figure, panels = canvas(1, 2, width=13, height=5.0)
    for axes, key, scale in zip(panels, ("accuracy", "loss"), (100, 1), strict=True):
        alone, up = np.repeat(data["members"][key][:, -1:], MOST, axis=1), 1 if key == "accuracy" else -1
        for values, text, colour, side in (
            (data["ensemble"][key], say("mean of K predictions", "K 個の予測の平均"), BLUE, up),
            (
                alone,
                say(f"one network (mean of {MOST})", f"1 個のネットワーク（{MOST} 個の平均）"),
                COLOURS["plain"],
                -up,
            ),
        ):
            band(axes, data["K"], scale * values, colour)
            label(axes, 6, scale * values[:, 5].mean(), text, colour, offset=(0, 26 * side), ha="center")
        axes.set(xlabel="K", xticks=data["K"])
    panels[0].set(ylabel=say("test accuracy (%)", "テスト正解率 (%)"), title=say("Accuracy", "正解率"))
    panels[1].set(ylabel=say("test cross-entropy", "テストの交差エントロピー"), title=say("Loss", "損失"))
    which = sets.title(data["set"])[say.lang == "ja"]
    figure.suptitle(say(f"{which}: {ROWS} of them to learn from", f"{which} のうち {ROWS} 枚で学習"))
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return Jensen's inequality, which is exact, and the gains in accuracy and loss."""
    mean, alone = data["ensemble"], data["members"]
    less = paired(alone["loss"][:, -1], mean["loss"][:, -1])
    total, first = (float((mean["accuracy"][:, k] - alone["accuracy"][:, -1]).mean()) for k in (-1, 2))
    part = f"{100 * first / total:.0f} %" if total > 0 else "?"
    return [
        Claim(
            bool((mean["loss"] <= alone["loss"] + 1e-12).all()),
            f"the loss of the mean is at most the mean of the losses, in all {mean['loss'].size} cases (Jensen)",
            f"平均の損失は損失の平均以下：{mean['loss'].size} 通りのすべてで成り立つ（イェンセン）",
        ),
        gain(
            (
                f"the mean of {MOST} networks is right more often than one of them",
                f"{MOST} 個の平均は 1 個より正解が多い",
            ),
            mean["accuracy"][:, -1],
            alone["accuracy"][:, -1],
        ),
        Claim(
            less.low > 0,
            f"its loss is lower by {less.mean:.3f} [{less.low:.3f}, {less.high:.3f}]",
            f"損失は {less.mean:.3f} [{less.low:.3f}, {less.high:.3f}] 低い",
        ),
        Claim(
            first > total / 2 > 0,
            f"3 networks already bring {part} of the gain in accuracy of {MOST}",
            f"3 個だけで、{MOST} 個による正解率の向上の {part} が得られる",
        ),
    ]
