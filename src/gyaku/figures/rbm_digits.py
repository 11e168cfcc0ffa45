"""What an RBM has learned of digits: its filters, what it dreams, and how it completes half a digit (11.2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.energy import RBM
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired
from gyaku.figures.sets import Images, chosen, pixels, title
from gyaku.figures.style import INK, canvas

EXPERIMENT = Experiment(
    "rbm_digits",
    ("11.2",),
    ("What an RBM learns of digits", "RBM が数字から学ぶもの"),
    (
        "Left: weights of hidden units to the pixels (red positive, blue negative), drawn from the stronger half "
        "of the units: pieces of strokes, found without labels. Middle: fantasies, each the end of its own Gibbs "
        "chain from a random state; chains move rarely from one kind of digit to another. Right: test digits of "
        "which only the upper half is shown; the lower half is the mean of Gibbs chains with the upper half held. "
        "Below that the digit as it is. A completion need not be the true digit: a half may belong to several.",
        "左：隠れユニットから画素への重み（赤は正、青は負）。重みの大きい半分のユニットから抽選しました。ラベルなしで"
        "見つけた線の断片です。中央：空想。ランダムな"
        "状態から始めた別々のギブス連鎖の終わりの状態です（連鎖が別の種類の数字に移ることはまれです）。右：上半分だけを見せたテスト用の数字。下半分は、上半分を固"
        "定したギブス連鎖の平均です。その下が元の数字。半分だけでは何の数字か決まらないこともあり、補完が元の数字と"
        "違っても誤りとは限りません。",
    ),
)
# hidden units, epochs, steps of the fantasies, of the completions
SIZES = {"quick": (80, 60, 300, 60), "default": (144, 15, 1000, 100), "full": (400, 60, 5000, 300)}
FILTERS, FANTASIES, SHOWN, JUDGED, CHAINS = 36, 100, 10, 200, 5


def learn(seed: int, data: str, sizes: list[int]) -> dict[str, Any]:
    """Train by persistent chains; return filters, fantasies, and completions of ``JUDGED`` test digits."""
    found = pixels(data)
    hidden, epochs, dream, complete = sizes
    machine = RBM(found.inputs, hidden, seed=seed)
    options: dict[str, Any] = {"batch_size": 50, "lr": 0.05, "momentum": 0.5, "seed": seed}
    machine.fit(found.train[0], epochs=epochs, rule="cd", **options)
    machine.fit(found.train[0], epochs=epochs, rule="pcd", **{**options, "lr": 0.01})
    test, upper = found.test[0][:JUDGED], upper_half(found)
    chains = [machine.sample(len(test), steps=complete, clamp=(upper, test), seed=seed + i) for i in range(CHAINS)]
    return {
        "W": machine.W, "fantasies": machine.sample(FANTASIES, steps=dream, seed=seed),
        "completed": np.mean(chains, axis=0),
    }  # fmt: skip


def upper_half(data: Images) -> Any:
    """Return the mask of the pixels of the upper half."""
    return np.arange(data.inputs) < data.inputs // 2


def nearest(train: Any, rows: Any) -> tuple[Any, Any]:
    """Return for each row the number of the nearest training row, and its distance."""
    square = (rows**2).sum(1)[:, None] - 2 * rows @ train.T + (train**2).sum(1)
    near = square.argmin(axis=1)
    return near, np.sqrt(np.maximum(square[np.arange(len(rows)), near], 0))


def pixels_of_half(filters: Any) -> Any:
    """Return how many pixels hold half of the squared weight of each filter (D, n), the strongest first."""
    share = -np.sort(-(filters.astype(np.float64) ** 2), axis=0)
    return (np.cumsum(share / share.sum(axis=0), axis=0) < 0.5).sum(axis=0) + 1


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return pictures, the errors of the lower halves (digits,), distances to the training digits, filters' widths."""
    name = chosen(level)
    data = pixels(name)
    (learned,) = run(learn, [{"seed": run.seed, "data": name, "sizes": list(SIZES[level])}])
    (train, t), (test, t_test) = data.train, (data.test[0][:JUDGED], data.test[1][:JUDGED])
    upper, completed, dreams = upper_half(data), np.array(learned["completed"]), np.array(learned["fantasies"])
    similar = train[nearest(train[:, upper], test[:, upper])[0]]
    guesses = {"completed": completed, "mean": train.mean(axis=0), "nearest": similar}
    components = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)[2][:FILTERS].T
    w = np.array(learned["W"])
    shown = [int(np.flatnonzero(t_test == k)[0]) for k in range(SHOWN)]
    strongest = np.argsort(-(w**2).sum(axis=0), kind="stable")[: len(w.T) // 2]  # units in use
    some = Generator(run.seed).split("filters").permutation(len(strongest))[:FILTERS]
    near, distance = nearest(train, dreams)
    return {
        "data": name, "filters": w[:, strongest[some]].T, "fantasies": dreams, "true": test[shown],
        "completed": completed[shown], "kinds": np.bincount(t[near], minlength=10),
        "error": {k: np.sqrt(np.square((v - test)[:, ~upper]).mean(axis=1)) for k, v in guesses.items()},
        "distance": {"fantasies": distance, "test": nearest(train, test)[1], "noise": _noise(train, run.seed)},
        "width": {"filters": pixels_of_half(w), "components": pixels_of_half(components)},
    }  # fmt: skip


def _noise(train: Any, seed: int) -> Any:
    """Return the distances of drawn pixels, each with its own mean and independent of the others."""
    drawn = Generator(seed).split("noise").uniform((FANTASIES, train.shape[1])) < train.mean(axis=0)
    return nearest(train, drawn.astype(train.dtype))[1]


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return filters, fantasies and completions as pictures."""
    figure, (left, middle, right) = canvas(1, 3, width=16, height=4.7, width_ratios=[1, 1, 1.75])
    strength = float(np.quantile(np.abs(data["filters"]), 0.99))
    side = math.isqrt(FILTERS)
    left.imshow(tiles(data["filters"], side), cmap="RdBu_r", vmin=-strength, vmax=strength)
    middle.imshow(tiles(data["fantasies"][:FILTERS], side), cmap="gray_r", vmin=0, vmax=1)
    shown = data["true"].copy()
    shown[:, data["true"].shape[1] // 2 :] = 0.25
    rows = np.concatenate([shown, data["completed"], data["true"]])
    picture = tiles(rows, SHOWN)
    right.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
    high = picture.shape[0] / 3
    names = say("shown", "見せる半分"), say("completed", "補完"), say("true", "元の数字")
    for i, text in enumerate(names):
        right.text(-1, high * (i + 0.5), text, ha="right", va="center", fontsize=13, color=INK)
    left.set_title(say("filters", "フィルター"))
    middle.set_title(say("fantasies", "空想"))
    right.set_title(say("the lower half completed, ", "下半分の補完、") + say(*title(data["data"])))
    for ax in (left, middle, right):
        ax.axis("off")
    return figure


def tiles(rows: Any, columns: int) -> Any:
    """Return square pictures (N, D) side by side, ``columns`` in a row, with an empty line between."""
    side = math.isqrt(rows.shape[1])
    framed = np.pad(rows.reshape(-1, side, side), ((0, 0), (0, 1), (0, 1)))
    return framed.reshape(-1, columns, side + 1, side + 1).transpose(0, 2, 1, 3).reshape(-1, columns * (side + 1))


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return how good the completions are, how near the fantasies, and how local the filters."""
    own, n = data["error"]["completed"], len(data["error"]["completed"])
    others = {"mean": ("the mean digit", "平均画像"), "nearest": ("the nearest training digit's", "最も似た学習データ")}
    found = []
    for name, (en, ja) in others.items():
        d, other = paired(own, data["error"][name]), data["error"][name].mean()
        change = f"{d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"
        found.append(
            Claim(
                d.high < 0,
                f"a completed lower half is nearer to the true one than {en}: a pixel is off by {own.mean():.3f} and "
                f"{other:.3f}, difference {change} ({n} digits)",
                f"補完した下半分は{ja}より元に近い：画素の誤差 {own.mean():.3f} と {other:.3f}、差 {change}（{n} 枚）",
            )
        )
    return [*found, *_fantasies(data), _local(data["width"])]


def _fantasies(data: dict[str, Any]) -> list[Claim]:
    """Return whether the fantasies are as near to training digits as test digits are, and of many classes."""
    near = {k: float(np.median(v)) for k, v in data["distance"].items()}
    kinds = int((data["kinds"] > 0).sum())
    return [
        Claim(
            near["fantasies"] < 1.25 * near["test"],
            f"a fantasy is near to digits: its nearest training digit is {near['fantasies']:.2f} away, that of test "
            f"digits {near['test']:.2f}, of independent pixels {near['noise']:.2f} (medians)",
            f"空想は数字に近い：最も近い学習データまでの距離は {near['fantasies']:.2f}、テストデータでは "
            f"{near['test']:.2f}、独立な画素では {near['noise']:.2f}（中央値）",
        ),
        Claim(
            kinds >= 8,
            f"fantasies are of most kinds: by their nearest training digits {kinds} of 10 classes among {FANTASIES}",
            f"空想はほとんどの種類にわたる：最も近い学習データで見て {FANTASIES} 枚に10クラスのうち {kinds} クラス",
        ),
    ]


def _local(width: dict[str, Any]) -> Claim:
    filters, components = (float(np.median(width[k])) for k in ("filters", "components"))
    return Claim(
        filters < components,
        f"filters are local: half of a filter's squared weight lies on {filters:g} pixels, of the first {FILTERS} "
        f"principal components on {components:g} (medians)",
        f"フィルターは局所的：二乗した重みの半分は {filters:g} 画素にある。最初の {FILTERS} 個の主成分では "
        f"{components:g} 画素（中央値）",
    )
