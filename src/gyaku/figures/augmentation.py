"""Data augmentation: every epoch sees each digit moved and turned a little differently (lecture row 9.4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.data.augment import Augment, compose, elastic, rotate, shift
from gyaku.figures import sets
from gyaku.figures.activation_race import dot_with_interval
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.gains import gains
from gyaku.figures.jobs import Runner
from gyaku.figures.style import BLUE, COLOURS, FAINT, GREEN, PINK, VERMILION, canvas
from gyaku.figures.training import accuracy, mlp, train

EXPERIMENT = Experiment(
    "augmentation",
    ("9.4",),
    ("Data augmentation", "データ拡張"),
    (
        "A digit turned or bent a little is the same digit, but the network does not know it unless it is shown: every "
        "epoch "
        "draws new changes for every digit. The steps are as many with as without. What is drawn must look like what "
        "will come: "
        "in MNIST a digit has room around it and a shift helps; the 8 × 8 digits fill their frame, a shift by a pixel "
        "cuts "
        "strokes off and makes digits that never occur, and it does harm.",
        "少し回したり曲げたりした数字は同じ数字ですが、ネットワークは見せられなければそれを知りません。"
        "そこでエポックごとに各数字へ新しい変化を"
        "加えます。更新の回数はどの条件でも同じです。作るのは、実際に現れそうな画像でなければなりません。MNIST "
        "では数字のまわりに余白があり、"
        "平行移動は役立ちます。8 × 8 の数字は枠いっぱいに書かれているので、1 画素ずらすと線が切れ、"
        "現れるはずのない数字になって逆効果です。",
    ),
)
KINDS = {
    "none": ("none", "なし", COLOURS["plain"]),
    "shift": ("shift", "平行移動", BLUE),
    "rotate": ("rotation", "回転", GREEN),
    "elastic": ("elastic", "弾性変形", PINK),
    "both": ("rotation + elastic", "回転＋弾性", VERMILION),
}
DEGREES = 12
SIZES = {"digits": (1, 1.5, 1.0), "mnist": (2, 6.0, 4.0)}  # pixels of the shift; strength and width of the elastic bend
ROWS, BATCH = (100, 300), 50
LEVELS = {"quick": (3, 100), "default": (10, 500), "full": (30, 3000)}  # seeds, steps


def augmenter(kind: str, images: sets.Images) -> Any:
    """Return a function of flat rows and a generator, or None: shifts by a pixel (two in MNIST), turns, bends."""
    black, (pixels, push, width) = float(images.train[0].min()), SIZES[images.name]
    steps: dict[str, Augment] = {
        "shift": shift(pixels, fill=black),
        "rotate": rotate(DEGREES, fill=black),
        "elastic": elastic(push, width, fill=black),
    }
    steps["both"] = compose(steps["rotate"], steps["elastic"])
    if kind == "none":
        return None
    return lambda x, generator: steps[kind](images.pictures(x), generator).reshape(x.shape).astype(x.dtype)


def fit(kind: str, rows: int, seed: int, data: str, steps: int) -> dict[str, Any]:
    """Train inputs-100-100-10 by Adam on the few digits that the seed draws; return training and test accuracy."""
    images = sets.images(data)
    few = images.few(rows, seed)
    net = mlp([images.inputs, 100, 100, 10], seed=seed)
    train(net, few, epochs=steps * BATCH // rows, batch=BATCH, seed=seed, augment=augmenter(kind, images))
    return {"train": accuracy(net, *few), "test": accuracy(net, *images.test)}


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return test accuracies (sizes, seeds) of every kind, and six versions of one digit by each."""
    n, steps = LEVELS[level]
    common: dict[str, Any] = {"data": sets.chosen(level), "steps": steps}
    seeds = [1000 * run.seed + i for i in range(n)]
    results = run(fit, [{"kind": k, "rows": r, "seed": s, **common} for k in KINDS for r in ROWS for s in seeds])
    test = np.array([r["test"] for r in results]).reshape(len(KINDS), len(ROWS), n)
    images = sets.images(common["data"])
    one = images.train[0][[int(np.flatnonzero(images.train[1] == 4)[0])] * 6]
    changes = {k: augmenter(k, images) for k in KINDS if k != "none"}
    shown = {k: images.pictures(change(one, Generator(run.seed).split(k)))[:, 0] for k, change in changes.items()}
    return {
        "test": dict(zip(KINDS, test, strict=True)),
        "rows": ROWS,
        "set": common["data"],
        "shown": {"none": images.pictures(one)[:, 0], **shown},
    }


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return versions of one digit, and test accuracy by kind and number of digits."""
    figure, panels = canvas(1, 3, width=15, height=5.0, width_ratios=(1.15, 1, 1))
    _pictures(panels[0], data["shown"], say)
    for j, axes in enumerate(panels[1:]):
        for i, (kind, (_, _, colour)) in enumerate(reversed(KINDS.items())):
            dot_with_interval(axes, i, 100 * data["test"][kind][j], colour)
        axes.axvline(100 * data["test"]["none"][j].mean(), color=COLOURS["plain"], linestyle=":", linewidth=1.4)
        axes.set_yticks(range(len(KINDS)), [say(en, ja) if j == 0 else "" for en, ja, _ in reversed(KINDS.values())])
        axes.set(
            xlabel=say("test accuracy (%), 95 % interval", "テスト正解率 (%)（95 % 信頼区間）"),
            ylim=(-0.5, len(KINDS) - 0.5),
        )
        axes.set_title(say(f"trained on {data['rows'][j]} digits", f"{data['rows'][j]} 枚で学習"))
    figure.suptitle(sets.title(data["set"])[say.lang == "ja"])
    return figure


def _pictures(axes: Any, shown: dict[str, Any], say: Say) -> None:
    """Draw six versions of the digit by each kind, a row each."""
    side = shown["none"].shape[1]
    sheet = np.full((len(KINDS) * (side + 1), 6 * (side + 1)), np.nan)
    for i, kind in enumerate(KINDS):
        for j, picture in enumerate(shown[kind]):
            sheet[i * (side + 1) : i * (side + 1) + side, j * (side + 1) : j * (side + 1) + side] = picture
    axes.imshow(sheet, cmap="Greys", interpolation="nearest")
    axes.set_facecolor(FAINT)
    axes.set_yticks(
        [i * (side + 1) + side / 2 for i in range(len(KINDS))], [say(en, ja) for en, ja, _ in KINDS.values()]
    )
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set(xticks=[], title=say("What the network sees of one digit", "ネットワークに見える 1 枚の数字"))


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return each kind against none, for each number of digits."""
    test = data["test"]
    return gains(
        [
            (
                (
                    f"{rows} digits: {KINDS[kind][0]} raises test accuracy",
                    f"{rows} 枚：{KINDS[kind][1]}でテスト正解率が上がる",
                ),
                test[kind][j],
                test["none"][j],
            )
            for j, rows in enumerate(data["rows"])
            for kind in KINDS
            if kind != "none"
        ]
    )
