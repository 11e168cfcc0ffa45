"""Rows of ``op_cases.py`` for normalisations, losses, dropout and what carries hooks."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
import gyaku.nn
import op_reference as ref
from gyaku.ops import loss, loss_classes, norm
from op_case import (
    Case,
    Kink,
    Refusal,
    Sample,
    as_input,
    at,
    away,
    inside,
    mask,
    positive,
    real,
    spread,
    t,
    weighted,
    whole,
)


def _normed(name: str, x: Any, gamma: Any = None, beta: Any = None, **static: Any) -> Any:
    """Return all outputs of a normalisation: the value, the mean and the inverse deviation."""
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY[name](**static), x, gamma, beta)


NORM = [
    Case(
        "batch_norm",
        lambda *x, **k: _normed("batch_norm", *x, **k),
        ref.batch_norm,
        (
            at(real(6, 3), positive(3), real(3), eps=1e-5),
            at(real(6, 3), eps=1e-3),
            at(real(2, 3, 4), positive(3), eps=1e-5),
            at(real(2, 3, 2, 2), positive(3), real(3), eps=1e-5),
        ),
        errors=(
            Refusal(
                lambda: norm.batch_norm(t(1, 3), None, None, training=True),
                "batch_norm (training): expected more than 1 value per channel, got x of shape (1, 3). "
                "Hint: use a larger batch (drop_last=True), or model.eval() to predict.",
            ),
        ),
    ),
    Case(
        "batch_norm_fixed",
        lambda x, gamma=None, beta=None, eps=1e-5: norm.batch_norm(
            x, as_input([0.1, 0.2, 0.3], x), as_input([1.0, 2.0, 0.5], x), gamma, beta, eps=eps
        ),
        lambda x, gamma=None, beta=None, eps=1e-5: ref.normalized_with(
            x, [0.1, 0.2, 0.3], [1.0, 2.0, 0.5], gamma, beta, eps
        ),
        (
            at(real(6, 3), positive(3), real(3)),
            at(real(6, 3)),
            at(real(2, 3, 4), positive(3), real(3), eps=1e-2),
            at(real(0, 3)),
        ),
    ),
    Case(
        "layer_norm",
        lambda *x, **k: _normed("layer_norm", *x, **k),
        ref.layer_norm,
        (
            at(real(5, 4), positive(4), real(4), k=1, eps=1e-5),
            at(real(2, 3, 4), real(3, 4), real(3, 4), k=2, eps=1e-5),
            at(real(5, 4), k=1, eps=1e-3),
            at(real(5, 4), positive(4), k=1, eps=1e-5),
        ),
        errors=(
            Refusal(
                lambda: norm.layer_norm(t(2, 3), 4), "layer_norm (forward): expected x of shape (..., 4), got (2, 3)."
            ),
        ),
    ),
    Case(
        "group_norm",
        lambda *x, **k: _normed("group_norm", *x, **k),
        ref.group_norm,
        (
            at(real(3, 4, 5), positive(4), real(4), groups=2, eps=1e-5),
            at(real(3, 4), groups=2, eps=1e-5),
            at(real(2, 4, 2, 2), positive(4), groups=4, eps=1e-5),
        ),
        errors=(
            Refusal(
                lambda: norm.group_norm(t(2, 3), 2),
                "group_norm (forward): expected x of shape (N, C, ...) with C divisible by 2, got (2, 3).",
            ),
        ),
    ),
]

_HOWS = ("mean", "sum", "none")


def pairwise(op: str, call: Any, reference: Any, x: Any, target: Any, *options: dict[str, Any], **more: Any) -> Case:
    """Return the row of a loss of two arrays: three reductions, 0-d, one option after the other."""
    samples = [Sample((x(3, 4), target(3, 4)), {"reduction": how}) for how in _HOWS]
    samples += [Sample((x(5), target(5)), o) for o in options] + [at(x(), target())]
    return Case(op, call, ref.loss(reference), tuple(samples), **more)


def classes(op: str, call: Any, reference: Any, *options: dict[str, Any], pixels: bool = True, **more: Any) -> Case:
    """Return the row of a loss of scores and class numbers."""
    samples = [Sample((real(5, 3), whole(3, 5)), {"reduction": how, **o}) for how in _HOWS for o in ({}, *options)]
    samples += [at(real(2, 3, 4), whole(3, 2, 4))] if pixels else []
    return Case(op, weighted(call, "weight"), reference, tuple(samples), **more)


W3 = (0.5, 1.0, 2.5)
LABELS = "expected class indices 0..2, got"
LOSSES = [
    pairwise(
        "mse",
        loss.mse_loss,
        lambda x, y: (x - y) ** 2,
        real,
        real,
        errors=(
            Refusal(
                lambda: loss.mse_loss(t(4, 1), t(4)),
                "MSELoss: expected prediction and target of one shape, got (4, 1) and (4,). "
                "Hint: prediction.squeeze(1), or target.unsqueeze(1).",
            ),
        ),
    ),
    pairwise(
        "l1",
        loss.l1_loss,
        lambda x, y: np.abs(x - y),
        spread,
        away,
        kinks=(Kink(([1.0, 2.0], [1.0, 3.0]), ([0.0, -0.5], [0.0, 0.5])),),
    ),
    pairwise(
        "huber",
        loss.huber_loss,
        ref.huber,
        spread,
        away,
        {"delta": 0.7},
        kinks=(Kink(([0.5, 2.0], [0.5, 1.0]), ([0.0, 0.5], [0.0, -0.5])),),
        errors=(Refusal(lambda: loss.huber_loss(t(2), t(2), delta=0.0), "HuberLoss: expected delta > 0, got 0.0."),),
    ),
    pairwise(
        "bce_with_logits",
        weighted(loss.binary_cross_entropy_with_logits, "weight", "pos_weight"),
        ref.bce_with_logits,
        real,
        inside,
        {"weight": (1.0, 2.0, 0.5, 1.0, 3.0)},
        {"pos_weight": (1.0, 2.0, 0.5, 1.0, 3.0)},
    ),
    pairwise(
        "bce",
        weighted(loss.binary_cross_entropy, "weight"),
        ref.bce,
        inside,
        inside,
        {"weight": (1.0, 2.0, 0.5, 1.0, 3.0)},
        errors=(
            Refusal(
                lambda: loss.binary_cross_entropy(t(2) * 2, t(2)),
                "BCELoss: expected probabilities within 0..1, got 2.0. Hint: apply sigmoid, or use BCEWithLogitsLoss.",
            ),
        ),
    ),
    Case(
        "hinge_embedding",
        lambda x, y, **k: loss.hinge_embedding_loss(x, gy.Tensor(np.where(y._array, 1, -1)), **k),
        ref.loss(lambda x, y, margin=1.0: np.where(y, x, np.maximum(margin - x, 0))),
        tuple(at(spread(3, 4), mask(3, 4), reduction=how) for how in _HOWS) + (at(spread(5), mask(5), margin=0.4),),
    ),
    pairwise(
        "kl_div",
        loss.kl_div,
        lambda x, y, log_target=False: np.exp(y) * (y - x) if log_target else y * (np.log(y) - x),
        real,
        inside,
        {"log_target": True},
    ),
    classes(
        "cross_entropy",
        loss_classes.cross_entropy,
        ref.cross_entropy,
        {"weight": W3},
        {"ignore_index": 1},
        {"label_smoothing": 0.1},
        {"label_smoothing": 0.2, "weight": W3, "ignore_index": 0},
        errors=(
            Refusal(
                lambda: loss_classes.cross_entropy(t(3, 3), gy.Tensor(np.array([0, 3, 1]))),
                f"CrossEntropyLoss: {LABELS} 3 at row 1.",
            ),
            Refusal(
                lambda: loss_classes.cross_entropy(t(3, 3), gy.Tensor(np.eye(3, dtype=int))),
                "CrossEntropyLoss: expected class indices of shape (3,), got (3, 3). "
                "Hint: a one-hot target becomes class indices by target.argmax(1).",
            ),
        ),
    ),
    Case(
        "cross_entropy_probabilities",
        weighted(loss_classes.cross_entropy, "weight"),
        ref.cross_entropy_probabilities,
        tuple(at(real(5, 3), inside(5, 3), reduction=how) for how in _HOWS)
        + (at(real(5, 3), inside(5, 3), weight=W3, label_smoothing=0.1), at(real(2, 3, 4), inside(2, 3, 4))),
    ),
    classes("nll", loss_classes.nll_loss, ref.nll, {"weight": W3}, {"weight": W3, "ignore_index": 2}),
    classes(
        "multi_margin",
        loss_classes.multi_margin_loss,
        ref.multi_margin,
        {"p": 2, "margin": 0.7},
        {"weight": W3},
        pixels=False,
        errors=(
            Refusal(
                lambda: loss_classes.multi_margin_loss(t(2, 3), gy.Tensor(np.array([0, 1])), p=3),
                "MultiMarginLoss: expected p of 1 or 2, got 3.",
            ),
        ),
    ),
    classes(
        "multi_class_hinge", loss_classes.multi_class_hinge_loss, ref.multi_class_hinge, {"margin": 0.5}, pixels=False
    ),
]


def _dropped(x: Any, m: Any, scale: float) -> Any:
    """Return dropout with a given mask, as the layer calls it."""
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY["dropout"](scale), x, m)


DROPOUT = [
    Case(
        "dropout",
        lambda x, m, scale: _dropped(x, m, scale),
        lambda x, m, scale: scale * x * m,
        (at(real(3, 4), mask(3, 4), scale=2.0), at(real(0, 3), mask(0, 3), scale=1.25)),
    ),
]


def _tapped(*x: Any) -> Any:
    """Return ``x`` through the operation behind the hooks of modules, whose hook changes nothing."""
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY["tap"](lambda g: g, len(x) == 1), *x)


def _onto_itself(x: Any) -> Any:
    """Return ``x`` moved from the CPU to the CPU (the GPU's tests move it farther)."""
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY["move"](x.device, x.device), x)


HOOKS = [
    Case(
        "move",
        lambda x: _onto_itself(x),
        lambda x: x,
        (at(real(3, 4)), at(real())),
        view=True,
        beyond="moving to another device is no formula",
    ),
    Case(
        "tap",
        _tapped,
        lambda *x: x if len(x) > 1 else x[0],
        (at(real(3, 4)), at(real(2), real(3, 2))),
        view=True,
        beyond="it hands the gradients to a Python function, which is no formula",
    ),
]
