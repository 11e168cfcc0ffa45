"""Pseudo-labels: a network labels digits that nobody labelled, where it is sure, and learns them (lecture row 9.4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.gains import gains
from gyaku.figures.jobs import Runner
from gyaku.figures.style import BLUE, COLOURS, GREEN, VERMILION, band, canvas, end_label, label
from gyaku.figures.training import accuracy, mlp, train
from gyaku.train import pseudo_labels

EXPERIMENT = Experiment(
    "pseudo_labels",
    ("9.4",),
    ("Pseudo-labels: few labelled, many unlabelled digits", "擬似ラベル：ラベル付きは少数、ラベルなしは多数"),
    (
        "A network that learned from few labelled digits labels the others where its probability reaches a threshold; "
        "a new one "
        "learns from both, and is the teacher of the next round. Every network takes the same number of steps. A high "
        "threshold "
        "takes only digits that the teacher knew anyway; a low one takes wrong answers too. Answers that are right and "
        "new are "
        "what helps. With 240 labelled digits the teacher knows nearly all there is to learn: no gain is seen.",
        "少数のラベル付き画像で学んだネットワークが、確率がしきい値以上の画像にラベルを付け、"
        "新しいネットワークがその両方から学び、次の回の教師に"
        "なります。更新の回数はどのネットワークも同じです。しきい値が高いと、教師がもともと分かる画像しか採用されま"
        "せん。低いと、誤った答えも採用されます。"
        "役に立つのは、正しくて、しかも新しい答えです。"
        "ラベル付きが 240 枚あると、教師がほとんど知っているので改善は見られません。",
    ),
)
LABELLED, THRESHOLDS, ROUNDS, BATCH = (60, 240), (0.5, 0.8, 0.95), 4, 30
LEVELS = {"quick": (3, 80), "default": (10, 400), "full": (30, 2000)}  # seeds, steps
SHADES = dict(zip(THRESHOLDS, (VERMILION, BLUE, GREEN), strict=True))


def fit(labelled: int, threshold: float, seed: int, steps: int) -> dict[str, Any]:
    """Return test accuracy by round (0 is the labelled digits alone), and the shares taken and right by round."""
    digits = sets.images("digits")
    x, t = digits.few(len(digits.train[0]), seed)  # all of them, in an order of this seed
    known, rest, truth = (x[:labelled], t[:labelled]), x[labelled:], t[labelled:]
    net = fresh(known, seed, steps)
    found: dict[str, list[float]] = {"accuracy": [accuracy(net, *digits.test)], "taken": [], "right": []}
    for i in range(1, ROUNDS + 1):
        rows, answers = pseudo_labels(net, rest, threshold=threshold)
        net = fresh(
            (np.concatenate([known[0], rest[rows]]), np.concatenate([known[1], answers])), seed + 100 * i, steps
        )
        found["accuracy"].append(accuracy(net, *digits.test))
        found["taken"].append(len(rows) / len(rest))
        found["right"].append((answers == truth[rows]).mean() if len(rows) else 1.0)
    return found


def fresh(part: sets.Part, seed: int, steps: int) -> Any:
    """Return a new network trained by Adam for about ``steps`` steps, whatever the number of digits."""
    net = mlp([part[0].shape[1], 100, 10], seed=seed)
    train(net, part, epochs=max(1, round(steps / (len(part[0]) // BATCH))), batch=BATCH, seed=seed)
    return net


def alone(labelled: int, seed: int, steps: int) -> list[float]:
    """Return test accuracy of the networks that learn the labelled digits only, one with the seeds of each round."""
    digits = sets.images("digits")
    known = digits.few(labelled, seed)
    return [accuracy(fresh(known, seed + 100 * i, steps), *digits.test) for i in range(ROUNDS + 1)]


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return, for each number of labelled digits, accuracies (seeds, rounds) without and with, and the shares."""
    n, steps = LEVELS[level]
    seeds = [1000 * run.seed + i for i in range(n)]
    found: dict[str, Any] = {}
    for m in LABELLED:
        results = run(
            fit, [{"labelled": m, "threshold": c, "seed": s, "steps": steps} for c in THRESHOLDS for s in seeds]
        )
        found[str(m)] = {"without": np.array(run(alone, [{"labelled": m, "seed": s, "steps": steps} for s in seeds]))}
        for i, threshold in enumerate(THRESHOLDS):
            rows = results[i * n : (i + 1) * n]
            found[str(m)][str(threshold)] = {
                key: np.array([r[key] for r in rows]) for key in ("accuracy", "taken", "right")
            }
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return test accuracy by round for both numbers of labelled digits, and the shares taken and right."""
    figure, panels = canvas(1, 3, width=15, height=5.2)
    figure.suptitle(say(*sets.title("digits")), fontsize=14)
    rounds = np.arange(ROUNDS + 1)
    for axes, m in zip(panels, LABELLED, strict=False):
        axes.plot(rounds, 100 * data[str(m)]["without"].mean(axis=0), ":", color=COLOURS["plain"])
        end_label(axes, ROUNDS, 100 * data[str(m)]["without"][:, -1].mean(), say("none", "なし"), COLOURS["plain"])
        for threshold, colour in SHADES.items():
            band(axes, rounds, 100 * data[str(m)][str(threshold)]["accuracy"], colour, f"p ≥ {threshold}")
        axes.set(xlabel=say("round", "回"), xticks=rounds, title=say(f"{m} labelled digits", f"ラベル付き {m} 枚"))
    panels[0].set_ylabel(say("test accuracy (%)", "テスト正解率 (%)"))
    for threshold, colour in SHADES.items():
        found = data[str(LABELLED[0])][str(threshold)]
        panels[2].plot(rounds[1:], 100 * found["taken"].mean(axis=0), "o-", color=colour)
        panels[2].plot(rounds[1:], 100 * found["right"].mean(axis=0), "s--", color=colour, linewidth=1.4)
        end_label(panels[2], ROUNDS, 100 * found["taken"][:, -1].mean(), f"p ≥ {threshold}", colour)
    label(
        panels[2],
        0.97,
        0.03,
        say("solid: taken\ndashed: right, of these", "実線：採用した割合\n破線：そのうち正しい割合"),
        xycoords="axes fraction",
        offset=(0, 0),
        ha="right",
        va="bottom",
    )
    panels[2].set(xlabel=say("round", "回"), xticks=rounds[1:], ylabel="%", ylim=(-18, 103), yticks=range(0, 101, 20))
    panels[2].set_title(
        say(
            f"Of the unlabelled digits ({LABELLED[0]} labelled)", f"ラベルなし画像のうち（ラベル付き {LABELLED[0]} 枚）"
        )
    )
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the gain after the last round, for each number of labelled digits and threshold."""
    return gains(
        [
            (
                (
                    f"{m} labelled digits, threshold {c}: pseudo-labels raise test accuracy",
                    f"ラベル付き {m} 枚、しきい値 {c}：擬似ラベルでテスト正解率が上がる",
                ),
                data[str(m)][str(c)]["accuracy"][:, -1],
                data[str(m)]["without"][:, -1],
            )
            for m in LABELLED
            for c in THRESHOLDS
        ]
    )
