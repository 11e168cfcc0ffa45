"""``gyaku.doctor(model, data, ...)``: watch a short training of a copy, ask the rules, prove the remedies."""

from __future__ import annotations

import time
from typing import Any

from gyaku.base.errors import DtypeError
from gyaku.doctor.case import Case, baseline_of
from gyaku.doctor.facts import facts_of
from gyaku.doctor.plan import Plan, make_plan
from gyaku.doctor.rules import diagnose
from gyaku.doctor.trace import run
from gyaku.doctor.trap import find_culprit
from gyaku.doctor.verdict import Verdict

_EXPLAIN_ERRORS = {"target_shape", "label_offset", "wrong_pair", "not_finite"}


def examine(
    model: Any,
    data: Any,
    *,
    dev: Any = None,
    test: Any = None,
    loss: Any = None,
    optimizer: Any = "adam",
    lr: float | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    batch_size: int = 64,
    steps: int = 300,
    shuffle: bool = True,
    clip_norm: float | None = None,
    step: Any = None,
    validate: Any = None,
    seed: int = 0,
    proof: bool = True,
    lang: str | None = None,
) -> Verdict:
    """Examine a training and return the verdict; ``gyaku.doctor(...)`` is this function.

    Parameters
        model: an ``nn.Module`` of Gyaku or PyTorch. A copy is trained; the model itself stays as it is.
        data: (x, t), a ``Prepared``, or a loader of (x, t) batches, whose order and size are then examined.
        dev, test: (x, t) of rows held out: for overfitting and leaks.
        loss: ``loss(y, t) -> scalar``; without it chosen from the target.
        optimizer: a name with ``lr``, ``momentum``, ``weight_decay``, ``l1``, ``l2``; an optimizer of the model's
            parameters; or a function of the list of parameters.
        batch_size, shuffle, clip_norm, seed: of the training examined. steps: its length.
        step: ``step(model, optimizer, x, t) -> loss``, a training step of your own (zero_grad, forward, backward, ...).
        validate: ``validate(model, x, t)``, an evaluation of your own.
        proof: False leaves out the reruns that only prove a remedy (not those that a finding rests on).

    Raises what does not fit, and the error of the training itself when no finding explains it.
    """
    for name, given in (("loss", loss), ("step", step), ("validate", validate)):
        if given is not None and not callable(given):
            raise DtypeError("doctor", f"{name}: a function or module", type(given).__name__)
    plan = make_plan(
        model, data, dev=dev, test=test, loss=loss, optimizer=optimizer, lr=lr, momentum=momentum,
        weight_decay=weight_decay, l1=l1, l2=l2, batch_size=batch_size, steps=steps, shuffle=shuffle,
        clip_norm=clip_norm, step=step, validate=validate, seed=seed,
    )  # fmt: skip
    return examine_plan(plan, proof=proof, lang=lang)


def examine_plan(plan: Plan, *, proof: bool = True, lang: str | None = None) -> Verdict:
    """Return the verdict on a plan."""
    started = time.perf_counter()
    trace = run(plan, every=max(1, min(20, plan.steps // 8)))
    trace.culprit = find_culprit(plan, trace)
    copy, optimizer = plan.fresh()
    case = Case(trace, facts_of(plan), copy, optimizer, plan.batch_size, plan, baseline_of(plan))
    findings = diagnose(case, proof=proof)
    if trace.error is not None and not _EXPLAIN_ERRORS & {f.key for f in findings}:
        raise trace.error
    seen = {
        "steps": len(trace.losses), "seconds": time.perf_counter() - started, "trials": len(case.tried),
        "first_loss": case.first_loss, "last_loss": case.last_loss, "update_ratio": case.ratio,
    }  # fmt: skip
    return Verdict(findings, seen, lang)
