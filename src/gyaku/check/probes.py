"""What can be wrong beside the numbers: errors, missing gradients, memory that is not the layer's, state that stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gyaku.backend.random import Generator
from gyaku.check.case import Case
from gyaku.check.hypotheses import agree
from gyaku.check.subjects import LayerSubject, copied, own

Array = Any


class Found(NamedTuple):
    """A mistake seen without comparing numbers. ``what`` completes the sentence, in English and Japanese."""

    cause: str
    name: str
    what: tuple[str, str]
    case: Case
    severe: bool = True


def written(c: Case) -> Iterator[Found]:
    """Yield what forward and backward have written to."""
    run = c.first
    early = set(getattr(run, "after_forward", []))
    for name in run.after:
        stage = "forward" if name in early else "backward"
        yield Found("input_mutated", name, (f"{stage} writes into {name}", f"{stage} が {name} を書き換えます"), c)
    if run.changed_dout:
        yield Found("input_mutated", "dout", ("backward writes into dout", "backward が dout を書き換えます"), c)


def infinite(c: Case) -> Iterator[Found]:
    """Yield a forward that gives no finite numbers."""
    what = ("forward itself gives NaN or infinity", "forward 自体が NaN か無限大を返します")
    yield Found("not_finite", c.subject.inputs[0], what, c)


def missing(c: Case) -> Iterator[Found]:
    """Yield gradients that are not there, and those that are no finite numbers or of a narrow type."""
    run = c.first
    if run.error is not None:
        return
    inputs = [n for n in c.names if n in c.subject.inputs]
    none = [n for n in c.names if run.gradients.get(n) is None and _matters(c, n)]
    if inputs and set(inputs) <= set(none) and not c.subject.walks:
        yield Found("returns_none", inputs[0], ("backward returns None", "backward が None を返します"), c)
        none = [n for n in none if n not in inputs]
    for n in none:
        cause = "path_missing" if c.subject.walks else "missing_gradient"
        yield Found(cause, n, (f"{n} gets no gradient", f"{n} の勾配がありません"), c)
    for n in c.names:
        g = c.gradient(n)
        if g is None:
            continue
        if g.dtype.kind not in "fiub":
            yield Found(
                "wrong_dtype", n, (f"the gradient of {n} is of type {g.dtype}", f"{n} の勾配の型が {g.dtype} です"), c
            )
        elif not np.isfinite(g).all() and np.isfinite(c.y).all():
            yield Found(
                "not_finite",
                n,
                (f"the gradient of {n} holds NaN or infinity", f"{n} の勾配に NaN か無限大があります"),
                c,
            )


def _matters(c: Case, name: str) -> bool:
    return bool(np.abs(c.jac[name].values).max(initial=0.0) > 1e-9)


def aliased(c: Case) -> Iterator[Found]:
    """Yield gradients that lie in memory of ``dout`` or of a parameter: right as long as nobody writes to them."""
    for n in c.names:
        g = c.first.gradients.get(n)
        if not isinstance(g, np.ndarray) or not g.size:
            continue
        others = {"dout": c.first.dout, **c.subject.live(c.first.layer)}
        other = next((k for k, v in others.items() if np.shares_memory(g, v)), None)
        if other:
            what = (f"the gradient of {n} is a view of {other}: copy it, if anything writes to either",
                    f"{n} の勾配は {other} のメモリを指しています。書き換えるならコピーが必要です")  # fmt: skip
            yield Found("aliased_gradient", n, what, c, severe=other != "dout")


def repeated(a: Case, b: Case) -> Iterator[Found]:
    """Yield what a second forward and backward on one object does differently from a fresh object."""
    if not isinstance(a.subject, LayerSubject) or a.first.error or b.first.error:
        return
    layer, subject = copied(a.base), a.subject
    first, before, _ = _again(subject, layer, a)
    second, _, y = _again(subject, layer, b)
    if first is None or second is None:
        what = (
            "a second forward and backward on one object fails",
            "同じ層で 2 回目の forward / backward が失敗します",
        )
        yield Found("stale_state", a.names[0] if a.names else "", what, b)
        return
    if not agree(y, b.output(b.arrays)):
        if not _own_generator(layer):
            what = ("the second forward of one object gives another y", "同じ層の 2 回目の forward で y が変わります")
            yield Found("stale_state", subject.inputs[0], what, b)
        return
    yield from _differences(a, b, before, second)
    for n in a.names:
        if n in subject.inputs and isinstance(first.get(n), np.ndarray) and not agree(first[n], before[n]):
            what = (
                f"the gradient of {n} changes when the layer runs again",
                f"層を再び使うと、前に返した {n} の勾配が変わります",
            )
            yield Found("aliased_gradient", n, what, a)


def _again(subject: Any, layer: Any, c: Case) -> tuple[Any, Any, Any]:
    """Return the gradients of a run on ``layer``, copies of them, and y."""
    with c.quiet():
        try:
            y = subject.forward(layer, {k: v.copy() for k, v in c.arrays.items()}, c.mode)
            y = np.concatenate([np.reshape(v, -1) for v in y]) if isinstance(y, tuple) else np.array(y)
            found = subject.backward(layer, c.upstream(c.dout.copy()))
        except Exception:  # a student's code may raise anything
            return None, None, None
    return found, {k: np.array(v) for k, v in found.items() if v is not None}, y


def _differences(a: Case, b: Case, before: Any, second: Any) -> Iterator[Found]:
    for n in b.names:
        g, fresh = second.get(n), b.first.gradients.get(n)
        if g is None or fresh is None or agree(g, fresh):
            continue
        first = before.get(n)
        grows = first is not None and np.shape(first) == np.shape(fresh) and agree(g, first + fresh)
        what = (
            f"the gradient of {n} is another one after an earlier backward",
            f"前の backward のあとで {n} の勾配が変わります",
        )
        yield Found("accumulated_over_calls" if grows else "stale_state", n, what, b)


def interleaved(a: Case, b: Case) -> Iterator[Found]:
    """Yield what changes when another object of the class runs between forward and backward."""
    subject = a.subject
    if not isinstance(subject, LayerSubject) or a.first.error or b.first.error:
        return
    one, two = copied(a.base), copied(b.base)
    with a.quiet():
        try:
            subject.forward(one, {k: v.copy() for k, v in a.arrays.items()}, a.mode)
            subject.forward(two, {k: v.copy() for k, v in b.arrays.items()}, b.mode)
            found = subject.backward(one, a.upstream(a.dout.copy()))
        except Exception:  # a student's code may raise anything
            found = {}
    wrong = next(
        (n for n in a.names if a.gradient(n) is not None and not agree(found.get(n), a.first.gradients[n])), None
    )
    if wrong is not None:
        what = (f"another {subject.title} changes the gradient of {wrong}: the two share state (class attributes)",
                f"別の {subject.title} が {wrong} の勾配を変えます。状態（クラス変数）を共有しています")  # fmt: skip
        yield Found("stale_state", wrong, what, a)


def _own_generator(layer: Any) -> bool:
    kinds = (np.random.Generator, np.random.RandomState, Generator)
    return any(isinstance(v, kinds) for v in own(layer).values())


def pairs(cases: Sequence[Case]) -> list[tuple[Case, Case]]:
    """Return two cases of the same object in training, with different numbers."""
    train = [c for c in cases if c.mode == "train" and c.batch > 1]
    return [(a, b) for a, b in zip(train, train[1:]) if a.subject is b.subject][:1]
