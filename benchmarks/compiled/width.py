"""Seconds a step as the hidden layers widen: 64-w-w-10, batch 64. A wider net may not be quicker, and no width a cliff.

Targets: time never falls by more than 10% from one width to the next; time per multiplication never rises by more than
a third.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.common import save, table, verdict
from benchmarks.compiled import floor, ours
from benchmarks.compiled.speed import summary
from benchmarks.compiled.worker import timed
from benchmarks.compiled.workloads import WORKLOADS, Workload

WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
FALL, RISE = 0.9, 4 / 3


def workload(width: int) -> Workload:
    """Return the network of one width."""
    return replace(WORKLOADS["lecture"], sizes=(64, width, width, 10), batch=64, steps=32, epochs=4, floor=None)


def measure(rounds: int = 7, at_least: float = 0.02) -> dict[int, dict[str, Any]]:
    """Return {width: median, min, ...} in seconds a step, all widths taking turns."""
    runs = {width: next(iter(ours.forms(workload(width)).values()))() for width in WIDTHS}
    times: dict[int, list[float]] = {width: [] for width in WIDTHS}
    repeats = {}
    for width, run in runs.items():
        timed(run, 0, 1)
        repeats[width] = int(np.ceil(at_least / timed(run, 0, 1)))
    for seed in range(rounds):
        for width, run in runs.items():
            w = workload(width)
            times[width].append(timed(run, seed, repeats[width]) / repeats[width] / (w.steps * w.epochs))
    return {width: summary(t) for width, t in times.items()}


def main() -> None:
    """Measure, print and save."""
    found = measure()
    each = {width: v["median"] / floor.flops(workload(width)) for width, v in found.items()}
    rows, falls, rises = [], [], []
    for before, width in [(None, WIDTHS[0]), *pairwise(WIDTHS)]:
        growth = found[width]["median"] / found[before]["median"] if before else 1.0
        per_flop = each[width] / each[before] if before else 1.0
        falls += [width] if growth < FALL else []
        rises += [width] if per_flop > RISE else []
        rows.append(
            [
                width,
                f"{found[width]['median'] * 1e6:.1f}",
                f"{growth:.2f}",
                f"{1e-9 / each[width]:.1f}",
                f"{per_flop:.2f}",
            ]
        )
    head = [
        "width",
        "µs a step",
        "against the width before",
        "GFLOP/s of the products",
        "time per FLOP against the width before",
    ]
    text = table(head, rows)
    text += f"\n\nTime falls by more than 10% at {falls or 'no width'}: {verdict(not falls)}."
    text += f" Time per FLOP rises by more than a third at {rises or 'no width'}: {verdict(not rises)}."
    save("compiled_width", text, {"seconds": found})
