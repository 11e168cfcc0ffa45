"""What no program can go below: the matrix products alone, and the bytes that must move, at copy bandwidth."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.compiled.workloads import Workload

Form = Callable[[np.random.Generator], np.ndarray]


def parameters(w: Workload) -> int:
    """Return how many numbers are trained."""
    norm = 2 * sum(w.sizes[1:-1]) if w.norm else 0
    return sum(k * l + l for k, l in w.layers) + norm


def flops(w: Workload) -> int:
    """Return additions and multiplications of a step's matrix products; the first layer wants no input gradient."""
    return sum(2 * w.batch * k * l * (2 if i == 0 else 3) for i, (k, l) in enumerate(w.layers))


def moved(w: Workload) -> int:
    """Return the float32 bytes a step moves besides its products when everything that can be one pass is one.

    Update: Adam reads p, g, m, v and writes p, m, v; momentum reads p, g, m and writes p, m. Batch: read and written.
    Hidden layer: bias and activation read and write once, the backward pass reads delta and output and writes delta;
    batch norm reads once more each way. Loss: reads outputs, writes delta.
    """
    update = (7 if w.optimizer == "adam" else 5) * parameters(w)
    hidden = sum(w.sizes[1:-1]) * w.batch * (7 if w.norm else 5)
    return 4 * (update + 2 * w.batch * w.sizes[0] + hidden + 2 * w.batch * w.sizes[-1])


def _arrays(w: Workload, rows: int, by_output: bool) -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32)

    made = []
    for k, l in w.layers:
        W = draw(l, k).T if by_output else draw(k, l)
        gW = np.empty((l, k), np.float32).T if by_output else np.empty((k, l), np.float32)
        made.append(
            (draw(rows, k), W, np.empty((rows, l), np.float32), draw(rows, l), gW, np.empty_like(draw(rows, k)))
        )
    return made


def _products(layers: list[tuple[Any, ...]]) -> None:
    for x, W, y, *_ in layers:
        np.matmul(x, W, out=y)
    for i, (x, W, _, gy, gW, gx) in reversed(list(enumerate(layers))):
        np.matmul(x.T, gy, out=gW)
        if i:
            np.matmul(gy, W.T, out=gx)


def _repeated(w: Workload, work: Callable[[], Any]) -> Form:
    def run(rng: np.random.Generator) -> np.ndarray:
        for _ in range(w.steps):
            work()
        return np.zeros(0)

    return run


def products(w: Workload, by_output: bool) -> Form:
    """Return a step's matrix products with NumPy's own threads; weights lie by input or by output."""
    layers = _arrays(w, w.batch, by_output)
    return _repeated(w, lambda: _products(layers))


def products_split(w: Workload, by_output: bool) -> Form:
    """Return the products with the batch split over two threads (each with a single-threaded BLAS)."""
    halves = [_arrays(w, w.batch // 2, by_output) for _ in range(2)]
    pool = ThreadPoolExecutor(1)

    def work() -> None:
        other = pool.submit(_products, halves[1])
        _products(halves[0])
        other.result()

    return _repeated(w, work)


def copy_seconds(w: Workload) -> float:
    """Return the seconds that the step's bytes take, at the bandwidth of copies among parameters, gradient and slots.

    The best of one and two threads; copying n bytes moves 2 n.
    """
    size = 16 * parameters(w)
    buffers = [np.ones(size // 16, np.float32) for _ in range(4)]
    pool, half = ThreadPoolExecutor(1), len(buffers[0]) // 2

    def one() -> None:
        np.copyto(buffers[0], buffers[1])
        np.copyto(buffers[2], buffers[3])

    def two() -> None:
        others = [pool.submit(np.copyto, buffers[i][half:], buffers[i + 1][half:]) for i in (0, 2)]
        for i in (0, 2):
            np.copyto(buffers[i][:half], buffers[i + 1][:half])
        [o.result() for o in others]

    return moved(w) / size * min(_best(one), _best(two))


def _best(work: Callable[[], Any], calls: int = 50) -> float:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        times.append((time.perf_counter() - start) / calls)
    return min(times)


def forms(w: Workload) -> dict[str, Callable[[], Form]]:
    """Return the forms of the products, for the workloads that are held to the floor."""
    made: dict[str, Callable[[], Form]] = {}
    if w.floor is None:
        return made
    for by_output, name in ((False, "weights by input"), (True, "weights by output")):
        made[f"products, {name}"] = lambda by_output=by_output: products(w, by_output)
        made[f"products, {name}, batch in halves"] = lambda by_output=by_output: products_split(w, by_output)
    return made
