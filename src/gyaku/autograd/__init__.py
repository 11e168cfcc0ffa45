"""PyTorch's ``torch.autograd``: gradients on request, functions with a backward of your own, and checks of both."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.autograd import functional
from gyaku.autograd.anomaly import detect_anomaly
from gyaku.autograd.check import GradcheckError, gradcheck, gradgradcheck
from gyaku.autograd.function import Function
from gyaku.base.errors import ArgumentError, DtypeError, GraphError
from gyaku.core.backward import gradients_of, run_backward
from gyaku.core.mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from gyaku.core.tensor import Tensor, new_tensor

__all__ = [
    "Function",
    "GradcheckError",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
]


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Run backward from several tensors at once; every leaf gets the sum added to its ``.grad``.

    ``grad_tensors`` are the gradients arriving at ``tensors`` (None for scalars). With ``inputs`` only those get one.
    """
    roots = _several(tensors)
    keep = create_graph if retain_graph is None else retain_graph
    run_backward(roots, _matching("backward", grad_tensors, roots), keep, create_graph, inputs)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Return d(sum of ``outputs`` weighted by ``grad_outputs``)/d(each of ``inputs``); no ``.grad`` is touched.

    ``create_graph`` makes the gradients differentiable. An input that the outputs do not depend on is an error, unless
    ``allow_unused`` (None is returned for it) or ``materialize_grads`` (zeros are).

    >>> import gyaku as gy
    >>> x = gy.tensor(3.0, requires_grad=True)
    >>> grad(x * x, x)
    (tensor(6.),)
    """
    if is_grads_batched or not only_inputs:
        raise ArgumentError(
            "grad", "is_grads_batched=False and only_inputs=True", "the other", hint="loop over the batch"
        )
    roots, wanted = _several(outputs), _several(inputs)
    starts = _matching("grad", grad_outputs, roots)
    keep = create_graph if retain_graph is None else retain_graph
    found = gradients_of(roots, wanted, starts, keep, create_graph)
    if materialize_grads:
        found = [new_tensor(np.zeros(t.shape, t.dtype.numpy)) if g is None else g for g, t in zip(found, wanted)]
    elif not allow_unused and any(g is None for g in found):
        at = next(i for i, g in enumerate(found) if g is None)
        raise GraphError(
            "grad",
            "inputs that the outputs depend on",
            f"input {at}, which they do not",
            hint="pass allow_unused=True to get None for it",
        )
    return tuple(found) if create_graph else _owned(found, starts)


def _several(value: Any) -> list[Tensor]:
    several = [value] if not isinstance(value, (list, tuple)) else list(value)
    for t in several:
        if not isinstance(t, Tensor):
            raise DtypeError("autograd", "tensors", type(t).__name__)
    return several


def _matching(where: str, gradients: Any, roots: list[Tensor]) -> list[Any]:
    alone = gradients is None or isinstance(gradients, Tensor)
    starts = [None] * len(roots) if gradients is None else [gradients] if alone else list(gradients)
    if len(starts) != len(roots):
        raise ArgumentError(where, f"{len(roots)} gradients, one for each output", str(len(starts)))
    return starts


def _owned(found: list[Any], starts: list[Any]) -> tuple[Any, ...]:
    """Return the arrays as tensors, each with memory of its own."""
    seen = {id(g._array) for g in starts if isinstance(g, Tensor)}
    out: list[Tensor | None] = []
    for g in found:
        if g is None or isinstance(g, Tensor):
            out.append(g)
            continue
        array = np.asarray(g) if isinstance(g, np.generic) else g
        shared = id(array) in seen or getattr(array, "base", None) is not None
        seen.add(id(array))
        out.append(new_tensor(array.copy() if shared else array))
    return tuple(out)
