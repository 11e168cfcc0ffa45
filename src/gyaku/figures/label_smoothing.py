"""Label smoothing, targets that leave some probability to other classes: accuracy and calibration (lecture row 9.4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku import nn
from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.gains import gain
from gyaku.figures.jobs import Runner
from gyaku.figures.style import BLUE, INK, VERMILION, band, canvas, label
from gyaku.figures.training import mlp, train
from gyaku.train import predict

EXPERIMENT = Experiment(
    "label_smoothing",
    ("9.4",),
    ("Label smoothing", "ラベルスムージング"),
    (
        "Targets (1 - ε) for the class and ε spread over all keep the network from growing ever surer. What that does "
        "depends "
        "on the network. Calibration: among answers given with 80 % probability, 80 % should be right; the expected "
        "calibration "
        "error (ECE) is the mean gap between probability and accuracy over ten bins of the largest probability, "
        "weighted by "
        "their counts. These small networks are well calibrated without smoothing: with it they are right more often "
        "than they say.",
        "目標を、正解のクラスに (1 - ε)、残りの ε を全クラスに均等に分けると、ネットワークの確信が際限なく強まることを"
        "防げます。その効果はネットワーク"
        "によります。較正：確率 80 % と答えたものの 80 % が正解であるべきです。期待較正誤差（ECE）は、最大確率を 10 "
        "個の区間に分けたときの、"
        "確率と正解率の差の（個数で重みを付けた）平均です。ここの小さなネットワークはもともとよく較正されていて、"
        "スムージングを"
        "すると、自分で言う確率より多く正解する、控えめすぎるものになります。",
    ),
)
ROWS, NOISE, BINS, USUAL = 400, (0.0, 0.2), 10, 0.1
LEVELS = {  # seeds, epochs, ε
    "quick": (4, 25, (0.0, 0.1)),
    "default": (10, 60, (0.0, 0.05, 0.1, 0.2, 0.4)),
    "full": (30, 100, (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)),
}
NAMES = {"clean": ("labels right", "ラベルは正しい", BLUE), "noisy": ("20 % wrong", "20 % が誤り", VERMILION)}


def reliability(p: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return count, mean of the largest probability, and accuracy in each of BINS equal bins of that probability.

    >>> [a.tolist()[-2:] for a in reliability(np.array([[0.95, 0.05], [0.85, 0.15]]), np.array([0, 1]))]
    [[1.0, 1.0], [0.85, 0.95], [0.0, 1.0]]
    """
    sure, right = p.max(axis=1), (p.argmax(axis=1) == t).astype(float)
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    count, mean, hits = (np.bincount(place, weights=w, minlength=BINS) for w in (np.ones(len(t)), sure, right))
    return count, mean / np.maximum(count, 1), hits / np.maximum(count, 1)


def calibration_error(p: np.ndarray, t: np.ndarray) -> float:
    """Return ECE = Σ n_b / N |accuracy_b - mean probability_b| (Naeini, Cooper, Hauskrecht, 2015)."""
    count, mean, hits = reliability(p, t)
    return float((count / len(t)) @ np.abs(hits - mean))


def fit(noise: float, smoothing: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train 64-100-100-10 by Adam on digits of which a share ``noise`` has wrong labels; test labels are right."""
    digits = sets.images("digits")
    x, t = digits.few(ROWS, seed)
    net = mlp([digits.inputs, 100, 100, 10], seed=seed)
    criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)
    train(net, (x, sets.wrong_labels(t, noise, seed)), epochs=epochs, batch=50, seed=seed, criterion=criterion)
    p, truth = predict(net, digits.test[0]), digits.test[1]
    return {
        "accuracy": (p.argmax(axis=1) == truth).mean(),
        "error": calibration_error(p, truth),
        "sure": p.max(axis=1).mean(),
        "bins": np.array(reliability(p, truth)),
    }


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return, for right and for partly wrong labels, arrays (ε, seeds), and the bins of all test answers together."""
    n, epochs, strengths = LEVELS[level]
    seeds = [1000 * run.seed + i for i in range(n)]
    found: dict[str, Any] = {"strengths": np.array(strengths)}
    for name, noise in zip(NAMES, NOISE, strict=True):
        results = run(
            fit, [{"noise": noise, "smoothing": e, "seed": s, "epochs": epochs} for e in strengths for s in seeds]
        )
        grid = {
            key: np.array([r[key] for r in results]).reshape(len(strengths), n) for key in ("accuracy", "error", "sure")
        }
        bins = np.array([r["bins"] for r in results]).reshape(len(strengths), n, 3, BINS)
        count = bins[:, :, 0].sum(axis=1)
        pooled = [(bins[:, :, 0] * bins[:, :, k]).sum(axis=1) / np.maximum(count, 1) for k in (1, 2)]
        found[name] = {**grid, "count": count, "mean": pooled[0], "right": pooled[1]}
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return accuracy and calibration error by ε, and the reliability diagram without and with smoothing."""
    figure, (left, centre, right) = canvas(1, 3, width=15, height=5.0)
    figure.suptitle(say(*sets.title("digits")), fontsize=14)
    for name, (en, ja, colour) in NAMES.items():
        for axes, key in ((left, "accuracy"), (centre, "error")):
            band(axes, data["strengths"], 100 * data[name][key].T, colour, say(en, ja))
        for place, style in ((0, "--"), (usual(data), "-")):
            seen = data[name]["count"][place] >= 20
            right.plot(
                100 * data[name]["mean"][place][seen],
                100 * data[name]["right"][place][seen],
                "o" + style,
                color=colour,
                markersize=5,
            )
    right.plot([20, 100], [20, 100], ":", color=INK, linewidth=1.2)
    label(
        right,
        0.97,
        0.03,
        say(
            f"dashed: ε = 0\nsolid: ε = {USUAL}\ndotted: calibrated",
            f"破線：ε = 0\n実線：ε = {USUAL}\n点線：完全な較正",
        ),
        xycoords="axes fraction",
        offset=(0, 0),
        va="bottom",
        ha="right",
    )
    left.set(xlabel="ε", ylabel=say("test accuracy (%)", "テスト正解率 (%)"), title=say("Accuracy", "正解率"))
    centre.set(xlabel="ε", ylabel="ECE (%)", title=say("Calibration error", "較正誤差"), ylim=(0, None))
    right.set(
        xlabel=say("largest probability (%)", "最大確率 (%)"), ylabel=say("of these right (%)", "そのうちの正解 (%)")
    )
    right.set_title(say("How sure, and how often right", "確信と正解"))
    return figure


def usual(data: dict[str, Any]) -> int:
    """Return the place of the usual ε = 0.1."""
    return int(np.argmin(np.abs(data["strengths"] - USUAL)))


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return what ε = 0.1 changes in accuracy and calibration, for right and for partly wrong labels."""
    found, i = [], usual(data)
    for name, (en, ja, _) in NAMES.items():
        accuracy, error = data[name]["accuracy"], data[name]["error"]
        found += [
            gain(
                (f"{en}: ε = {USUAL} raises test accuracy", f"{ja}：ε = {USUAL} でテスト正解率が上がる"),
                accuracy[i],
                accuracy[0],
            ),
            gain(
                (
                    f"{en}: the calibration error without smoothing is above that with ε = {USUAL}",
                    f"{ja}：較正誤差はスムージングなしのほうが ε = {USUAL} より大きい",
                ),
                error[0],
                error[i],
            ),
        ]
    sure, most = data["clean"]["sure"], f"{data['strengths'][-1]:g}"
    found.append(
        gain(
            (
                f"labels right: the mean largest probability is higher without smoothing than with ε = {most}",
                f"ラベルは正しい：最大確率の平均はスムージングなしのほうが ε = {most} より高い",
            ),
            sure[0],
            sure[-1],
        )
    )
    return found
