"""Over-fitting on few digits, and what may hold it back: penalties, dropout, batch norm, a lower rate (row 9.5)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures import sets
from gyaku.figures.activation_race import dot_with_interval
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.gains import gain, gains
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, ORANGE, PLUM, SKY, band, canvas
from gyaku.figures.training import accuracy, mlp, train

EXPERIMENT = Experiment(
    "regularization_race",
    ("9.1", "9.3", "9.5"),
    ("Regularization race on few digits", "少ないデータでの正則化の競争"),
    (
        "A network that is far too large for its few digits learns all of them by heart: the training accuracy is 100 "
        "%, the "
        "gap to new digits is over-fitting. The strength of each remedy was chosen on dev among as many values as the "
        "others "
        "had. Every seed draws its own digits, initial values and order; all remedies meet the same ones, so their "
        "paired "
        "differences tell more than the bands (drawn for none and for all but L1). Gains are small next to the gap, "
        "and not every remedy brings one.",
        "少ない枚数の数字に対して大きすぎるネットワークは、それらを丸暗記します。訓練データの正解率は 100 % になり、"
        "新しい数字との差が過学習です。"
        "各手法の強さは、同じ個数の候補から dev で選びました。シードごとに使う数字・初期値・順序が変わり、"
        "どの手法も同じ条件で競うので、"
        "（「なし」と「L1 以外すべて」に付けた）帯よりも対応のある差のほうが多くを語ります。"
        "過学習の差に比べて改善は小さく、効果のない手法もあります。",
    ),
)
# What each competitor adds, by its strength s; "none" and those after it have no strength to tune.
STRENGTHS = {
    "l1": (0.0003, 0.001, 0.003),
    "l2": (0.001, 0.003, 0.01),
    "dropout": (0.2, 0.4, 0.6),
    "combined": (0.1, 0.2, 0.4),
}
RACERS = {
    "none": ("none", "なし", COLOURS["plain"]),
    "l1": ("L1", "L1", COLOURS["l1"]),
    "l2": ("L2", "L2", COLOURS["l2"]),
    "dropout": ("dropout", "ドロップアウト", COLOURS["dropout"]),
    "batch_norm": ("batch norm", "バッチ正規化", SKY),
    "decay": ("lower λ midway", "途中で λ を下げる", ORANGE),
    "combined": ("all but L1", "L1 以外すべて", PLUM),
}
ROWS, RATE = 150, 0.003
LEVELS = {"quick": (3, 1, 12), "default": (10, 3, 80), "full": (30, 5, 200)}  # seeds, tuning seeds, epochs


def remedy(name: str, s: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of ``mlp`` and of ``train`` that make a competitor of strength ``s``."""
    lowered: dict[str, Any] = {"decay": lambda done: 1.0 if done < 0.5 else 0.1}
    table: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "none": ({}, {}),
        "l1": ({}, {"l1": s}),
        "l2": ({}, {"l2": s}),
        "dropout": ({"dropout": s}, {}),
        "batch_norm": ({"norm": "batch"}, {}),
        "decay": ({}, lowered),
        "combined": ({"norm": "batch", "dropout": s}, {"l2": STRENGTHS["l2"][0], **lowered}),
    }
    return table[name]


def fit(name: str, strength: float, seed: int, data: str, epochs: int) -> dict[str, Any]:
    """Train inputs-200-200-10 by Adam on the few digits that the seed draws; return curves and final accuracies."""
    images = sets.images(data)
    few, (shape, options) = images.few(ROWS, seed), remedy(name, strength)
    net = mlp([images.inputs, 200, 200, 10], seed=seed, **shape)
    curves = train(
        net, few, lr=RATE, epochs=epochs, batch=50, seed=seed, watch={"train": few, "dev": images.dev}, **options
    )
    return {"train": curves["train"], "dev": curves["dev"], "test": accuracy(net, *images.test)}


def tuned(run: Runner, seeds: list[int], **common: Any) -> dict[str, float]:
    """Return the strength of each competitor with the best mean dev accuracy at the end, over seeds of their own."""
    trials = [(name, s) for name, strengths in STRENGTHS.items() for s in strengths]
    results = run(fit, [{"name": n, "strength": s, "seed": seed, **common} for n, s in trials for seed in seeds])
    scores = np.array([r["dev"][-1] for r in results]).reshape(len(STRENGTHS), -1, len(seeds)).mean(axis=2)
    best = {
        name: strengths[int(np.argmax(row))] for (name, strengths), row in zip(STRENGTHS.items(), scores, strict=True)
    }
    return {name: best.get(name, 0.0) for name in RACERS}


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return curves (seeds, epochs) and test accuracies (seeds,) of every competitor."""
    n, n_tuning, epochs = LEVELS[level]
    common: dict[str, Any] = {"data": sets.chosen(level), "epochs": epochs}
    strength = tuned(run, [1000 * run.seed + 500 + i for i in range(n_tuning)], **common)
    seeds = [1000 * run.seed + i for i in range(n)]
    results = run(
        fit, [{"name": name, "strength": strength[name], "seed": s, **common} for name in RACERS for s in seeds]
    )
    found = {name: results[i * n : (i + 1) * n] for i, name in enumerate(RACERS)}
    series = {
        key: {name: np.array([r[key] for r in rows]) for name, rows in found.items()}
        for key in ("train", "dev", "test")
    }
    return {**series, "strength": strength, "set": common["data"]}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return training and dev accuracy by epoch, and test accuracy with its interval."""
    figure, (left, right) = canvas(1, 2, width=14, height=5.6, width_ratios=(1.2, 1))
    epochs = np.arange(1, data["dev"]["none"].shape[1] + 1)
    for name, (_, _, colour) in RACERS.items():
        left.plot(epochs, 100 * data["train"][name].mean(axis=0), "--", color=colour, linewidth=1.4)
        if name in ("none", "combined"):
            band(left, epochs, 100 * data["dev"][name], colour)
        else:
            left.plot(epochs, 100 * data["dev"][name].mean(axis=0), color=colour)
    bottom = 100 * min(d.mean(axis=0)[len(epochs) // 10] for d in data["dev"].values())
    left.set(
        xlabel=say("epoch", "エポック"),
        ylabel=say("accuracy (%)", "正解率 (%)"),
        ylim=(bottom - 2, 100.8),
        xlim=(1, epochs[-1]),
    )
    which = sets.title(data["set"])[say.lang == "ja"]
    left.set_title(
        say(f"{which}: {ROWS} of them\ndashed: train, solid: dev", f"{which} のうち {ROWS} 枚\n破線：訓練、実線：dev")
    )
    order = sorted(RACERS, key=lambda name: data["test"][name].mean())
    for i, name in enumerate(order):
        dot_with_interval(right, i, 100 * data["test"][name], RACERS[name][2])
    right.axvline(100 * data["test"]["none"].mean(), color=RACERS["none"][2], linestyle=":", linewidth=1.4)
    right.set_yticks(range(len(order)), [_title(name, data["strength"][name], say) for name in order])
    for tick, name in zip(right.get_yticklabels(), order, strict=True):
        tick.set_color(RACERS[name][2])
    right.set(
        xlabel=say("test accuracy (%), 95 % interval", "テスト正解率 (%)（95 % 信頼区間）"),
        title=say("After training", "学習後"),
    )
    return figure


def _title(name: str, strength: float, say: Say) -> str:
    sign = {"l1": "α", "l2": "α", "dropout": "p", "combined": "p"}.get(name)
    return say(*RACERS[name][:2]) + (f" ({sign} = {strength:g})" if sign else "")


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the over-fitting without a remedy, and each remedy against none."""
    test, others = data["test"], [name for name in RACERS if name != "none"]
    what = {
        name: (f"{RACERS[name][0]} is better than none", f"「{RACERS[name][1]}」は対策なしよりよい") for name in others
    }
    return [
        gain(
            (
                "over-fitting without a remedy: accuracy in training is above that in the test",
                "対策なしの過学習：正解率は訓練のほうがテストより高い",
            ),
            data["train"]["none"][:, -1],
            test["none"],
            least=0.02,
        ),
        *gains([(what[name], test[name], test["none"]) for name in others]),
    ]
