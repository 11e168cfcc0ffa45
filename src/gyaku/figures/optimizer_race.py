"""SGD, Momentum, AdaGrad, RMSProp and Adam on five layers of 100 units, tuned with one budget (lecture row 6.7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import NAMES, Difference, end_labels, paired, percent, points, tune
from gyaku.figures.statistics import holm, wilcoxon
from gyaku.figures.style import COLOURS, band, canvas
from gyaku.figures.training import accuracy, mlp, train

EXPERIMENT = Experiment(
    "optimizer_race",
    ("6.3", "6.7"),
    ("Optimizer race", "最適化手法の競争"),
    (
        "Left: with the rates that the lecture's classes start with (0.01; Adam 0.001) gradient descent is far behind. "
        "Right: every optimizer with its best rate out of the same number, chosen on dev with other seeds. "
        "The distance "
        "that is left is what the optimizers themselves do; most of what the left picture shows was the rate.",
        "左：講義のクラスの初期設定の学習率（0.01、Adam は 0.001）では、勾配降下法は大きく遅れます。右：各手法に同"
        "じ個数"
        "の学習率を試し、別のシードで dev から最良のものを選びました。ここに残る差が手法そのものの違いで"
        "、左の図の差の大"
        ""
        "部分は学習率によるものです。",
    ),
)
LECTURE = {"sgd": 0.01, "momentum": 0.01, "adagrad": 0.01, "adam": 0.001}
RATES = {  # five each, a factor of about 3 apart, around the scale of each optimizer
    "sgd": (0.01, 0.03, 0.1, 0.3, 1.0),
    "momentum": (0.001, 0.003, 0.01, 0.03, 0.1),
    "adagrad": (0.001, 0.003, 0.01, 0.03, 0.1),
    "rmsprop": (0.0001, 0.0003, 0.001, 0.003, 0.01),
    "adam": (0.0001, 0.0003, 0.001, 0.003, 0.01),
}
LEVELS = {"quick": (8, 1, 3), "default": (10, 2, 8), "full": (20, 5, 20)}  # seeds, tuning seeds, epochs
POINTS = 24  # the picture shows means over so many equal parts of the iterations


def race(name: str, lr: float, seed: int, data: str, epochs: int) -> dict[str, Any]:
    """Train inputs-100-100-100-100-10; the score to tune for is the dev accuracy averaged over the epochs."""
    images = sets.images(data)
    net = mlp([images.inputs, 100, 100, 100, 100, 10], seed=seed)
    curves = train(net, images.train, optimizer=name, lr=lr, epochs=epochs, seed=seed, watch={"dev": images.dev})
    loss = np.nan_to_num(curves["loss"], nan=1e3, posinf=1e3)  # diverged: any number worse than all others
    return {"loss": loss, "score": curves["dev"].mean(), "test": accuracy(net, *images.test)}


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return loss by iteration (seeds, steps) and test accuracy (seeds,), with the lecture's rates and tuned ones."""
    n, n_tuning, epochs = LEVELS[level]
    common: dict[str, Any] = {"data": sets.chosen(level), "epochs": epochs}
    best, scores = tune(run, race, RATES, [1000 * run.seed + 500 + i for i in range(n_tuning)], **common)
    jobs = [
        {"name": o, "lr": lr, "seed": 1000 * run.seed + i, **common}
        for rates in (LECTURE, best)
        for o, lr in rates.items()
        for i in range(n)
    ]
    results = run(race, jobs)
    plain, tuned = results[: n * len(LECTURE)], results[n * len(LECTURE) :]
    return {
        "set": common["data"],
        "rates": best,
        "scores": scores,
        "lecture": _series(plain, list(LECTURE), n),
        "tuned": _series(tuned, list(best), n),
    }


def _series(results: list[Any], names: list[str], n: int) -> dict[str, Any]:
    rows = {name: results[i * n : (i + 1) * n] for i, name in enumerate(names)}
    return {key: {o: np.array([r[key] for r in found]) for o, found in rows.items()} for key in ("loss", "test")}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return loss against iterations, with the lecture's rates and with tuned ones."""
    figure, axes = canvas(1, 2, width=13.5, height=5.6, sharey=True)
    ends = [loss[:, -loss.shape[1] // 8 :].mean() for loss in data["tuned"]["loss"].values()]
    axes[0].set(yscale="log", ylim=(0.5 * float(min(ends)), 4))
    _panel(axes[0], data["lecture"]["loss"], LECTURE, say)
    _panel(axes[1], data["tuned"]["loss"], data["rates"], say)
    axes[0].set(ylabel=say("training loss", "訓練損失"), title=say("The lecture's rates", "講義の学習率"))
    axes[1].set_title(say("Each tuned with the same budget", "同じ予算で調整した学習率"))
    n = len(data["tuned"]["test"]["sgd"])
    figure.suptitle(
        sets.title(data["set"])[say.lang == "ja"]
        + say(
            f", 5 layers of 100 units: mean and 95 % interval of {n} seeds",
            f"、100 ユニット × 5 層：{n} シードの平均と 95 % 信頼区間",
        ),
        fontsize=14,
    )
    return figure


def _panel(axes: Any, losses: dict[str, Any], rates: dict[str, float], say: Say) -> None:
    ends = []
    for name, values in losses.items():
        each = max(values.shape[1] // POINTS, 1)
        points_shown = values.shape[1] // each
        means = values[:, : points_shown * each].reshape(len(values), points_shown, each).mean(axis=2)
        x = each * np.arange(1, points_shown + 1)
        band(axes, x, means, COLOURS[name])
        ends.append((max(float(means[:, -1].mean()), 1e-3), f"{NAMES[name]} (λ = {rates[name]:g})", COLOURS[name]))
    axes.set(xlabel=say("iteration", "反復"), xlim=(0, x[-1]))
    end_labels(axes, x[-1], ends)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return S3's remark, that the others learn faster than SGD: with the lecture's rates, and against a tuned SGD."""
    found = _against(data["lecture"]["loss"], "lecture's rates", "講義の学習率")
    found += _against(data["tuned"]["loss"], "tuned", "調整後")
    tests = data["tuned"]["test"]
    best = max((o for o in tests if o != "sgd"), key=lambda o: tests[o].mean())
    ends = paired(tests[best], tests["sgd"])
    numbers = f"{NAMES[best]} {percent(tests[best])}, SGD {percent(tests['sgd'])}"
    found.append(
        Claim(
            ends.low > 0,
            f"tuned, the best other in test accuracy beats SGD: {numbers}, difference {points(ends)} points",
            f"調整後、テスト正解率でほかの手法の最良は SGD に勝る：{numbers}、差 {points(ends)} ポイント",
        )
    )
    edges = [NAMES[o] for o, lr in data["rates"].items() if lr in (RATES[o][0], RATES[o][-1])]
    found.append(
        Claim(
            not edges,
            f"no chosen rate lies at the edge of its candidates ({', '.join(edges) or 'none'})",
            f"選ばれた学習率は候補の端にない（端：{'、'.join(edges) or 'なし'}）",
        )
    )
    return found


def _against(losses: dict[str, Any], en: str, ja: str) -> list[Claim]:
    """Return a claim for each other: its loss, mean over all iterations, is lower than SGD's (Wilcoxon, Holm)."""
    others = [o for o in losses if o != "sgd"]
    area = {o: values.mean(axis=1) for o, values in losses.items()}
    corrected = holm([wilcoxon(area[o].tolist(), area["sgd"].tolist()) for o in others])
    return [_claim(o, paired(area["sgd"], area[o]), p, en, ja) for o, p in zip(others, corrected, strict=True)]


def _claim(o: str, d: Difference, p: float, en: str, ja: str) -> Claim:
    numbers = f"{d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}], {d.wins}/{d.n}, p = {p:.2g}"
    return Claim(
        d.mean > 0 and p < 0.05,
        f"{en}: {NAMES[o]} learns faster than SGD, mean loss lower by {numbers} (Wilcoxon, Holm)",
        f"{ja}：{NAMES[o]} は SGD より速く学習する。平均損失の差 {numbers}（Wilcoxon、Holm 補正）",
    )
