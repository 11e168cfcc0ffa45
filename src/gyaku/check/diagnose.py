"""From cases to findings: compare, then look for the simplest mistake that explains what is wrong."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gyaku.check import probes
from gyaku.check.build import squared
from gyaku.check.case import Case
from gyaku.check.chance import fixed_chance
from gyaku.check.elementwise import elementwise, wrong_local
from gyaku.check.hypotheses import FIRST, LAST, Rule
from gyaku.check.losses import guarded, loss
from gyaku.check.norms import normalization
from gyaku.check.repair import Edit, repaired
from gyaku.check.result import Finding, Result


def examine(cases: Sequence[Case]) -> Result:
    """Return the verdict on a subject from all its cases."""
    with fixed_chance(0, cases[0].subject.sources):
        findings = list(_findings(cases))
    return Result(cases[0].subject.title, findings, [label(c) for c in cases], curve_of=_curve_source(cases))


def _curve_source(cases: Sequence[Case]) -> Any:
    return next((c for c in cases if hasattr(c, "jac")), cases[0])


def label(c: Case) -> str:
    """Return shapes and mode of a case: ``x (3, 4), W (4, 5), train``."""
    shapes = ", ".join(f"{k} {v.shape}" for k, v in c.arrays.items())
    return shapes + (f", {c.mode}" if len(c.subject.modes) > 1 else "")


def _findings(cases: Sequence[Case]) -> Iterator[Finding]:
    stopped = [c for c in cases if c.failed or c.first.error]
    if stopped:
        yield from _stop(cases, stopped)
    going = [c for c in cases if c not in stopped and np.isfinite(c.y).all()]
    yield from _once(f for c in cases if c not in stopped and c not in going for f in probes.infinite(c))
    for c in going:
        _prepare(c)
    going = [c for c in going if c.first.error is None]
    if not going:
        return
    side = [f for c in going for f in (*probes.written(c), *probes.missing(c))]
    numbers = [] if stopped and not any(c.mode == "train" for c in going) else list(_numbers(going))
    root = {f.cause for f in numbers} & {"value_after_update"}
    structural = [f for f in side if not (root and f.cause == "input_mutated")]
    forward_writes = [f for f in structural if f.cause == "input_mutated" and "forward writes" in f.what[0]]
    rest = [f for f in structural if f not in forward_writes]
    yield from _once(forward_writes)
    some_finite = any(not any(f.cause == "not_finite" for f in probes.missing(c)) for c in going)
    late = {"input_mutated", *(["not_finite"] if some_finite and any(f.cause != "unknown" for f in numbers) else [])}
    yield from _once(f for f in rest if f.cause not in late)
    yield from numbers
    yield from _once(f for f in rest if f.cause in late)
    going = list(filter(probes.has_numbers, going))
    again = [f for a, b in probes.pairs(going) for f in (*probes.repeated(a, b), *probes.interleaved(a, b))]
    if not any(f.cause == "input_mutated" for f in side):
        wrong = {f.name for f in numbers}
        again += [f for c in going[:1] for f in probes.twice(c) if f.name not in wrong]
        again += [f for c in going for f in probes.aliased(c)]
    yield from _once(again)
    yield from _coarse(going)


def _once(found: Any) -> Iterator[Finding]:
    """Yield one finding for each cause and array."""
    seen = set()
    for f in found:
        if (f.cause, f.name) not in seen:
            seen.add((f.cause, f.name))
            yield Finding(f.cause, f.name, severe=f.severe, what=f.what, case=label(f.case))


def _coarse(cases: Sequence[Case]) -> Iterator[Finding]:
    c = next((c for c in cases if c.coarse), None)
    if c is not None:
        what = ("forward rounds to float32 or less; checked to three digits only",
                "forward が float32 以下に丸めています。3 桁程度までしか検査できません")  # fmt: skip
        yield Finding("wrong_dtype", c.subject.inputs[0], severe=False, what=what, case=label(c))


# --- errors -----------------------------------------------------------------------------------------------------------


def _stop(cases: Sequence[Case], stopped: list[Case]) -> Iterator[Finding]:
    """Say that a run ends with an error, and why, when a change of the source or equal sizes tell."""
    c = stopped[0]
    error, stage = c.failed or c.first.error, "forward" if c.failed else c.first.stage
    line, told = _line(c, error), f"{type(error).__name__}: {error}"
    what = (f"{stage} stops with {told}" + (f" (line {line})" if line else ""),
            f"{stage} がエラーで止まります（{told}{f'、{line} 行目' if line else ''}）")  # fmt: skip
    name = c.subject.inputs[0]
    if all(s.mode == "eval" for s in stopped) and any(k.mode == "train" for k in cases):
        yield Finding("train_eval_confusion", name, what=what, case=label(c))
        return
    edit, others = _why(stopped)
    cause = edit.cause if edit else next((f.cause for f in others if f.cause != "unknown"), "crash")
    yield Finding(cause, name, what=what, case=label(c), edit=edit and edit.text)
    yield from (f for f in others if f.cause != cause)


def _line(c: Case, error: BaseException | None) -> int | None:
    """Return the line of the student's file in which an error arose; None where there is no such file."""
    code = getattr(c.subject.backward_source, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__ if error else None)
    return next((f.lineno for f in reversed(frames) if code and f.filename == code.co_filename), None)


def _why(stopped: list[Case]) -> tuple[Edit | None, list[Finding]]:
    """Return a change after which nothing stops; else what is wrong when all sizes are equal."""
    stopped = [c for c in stopped if c.failed is None and c.first.stage == "backward"]
    if not stopped:
        return None, []
    for c in stopped:
        _prepare(c)
    edit = repaired(stopped)
    square = None if edit else squared(stopped[0])
    if square is None or square.first.error is not None:
        return edit, []
    _prepare(square)
    return None, list(_numbers([square]))


def _prepare(c: Case) -> None:
    c.differentiate()
    c.__dict__.pop("first", None)  # the point may have been moved


# --- numbers ----------------------------------------------------------------------------------------------------------


def _numbers(cases: Sequence[Case]) -> Iterator[Finding]:
    """Yield a finding for each array whose gradient is wrong."""
    wrong = {n: bad for n in cases[0].names if (bad := [c for c in cases if _is_wrong(c, n)])}
    if not wrong:
        return
    causes = {n: _cause(cases, bad, n) for n, bad in wrong.items()}
    edit = None
    if None in causes.values() or len(set(causes.values())) > 1:
        edit = repaired(cases)
    for n, bad in wrong.items():
        own = edit or (repaired(cases, [n]) if causes[n] is None and len(wrong) > 1 else None)
        cause = (own.cause if own else causes[n]) or _last(cases, bad, n)
        if cause == "wrong_local_derivative" and not all(c.linear for c in bad):
            cause = "upstream_not_linear"
        yield _finding(bad[0], n, cause, own)


def _is_wrong(c: Case, n: str) -> bool:
    g = c.gradient(n)
    if g is None or g.dtype.kind not in "fiub":
        return False
    if g.shape != c.numerical(n).shape:
        return True
    return not bool(np.all(np.abs(np.nan_to_num(g, nan=np.inf) - c.numerical(n)) <= c.tolerance(n)))


def _cause(cases: Sequence[Case], bad: list[Case], n: str) -> str | None:
    """Return the simplest mistake that explains the gradients by ``n``."""
    narrow = _narrow(bad, n)
    if narrow:
        return narrow
    modes = {c.mode for c in bad}
    train = [c for c in cases if c.mode == "train"]
    if modes == {"eval"} and train and len(cases) > len(bad):
        return "train_eval_confusion"
    group = [c for c in cases if c.mode == bad[0].mode and c.gradient(n) is not None]
    for several in (group, [c for c in bad if c.mode == bad[0].mode]):
        for rule in (*FIRST[:3], normalization, *FIRST[3:6], loss, elementwise, *FIRST[6:]):
            cause = _tried(rule, several, n)
            if cause:
                return cause
    return None


def _last(cases: Sequence[Case], bad: list[Case], n: str) -> str:
    group = [c for c in cases if c.mode == bad[0].mode and c.gradient(n) is not None]
    for several in (group, [c for c in bad if c.mode == bad[0].mode]):
        cause = next((k for rule in LAST if (k := _tried(rule, several, n))), None)
        if cause:
            return cause
    if any(c.gradient(n).shape != c.numerical(n).shape for c in bad):
        return "wrong_shape"
    if not all(c.linear for c in bad):
        return "wrong_dtype" if all(_nearly_right(c, n) for c in bad) else "upstream_not_linear"
    return _tried(wrong_local, group, n) or "unknown"


def _nearly_right(c: Case, n: str) -> bool:
    """Whether a gradient is off by no more than sums in float16 are."""
    right = c.numerical(n)
    return bool(np.abs(c.gradient(n) - right).max() < 5e-3 * np.abs(right).max())


def _tried(rule: Rule, cases: Sequence[Case], n: str) -> str | None:
    """Return what a rule says; None where it does not fit the shapes of this layer."""
    try:
        return rule(cases, n)
    except (ValueError, IndexError, TypeError, ZeroDivisionError, np.linalg.LinAlgError):
        return None


def _narrow(bad: list[Case], n: str) -> str | None:
    """Explain by rounding: near the right gradient, and each element a number of float32, float16 or a whole one."""
    for c in bad:
        g, right = c.gradient(n), c.numerical(n)
        if g.shape != right.shape or not np.isfinite(g).all():
            return None
        off = float(np.abs(g - right).max()) / (1 + float(np.abs(right).max()))
        floats = ((np.float32, 1e-5), (np.float16, 1e-2))
        rounded = any(off < most and np.array_equal(g.astype(kind), g) for kind, most in floats)
        if not rounded and not any(np.array_equal(f(right), g) for f in (np.trunc, np.round, np.floor)):
            return None
    return None if all(not c.gradient(n).any() for c in bad) else "wrong_dtype"


def _finding(c: Case, n: str, cause: str, edit: Edit | None) -> Finding:
    g, right = c.gradient(n), c.numerical(n)
    if g.shape != right.shape:
        what = (f"the gradient of {n} has the shape {g.shape}, {n} has {right.shape}",
                f"{n} の勾配の形が {g.shape} です（{n} は {right.shape}）")  # fmt: skip
        return Finding(cause, n, what=what, case=label(c), edit=edit and edit.text)
    off = np.nan_to_num(np.abs(g - right) - np.where(np.isinf(c.tolerance(n)), np.inf, 0), nan=-1.0, posinf=1e300)
    i = int(np.argmax(off))
    small = bool(np.max(np.abs(g - right)) < 1e-4 * (np.abs(right).max() + 1e-12))
    if cause == "upstream_ignored" and _as_last(c, g, right):
        what = ("backward does not use dout: right for the last layer alone, where dout is 1",
                "backward が dout を使っていません。dout が 1 である最後の層としてだけ正しいです")  # fmt: skip
        return Finding(cause, n, severe=False, what=what, case=label(c))
    mild = cause != "wrong_dtype" and c.shape == () and (small or guarded(c, n))
    return Finding(
        "eps_mismatch" if mild else cause, n, c.place(n, i), float(g.reshape(-1)[i]), float(right.reshape(-1)[i]),
        severe=not mild, case=label(c), edit=edit and edit.text,
    )  # fmt: skip


def _as_last(c: Case, g: Any, right: Any) -> bool:
    """Whether this is a loss, ``backward(self, dout=1)``, whose gradient is right for that dout."""
    backward = c.subject.backward_source
    if c.shape != () or not callable(backward):
        return False
    defaults = [p.default for p in inspect.signature(backward).parameters.values() if p.default is not p.empty]
    alone = right / float(c.dout)
    off = np.abs(g - alone).max(initial=0.0)
    return defaults == [1] and bool(off < 1e-4 * (np.abs(alone).max(initial=0.0) + 1e-12))
