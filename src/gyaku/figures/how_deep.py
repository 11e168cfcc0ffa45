"""How deep can one go: depth × initial values × batch normalization × optimizer × skips (8.5, 10.3)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired, points
from gyaku.figures.sets import chosen, images, title
from gyaku.figures.style import canvas
from gyaku.figures.training import accuracy, mlp, train

EXPERIMENT = Experiment(
    "how_deep",
    ("8.5", "10.3"),
    ("How deep can one go?", "どこまで深くできるか"),
    (
        "Test accuracy in percent of ReLU nets after the same short training; bright cells learned, dark ones stayed "
        "near chance (10 %). Read each row from left to right: it ends where depth defeats the combination. Without "
        "norm and skip, small initial values fail first, He's values last longer. Batch normalization forgives the "
        "initial values, but not any depth. A skip around each layer turns the order round: with small initial "
        "values each layer begins as the identity, and the deepest net learns like the shallow one, while He's "
        "values make the sums explode unless a norm holds them.",
        "同じ短い学習を終えた ReLU の網のテスト正解率（%）。明るいマスは学習でき、暗いマスは当てずっぽう（10 "
        "%）に近いままです。各行を左から右へ見ると、その組合せが深さに負けるところが分かります。"
        "正規化もスキップもないと、小さい初期値が最初に失敗し、He の初期値はもう少し持ちます。"
        "バッチ正規化は初期値の悪さを補いますが、深さに限りはあります。各層にスキップを付けると関係が逆転します。"
        "小さい初期値では各層が恒等写像から始まるので、最も深い網も浅い網と同じように学習し、"
        "He の初期値では正規化がないと和が爆発します。",
    ),
)
RATES = {"sgd": 0.05, "adam": 0.002}
INITS, NORMS, UNITS, LEARNED = ("small", "he"), ("none", "batch"), 32, 0.5
LEVELS: dict[str, tuple[int, tuple[int, ...], int]] = {  # seeds, depths, training steps
    "quick": (2, (3, 12), 60), "default": (3, (2, 5, 10, 20, 40), 250), "full": (5, (2, 5, 10, 20, 40, 80), 1500),
}  # fmt: skip
WORDS = ("batch norm", "skips"), ("バッチ正規化", "スキップ")
ROWS = list(itertools.product(INITS, RATES))
NAMES = {"small": "σ = 0.01", "he": "He", "sgd": "SGD", "adam": "Adam"}


def one(data: str, depth: int, init: str, norm: str, optimizer: str, residual: bool, seed: int, steps: int) -> float:
    """Return the test accuracy of one net after ``steps`` mini-batches of 50."""
    d = images(data)
    net = mlp([d.inputs, *[UNITS] * depth, 10], init=init, norm=norm, residual=residual, seed=seed)
    part, epochs = d.train, max(1, round(steps * 50 / len(d.train[0])))
    if steps * 50 < len(part[0]):
        part = d.few(steps * 50)
    train(net, part, optimizer=optimizer, lr=RATES[optimizer], epochs=epochs, batch=50, seed=seed)
    return accuracy(net, *d.test)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return ``accuracy`` (residual, norm, init, optimizer, depth, seeds), the depths, and the data's name."""
    data, (seeds, depths, steps) = chosen(level), LEVELS[level]
    axes = (False, True), NORMS, INITS, tuple(RATES), depths, range(seeds)
    jobs = [
        {
            "data": data,
            "residual": r,
            "norm": n,
            "init": i,
            "optimizer": o,
            "depth": d,
            "seed": run.seed + s,
            "steps": steps,
        }
        for r, n, i, o, d, s in itertools.product(*axes)
    ]
    found = np.array(run(one, jobs)).reshape([len(axis) for axis in axes])
    return {"accuracy": found, "depths": list(depths), "data": data}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return four maps: without and with batch norm (down), without and with skips (across)."""
    figure, axes = canvas(2, 2, width=13, height=7.2, sharex=True, sharey=True)
    mean = 100 * data["accuracy"].mean(axis=-1)
    norms = (say("no norm", "正規化なし"), say("batch norm", "バッチ正規化"))
    skips = (say("no skip", "スキップなし"), say("skip around each layer", "各層にスキップ"))
    for r, n in itertools.product(range(2), range(2)):
        ax, values = axes[n, r], mean[r, n].reshape(len(ROWS), -1)
        picture = ax.imshow(values, cmap="cividis", vmin=0, vmax=100, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            ax.text(
                column,
                row,
                f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=14,
                color="white" if value < 55 else "black",
            )
        ax.set(title=f"{norms[n]}, {skips[r]}" if say.lang == "en" else f"{norms[n]}・{skips[r]}")
        ax.set_xticks(range(len(data["depths"])), data["depths"])
        ax.set_yticks(range(len(ROWS)), [f"{NAMES[i]}, {NAMES[o]}" for i, o in ROWS])
        ax.grid(False)
    for ax in axes[1]:
        ax.set_xlabel(say("hidden layers", "隠れ層の数"))
    figure.colorbar(
        picture, ax=axes, label=say("test accuracy, %: ", "テスト正解率（%）：") + say(*title(data["data"])), shrink=0.8
    )
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return where plain nets end, what norm and skips bring at the largest depth, and who learns there."""
    a, deepest = data["accuracy"], data["depths"][-1]
    n = a.shape[-1]
    small = a[0, 0, 0, :, -1].max()
    found = [
        Claim(
            bool(small < 0.2),
            f"{deepest} plain layers from small initial values stay at chance with both optimizers: at most "
            f"{small:.1%} in {n} seeds",
            f"小さい初期値の {deepest} 層は、正規化もスキップもなければどちらの手法でも当てずっぽうのまま：シード {n} "
            f"個で最高 {small:.1%}",
        )
    ]
    for axis, en, ja in zip((1, 0), *WORDS, strict=True):
        last = np.moveaxis(a[..., -1, :], axis, 0)
        gain = paired(*(last[k].reshape(-1, n).mean(axis=0) for k in (1, 0)))
        found.append(
            Claim(
                gain.low > 0,
                f"{en} gain at {deepest} layers: {points(gain)} points, mean of the 8 pairs of settings, {n} seeds",
                f"{deepest} 層での{ja}の効果：{points(gain)} ポイント（8 組の設定の平均、シード {n} 個）",
            )
        )
    return [*found, _survivors(a, data["depths"])]


def _survivors(a: Any, depths: list[int]) -> Claim:
    """Return which settings learn at the largest depth in every seed, and that all of them have a skip."""
    learned = (a[..., -1, :] > LEARNED).all(axis=-1)  # (residual, norm, init, optimizer)
    en, ja = ("; ".join(_name(*index, words=words) for index in np.argwhere(learned)) or "-" for words in WORDS)
    return Claim(
        bool(learned[1].any() and not learned[0].any()),
        f"at {depths[-1]} layers only nets with skips exceed {LEARNED:.0%} in every seed; those that do: {en}",
        f"{depths[-1]} 層ですべてのシードが {LEARNED:.0%} を超えるのはスキップのある網だけ。超えたもの：{ja}",
    )


def _name(residual: int, norm: int, init: int, optimizer: int, *, words: tuple[str, str]) -> str:
    parts = [NAMES[INITS[init]], NAMES[list(RATES)[optimizer]], *[words[0]] * norm, *[words[1]] * residual]
    return " + ".join(parts)
