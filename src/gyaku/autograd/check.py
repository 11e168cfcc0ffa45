"""Gradients against central differences: (f(x + eps) - f(x - eps)) / (2 eps), in float64 (S1 §10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DtypeError, GraphError
from gyaku.core.tensor import Tensor, new_tensor

Function = Callable[..., Any]


class GradcheckError(GraphError):
    """A gradient that differs from the numerical one."""


def gradcheck(
    func: Function,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare every derivative d(output element)/d(input element) of ``func`` with the central difference.

    ``inputs`` are float64 tensors, those that require grad are checked; equal means |a - n| <= atol + rtol |n|.
    Raises ``GradcheckError`` naming input and element (returns False with ``raise_exception=False``), ``DtypeError``
    for float32: its rounding is larger than the difference.

    >>> import gyaku as gy
    >>> gradcheck(gy.tanh, gy.tensor([0.5, -1.0], dtype=gy.float64, requires_grad=True))
    True
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    _check_inputs(given)
    try:
        _compare(func, given, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare second derivatives: ``gradcheck`` of the gradient, by ``inputs`` and by the gradient that arrives.

    ``grad_outputs`` are drawn (fixed seed) unless given.
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    _check_inputs(given)
    outputs = _floating(func(*given))
    starts = _given_starts(grad_outputs, outputs)
    n = len(given)

    def gradient(*args: Any) -> tuple[Any, ...]:
        from gyaku.autograd import grad

        ys = _floating(func(*args[:n]))
        wanted = [a for a in args[:n] if isinstance(a, Tensor) and a.requires_grad]
        found = grad(ys, wanted, args[n:], create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None and g.requires_grad])

    return gradcheck(gradient, (*given, *starts), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)


def _given_starts(grad_outputs: Any, outputs: list[Tensor]) -> list[Tensor]:
    if grad_outputs is not None:
        return [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    draw = Generator(0)
    return [new_tensor(draw.normal(tuple(y.shape))).requires_grad_() for y in outputs]


def _check_inputs(inputs: tuple[Any, ...]) -> None:
    wanted = [(i, t) for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.requires_grad]
    if not wanted:
        raise ArgumentError("gradcheck", "at least one input that requires grad", "none", hint="x.requires_grad_()")
    for i, t in wanted:
        if t._array.dtype != np.float64:
            raise DtypeError("gradcheck", f"input {i} in float64", repr(t.dtype), hint="use x.double()")


def _floating(outputs: Any) -> list[Tensor]:
    several = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    return [y for y in several if y._array.dtype.kind == "f" and y.requires_grad]


def _compare(func: Function, inputs: tuple[Any, ...], eps: float, atol: float, rtol: float) -> None:
    from gyaku.autograd import grad

    outputs = _floating(func(*inputs))
    if not outputs:
        raise GradcheckError("gradcheck", "an output that depends on the inputs", "none that requires grad")
    chosen = [i for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.requires_grad]
    numeric = {i: _differences(func, inputs, i, eps) for i in chosen}
    for k, y in enumerate(outputs):
        for e in range(y.numel()):
            unit = np.zeros(y.shape)
            unit.reshape(-1)[e] = 1.0
            rows = grad(y, [inputs[i] for i in chosen], new_tensor(unit), retain_graph=True, allow_unused=True)
            for i, row in zip(chosen, rows):
                analytic = np.zeros(inputs[i].shape) if row is None else row._array
                _hold_together(analytic, numeric[i][k][e], (k, e, y.shape, i), atol, rtol)


def _differences(func: Function, inputs: tuple[Any, ...], i: int, eps: float) -> list[Any]:
    """Return, for each output, the matrix (output element, *input shape) of central differences by input i."""
    x = inputs[i]._array
    columns = [_difference(func, inputs, i, place, eps) for place in np.ndindex(x.shape)]
    sizes = [y.numel() for y in _floating(func(*inputs))]
    if not columns:
        return [np.zeros((n, *x.shape)) for n in sizes]
    return [np.stack([c[k] for c in columns], axis=-1).reshape(n, *x.shape) for k, n in enumerate(sizes)]


def _difference(func: Function, inputs: tuple[Any, ...], i: int, place: tuple[int, ...], eps: float) -> list[Any]:
    ends = []
    for step in (eps, -eps):
        moved = inputs[i]._array.copy()
        moved[place] += step
        args = [new_tensor(moved).requires_grad_() if k == i else t for k, t in enumerate(inputs)]
        ends.append([y._array.reshape(-1).copy() for y in _floating(func(*args))])
    return [(up - down) / (2 * eps) for up, down in zip(*ends)]


def _hold_together(analytic: Any, numeric: Any, place: tuple[int, int, Any, int], atol: float, rtol: float) -> None:
    k, e, shape, i = place
    bad = ~(np.abs(analytic - numeric) <= atol + rtol * np.abs(numeric))
    if bad.any():
        at = tuple(int(p) for p in np.argwhere(bad)[0])
        element = tuple(int(p) for p in np.unravel_index(e, shape))
        raise GradcheckError(
            "gradcheck",
            f"d output {k}{list(element)} / d input {i}{list(at)} = {numeric[at]:.6g} (central difference)",
            f"{analytic[at]:.6g}",
            hint="compare the backward rule with the derivative of forward at this element",
        )
