"""An epoch of a restricted Boltzmann machine, 784-256, CD-1, batch 100, on 10,000 digits in single precision.

Beside it, in turns: scikit-learn's ``BernoulliRBM`` (its persistent form, with one and with two threads of BLAS) and
the five matrix products of an update alone. Targets: at least 2 times faster than scikit-learn's best, at most 1.5
times the products, an equal or better pseudo-likelihood after ten epochs at scikit-learn's best learning rate, no
growth of memory.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.common import in_turns, save, table, verdict
from gyaku.backend.random import Generator
from gyaku.data import load
from gyaku.energy import RBM
from gyaku.energy.rbm_train import Options, trainer_of
from gyaku.energy.values import batches

ROWS, HIDDEN, BATCH, EPOCHS = 10_000, 256, 100, 10
RATES = (0.01, 0.05, 0.1)
Array = Any


def pictures() -> Array:
    """Return 10,000 MNIST digits, or where there is no MNIST, embedded digits enlarged to 28 x 28 with noise."""
    try:
        images = load("mnist").images[:ROWS]
        return np.ascontiguousarray(images.reshape(len(images), -1) / np.float32(255), dtype=np.float32)
    except Exception:  # no folder and no network
        images = load("digits").images
        rows = np.kron(images.reshape(-1, 8, 8) / 16, np.ones((1, 3, 3)))[np.arange(ROWS) % len(images)]
        return np.pad(rows, ((0, 0), (2, 2), (2, 2))).reshape(ROWS, -1).astype(np.float32)


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """Give BLAS so many threads."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(n):
        yield


def limited(function: Callable[[], Any], n: int) -> Callable[[], Any]:
    """Return ``function`` with so many threads of BLAS."""

    def run() -> Any:
        with threads(n):
            return function()

    return run


def options(lr: float) -> Options:
    return Options(1, BATCH, lr, "cd", 1, 0.5, 2e-4, None, 0.0, 100, 0)


def ours(x: Array) -> Callable[[], Any]:
    """Return a function that goes on training for an epoch."""
    rbm, chosen, stream = RBM(x.shape[1], HIDDEN), options(0.05), Generator(0)
    trainer = trainer_of(rbm, chosen, x, stream)

    def epoch() -> None:
        trainer.epoch(x, batches(len(x), BATCH, stream), stream, lambda n: None)

    return epoch


def theirs(x: Array, lr: float = 0.05, epochs: int = 1) -> Callable[[], Any]:
    """Return a function that trains scikit-learn's machine and returns it."""
    from sklearn.neural_network import BernoulliRBM

    def epoch() -> Any:
        return BernoulliRBM(HIDDEN, learning_rate=lr, batch_size=BATCH, n_iter=epochs, random_state=0).fit(x)

    return epoch


def products(x: Array) -> Callable[[], Any]:
    """Return the five products of an epoch's updates, into arrays that are there."""
    w = np.ones((x.shape[1], HIDDEN), np.float32) * np.float32(1e-3)
    h, v, g = np.empty((BATCH, HIDDEN), np.float32), np.empty((BATCH, x.shape[1]), np.float32), np.empty_like(w)
    parts = [x[i : i + BATCH] for i in range(0, len(x), BATCH)]

    def epoch() -> None:
        for part in parts:
            np.matmul(part, w, out=h)
            np.matmul(h, w.T, out=v)
            np.matmul(v, w, out=h)
            np.matmul(part.T, h, out=g)
            np.matmul(v.T, h, out=g)

    return epoch


def likelihoods(x: Array) -> tuple[dict[float, float], dict[float, float]]:
    """Return pseudo-likelihoods (nats, all rows, the same units turned) by learning rate, ours and theirs."""
    mine, other = {}, {}
    for lr in RATES:
        rbm = RBM(x.shape[1], HIDDEN)
        rbm.fit(x, epochs=EPOCHS, batch_size=BATCH, lr=lr)
        mine[lr] = rbm.pseudo_likelihood(x)
        fitted = theirs(x, lr, EPOCHS)()
        twin = RBM(x.shape[1], HIDDEN)
        arrays = {"W": fitted.components_.T, "b": fitted.intercept_visible_, "c": fitted.intercept_hidden_}
        other[lr] = twin.load_arrays(arrays).pseudo_likelihood(x)
    return mine, other


def growth(epoch: Callable[[], Any]) -> float:
    """Return MiB by which the resident size grows over 20 epochs, after 3."""
    for _ in range(3):
        epoch()
    before = resident()
    for _ in range(20):
        epoch()
    return resident() - before


def resident() -> float:
    """Return the resident size in MiB (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as handle:
        return int(handle.read().split()[1]) * 4096 / 2**20


def main() -> None:
    """Measure, print and save."""
    warnings.simplefilter("ignore")
    x = pictures()
    begin = time.perf_counter()
    mine = ours(x)
    mine()
    first = time.perf_counter() - begin
    candidates = {"gyaku": mine}
    for n in (1, 2):
        candidates[f"scikit-learn, {n} threads"] = limited(theirs(x), n)
        candidates[f"products, {n} threads"] = limited(products(x), n)
    times = {name: t["median"] for name, t in in_turns(candidates, calls=1, rounds=9).items()}
    peer = min(times[f"scikit-learn, {n} threads"] for n in (1, 2))
    floor = min(times[f"products, {n} threads"] for n in (1, 2))
    own, other = likelihoods(x)
    best, best_other, more = max(own.values()), max(other.values()), growth(mine)
    t = times["gyaku"]
    rows = [
        ["an epoch (s), median of 9", f"{t:.3f}", "", ""],
        *[[f"{name} (s)", f"{v:.3f}", "", ""] for name, v in times.items() if name != "gyaku"],
        ["times faster than scikit-learn's best", f"{peer / t:.2f}", "≥ 2", verdict(peer / t >= 2)],
        ["of the five bare products' time", f"{t / floor:.2f}", "≤ 1.5", verdict(t / floor <= 1.5)],
        [f"pseudo-likelihood after {EPOCHS} epochs (nats), best rate", f"{best:.1f}", f"≥ {best_other:.1f}",
         verdict(best >= best_other)],
        ["growth over 20 epochs (MiB)", f"{more:.2f}", "≤ 0.5", verdict(more <= 0.5)],
        ["first epoch, tracing and compiling included (s)", f"{first:.2f}", "", ""],
    ]  # fmt: skip
    rates = [[lr, f"{own[lr]:.1f}", f"{other[lr]:.1f}"] for lr in RATES]
    text = table(["RBM 784-256, CD-1, batch 100, 10,000 digits, float32", "measured", "target", ""], rows)
    text += "\n\n" + table(["learning rate", "pseudo-likelihood, Gyaku (CD-1)", "scikit-learn (PCD)"], rates)
    save(
        "energy",
        text,
        {"seconds": times, "first": first, "own": own, "other": other, "growth": more},
    )
