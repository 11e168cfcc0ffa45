"""What races share: the same tuning budget for every competitor, paired comparisons, and labels that do not overlap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gyaku.figures.jobs import Runner
from gyaku.figures.statistics import interval
from gyaku.figures.style import end_label

NAMES = {
    "sgd": "SGD",
    "momentum": "Momentum",
    "nesterov": "Nesterov",
    "adagrad": "AdaGrad",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
}


class Difference(NamedTuple):
    """Mean of a - b over pairs (one a seed), its 95 % interval, the number of pairs, and in how many a > b."""

    mean: float
    low: float
    high: float
    n: int
    wins: int


def paired(a: Any, b: Any) -> Difference:
    """Return the difference of two series of runs that share their seeds.

    >>> paired([3.0, 4.0], [1.0, 2.0])
    Difference(mean=2.0, low=2.0, high=2.0, n=2, wins=2)
    """
    d = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    low, high = interval(d)
    return Difference(float(d.mean()), float(low), float(high), len(d), int((d > 0).sum()))


def percent(values: Any) -> str:
    """Return mean and 95 % interval of shares as text.

    >>> percent([0.5, 0.5])
    '50.0 % [50.0, 50.0]'
    """
    low, high = np.clip(interval(values), 0.0, 1.0)
    return f"{100 * np.mean(values):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def points(d: Difference) -> str:
    """Return a difference of shares in percentage points as text.

    >>> points(Difference(0.01, -0.002, 0.022, 10, 7))
    '+1.00 [-0.20, +2.20]'
    """
    return f"{100 * d.mean:+.2f} [{100 * d.low:+.2f}, {100 * d.high:+.2f}]"


def percent_axis(axis: Any, decimals: int = 0) -> None:
    """Write the ticks of an axis of shares as percentages."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=decimals))


def tune(
    run: Runner, job: Callable[..., Any], rates: Mapping[str, Sequence[float]], seeds: Sequence[int], **common: Any
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return each competitor's best rate and the mean score of all of its rates.

    ``job(name=, lr=, seed=, **common)`` returns a dictionary with ``score`` (higher is better, from the dev part).
    Every competitor gets as many rates as the others, and the seeds are not those of the race.
    """
    trials = [(name, lr) for name, choices in rates.items() for lr in choices]
    results = run(job, [{"name": n, "lr": lr, "seed": s, **common} for n, lr in trials for s in seeds])
    scores = np.array([r["score"] for r in results]).reshape(len(trials), len(seeds)).mean(axis=1)
    found: dict[str, list[float]] = {name: [] for name in rates}
    for (name, _), score in zip(trials, scores.tolist(), strict=True):
        found[name].append(score)
    return {name: rates[name][int(np.argmax(found[name]))] for name in rates}, found


def end_labels(axes: Any, x: float, labels: Sequence[tuple[float, str, str]], gap: float = 0.065) -> None:
    """Write (y, text, colour) beside the ends of curves, pushed apart to ``gap`` of the axis; set the limits before."""
    to_share = axes.transScale + axes.transLimits
    order = sorted(labels, key=lambda label: label[0])
    places = np.array([to_share.transform((x, y))[1] for y, _, _ in order])
    for _ in range(100):  # neighbours that are too near move apart by equal parts
        for i in range(len(places) - 1):
            lack = gap - (places[i + 1] - places[i])
            if lack > 0:
                places[i : i + 2] += (-lack / 2, lack / 2)
        places = np.clip(places, 0.0, 1.0)
    for place, (_, text, colour) in zip(places, order, strict=True):
        y = to_share.inverted().transform((0.0, place))[1]
        end_label(axes, x, float(y), text, colour)
