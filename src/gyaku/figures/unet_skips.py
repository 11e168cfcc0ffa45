"""U-Net with and without its skips on scenes of digits: the overlap of every class with the truth (10.4)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn
from gyaku.data.scenes import SCENE_CLASSES, load_scenes
from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired, percent, percent_axis, points
from gyaku.figures.statistics import interval
from gyaku.figures.style import COLOURS, INK, canvas, label
from gyaku.figures.training import outputs, quickest_step, train
from gyaku.models.unet import UNet
from gyaku.train.metrics import confusion_matrix, hit_rate, intersection_over_union

EXPERIMENT = Experiment(
    "unet_skips",
    ("10.4",),
    ("U-Net with and without its skips", "U-Net：スキップの有無"),
    (
        "Every pixel of a scene is to be given a class: the ground, or one of ten digits of varied size on a texture. "
        "The encoder halves the picture three times, which says what is there and loses where; the decoder doubles it "
        "again. Left: the first scenes of the test part, the truth, and what the two nets answer, each colour a "
        "digit. Without skips the answers are blurred spots; with them, each level hands its pixels over and the "
        "strokes have edges. Right: intersection over union of every class, and the mean of the classes.",
        "シーンの全画素を、背景か、模様の上に置かれた大小さまざまな 10 種の数字のどれかに分類します。エンコーダは画像"
        "を三回半分にし、何があるかを捉えるかわりに、どこにあるかを失います。デコーダがそれを元の大きさに戻します。左："
        "テスト用の最初のシーン、正解、二つの網の答え（色が数字を表します）。スキップなしでは答えがぼやけた塊になりま"
        "す。スキップがあると各段の画素がそのまま渡され、線の縁が出ます。右：各クラスの IoU（正解と予測の共通部分 / 和"
        "集合）とその平均。",
    ),
)
SIDE, DEPTH, WIDTH, BATCH, RATE, SHOWN = 32, 3, 8, 10, 0.005, 5
GROUND_WEIGHT = 0.2  # six pixels of seven are ground: without a weight a net answers nothing else for many epochs
KINDS = {"skips": True, "plain": False}
LEVELS = {"quick": (200, 8, 2), "default": (1200, 20, 4), "full": (4000, 40, 10)}  # scenes, epochs, seeds
NAMES = {"skips": ("with skips", "スキップあり"), "plain": ("without", "スキップなし")}
HUES = {"skips": COLOURS["residual"], "plain": COLOURS["plain"]}


@functools.cache
def parts(n: int, seed: int) -> dict[str, tuple[Any, Any]]:
    """Return pictures (N, 1, 32, 32) standardised by the training part, and classes of pixels, of train and test."""
    source = load_scenes(n=n, size=(SIDE, SIDE), seed=seed)
    both = {"train": source, "test": source.test}
    arrays = {name: (np.asarray(s.images), np.asarray(s.masks)) for name, s in both.items() if s is not None}
    mean, deviation = arrays["train"][0].mean(), arrays["train"][0].std()
    return {k: (((x - mean) / deviation).astype(np.float32), t.astype(np.int64)) for k, (x, t) in arrays.items()}


def fit(kind: str, n: int, epochs: int, seeds: list[int], data: str, scenes: int) -> dict[str, Any]:
    """Return for each seed ``iou`` (classes,) and the share of right ``pixels`` on test, and the first ``answers``.

    ``data`` names the digits that the scenes are written with, ``scenes`` is their seed.
    """
    (x, t), (x_test, t_test) = (parts(n, scenes)[name] for name in ("train", "test"))
    step, found = quickest_step(len(seeds) * epochs * n // BATCH), []
    for seed in seeds:
        net = network(kind, seed)
        weight = gy.tensor(np.array([GROUND_WEIGHT] + [1.0] * (len(SCENE_CLASSES) - 1), dtype=np.float32))
        train(
            net, (x, t), lr=RATE, epochs=epochs, batch=BATCH, seed=seed, step=step, decay=lambda done: 1 - done,
            criterion=nn.CrossEntropyLoss(weight=weight),
        )  # fmt: skip
        answers = outputs(net, x_test).argmax(axis=1)
        counts = confusion_matrix(answers.ravel(), t_test.ravel(), len(SCENE_CLASSES))
        iou, right = intersection_over_union(counts), hit_rate(counts)
        found.append({"iou": iou, "pixels": right, "answers": answers[:SHOWN].astype(np.uint8)})
    return {name: np.array([each[name] for each in found]) for name in found[0]}


def network(kind: str, seed: int) -> UNet:
    """Return the U-Net of the experiment."""
    classes = len(SCENE_CLASSES)
    return UNet((1, SIDE, SIDE), classes, depth=DEPTH, width=WIDTH, skips=KINDS[kind], seed=seed)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return ``skips`` and ``plain``: what ``fit`` found, and the first scenes of test with their truth."""
    n, epochs, count = LEVELS[level]
    common = {"n": n, "epochs": epochs, "seeds": [run.seed + i for i in range(count)]}
    data = sets.chosen("default")
    results = run(fit, [{"kind": k, **common, "data": data, "scenes": run.seed} for k in KINDS])
    x, t = parts(n, run.seed)["test"]
    shown = {"pictures": x[:SHOWN, 0], "truth": t[:SHOWN], "scenes": n, "epochs": epochs, "set": data}
    return {**dict(zip(KINDS, results, strict=True)), **shown}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return scenes with truth and answers on the left, the overlap of every class on the right."""
    figure, (left, right) = canvas(1, 2, width=15, height=6.4, width_ratios=[1.35, 1])
    _scenes(left, data, say)
    _overlaps(right, data, say)
    return figure


def colours() -> Any:
    """Return the colours of the classes (11, 3): white ground, and a colour for each digit."""
    from matplotlib import colormaps

    return np.vstack([[[1.0, 1.0, 1.0]], colormaps["tab10"](np.arange(10))[:, :3]])


def _scenes(ax: Any, data: dict[str, Any], say: Say) -> None:
    """Draw a column for each scene: picture, truth, without skips, with skips."""
    grey = (data["pictures"] - data["pictures"].min()) / np.ptp(data["pictures"])
    rows = [
        np.repeat(grey[..., None], 3, axis=-1),
        *(colours()[m] for m in (data["truth"], data["plain"]["answers"][0], data["skips"]["answers"][0])),
    ]
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            x, y = 1.06 * j, -1.06 * i
            ax.imshow(picture, extent=(x, x + 1, y - 1, y), interpolation="nearest")
            ax.plot([x, x + 1, x + 1, x, x], [y, y, y - 1, y - 1, y], color=INK, linewidth=0.8)
    texts = say("picture", "画像"), say("truth", "正解"), say(*NAMES["plain"]), say(*NAMES["skips"])
    hues = INK, INK, HUES["plain"], HUES["skips"]
    for i, (text, hue) in enumerate(zip(texts, hues, strict=True)):
        ax.text(-0.1, -1.06 * i - 0.5, text, ha="right", va="center", fontsize=14, color=hue)
    for digit in range(10):
        x = 0.25 + digit * (1.06 * len(grey) - 0.5) / 9.6
        ax.text(x, -4.45, str(digit), color=colours()[digit + 1], fontsize=17, ha="center")
    ax.set(xlim=(-1.5, 1.06 * len(grey)), ylim=(-4.7, 0.1))
    ax.axis("off")


def _overlaps(ax: Any, data: dict[str, Any], say: Say) -> None:
    """Draw mean and interval of the overlap of every class, one below the other, the mean of all first."""
    names = [say("mean", "平均"), say("ground", "背景"), *SCENE_CLASSES[1:]]
    places = np.arange(len(names))
    for kind, shift in (("skips", -0.14), ("plain", 0.14)):
        values = np.column_stack([data[kind]["iou"].mean(axis=1), data[kind]["iou"]])
        low, high = interval(values)
        ax.hlines(places + shift, low, high, color=HUES[kind], linewidth=2)
        ax.plot(values.mean(axis=0), places + shift, "o", color=HUES[kind], markersize=7)
        label(ax, 0.62, 2.3 * shift, say(*NAMES[kind]), HUES[kind])
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1), xlabel="IoU")
    ax.axhline(0.5, color=COLOURS["baseline"], linewidth=0.8)
    percent_axis(ax.xaxis)
    runs = len(data["skips"]["iou"])
    ax.set_title(say(f"test, mean and 95 % interval of {runs} runs", f"テスト、{runs} 回の平均と 95 % 信頼区間"))


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return what the skips gain in the mean overlap, class by class, and on the ground."""
    skips, plain = data["skips"]["iou"], data["plain"]["iou"]
    gain, ground = paired(skips.mean(axis=1), plain.mean(axis=1)), paired(skips[:, 0], plain[:, 0])
    better = int((skips.mean(axis=0) > plain.mean(axis=0)).sum())
    both = [network(kind, 0).parameter_count for kind in KINDS]
    return [
        Claim(
            gain.low > 0,
            f"mean IoU {percent(skips.mean(axis=1))} with skips, {percent(plain.mean(axis=1))} without: {points(gain)} "
            f"points, {gain.n} seeds",
            f"平均 IoU はスキップありで {percent(skips.mean(axis=1))}、なしで {percent(plain.mean(axis=1))}："
            f"{points(gain)} ポイント、シード {gain.n} 個",
        ),
        Claim(
            better == skips.shape[1],
            f"every class gains: {better} of {skips.shape[1]} have a higher IoU with skips",
            f"どのクラスでも上がる：{skips.shape[1]} クラス中 {better} クラスで、スキップありの IoU が高い",
        ),
        Claim(
            ground.low > 0,
            f"where digit and ground part is what the skips know: IoU of the ground {percent(skips[:, 0])} against "
            f"{percent(plain[:, 0])} without, {points(ground)} points (parameters: {both[0]:,} and {both[1]:,})",
            f"数字と背景の境目はスキップが伝える：背景の IoU は {percent(skips[:, 0])}、なしでは "
            f"{percent(plain[:, 0])}、差 {points(ground)} ポイント（パラメータ数 {both[0]:,} と {both[1]:,}）",
        ),
    ]
