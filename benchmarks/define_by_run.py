"""What one define-by-run operation costs, forward and backward, on a 10-vector: Gyaku, PyTorch, bare NumPy calls.

Targets: at most half of PyTorch's time in the same run, and at most 6 times the bare NumPy calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gyaku as gy
from benchmarks.common import in_turns, save, table, verdict

OPERATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "mul": (lambda m, a, b: a * b, lambda a, b, g: (a * b, g * b, g * a)),
    "add": (lambda m, a, b: a + b, lambda a, b, g: (a + b, g.copy(), g.copy())),
    "tanh": (lambda m, a, b: m.tanh(a), lambda a, b, g: [y := np.tanh(a), g * (1 - y * y)]),
    "exp": (lambda m, a, b: m.exp(a), lambda a, b, g: [y := np.exp(a), g * y]),
}


def _step(module: Any, function: Callable[..., Any], a: Any, b: Any, g: Any) -> Callable[[], None]:
    def step() -> None:
        function(module, a, b).backward(g)
        a.grad = b.grad = None

    return step


def _leaves(module: Any, numbers: list[Any]) -> list[Any]:
    a, b, g = (module.tensor(x) for x in numbers)
    return [a.requires_grad_(), b.requires_grad_(), g]


def _chain(module: Any, a: Any, b: Any, g: Any) -> Callable[[], None]:
    def chain() -> None:
        y = a
        for _ in range(50):
            y = module.tanh(y * b + a) * b
        y.backward(g)
        a.grad = b.grad = None

    return chain


def main() -> None:
    """Measure, print and save."""
    import torch

    torch.set_num_threads(1)  # a 10-vector is never split; one thread is PyTorch's best here
    numbers = [np.random.default_rng(0).random(10).astype(np.float32) + 0.5 for _ in range(3)]
    rows, data = [], {}
    for name, (tensors, arrays) in OPERATIONS.items():
        times = in_turns(
            {
                "gyaku": _step(gy, tensors, *_leaves(gy, numbers)),
                "torch": _step(torch, tensors, *_leaves(torch, numbers)),
                "numpy": lambda arrays=arrays: arrays(*numbers),
            },
            calls=2000,
        )
        data[name] = times
        g, t, n = (times[k]["best"] * 1e6 for k in ("gyaku", "torch", "numpy"))
        rows.append(
            [
                name,
                f"{g:.2f}",
                f"{t:.2f}",
                f"{n:.2f}",
                f"{g / t:.2f}",
                f"{g / n:.1f}",
                verdict(g <= t / 2),
                verdict(g <= 6 * n),
            ]
        )
    chain = in_turns(
        {"gyaku": _chain(gy, *_leaves(gy, numbers)), "torch": _chain(torch, *_leaves(torch, numbers))}, calls=50
    )
    data["chain"] = chain
    g, t = (chain[k]["best"] * 1e6 / 200 for k in ("gyaku", "torch"))
    rows.append(["per operation in a chain of 200", f"{g:.2f}", f"{t:.2f}", "", f"{g / t:.2f}", "", "", ""])
    head = [
        "operation, forward + backward (µs)",
        "Gyaku",
        "PyTorch",
        "NumPy calls",
        "/ PyTorch",
        "/ NumPy",
        "≤ 0.5",
        "≤ 6",
    ]
    save("define_by_run", table(head, rows), {"seconds": data})
