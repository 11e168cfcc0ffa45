"""What can be wrong beside the numbers: errors, missing gradients, memory that is not the layer's, state that stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gyaku.backend.random import Generator
from gyaku.check.build import twin
from gyaku.check.case import Case
from gyaku.check.hypotheses import agree
from gyaku.check.subjects import FunctionSubject, LayerSubject, copied, own

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


def has_numbers(c: Case) -> bool:
    """Whether the gradients that are there consist of finite numbers: others are not compared any further."""
    found = [g for g in map(c.gradient, c.names) if g is not None]
    return all(g.dtype.kind in "fiub" and bool(np.isfinite(g).all()) for g in found)


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
    if a.shape == b.shape:
        yield from _after_a_forward(a, b)
    for n in a.names:
        if n in subject.inputs and isinstance(first.get(n), np.ndarray) and not agree(first[n], before[n]):
            what = (
                f"the gradient of {n} changes when the layer runs again",
                f"層を再び使うと、前に返した {n} の勾配が変わります",
            )
            yield Found("aliased_gradient", n, what, a)


def _after_a_forward(a: Case, b: Case) -> Iterator[Found]:
    """Yield what backward gives otherwise after two forwards: it belongs to the second one."""
    layer = copied(a.base)
    with a.quiet():
        a.subject.forward(layer, {k: v.copy() for k, v in a.arrays.items()}, a.mode)
    found, _, _ = _again(a.subject, layer, b)
    for n in b.names if found is not None else ():
        if b.first.copies.get(n) is not None and not agree(found.get(n), b.first.copies[n]):
            what = (f"the gradient of {n} belongs to an earlier forward",
                    f"{n} の勾配が、前の forward の値で計算されています")  # fmt: skip
            yield Found("stale_state", n, what, b)


def twice(c: Case) -> Iterator[Found]:
    """Yield what a second backward after one forward gives otherwise, once the caller has written to the first.

    What a layer learns may be added up. A layer that forgets its values in backward is left alone.
    """
    if not isinstance(c.subject, LayerSubject) or c.first.error:
        return
    first, again, late = _two_backwards(c, write=False)
    _, written, _ = _two_backwards(c, write=True)
    for n in c.names:
        one, two, three = first.get(n), again.get(n), written.get(n)
        if one is None or two is None:
            continue
        if n in c.subject.inputs and not agree(late[n], one):
            what = (f"a second backward writes into the gradient of {n} that the first one returned",
                    f"2 回目の backward が、1 回目に返した {n} の勾配を書き換えます")  # fmt: skip
            yield Found("aliased_gradient", n, what, c)
        elif not _same(two, one, c, n):
            what = (f"a second backward gives another gradient of {n}: the first one changes what it needs",
                    f"2 回目の backward で {n} の勾配が変わります。1 回目が必要な値を書き換えています")  # fmt: skip
            yield Found("aliased_gradient" if _returns_its_own(c) else "stale_state", n, what, c)
        elif three is not None and not _same(three, one, c, n):
            what = (f"writing to what backward returned changes its next gradient of {n}: the layer goes on using it",
                    f"返した勾配に書き込むと次の {n} の勾配が変わります（層が同じ配列を使っています）")  # fmt: skip
            yield Found("aliased_gradient", n, what, c)


def _same(g: Array, first: Array, c: Case, n: str) -> bool:
    """Whether a second gradient is the first again, or (of what the layer learns) added to it."""
    return agree(g, first) or (n not in c.subject.inputs and agree(g, 2 * first))


def _returns_its_own(c: Case) -> bool:
    """Whether a returned gradient lies in memory that the layer holds."""
    held = [v for v in own(c.first.layer).values() if isinstance(v, np.ndarray)]
    given = [c.first.gradients.get(n) for n in c.names if n in c.subject.inputs]
    return any(isinstance(g, np.ndarray) and np.shares_memory(g, v) for g in given for v in held)


def _two_backwards(c: Case, *, write: bool) -> tuple[Any, Any, Any]:
    """Return copies of the gradients, those of a second backward, and the first ones as they are then."""
    layer = copied(c.base)
    with c.quiet():
        try:
            c.subject.forward(layer, {k: v.copy() for k, v in c.arrays.items()}, c.mode)
            found = c.subject.backward(layer, c.upstream(c.dout.copy()))
            first = _copies(found)
            for n in c.subject.inputs if write else ():
                if isinstance(found.get(n), np.ndarray) and found[n].flags.writeable:
                    found[n] += 1.0
            return first, _copies(c.subject.backward(layer, c.upstream(c.dout.copy()))), found
        except Exception:  # a layer may refuse a second backward
            return {}, {}, {}


def _copies(gradients: Any) -> Any:
    return {k: np.array(g) for k, g in gradients.items() if g is not None}


def _again(subject: Any, layer: Any, c: Case) -> tuple[Any, Any, Any]:
    """Return the gradients of a run on ``layer``, copies of them, and y."""
    with c.quiet():
        try:
            y = subject.forward(layer, {k: v.copy() for k, v in c.arrays.items()}, c.mode)
            y = np.concatenate([np.reshape(v, -1) for v in y]) if isinstance(y, tuple) else np.array(y)
            found = subject.backward(layer, c.upstream(c.dout.copy()))
        except Exception:  # a student's code may raise anything
            return None, None, None
    return found, _copies(found), y


def _differences(a: Case, b: Case, before: Any, second: Any) -> Iterator[Found]:
    for n in b.names:
        g, fresh = second.get(n), b.first.copies.get(n)
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
    if not isinstance(subject, (LayerSubject, FunctionSubject)) or a.first.error or b.first.error:
        return
    one, two = copied(a.base), copied(b.base)
    with a.quiet():
        try:
            subject.forward(one, {k: v.copy() for k, v in a.arrays.items()}, a.mode)
            subject.forward(two, {k: v.copy() for k, v in b.arrays.items()}, b.mode)
            found = subject.backward(one, a.upstream(a.dout.copy()))
        except Exception:  # a student's code may raise anything
            found = {}
    wrong = next((n for n in a.names if a.gradient(n) is not None and not agree(found.get(n), a.first.copies[n])), None)
    if wrong is not None:
        what = (f"another {subject.title} changes the gradient of {wrong}: the two share state (class attributes)",
                f"別の {subject.title} が {wrong} の勾配を変えます。状態（クラス変数）を共有しています")  # fmt: skip
        yield Found("stale_state", wrong, what, a)


def _own_generator(layer: Any) -> bool:
    kinds = (np.random.Generator, np.random.RandomState, Generator)
    return any(isinstance(v, kinds) for v in own(layer).values())


def pairs(cases: Sequence[Case]) -> list[tuple[Case, Case]]:
    """Return two cases of the same object in training with different numbers: of other shapes, and of the same ones."""
    train = [c for c in cases if c.mode == "train" and c.batch > 1]
    others = [(a, b) for a, b in zip(train, train[1:]) if a.subject is b.subject][:1]
    second = twin(train[0]) if train else None
    return others if second is None else [*others, (train[0], second)]
