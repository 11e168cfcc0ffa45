"""Rules about the course of training: learning rate, penalties, dropout, batch norm, and how it ends.

Where a short rerun is possible, a finding stands only if its remedy clearly helps; without one the signs must be
stronger.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from gyaku.doctor import remedies
from gyaku.doctor.case import Case, loss_curve
from gyaku.doctor.plan import Plan
from gyaku.doctor.rules import rule
from gyaku.doctor.trace import run
from gyaku.doctor.verdict import Chart, Curve, Finding
from gyaku.models import MLP

_FAST = 0.02  # update/weight: healthy runs give 3e-4 to 1e-2
_SLOW = 1e-3
_AIM = 2e-3
_APART = 20.0  # a new head is often given ten times the rate of the layers before it
_NARROW = 2  # units
_FEW = 100  # steps, after which nothing is said about units yet
_WIDER = "gy.models.MLP(inputs, [128, 128], outputs)  # more units"


@rule("lr_high", alone=True)
def lr_high(case: Case) -> Finding | None:
    """The loss does not settle, and a tenth (or a hundredth) of the rate does better."""
    first, last, ratio = case.first_loss, case.last_loss, case.ratio
    grown = not last <= 1.2 * max(first, case.baseline)
    stuck = not case.progress > 0.5
    if not (grown or stuck or ratio > _FAST):
        return None
    evidence = {"first": first, "last": last, "ratio": ratio}
    factor = _better_rate(case) if case.can_try else None
    if factor is not None:
        return _rate(case, "lr_high", factor, evidence, remedies.with_lr(factor))
    if not case.can_try and (grown or stuck) and _rose(case):
        return _rate(case, "lr_high", 0.1, evidence, None)
    return None


def _better_rate(case: Case) -> float | None:
    """Return the share of the learning rate that helps most: a tenth, or less where that clearly does more."""
    best, loss = None, math.inf
    for factor in (0.1, 0.01, 0.001):
        if case.helps(f"lr {factor}", remedies.with_lr(factor)):
            end = case.tried[f"lr {factor}"].end
            assert end is not None
            if not end.train_loss < 0.8 * loss:
                break
            best, loss = factor, end.train_loss
        elif best is not None:
            break
    return best


def _rose(case: Case) -> bool:
    """Whether the loss first fell or held, and then rose: not a first loss that was already large."""
    losses = [v for v in case.trace.losses if math.isfinite(v)]
    return len(losses) < 5 or max(losses[1:]) > 2.0 * max(losses[0], case.baseline)


def _rate(case: Case, key: str, factor: float, evidence: dict[str, Any], change: Any) -> Finding:
    proof = case.prove(f"lr {factor}", change) if change is not None else None
    chart = Chart("step", "ratio", tuple(_ratio_curves(case)), log=True, mark=_AIM)
    code = f"lr = {case.lr * factor:.2g}  # was {case.lr:.2g}"
    where = _fastest(case) if key == "lr_high" else ""
    return Finding(key, 1.0, where, evidence, code, chart, proof, change=change)


def _fastest(case: Case) -> str:
    """Return the layer whose learning rate is far above that of all others; "" where there is none."""
    rates = _rates(case)
    for name, rate in rates.items():
        others = [r for n, r in rates.items() if n != name]
        if others and rate > _APART * max(others):
            return name
    return ""


@rule("lr_low", alone=True)
def lr_low(case: Case) -> Finding | None:
    """The loss hardly moves, the weights hardly move, and a larger rate goes much further in the same steps."""
    ratio, way = case.ratio, case.first_loss - case.last_loss
    if not ratio < _SLOW or case.progress > 0.5 or not math.isfinite(way):
        return None
    factor = 10.0 ** min(4, max(1, round(math.log10(_AIM / max(ratio, 1e-7)))))
    evidence = {"first": case.first_loss, "last": case.last_loss, "ratio": ratio}
    if not case.can_try:
        slow = ratio < 3e-5 and case.fallen < 0.1 * case.baseline
        return _rate(case, "lr_low", factor, evidence, None) if slow else None
    trial = case.attempt(f"lr {factor}", remedies.with_lr(factor))
    if trial is None or trial.end is None or trial.not_finite is not None:
        return None
    further = case.first_loss - trial.end.train_loss
    if further > 0.2 * case.baseline and way < 0.3 * further:
        return _rate(case, "lr_low", factor, evidence, remedies.with_lr(factor))
    return None


@rule("update_ratio", alone=True)
def update_ratio(case: Case) -> Finding | None:
    """One layer moves far more than the others, or not at all though it has a gradient.

    Far more: 30 times as much and by more than 3 %; or twice as much where its own learning rate makes it do so.
    """
    ratios = {name: r for name, r in case.ratios().items() if math.isfinite(r)}
    if len(ratios) < 2:
        return None
    fastest = _fastest(case)
    if not fastest and {"dead_relu", "saturated"} & case.found.keys():
        return None  # a layer that is silent is not moved either
    for name, r in sorted(ratios.items(), key=lambda item: item[1]):
        others = float(np.median([v for n, v in ratios.items() if n != name]))
        still = (
            r < 1e-3 * others and others > 1e-5 and (r == 0.0 or _rate_share(case, name) < 0.02) and _learns(case, name)
        )
        fast = (r > 30 * others and r > 0.03) or (r > 2 * others and name == fastest)
        if still or fast:
            chart = Chart("layer", "ratio", (Curve("ratio", range(len(ratios)), list(ratios.values()), "forward"),),
                          log=True, labels=tuple(ratios))  # fmt: skip
            code = "optimizer = gy.optim.Adam(model.parameters(), lr=...)  # every layer, one rate"
            return Finding("update_ratio", 1.0, name, {"ratio": r, "others": others}, code, chart, change=_one_rate)
    return None


def _rates(case: Case) -> dict[str, float]:
    """Return the learning rate of the weight of each layer that a group of the optimizer holds."""
    groups = case.optimizer.param_groups if case.optimizer is not None else []
    by_weight = {id(p): float(g["lr"]) for g in groups for p in g["params"]}
    layers = ((name, getattr(m, "weight", None)) for name, m in case.model.named_modules())
    return {name: by_weight[id(w)] for name, w in layers if w is not None and w.ndim > 1 and id(w) in by_weight}


def _rate_share(case: Case, layer: str) -> float:
    """Return the learning rate of a layer's weight over the median of all groups; 0 when no group has it."""
    weight = dict(case.model.named_modules())[layer].weight
    groups = case.optimizer.param_groups if case.optimizer is not None else []
    rates = [float(g["lr"]) for g in groups]
    mine = [float(g["lr"]) for g in groups if any(p is weight for p in g["params"])]
    return (mine[0] if mine else 0.0) / max(float(np.max(rates, initial=0.0)), 1e-30)


def _learns(case: Case, layer: str) -> bool:
    """Whether a layer is meant to learn: a frozen one (requires_grad False) is left alone."""
    return bool(dict(case.model.named_modules())[layer].weight.requires_grad)


def _one_rate(plan: Plan) -> Plan:
    """Give all parameters the rate of the group with the most numbers in it, also those that no group has."""

    def make(model: Any) -> tuple[Any, Any]:
        twin, optimizer = plan.make(model)
        groups = optimizer.param_groups
        rate = max(groups, key=lambda g: len(g["params"]))["lr"]
        for g in groups:
            g["lr"] = rate
        known = {id(p) for g in groups for p in g["params"]}
        lost = [p for p in twin.parameters() if id(p) not in known and p.requires_grad]
        if lost:
            optimizer.add_param_group({"params": lost, "lr": rate})
        return twin, optimizer

    return replace(plan, make=make)


@rule("tiny_batch_norm")
def tiny_batch_norm(case: Case) -> Finding | None:
    """Batch norm with four samples or fewer: the error of a deviation from n numbers is 1 / sqrt(2n), here 35 %."""
    sizes = case.trace.sizes
    rows = int(np.median(sizes)) if sizes else case.batch
    norms = case.norms()
    if not norms or rows > 4:
        return None
    return Finding("tiny_batch_norm", 1.0, norms[0][0], {"rows": rows}, "batch_size = 32  # or nn.LayerNorm",
                   change=remedies.larger_batches)  # fmt: skip


@rule("dropout_strong")
def dropout_strong(case: Case) -> Finding | None:
    """A dropout above 0.6 that costs accuracy on the training data, or above 0.85 whatever it costs."""
    drops = case.dropouts()
    if not drops:
        return None
    where, module = max(drops, key=lambda item: float(item[1].p))
    p = float(module.p)
    if p < 0.6:
        return None
    change = remedies.with_model(remedies.dropout_of(0.2))
    if p < 0.85 and not (case.helps("dropout_strong", change) if case.can_try else p >= 0.8 and case.progress < 0.5):
        return None
    units = _units_before(case, where)
    evidence = {"p": p, "units": units, "left": round(units * (1 - p), 1)}
    return Finding("dropout_strong", 1.0, where, evidence, "nn.Dropout(0.2)", change=change)


def _units_before(case: Case, path: str) -> int:
    units = 0
    for name, module in case.model.named_modules():
        weight = getattr(module, "weight", None)
        if getattr(weight, "ndim", 0) >= 2:
            units = len(weight)  # type: ignore[arg-type]
        if name == path:
            break
    return units


@rule("l2_strong")
def l2_strong(case: Case) -> Finding | None:
    """A penalty without which the data is learnt much better, or weights that shrink while nothing is learnt."""
    if not case.first or not case.last or "lr_low" in case.found:
        return None
    shrunk = float(np.median([b.weight_norm / max(a.weight_norm, 1e-30) for a, b in zip(case.first, case.last)]))
    penalties = case.penalties()
    if penalties and case.can_try:
        if case.progress > 0.8 or not case.helps("l2_strong", remedies.without_penalty):
            return None
    elif not (shrunk < 0.3 and case.progress < 0.3 and max(case.trace.losses) < 3.0 * case.baseline):
        return None
    told = ", ".join(f"{k}={v:g}" for k, v in penalties.items()) or "in the loss"
    chart = Chart("step", "weight_norm", tuple(_norm_curves(case)))
    change = remedies.without_penalty if penalties else None
    return Finding("l2_strong", 1.0, "", {"shrunk": shrunk, "penalty": told}, "weight_decay=1e-4  # l2=0", chart,
                   change=change)  # fmt: skip


def _ratio_curves(case: Case) -> list[Curve]:
    """Return the update ratio of up to six layers over the steps."""
    looks = [(k, {x.name: x.update_ratio for x in row}) for k, row in case.trace.looks[1:]]
    names = list(looks[-1][1])[:6] if looks else []
    return [Curve(n, [k for k, _ in looks], [row.get(n) or math.nan for _, row in looks], "forward") for n in names]


def _norm_curves(case: Case) -> list[Curve]:
    steps = [k for k, _ in case.trace.looks]
    names = [layer.name for layer in case.first][:6]
    return [
        Curve(
            name, steps, [next(x.weight_norm for x in row if x.name == name) for _, row in case.trace.looks], "forward"
        )
        for name in names
    ]


@rule("not_finite")
def not_finite(case: Case) -> Finding | None:
    """The loss is NaN or infinite; a second run names the operation that gave the first such number."""
    trace = case.trace
    if case.facts is not None and not case.facts.finite:
        return Finding("not_finite", 1.0, "", {"form": "data"}, "x = np.nan_to_num(x)  # or drop those rows")
    if trace.not_finite is None:
        return None
    culprit = trace.culprit
    evidence = {"step": trace.not_finite, "op": culprit.get("op", "loss"), "line": culprit.get("line", "")}
    code = "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)" if _is_torch(case) else "clip_norm=1"
    change = _clipped if case.can_try and case.plan is not None and case.plan.step is None else None
    return Finding("not_finite", 1.0, culprit.get("where", ""), evidence, code, change=change)


def _is_torch(case: Case) -> bool:
    return case.plan is not None and case.plan.lib.__name__ == "torch"


def _clipped(plan: Plan) -> Plan:
    return replace(plan, clip_norm=1.0, lr_factor=0.1 * plan.lr_factor)


@rule("underfitting", alone=True)
def underfitting(case: Case) -> Finding | None:
    """The training data is answered much worse than by ten neighbours, and the loss has stopped falling."""
    end, facts = case.trace.end, case.facts
    if end is None or facts is None or facts.reachable is None or case.trace.not_finite is not None:
        return None
    narrow = _narrowest(case)
    if not end.train_error > 1.0 - facts.reachable + (0.10 if narrow else 0.15):
        return None
    if not (case.plateau or case.progress < 0.1 or narrow):
        return None
    evidence: dict[str, Any] = {"error": end.train_error, "reachable": 1.0 - facts.reachable}
    watched = case.plan is None  # then nothing is run beside the training
    evidence |= {"form": "watched"} if watched else {"batch": _one_batch(case)}
    few = watched and not narrow and len(case.trace.losses) < _FEW
    code = "epochs=...  # more of them: so few steps show little" if few else _WIDER
    chart = Chart("step", "loss", (loss_curve("train", case.trace),), mark=case.baseline)
    return Finding("underfitting", 1.0, narrow, evidence, code, chart, change=_wider if _is_mlp(case) else None)


def _narrowest(case: Case) -> str:
    """Return the hidden layer through whose one or two units everything must pass; "" where all are wider."""
    layers = case.last or case.first
    ends = min(case.facts.features if case.facts else 0, layers[-1].units if layers else 0)
    return next((x.name for x in layers[:-1] if x.units <= _NARROW and x.units < ends), "")


def _one_batch(case: Case) -> float:
    """Return the error after training on one batch alone: a sound network learns it by heart."""
    assert case.plan is not None
    n = min(case.plan.batch_size, len(case.plan.x))
    rows = np.linspace(0, len(case.plan.x) - 1, n).astype(int)
    one = replace(case.plan.as_arrays(), x=case.plan.x[rows], t=case.plan.t[rows], dev=None, test=None)
    end = run(one, every=case.plan.steps).end
    return math.nan if end is None else end.train_error


def _is_mlp(case: Case) -> bool:
    return isinstance(case.model, MLP) and case.plan is not None


def _wider(plan: Plan) -> Plan:
    d = plan.model.architecture()
    model = MLP(d["inputs"], [128, 128], d["outputs"], activation="relu", norm=d["norm"], seed=plan.seed)
    return replace(plan, model=model)


@rule("overfitting", measure="dev_loss")
def overfitting(case: Case) -> Finding | None:
    """Far better on train than on dev, and dev is getting worse (or the gap is huge)."""
    scores = [s for s in case.trace.scores if s.dev_loss is not None and s.dev_error is not None]
    if len(scores) < 3 or case.trace.not_finite is not None:
        return None
    end, best = scores[-1], min(scores, key=lambda s: float(s.dev_loss or math.inf))
    assert end.dev_loss is not None and end.dev_error is not None and best.dev_loss is not None
    gap, ratio = end.dev_error - end.train_error, end.dev_loss / max(best.dev_loss, 1e-30)
    learnt = end.train_loss < 0.5 * end.dev_loss
    worse = gap > 0.12 and ratio > 1.5 and end.dev_error > _as_neighbours(case) + 0.02
    if not (learnt and (worse or gap > 0.25)):
        return None
    evidence = {"train": end.train_error, "dev": end.dev_error, "ratio": ratio, "best": best.step}
    steps = [s.step for s in scores]
    chart = Chart("step", "loss", (Curve("train", steps, [s.train_loss for s in scores], "train"),
                                   Curve("dev", steps, [float(s.dev_loss or 0) for s in scores], "dev")))  # fmt: skip
    return Finding("overfitting", min(1.0, 3 * gap), "", evidence, "gy.train.fit(..., patience=5, weight_decay=0.01)",
                   chart, change=_stopped(best.step) if best.step else None)  # fmt: skip


def _as_neighbours(case: Case) -> float:
    """Return the error of ten nearest neighbours: what noise in the data leaves to nobody is no fault of training."""
    reachable = case.facts.reachable if case.facts is not None else None
    return 0.0 if reachable is None else 1.0 - reachable


def _stopped(step: int) -> Any:
    return lambda plan: replace(plan, steps=step)
