"""Gradients clipped, and parameters as one vector."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

from gyaku.backend.namespace import namespace_of
from gyaku.backend.tracing import Weak, either
from gyaku.base.errors import GraphError, ShapeError
from gyaku.core.mode import no_grad
from gyaku.core.op import FUNCTIONS
from gyaku.core.tensor import Tensor, new_tensor, write


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients, in place, so that their common norm is at most ``max_norm``; return the norm before.

    The norm is that of all gradients in one vector; each is multiplied by max_norm / (norm + 1e-6) if that is below 1.
    Raises ``GraphError`` for a norm that is not finite, if ``error_if_nonfinite``.
    """
    grads = _grads(parameters)
    if not grads:
        return FUNCTIONS["tensor"](0.0)
    norms = [_norm(g._array, float(norm_type)) for g in grads]
    p = float(norm_type)
    total = functools.reduce(_larger, norms) if math.isinf(p) else sum(n**p for n in norms) ** (1 / p)
    if error_if_nonfinite and not math.isfinite(total):
        raise GraphError("clip_grad_norm_", "finite gradients", f"norm {total}", hint="find the cause with gyaku.isnan")
    factor = (max_norm if isinstance(max_norm, Weak) else float(max_norm)) / (total + 1e-6)
    factor = either(factor >= 1, lambda: 1.0, lambda: factor)
    if isinstance(factor, Weak) or factor != 1:
        with no_grad():
            for g in grads:
                write(g, g._array * factor)
    first = grads[0]._array
    return new_tensor(namespace_of(first).full((), total, dtype=first.dtype))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Cut every element of the gradients, in place, to [-clip_value, clip_value]."""
    with no_grad():
        for g in _grads(parameters):
            xp = namespace_of(g._array)
            write(g, xp.minimum(xp.maximum(g._array, -float(clip_value)), float(clip_value)))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return all parameters in one vector, in order; differentiable."""
    return FUNCTIONS["cat"]([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the parts of a vector into the parameters, in order.

    Raises ``ShapeError`` when the vector is not as long as all parameters together.
    """
    params = list(parameters)
    n = sum(p.numel() for p in params)
    if vec.shape != (n,):
        raise ShapeError("vector_to_parameters", f"a vector of {n} numbers", str(tuple(vec.shape)))
    at = 0
    with no_grad():
        for p in params:
            write(p, vec._array[at : at + p.numel()].reshape(p.shape))
            at += p.numel()


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    params = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p._grad.detach() for p in params if p._grad is not None]


def _larger(a: Any, b: Any) -> Any:
    return either(b > a, lambda: b, lambda: a)


def _norm(g: Any, p: float) -> Any:
    xp = namespace_of(g)
    if not g.size:
        return 0.0
    if g.dtype == "float16":  # whose squares soon pass 65504
        g = xp.astype(g, "float32")
    if math.isinf(p):
        return xp.amax(abs(g)).item()
    return xp.sum(g * g).item() ** 0.5 if p == 2 else xp.sum(abs(g) ** p).item() ** (1 / p)
