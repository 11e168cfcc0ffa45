"""Penalties of the lecture, to be added to the loss: on weights only, biases left alone (S1 §9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gyaku.core.tensor import Tensor
from gyaku.nn.module import Module


def weights(params: Module | Iterable[Any]) -> Iterator[Tensor]:
    """Yield the weights among ``params`` (a module, parameters, or (name, parameter) pairs).

    A weight has at least two dimensions and is not called "bias": matrices and kernels, not biases, and not the scale
    and shift of a normalisation.
    """
    items: Iterable[Any] = params.named_parameters() if isinstance(params, Module) else params
    for item in items:
        name, p = item if isinstance(item, tuple) else ("", item)
        if p.ndim >= 2 and name.rpartition(".")[2] != "bias":
            yield p


def l2(params: Module | Iterable[Any], alpha: float) -> Any:
    """Return alpha sum of W² over the weights; gradient 2 alpha W. (0.0 when there are none.)"""
    return sum((alpha * (W * W).sum() for W in weights(params)), start=0.0)


def l1(params: Module | Iterable[Any], alpha: float) -> Any:
    """Return alpha sum of |W| over the weights; gradient alpha sign W, 0 at 0.

    Plain gradient steps only hover around zero; for exact zeros use the optimizers' proximal form.
    """
    return sum((alpha * W.abs().sum() for W in weights(params)), start=0.0)
