"""A define-by-run training step with Adam (forward, loss, backward, update): Gyaku beside PyTorch eager.

Targets: 2-16-16-2, batch 32, at least 2 times faster; 784-100x4-10, batch 100, not slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gyaku as gy
import gyaku.nn as gnn
import gyaku.optim as goptim
from benchmarks.common import in_turns, save, table, verdict

CASES = {
    "2-16-16-2, batch 32": ([2, 16, 16, 2], 32, 200, 2.0),
    "784-100x4-10, batch 100": ([784, 100, 100, 100, 100, 10], 100, 20, 1.0),
}


def _model(nn: Any, sizes: list[int]) -> Any:
    layers: list[Any] = []
    for k, l in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(k, l), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _step(lib: Any, nn: Any, adam: Any, sizes: list[int], x: Any, t: Any) -> Callable[[], None]:
    model, criterion = _model(nn, sizes), nn.CrossEntropyLoss()
    optimizer = adam(model.parameters(), lr=1e-3)
    x, t = lib.tensor(x), lib.tensor(t)

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(x), t).backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure, print and save."""
    import torch

    rows, data = [], {}
    rng = np.random.default_rng(0)
    for name, (sizes, batch, calls, target) in CASES.items():
        x = rng.standard_normal((batch, sizes[0])).astype(np.float32)
        t = rng.integers(0, sizes[-1], batch)
        candidates = {"gyaku": _step(gy, gnn, goptim.Adam, sizes, x, t)}
        for threads in (1, 2):
            torch.set_num_threads(threads)
            step = _step(torch, torch.nn, torch.optim.Adam, sizes, x, t)
            candidates[f"torch, {threads} thread(s)"] = lambda step=step, threads=threads: (
                torch.set_num_threads(threads),
                step(),
            )
        times = in_turns(candidates, calls=calls)
        ours = times["gyaku"]["best"] * 1e6
        best = min(v["best"] for k, v in times.items() if k != "gyaku") * 1e6
        data[name] = times
        rows.append(
            [name, f"{ours:.0f}", f"{best:.0f}", f"{best / ours:.2f}", f"≥ {target:g}", verdict(best / ours >= target)]
        )
    head = ["network", "Gyaku (µs a step)", "PyTorch eager, best of 1 and 2 threads", "times faster", "target", ""]
    save("training_step", table(head, rows), {"seconds": data})
