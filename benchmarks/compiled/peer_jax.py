"""JAX's forms: the step as one jitted function, and whole epochs as one ``lax.scan``, all with donated buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compiled.workloads import (
    BETA1,
    BETA2,
    EPS,
    MOMENTUM,
    NORM_EPS,
    NORM_MOMENTUM,
    Workload,
    batches,
    data,
    member_orders,
    orders,
    weights,
)

Form = Callable[[np.random.Generator], np.ndarray]
State = dict[str, Any]


def start(w: Workload, member: int = 0, kind: str = "threefry2x32") -> State:
    """Return parameters, optimizer slots, running averages and key."""
    p, hidden = [], len(w.layers) - 1
    for i, (W, b) in enumerate(weights(w, member)):
        layer = {"W": jnp.array(W.T), "b": jnp.array(b)}
        if w.norm and i < hidden:
            layer |= {"gain": jnp.ones(len(b)), "shift": jnp.zeros(len(b))}
        p.append(layer)
    running = [(jnp.zeros(l), jnp.ones(l)) for _, l in w.layers[:-1]] if w.norm else []
    zeros = jax.tree.map(jnp.zeros_like, p)
    state = {"p": p, "m": zeros, "running": running, "count": jnp.zeros(())}
    if w.optimizer == "adam":
        state["v"] = jax.tree.map(jnp.zeros_like, p)
    if w.dropout:
        state["key"] = jax.random.key(0, impl=kind)
    return state


def _dropped(w: Workload, key: Any, x: Any, bits: bool) -> Any:
    if bits:  # 16 bits an element, the cheapest mask JAX can draw
        kept = jax.random.bits(key, x.shape, jnp.uint16) >= round(w.dropout * 65536)
    else:
        kept = jax.random.bernoulli(key, 1 - w.dropout, x.shape)
    return jnp.where(kept, x / (1 - w.dropout), 0)


def _loss(w: Workload, p: Any, x: Any, t: Any, key: Any, bits: bool) -> tuple[Any, list[Any]]:
    seen = []
    for i, layer in enumerate(p):
        x = x @ layer["W"] + layer["b"]
        if i < len(p) - 1:
            if w.norm:
                mean, var = x.mean(0), x.var(0)
                seen.append((mean, var))
                x = (x - mean) * lax.rsqrt(var + NORM_EPS) * layer["gain"] + layer["shift"]
            x = jax.nn.relu(x)
            if w.dropout:
                x = _dropped(w, jax.random.fold_in(key, i), x, bits)
    if w.loss == "mse":
        return ((x - t) ** 2).mean(), seen
    picked = jnp.take_along_axis(x, t[:, None], axis=1)[:, 0]
    return (jax.nn.logsumexp(x, axis=1) - picked).mean(), seen


def _updated(w: Workload, s: State, g: Any) -> State:
    if w.optimizer == "sgd":
        m = jax.tree.map(lambda m, g: MOMENTUM * m + g, s["m"], g)
        return s | {"m": m, "p": jax.tree.map(lambda p, m: p - w.lr * m, s["p"], m)}
    count = s["count"] + 1
    first, second = w.lr / (1 - BETA1**count), lax.rsqrt(1 - BETA2**count)
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, s["m"], g)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, s["v"], g)
    p = jax.tree.map(lambda p, m, v: p - first * m / (jnp.sqrt(v) * second + EPS), s["p"], m, v)
    return s | {"p": p, "m": m, "v": v, "count": count}


def stepper(w: Workload, bits: bool = False) -> Callable[[State, Any, Any], tuple[State, Any]]:
    """Return the pure training step."""

    def step(s: State, x: Any, t: Any) -> tuple[State, Any]:
        key = None
        if w.dropout:
            after, key = jax.random.split(s["key"])
            s = s | {"key": after}
        (loss, seen), g = jax.value_and_grad(lambda p: _loss(w, p, x, t, key, bits), has_aux=True)(s["p"])
        r, n = NORM_MOMENTUM, w.batch
        running = [
            ((1 - r) * a + r * mean, (1 - r) * b + r * var * n / (n - 1))
            for (a, b), (mean, var) in zip(s["running"], seen, strict=True)
        ]
        return _updated(w, s, g) | {"running": running}, loss

    return step


def called(w: Workload, kind: str = "threefry2x32", bits: bool = False) -> Form:
    """Return the jitted step, called from Python for each batch."""
    step = jax.jit(stepper(w, bits), donate_argnums=0)
    state = [start(w, kind=kind)]

    def advance(x: Any, t: Any) -> Any:
        state[0], loss = step(state[0], x, t)
        return loss

    if w.called:
        ready = [(jnp.array(x), jnp.array(t)) for x, t in batches(w)]
        return lambda rng: np.array(jax.block_until_ready([advance(x, t) for x, t in ready]))
    x, t = data(w)

    def run(rng: np.random.Generator) -> np.ndarray:
        losses = [advance(x[rows], t[rows]) for rows in orders(w, rng).reshape(-1, w.batch)]
        return np.array(jax.block_until_ready(losses))

    return run


def scanned(w: Workload, kind: str = "threefry2x32", bits: bool = False, unroll: int = 1, first: bool = False) -> Form:
    """Return all steps of a measurement as one scan; ``first``: the epoch's rows are gathered before its scan."""
    step = stepper(w, bits)

    def epoch(s: State, x: Any, t: Any, order: Any) -> tuple[State, Any]:
        if first:
            return lax.scan(lambda s, batch: step(s, *batch), s, (x[order], t[order]), unroll=unroll)
        return lax.scan(lambda s, rows: step(s, x[rows], t[rows]), s, order, unroll=unroll)

    run_epoch = jax.jit(epoch, donate_argnums=0)
    state, (x, t) = [start(w, kind=kind)], (jnp.array(a) for a in data(w))

    def run(rng: np.random.Generator) -> np.ndarray:
        losses = []
        for order in orders(w, rng):
            state[0], loss = run_epoch(state[0], x, t, order.astype(np.int32))
            losses.append(loss)
        return np.concatenate(jax.block_until_ready(losses))

    return run


# --- many networks side by side --------------------------------------------------------------------------------------
def _together(w: Workload, first: int, last: int, over: Callable[..., Any]) -> Form:
    step = stepper(w)

    def train(s: State, order: Any, x: Any, t: Any) -> tuple[State, Any]:
        return lax.scan(lambda s, rows: step(s, x[rows], t[rows]), s, order)

    run_all = jax.jit(over(train), donate_argnums=0)
    states = [start(w, k) for k in range(first, last)]
    state, (x, t) = [jax.tree.map(lambda *a: jnp.stack(a), *states)], (jnp.array(a) for a in data(w))

    def run(rng: np.random.Generator) -> np.ndarray:
        order = member_orders(w, rng, w.members)[first:last].astype(np.int32)
        state[0], losses = run_all(state[0], order, x, t)
        return np.asarray(losses).T

    return run


def _vmapped(train: Callable[..., Any]) -> Callable[..., Any]:
    return jax.vmap(train, in_axes=(0, 0, None, None))


def _mapped(train: Callable[..., Any]) -> Callable[..., Any]:
    return lambda s, order, x, t: lax.map(lambda one: train(*one, x, t), (s, order))


def forms(w: Workload) -> dict[str, Callable[[], Form]]:
    """Return every form by name, each to be made when it is asked for."""
    if w.members > 1:
        return {
            "vmap, scan": lambda: _together(w, 0, w.members, _vmapped),
            "map, scan": lambda: _together(w, 0, w.members, _mapped),
        }
    if w.called:
        return {"jit": lambda: called(w)}
    if w.dropout:
        return {
            "scan, threefry": lambda: scanned(w),
            "scan, unsafe_rbg": lambda: scanned(w, "unsafe_rbg"),
            "scan, unsafe_rbg, 16 bits": lambda: scanned(w, "unsafe_rbg", bits=True),
            "jit, unsafe_rbg, 16 bits": lambda: called(w, "unsafe_rbg", bits=True),
        }
    return {
        "jit": lambda: called(w),
        "scan": lambda: scanned(w),
        "scan, rows gathered first": lambda: scanned(w, first=True),
        "scan, unrolled 4": lambda: scanned(w, unroll=4),
    }


def share(w: Workload, first: int, last: int) -> dict[str, Callable[[], Form]]:
    """Return the forms of one process that trains some of the members."""
    return {"map, scan": lambda: _together(w, first, last, _mapped)}
