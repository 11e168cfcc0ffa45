"""How far a mutant's gradients are from the right ones: measured beside the right class, without the check."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Right, Shape


def effect(wrong: Any, right: Right) -> float:
    """Return the largest difference that the mutant makes on the shapes of its family; infinite for an error."""
    return max(_effect_on(wrong, right, d) for d in right.family.dims)


def _effect_on(wrong: Any, right: Right, d: Shape) -> float:
    expected = observe(right.cls, right, d)
    try:
        with np.errstate(all="ignore"):
            found = observe(wrong, right, d)
    except Exception:  # a backward that stops is as wrong as can be
        return float("inf")
    return max(_difference(found.get(key), value) for key, value in expected.items())


def _difference(found: Any, expected: Any) -> float:
    if found is None or np.shape(found) != np.shape(expected):
        return float("inf")
    return float(np.max(np.abs(np.asarray(found, float) - expected), initial=0.0))


def observe(cls: Any, right: Right, d: Shape) -> dict[str, Any]:
    """Return all gradients of two calls in a row (and of prediction), and what became of the arrays handed in."""
    look = {"lecture": _lecture, "function": _function, "module": _module}[right.family.interface]
    return look(cls, right, d)


def _lecture(cls: Any, right: Right, d: Shape) -> dict[str, Any]:
    rng, other = np.random.default_rng(7), np.random.default_rng(8)
    layer, inputs = right.family.make(cls, rng, d)
    again = right.family.make(cls, other, d)[1]
    seen: dict[str, Any] = {}
    modes = [True, False] if right.family.modes else [None]
    for mode in modes:
        kept = []
        for turn, arrays in enumerate((inputs, again, inputs)):
            arrays = tuple(a.copy() for a in arrays)
            before = [np.array(a) for a in arrays]
            y = layer.forward(*arrays) if mode is None else layer.forward(*arrays, train=mode)
            dout = 1.7 if np.ndim(y) == 0 else np.random.default_rng(turn).normal(size=np.shape(y))
            dout_before = np.array(dout)
            dx = layer.backward(dout)
            key = f"{mode} {turn}"
            found = {"returned": dx} | {n: v for n, v in vars(layer).items() if n[0] == "d" and hasattr(layer, n[1:])}
            found = {n: v for n, v in found.items() if v is not None}
            seen |= {f"{key} {n}": np.array(v) for n, v in found.items()}
            if dx is not None and turn == 2:
                seen[f"{key} again"] = np.array(layer.backward(dout))
            kept.append((key, found))
            seen[f"{key} dout written"] = np.max(np.abs(dout - dout_before))
            seen |= {f"{key} input {i} written": np.max(np.abs(a - b)) for i, (a, b) in enumerate(zip(arrays, before))}
        first, gradients = kept[0]
        seen |= {f"{first} {n} later": np.array(v) for n, v in gradients.items()}
    return seen


def _function(cls: Any, right: Right, d: Shape) -> dict[str, Any]:
    import gyaku as gy

    _, arrays = right.family.make(cls, np.random.default_rng(7), d)
    wanted = [i == 0 or right.name != "CrossEntropyFunction" for i in range(len(arrays))]  # not for its targets
    tensors = [gy.tensor(a, dtype=gy.float64, requires_grad=w) for a, w in zip(arrays, wanted)]
    y = cls.apply(*tensors)
    y.backward(gy.tensor(np.random.default_rng(0).normal(size=tuple(y.shape)), dtype=gy.float64))
    return {f"d{i}": np.array(t.grad.numpy()) for i, t in enumerate(tensors) if t.grad is not None}


def _module(cls: Any, right: Right, d: Shape) -> dict[str, Any]:
    import gyaku as gy

    model, (x,) = right.family.make(cls, np.random.default_rng(7), d)
    seen: dict[str, Any] = {}
    for mode in (True, False):
        model.train(mode)
        t = gy.tensor(x, dtype=gy.float64, requires_grad=True)
        y = model(t)
        y.backward(gy.tensor(np.random.default_rng(0).normal(size=tuple(y.shape)), dtype=gy.float64))
        grads = {"x": t.grad} | {n: p.grad for n, p in model.named_parameters()}
        seen |= {f"{mode} {n}": np.array(g.numpy()) for n, g in grads.items() if g is not None}
        model.zero_grad()
    return seen
