"""The budget table: what wrapping, recording, checking and walking cost an operation, against the bare NumPy call."""

from __future__ import annotations

import numpy as np

import gyaku as gy
from benchmarks.common import in_turns, save, table
from gyaku.core.mode import observe


class _Silent:
    """An observer that does nothing: what observing itself costs."""

    def after_forward(self, op: object, inputs: object, output: object, node: object) -> None: ...

    def failed_forward(self, op: object, inputs: object, error: object) -> None: ...

    def after_backward(self, node: object, gy: object, gxs: object) -> None: ...


def main() -> None:
    """Measure, print and save."""
    x, w, g = (np.random.default_rng(0).random(10).astype(np.float32) for _ in range(3))
    a, b, upstream = gy.tensor(x), gy.tensor(w), gy.tensor(g)
    p, q = gy.tensor(x, requires_grad=True), gy.tensor(w, requires_grad=True)

    def backward(retain: bool = False) -> None:
        (p * q).backward(upstream)
        p.grad = q.grad = None

    def observed() -> None:
        with observe(_Silent()):
            p * q

    times = in_turns(
        {
            "bare NumPy call": lambda: x * w,
            "tensor, nothing recorded": lambda: a * b,
            "recorded": lambda: p * q,
            "recorded and observed": observed,
            "three bare NumPy calls": lambda: (x * w, g * w, g * x),
            "recorded, then backward": backward,
        },
        calls=2000,
    )
    best = {k: v["best"] * 1e6 for k, v in times.items()}
    steps = [
        ("bare NumPy call (forward)", best["bare NumPy call"]),
        ("+ wrapping and dispatch", best["tensor, nothing recorded"] - best["bare NumPy call"]),
        ("+ recording (node, line, write times)", best["recorded"] - best["tensor, nothing recorded"]),
        ("+ one observer, with its context manager", best["recorded and observed"] - best["recorded"]),
        ("bare NumPy calls (backward)", best["three bare NumPy calls"] - best["bare NumPy call"]),
        (
            "+ walking, checking and depositing",
            best["recorded, then backward"]
            - best["recorded"]
            - (best["three bare NumPy calls"] - best["bare NumPy call"]),
        ),
        ("forward and backward, all together", best["recorded, then backward"]),
    ]
    save(
        "budget", table(["multiplication of 10-vectors", "µs"], [[k, f"{v:.2f}"] for k, v in steps]), {"seconds": times}
    )
