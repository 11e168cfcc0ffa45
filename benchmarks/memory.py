"""10,000 training steps in one process: how much the resident size grows after step 500. Target: at most 1 MiB."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

import gyaku as gy
import gyaku.nn as nn
from benchmarks.common import save, table, verdict


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure, print and save."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
    optimizer, criterion = gy.optim.Adam(model.parameters()), nn.CrossEntropyLoss()
    x, t = rng.standard_normal((2000, 64)).astype(np.float32), rng.integers(0, 10, 2000)
    sizes = {}
    for step in range(1, 10_001):
        rows = rng.integers(0, 2000, 64)
        optimizer.zero_grad()
        criterion(model(gy.tensor(x[rows])), gy.tensor(t[rows])).backward()
        optimizer.step()
        if step in (500, 1000, 2000, 5000, 10_000):
            sizes[step] = _resident()
    grown = (sizes[10_000] - sizes[500]) / 2**20
    rows_ = [[f"after step {k}", f"{v / 2**20:.2f}"] for k, v in sizes.items()]
    text = (
        table(["resident size", "MiB"], rows_)
        + f"\n\nGrowth after step 500: {grown:.2f} MiB (target ≤ 1): {verdict(grown <= 1)}"
    )
    save("memory", text, {"bytes": sizes, "growth_mib": grown})
