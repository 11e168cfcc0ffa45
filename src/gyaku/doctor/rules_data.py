"""Rules about the data: what it holds, how it is scaled and dealt out. Each threshold says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.doctor import remedies
from gyaku.doctor.case import Case, Change, outputs_of_case
from gyaku.doctor.plan import Plan
from gyaku.doctor.rules import rule
from gyaku.doctor.verdict import Chart, Curve, Finding

_LEAK = 0.03  # honest splits of real tables share a row now and then; three in a hundred are no accident
_COPIES = 0.10
_NOISE = 0.08  # clean digits 0.01, MNIST 0.03, two moons with noise 0.2 about 0.04; a tenth wrong labels 0.08 to 0.1
_DOUBT = 0.08  # clean sets, also hard ones: at most 0.01; a quarter of the labels drawn at random 0.09 to 0.15
_RATIO = 8.0  # 1 : 8 is where always answering the frequent class reaches 0.89
_VARIETY = 0.6  # shuffled batches give 0.97 to 1.03
_SCALE = 6.0  # standardised inputs have 1; pixels of 0..16 have 7, of 0..255 about 80
_SMALL = 0.02
_MEAN = 8.0
_SPREAD = 30.0


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


@rule("target_shape")
def target_shape(case: Case) -> Finding | None:
    """(N, 1) against (N,): seen in the record as a value of shape (N, N), or refused by the loss."""
    p = case.trace.pairing
    if p is not None and p.pairs:
        shapes = {"output": str(p.output), "target": str(p.target)}
        return Finding("target_shape", 1.0, "", shapes, "loss = F.mse_loss(y, t.reshape(y.shape))",
                       change=remedies.with_loss(_reshaped))  # fmt: skip
    t = case.plan.t if case.plan is not None else None
    if t is not None and t.dtype.kind == "i" and t.ndim == 2 and t.shape[1] == 1 and case.trace.error is not None:
        evidence = {"target": str(t.shape), "form": "column"}
        return Finding("target_shape", 1.0, "", evidence, "t = t[:, 0]", change=_column)
    return None


def _reshaped(lib: Any) -> Callable[[Any, Any], Any]:
    return lambda y, t: lib.nn.functional.mse_loss(y, t.reshape(y.shape))


def _column(plan: Plan) -> Plan:
    return plan.mapped(lambda part: (part[0], part[1].reshape(-1)))


@rule("label_offset")
def label_offset(case: Case) -> Finding | None:
    """Classes that do not start at 0, or reach the number of outputs."""
    facts, k = case.facts, outputs_of_case(case)
    if facts is None or not facts.shares or k < 1:
        return None
    last = max(1, k - 1)
    if facts.lowest == 0 and (facts.highest <= last or k == 1):
        return None
    if facts.lowest > 0 and facts.classes == 1:
        return None  # one class only: the imbalance is what matters
    evidence = {"lowest": facts.lowest, "highest": facts.highest, "outputs": k, "last": last}
    shift = facts.lowest if facts.lowest else 0
    code = (
        f"t = t - {shift}"
        if shift > 0
        else "t = (t + 1) // 2"
        if facts.lowest == -1
        else f"outputs: {facts.highest + 1}"
    )
    change = _shifted(shift) if shift and facts.highest - shift <= last else None
    return Finding("label_offset", 1.0, "", evidence, code, change=change)


def _shifted(offset: int) -> Change:
    return lambda plan: plan.mapped(lambda part: (part[0], part[1] - offset))


@rule("leak", measure="dev_error")
def leak(case: Case) -> Finding | None:
    """Held-out rows that are training rows, exactly or up to a little noise."""
    facts = case.facts
    if facts is None or facts.leaked is None or facts.leaked < _LEAK + 3.0 * (facts.repeated or 0.0):
        return None
    evidence = {"percent": _percent(facts.leaked), "part": facts.part, "share": facts.leaked}
    return Finding("leak", min(1.0, 10 * facts.leaked), "", evidence, "split first, then augment or copy: "
                   "train, dev = split(np.unique(rows, axis=0))", _bars(facts.part, facts.leaked, _LEAK))  # fmt: skip


@rule("duplicates")
def duplicates(case: Case) -> Finding | None:
    """Training rows that occur again with the same target."""
    facts = case.facts
    if facts is None or facts.repeated is None or facts.repeated < _COPIES:
        return None
    evidence = {"percent": _percent(facts.repeated), "share": facts.repeated}
    code = "_, rows = np.unique(x, axis=0, return_index=True); x, t = x[rows], t[rows]"
    return Finding(
        "duplicates", min(1.0, 3 * facts.repeated), "", evidence, code, _bars("train", facts.repeated, _COPIES)
    )


@rule("label_noise", measure="dev_error")
def label_noise(case: Case) -> Finding | None:
    """Labels that the neighbours agree against, spread over all classes as mistakes are."""
    facts = case.facts
    if facts is None or facts.contradicted is None:
        return None
    if facts.doubtful > _DOUBT:
        return _noise(max(facts.doubtful, facts.contradicted))
    if facts.contradicted < _NOISE:
        return None
    if facts.clearly is not None and facts.clearly < 0.06:
        return None  # where the classes are far apart the labels are right: they overlap elsewhere, which is no mistake
    if facts.classes > 2 and facts.evenly < 0.6:
        return None  # a few pairs of classes that look alike (shirt, coat) are hard, not wrong
    return _noise(facts.contradicted)


def _noise(share: float) -> Finding:
    code = "gy.train.fit(..., label_smoothing=0.1); look through the rows that neighbours contradict"
    evidence = {"percent": _percent(share), "share": share}
    return Finding("label_noise", min(1.0, 4 * share), "", evidence, code, _bars("train", share, _NOISE))


@rule("imbalance")
def imbalance(case: Case) -> Finding | None:
    """Classes of very different size."""
    facts = case.facts
    there = [s for s in facts.shares if s > 0] if facts is not None and not facts.pixels else []
    if facts is None or len(there) < 2 or max(there) < _RATIO * min(there):
        return None
    shares = np.array(facts.shares)
    rare, often = int(np.where(shares > 0, shares, 2.0).argmin()), int(shares.argmax())
    evidence = {"rare": rare, "often": often, "percent": _percent(float(shares[rare])),
                "ratio": round(float(shares[often] / shares[rare]), 1)}  # fmt: skip
    chart = Chart("class", "share", (Curve("train", range(len(shares)), shares.tolist(), "train"),),
                  labels=tuple(str(k) for k in range(len(shares))))  # fmt: skip
    return Finding("imbalance", min(1.0, float(shares[often] / shares[rare]) / 20), "", evidence,
                   'gy.train.fit(..., class_weight="balanced")', chart)  # fmt: skip


@rule("not_shuffled")
def not_shuffled(case: Case) -> Finding | None:
    """Batches with fewer kinds of targets than dealt cards would have."""
    variety = case.trace.purity
    if not variety < _VARIETY or len(case.trace.sizes) < 3:
        return None
    code = "DataLoader(data, batch_size=..., shuffle=True)"
    return Finding("not_shuffled", min(1.0, 1.5 * (1 - variety)), "", {"percent": _percent(variety)}, code,
                   change=remedies.shuffled)  # fmt: skip


@rule("not_normalised")
def not_normalised(case: Case) -> Finding | None:
    """Inputs whose size, offset or spread makes the first layer's surface a ravine."""
    facts = case.facts
    if facts is None or not facts.finite or (case.plan is not None and case.plan.x.dtype.kind != "f"):
        return None
    signs = (facts.scale / _SCALE, _SMALL / max(facts.scale, 1e-30), facts.mean / _MEAN, facts.spread / _SPREAD)
    if max(signs) < 1.0:
        return None
    evidence = {"scale": facts.scale, "mean": facts.mean, "spread": facts.spread, "feature": facts.feature}
    code = "x = (x - x_train.mean(0)) / x_train.std(0)"
    return Finding("not_normalised", min(1.0, 0.5 * max(signs)), "", evidence, code, change=remedies.standardised)


def _bars(part: str, share: float, limit: float) -> Chart:
    """Return the share that was found beside all rows, with the limit."""
    return Chart("part", "share", (Curve(part, [0], [share], "wrong"),), labels=(part,), mark=limit)
