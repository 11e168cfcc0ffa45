"""Remedies as changes of a plan: what the line of code says, done to a copy so that it can be proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gyaku.doctor.library import Array, is_dropout, weight_layers
from gyaku.doctor.plan import Plan

_SQUASHING = ("Sigmoid", "Tanh")


def with_lr(factor: float) -> Callable[[Plan], Plan]:
    """Multiply the learning rate."""
    return lambda plan: replace(plan, lr_factor=plan.lr_factor * factor)


def with_model(change: Callable[[Any], None]) -> Callable[[Plan], Plan]:
    """Change each copy of the model before it is trained."""
    return lambda plan: replace(plan, changes=(*plan.changes, change))


def own_loop(plan: Plan) -> Plan:
    """Train by a right step instead of the user's."""
    return replace(plan, step=None)


def shuffled(plan: Plan) -> Plan:
    """Deal the rows anew in every epoch."""
    return replace(plan.as_arrays(), shuffle=True)


def larger_batches(plan: Plan) -> Plan:
    """Take 32 rows a step."""
    return replace(plan.as_arrays(), batch_size=min(32, len(plan.x)))


def without_penalty(plan: Plan) -> Plan:
    """Train without weight decay, L1 and L2."""
    return replace(plan, decay=0.0)


def with_loss(make: Callable[[Any], Callable[[Any, Any], Any] | None]) -> Callable[[Plan], Plan]:
    """Train with another loss, made from the model's library."""
    return lambda plan: replace(plan, loss=make(plan.lib), step=None)


def standardised(plan: Plan) -> Plan:
    """Shift and scale the inputs by the training rows: each column of a table, images by one mean and deviation."""
    x = plan.x.astype(np.float64)
    axis = 0 if x.ndim == 2 and x.shape[1] <= 200 else None
    mean, deviation = x.mean(axis=axis), x.std(axis=axis)
    deviation = np.where(deviation > 0, deviation, 1.0)

    def scaled(a: Array) -> Array:
        return np.asarray((a - mean) / deviation, dtype=np.float32)

    return plan.mapped(lambda part: (scaled(part[0]), part[1]))


def he_values(model: Any) -> None:
    """Draw the weights anew by He's rule and set the biases to 0; the output layer by Glorot's."""
    from gyaku.doctor.library import library_of

    lib = library_of(model)
    layers = [m for _, m in weight_layers(model)]
    with lib.no_grad():
        for m in layers:
            if m is layers[-1]:
                lib.nn.init.xavier_normal_(m.weight)
            else:
                lib.nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            if getattr(m, "bias", None) is not None:
                lib.nn.init.zeros_(m.bias)


def dropout_of(p: float) -> Callable[[Any], None]:
    """Set the probability of every dropout to at most ``p``."""

    def change(model: Any) -> None:
        for m in model.modules():
            if is_dropout(m):
                m.p = min(m.p, p)

    return change


def activations(name: str, *, instead_of: tuple[str, ...] = _SQUASHING) -> Callable[[Any], None]:
    """Put ``nn.<name>`` in the place of hidden activation modules (the last module of the network stays)."""

    def change(model: Any) -> None:
        from gyaku.doctor.library import library_of

        lib = library_of(model)
        leaves = [m for m in model.modules() if not list(m.children())]
        for parent in list(model.modules()):
            for key, child in list(parent.named_children()):
                if type(child).__name__ in instead_of and child is not leaves[-1]:
                    parent._modules[key] = getattr(lib.nn, name)()

    return change


def both(*changes: Callable[[Any], None]) -> Callable[[Any], None]:
    """Do several changes of a model, one after the other."""

    def change(model: Any) -> None:
        for each in changes:
            each(model)

    return change
