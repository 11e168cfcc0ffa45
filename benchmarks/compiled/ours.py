"""Gyaku's side: the one place that knows how the compiled step is called."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import gyaku as gy
from benchmarks.compiled.workloads import MOMENTUM, Workload, batches, data, member_orders, orders, weights
from gyaku import nn
from gyaku.backend.threads import available_threads
from gyaku.compiler.compiled import Compiled

Form = Callable[[np.random.Generator], np.ndarray]


def network(w: Workload, member: int = 0) -> nn.Sequential:
    """Return the workload's network with its initial values."""
    layers: list[Any] = []
    for i, ((k, l), (W, b)) in enumerate(zip(w.layers, weights(w, member), strict=True)):
        affine = nn.Linear(k, l)
        affine.weight.data, affine.bias.data = gy.tensor(W), gy.tensor(b)
        layers.append(affine)
        if i < len(w.layers) - 1:
            layers += [nn.BatchNorm1d(l)] if w.norm else []
            layers.append(nn.ReLU())
            layers += [nn.Dropout(w.dropout)] if w.dropout else []
    return nn.Sequential(*layers)


def train_step(w: Workload, member: int = 0) -> Callable[[Any, Any], Any]:
    """Return the ordinary training step of the workload, as a user writes it."""
    model = network(w, member)
    criterion = nn.MSELoss() if w.loss == "mse" else nn.CrossEntropyLoss()
    if w.optimizer == "sgd":
        optimizer: Any = gy.optim.SGD(model.parameters(), lr=w.lr, momentum=MOMENTUM)
    else:
        optimizer = gy.optim.Adam(model.parameters(), lr=w.lr)

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step


# --- the compiled step ------------------------------------------------------------------------------------------------
def looped(w: Workload, step: Callable[[Any, Any], Any]) -> Form:
    """Return a form that calls ``step(x, t)`` for each batch from Python."""
    if w.called:
        ready = [(gy.tensor(x), gy.tensor(t)) for x, t in batches(w)]
        return lambda rng: np.array([float(step(x, t)) for x, t in ready])
    x, t = data(w)

    def run(rng: np.random.Generator) -> np.ndarray:
        rows = orders(w, rng).reshape(-1, w.batch)
        return np.array([float(step(gy.from_numpy(x[r]), gy.from_numpy(t[r]))) for r in rows])

    return run


def whole_epochs(w: Workload) -> Form:
    """Return the epochs of a measurement as one call into machine code, which shuffles by itself."""
    step, (x, t) = gy.compile(train_step(w)), data(w)

    def run(rng: np.random.Generator) -> np.ndarray:
        generator = gy.Generator(int(rng.integers(2**31)))
        losses = step.epochs(x, t, batch_size=w.batch, epochs=w.epochs, generator=generator)
        return np.repeat(np.asarray(losses, np.float64), w.steps)

    return run


def side_by_side(w: Workload) -> Form:
    """Return all members trained side by side: each on one thread, as many at a time as there are cores."""
    steps, (x, t) = [gy.compile(train_step(w, k), threads=1) for k in range(w.members)], data(w)
    for step in steps:  # traced in turn; the machine code is the same for all
        step.program(gy.from_numpy(x[: w.batch]), gy.from_numpy(t[: w.batch]))
    pool = ThreadPoolExecutor(available_threads())

    def run(rng: np.random.Generator) -> np.ndarray:
        generators = [gy.Generator(int(rng.integers(2**31)), stream=k) for k in range(w.members)]

        def member(step: Any, generator: Any) -> Any:
            return step.epochs(x, t, batch_size=w.batch, epochs=w.epochs, generator=generator)

        losses = np.array(list(pool.map(member, steps, generators)), np.float64).reshape(w.members, w.epochs)
        return np.repeat(losses.T, w.steps, axis=0)

    return run


def one_by_one(w: Workload) -> Form:
    """Return all members trained one after another, define-by-run."""
    steps = [train_step(w, k) for k in range(w.members)]
    x, t = data(w)

    def run(rng: np.random.Generator) -> np.ndarray:
        order = member_orders(w, rng, w.members)
        pairs = zip(steps, order, strict=True)
        return np.array([[float(step(gy.from_numpy(x[r]), gy.from_numpy(t[r]))) for r in own] for step, own in pairs]).T

    return run


def forms(w: Workload) -> dict[str, Callable[[], Form]]:
    """Return every form by name, the one that stands for Gyaku first."""
    if w.members > 1:
        return {"side by side": lambda: side_by_side(w), "define-by-run, one by one": lambda: one_by_one(w)}
    by_call = {"compiled, one step a call": lambda: looped(w, gy.compile(train_step(w)))}
    by_epoch = {} if w.called or not hasattr(Compiled, "epochs") else {"compiled, epochs": lambda: whole_epochs(w)}
    return by_epoch | by_call | {"define-by-run": lambda: looped(w, train_step(w))}
