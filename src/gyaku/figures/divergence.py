"""The log-likelihood of an RBM while it trains: CD-1, CD-10 and persistent chains, by AIS and exactly (11.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.energy import RBM
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired
from gyaku.figures.sets import pixels, title
from gyaku.figures.statistics import interval
from gyaku.figures.style import BLUE, GREEN, GREY, INK, VERMILION, band, canvas, label

EXPERIMENT = Experiment(
    "divergence",
    ("11.2",),
    ("Training an RBM: the likelihood under CD-1, CD-10 and PCD", "RBM の学習：CD-1・CD-10・PCD と尤度"),
    (
        "A restricted Boltzmann machine with 16 hidden units learns binary digits by three rules, with the same "
        "rate. Left: the mean log-likelihood of the training data; lines are exact (all states of the hidden units "
        "are listed; dotted: the first seed), dots with bars come from annealed importance sampling (AIS) with "
        "three standard errors, for the first seed. CD-1 follows another gradient than that of the likelihood; "
        "longer chains (CD-10) and chains that go on from update to update (PCD) come nearer to it. Right: the "
        "reconstruction error, which is often watched instead: the smallest error does not belong to the highest "
        "likelihood.",
        "隠れユニット16個の制限付きボルツマンマシンに、二値化した数字を三つの規則で、同じ学習率で学習させます。左："
        "学習データの対数尤度の平均。線は厳密な値（隠れユニットの全状態の和、点線は最初のシード）、棒つきの点は焼きなまし重点サンプリング"
        "（AIS）による推定と標準誤差の3倍（最初のシード）です。CD-1 がたどるのは尤度の勾配とは別のものです。"
        "鎖を長くする（CD-10）か、更新のあとも鎖を続ける（PCD）と、尤度の勾配に近づきます。右：代わりによく見る"
        "再構成誤差。誤差が最小の規則が、尤度の最も高い規則とは限りません。",
    ),
)
HIDDEN, BATCH, RATE = 16, 100, 0.2
RULES: dict[str, dict[str, Any]] = {
    "CD-1": {"rule": "cd", "k": 1}, "CD-10": {"rule": "cd", "k": 10}, "PCD": {"rule": "pcd", "k": 1},
}  # fmt: skip
COLOUR = {"CD-1": VERMILION, "CD-10": BLUE, "PCD": GREEN}
EPOCHS = {
    "quick": (2, 8),
    "default": (2, 5, 10, 20, 40, 80, 160, 300),
    "full": (2, 5, 10, 20, 40, 80, 160, 300, 1000),
}
SEEDS = {"quick": 2, "default": 10, "full": 20}
CHAINS, STEPS = 100, 500  # of AIS


def one(name: str, seed: int, epochs: list[int]) -> dict[str, Any]:
    """Return at each of ``epochs``: the exact log-likelihood, that by AIS, AIS's error, the reconstruction error."""
    x = binary()
    machine, rows = RBM(x.shape[1], HIDDEN, seed=seed), []

    def look(row: dict[str, Any]) -> None:
        if row["epoch"] in epochs:
            free = float(machine.free_energy(x).astype(np.float64).mean())
            found = machine.annealed_log_partition(chains=CHAINS, steps=STEPS, seed=seed)
            error = machine.reconstruction_error(x)
            rows.append((-free - machine.log_partition(), -free - found.log_z, found.error, error))

    machine.fit(
        x, epochs=epochs[-1], batch_size=BATCH, lr=RATE, momentum=0.0, weight_decay=0.0, seed=seed, on_epoch=look,
        **RULES[name],
    )  # fmt: skip
    return dict(zip(("exact", "ais", "error", "reconstruction"), np.array(rows).T, strict=True))


def binary() -> Any:
    """Return the training digits, a pixel of at least half white as 1."""
    return (pixels("digits").train[0] >= 0.5).astype(np.float32)


def independent(x: Any) -> float:
    """Return the log-likelihood of independent pixels, each with its own mean: what no hidden unit is needed for."""
    p = np.clip(x.mean(0, dtype=np.float64), 1e-300, 1)
    q = np.clip(1 - p, 1e-300, 1)
    return float((p * np.log(p) + (1 - p) * np.log(q)).sum())


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return for each rule the numbers of ``one`` as (seeds, epochs), the epochs, and the baseline."""
    epochs, n = list(EPOCHS[level]), SEEDS[level]
    jobs = [{"name": name, "seed": run.seed + i, "epochs": epochs} for name in RULES for i in range(n)]
    results = run(one, jobs)
    found = {
        name: {key: np.array([r[key] for r in results[i * n : (i + 1) * n]]) for key in results[0]}
        for i, name in enumerate(RULES)
    }
    return {"epochs": epochs, "independent": independent(binary()), **found}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the likelihood on the left, the reconstruction error on the right."""
    figure, (left, right) = canvas(1, 2, width=14, height=5.6)
    epochs = np.array(data["epochs"])
    for i, name in enumerate(RULES):
        each = data[name]
        band(left, epochs, each["exact"], COLOUR[name], name)
        band(right, epochs, each["reconstruction"], COLOUR[name], name)
        aside = epochs * (1 + 0.03 * (i - 1))  # bars beside one another
        left.plot(epochs, each["exact"][0], color=COLOUR[name], linewidth=0.9, linestyle=":")
        bars = {"fmt": "o", "color": COLOUR[name], "ecolor": INK, "capsize": 3, "markersize": 5, "elinewidth": 1}
        left.errorbar(aside, each["ais"][0], yerr=3 * each["error"][0], **bars)
    left.axhline(data["independent"], color=GREY, linewidth=1.2, linestyle="--")
    label(left, epochs[0], data["independent"], say("independent pixels", "画素が独立"), GREY, offset=(0, -10))
    for ax in (left, right):
        ax.set(xscale="log", xlim=(epochs[0] * 0.9, epochs[-1] * 2.2), xlabel=say("epoch", "エポック"))
        ax.set_xticks(epochs, [str(n) for n in epochs])
        ax.minorticks_off()
    left.set_ylabel(say("nats a digit", "1枚あたりナット"))
    left.set_title(say("log-likelihood: exact, and AIS (dots)", "対数尤度：厳密な値と AIS（点）"))
    right.set_title(say("reconstruction error of a pixel", "1画素の再構成誤差"))
    figure.suptitle(say(*title("digits")) + say(f", {HIDDEN} hidden units", f"、隠れユニット {HIDDEN}"), fontsize=13)
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return whether AIS is right, which rule ends higher, and whether the reconstruction error tells."""
    last = {name: data[name]["exact"][:, -1] for name in RULES}
    end, n = data["epochs"][-1], len(last["CD-1"])
    found = [_annealing(data), _learns(data, last)]
    for better in ("CD-10", "PCD"):
        d = paired(last[better], last["CD-1"])
        gain = f"{d.mean:+.2f} [{d.low:+.2f}, {d.high:+.2f}]"
        found.append(
            Claim(
                d.low > 0,
                f"after {end} epochs {better} is above CD-1 in log-likelihood: {gain} nats a digit ({n} seeds)",
                f"{end} エポック後の対数尤度は {better} が CD-1 より上：{gain} ナット（シード {n} 個）",
            )
        )
    errors = {name: float(data[name]["reconstruction"][:, -1].mean()) for name in RULES}
    likely = {name: float(v.mean()) for name, v in last.items()}
    low, high = min(errors, key=lambda k: errors[k]), max(likely, key=lambda k: likely[k])
    return [
        *found,
        Claim(
            low != high,
            f"the reconstruction error misleads: it is least with {low} ({errors[low]:.4f}; {high} "
            f"{errors[high]:.4f}), the likelihood highest with {high} ({likely[high]:.2f}; {low} {likely[low]:.2f})",
            f"再構成誤差では分からない：誤差が最小なのは {low}（{errors[low]:.4f}、{high} は {errors[high]:.4f}）、"
            f"尤度が最大なのは {high}（{likely[high]:.2f}、{low} は {likely[low]:.2f}）",
        ),
    ]


def _annealing(data: dict[str, Any]) -> Claim:
    """Return whether AIS's log Z lies within three of its standard errors of the exact one nearly everywhere."""
    apart = np.concatenate([(data[k]["ais"] - data[k]["exact"]).ravel() for k in RULES])
    error = np.concatenate([data[k]["error"].ravel() for k in RULES])
    share, worst = float((np.abs(apart) <= 3 * error).mean()), float(np.abs(apart).max())
    return Claim(
        share >= 0.98 and worst < 0.5,
        f"AIS lies within three of its standard errors of the exact value in {share:.1%} of {len(apart)} estimates; "
        f"the largest difference is {worst:.2f} nats",
        f"AIS の {len(apart)} 個の推定のうち {share:.1%} で、厳密な値との差は標準誤差の3倍以内。差は最大 "
        f"{worst:.2f} ナット",
    )


def _learns(data: dict[str, Any], last: dict[str, Any]) -> Claim:
    """Return whether every rule, in every seed, ends above independent pixels."""
    base = data["independent"]
    text = ", ".join(f"{k} {v.mean():.2f} [{', '.join(f'{b:.2f}' for b in interval(v))}]" for k, v in last.items())
    return Claim(
        bool(min(v.min() for v in last.values()) > base),
        f"hidden units pay under every rule: {text} nats a digit, independent pixels {base:.2f}",
        f"どの規則でも隠れユニットの効果がある：{text} ナット、画素が独立なら {base:.2f}",
    )
