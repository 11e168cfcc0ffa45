"""Reductions as machine code: partial results stay in registers while the reduced dimensions run inside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from gyaku.compiler import scalar
from gyaku.compiler.ir import Function, Value, literal, register_type
from gyaku.compiler.loops import Axis, Writer
from gyaku.compiler.program import Equation

_LANES = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min", "any": "or", "all": "and"}
_PAIRS = {
    "sum": "add", "prod": "multiply", "amax": "maximum", "amin": "minimum", "any": "logical_or", "all": "logical_and",
}  # fmt: skip
_WIDE = 4  # vectors of columns at once: as many sums as hide the latency of an addition


def _start(op: str, dtype: Any) -> Any:
    """Return what a reduction begins with."""
    if op in ("sum", "any"):
        return 0
    if op in ("prod", "all"):
        return 1
    low = op == "amax"
    if dtype.kind == "f":
        return -np.inf if low else np.inf
    return (0 if low else 1) if dtype.kind == "b" else (np.iinfo(dtype).min if low else np.iinfo(dtype).max)


def write_reduction(w: Writer) -> None:
    """Write the loops of a reduce kernel."""
    reductions = [e for e in w.kernel.equations if e.op in _LANES]
    if any(e.op.startswith("arg") for e in w.kernel.equations):
        _write_arg(w)
    elif w.axes and not w.axes[-1].reduced:
        _by_columns(w, reductions)
    else:
        _by_rows(w, reductions)


def _chain(w: Writer) -> list[Equation]:
    return [e for e in w.kernel.equations if e.op not in _LANES and not e.op.startswith("arg")]


def _bounds(w: Writer, axis: Axis) -> tuple[Any, Any]:
    """Return the range of a loop: the first kept one is shared by the threads."""
    first = next((a for a in w.axes if not a.reduced), None)
    return ("%lo", "%hi") if axis is first else (0, axis.extent)


def _combine(f: Function, op: str, a: Value, b: Value) -> Value:
    if op == "sum" and a.dtype.kind == "f":
        return f.binary("fadd", a, b)
    return scalar.RULES[_PAIRS[op]](f, a, b)


class _Sums:
    """The running results of all reductions of a kernel, one set for each vector of columns."""

    def __init__(self, w: Writer, reductions: list[Equation], sets: int) -> None:
        self.w, self.reductions = w, reductions
        self.slots = [[w.f.slot(w.f.type(e.output.dtype)) for e in reductions] for _ in range(sets)]

    def begin(self) -> None:
        f = self.w.f
        for line in self.slots:
            for e, slot in zip(self.reductions, line, strict=True):
                start = f.constant(_start(e.op, e.output.dtype), e.output.dtype)
                f.do(f"store {f.type(start.dtype)} {start.name}, ptr {slot}")

    def add(self, k: int, at: dict[int, Any], mask: str | None, masked_start: bool) -> None:
        w, f = self.w, self.w.f
        values = w.compute(_chain(w), at, mask)
        literals = w.fusion.literals
        for v in (e.vars[0] for e in self.reductions):
            if v not in values and v not in w.factors:
                values[v] = f.constant(literals[v], v.dtype) if v in literals else w.load(w.reads[v], at, mask)
        mask = mask if masked_start else None
        for e, slot in zip(self.reductions, self.slots[k], strict=True):
            kind = e.output.dtype
            before = Value(f.op(f"load {f.type(kind)}, ptr {slot}"), kind)
            if e.vars[0] in w.factors:
                after = f.intrinsic("fmuladd", *w.factors[e.vars[0]], before)
                after = after if mask is None else f.select(Value(mask, np.bool_), after, before)
            else:
                x = f.cast(values[e.vars[0]], kind)
                if mask is not None:
                    x = f.select(Value(mask, np.bool_), x, f.constant(_start(e.op, kind), kind))
                after = _combine(f, e.op, before, x)
            f.do(f"store {f.type(kind)} {after.name}, ptr {slot}")

    def values(self, k: int) -> list[Value]:
        f = self.w.f
        return [
            Value(f.op(f"load {f.type(e.output.dtype)}, ptr {slot}"), e.output.dtype)
            for e, slot in zip(self.reductions, self.slots[k], strict=True)
        ]


def _place(w: Writer, e: Equation, at: dict[int, Any]) -> Any:
    """Return the index of an output element."""
    strides = w.kept_strides(e)
    total: Any = w.writes[e.output].offset
    for axis in w.axes:
        if not axis.reduced and axis.dims[-1] in at:
            total = w.f.add(total, w.f.mul(at[axis.dims[-1]], strides[axis.dims[-1]]))
    return total


def _loops(w: Writer, stack: ExitStack, axes: list[Axis], at: dict[int, Any]) -> dict[int, Any]:
    for axis in axes:
        at = at | {axis.dims[-1]: stack.enter_context(w.f.loop(*_bounds(w, axis)))}
    return at


def _by_rows(w: Writer, reductions: list[Equation]) -> None:
    """The last dimension is reduced: kept ones outside, a vector of partial results, its lanes joined at the end."""
    sums = _Sums(w, reductions, 1)
    kept, reduced = [a for a in w.axes if not a.reduced], [a for a in w.axes if a.reduced]
    with ExitStack() as outside:
        at = _loops(w, outside, kept, {})
        sums.begin()
        with ExitStack() as inside:
            here = _loops(w, inside, reduced[:-1], at)
            if reduced:
                d = reduced[-1].dims[-1]
                w.vectors(0, reduced[-1].extent, lambda i, mask: sums.add(0, here | {d: i}, mask, True))
            else:
                sums.add(0, here, None, False)
        for e, value in zip(reductions, sums.values(0), strict=True):
            if e.output in w.writes:
                _store_one(w, e, w.f.reduce(_LANES[e.op], value) if reduced else _first(w, value), at)


def _first(w: Writer, value: Value) -> str:
    f = w.f
    return value.name if f.lanes == 1 else f.op(f"extractelement {f.type(value.dtype)} {value.name}, i64 0")


def _store_one(w: Writer, e: Equation, x: str, at: dict[int, Any]) -> None:
    f, dtype = w.f, e.output.dtype
    address = f.address(w.pointer(w.writes[e.output].storage), _place(w, e, at), dtype)
    if dtype.kind == "b":
        f.do(f"store i8 {f.op(f'zext i1 {x} to i8')}, ptr {address}")
    else:
        f.do(f"store {register_type(dtype)} {x}, ptr {address}")


def _by_columns(w: Writer, reductions: list[Equation]) -> None:
    """The last dimension is kept: some vectors of columns at a time go down all the rows."""
    columns = w.axes[-1]
    kept, reduced = [a for a in w.axes[:-1] if not a.reduced], [a for a in w.axes if a.reduced]
    sums = _Sums(w, reductions, _WIDE)
    d = columns.dims[-1]
    with ExitStack() as outside:
        at = _loops(w, outside, kept, {})

        def block(starts: list[Any], mask: str | None) -> None:
            sums.begin()
            with ExitStack() as inside:
                here = _loops(w, inside, reduced, at)
                for k, i in enumerate(starts):
                    sums.add(k, here | {d: i}, mask, False)
            for k, i in enumerate(starts):
                for e, value in zip(reductions, sums.values(k), strict=True):
                    if e.output in w.writes:
                        base = w.pointer(w.writes[e.output].storage)
                        w.f.store(value, base, _place(w, e, at | {d: i}), mask)

        _wide(w, *_bounds(w, columns), block)


def _wide(w: Writer, low: Any, high: Any, block: Callable[[list[Any], str | None], None]) -> None:
    """Write a loop over vectors, several at a time, then one at a time, then the masked rest."""
    f, step = w.f, w.f.lanes * _WIDE
    count = f.op(f"sub i64 {high}, {low}")
    edge = f.op(f"sub i64 {high}, {f.op(f'srem i64 {count}, {step}')}")
    with f.loop(low, edge, step) as i:
        block([f.add(i, k * f.lanes) for k in range(_WIDE)], None)
    w.vectors(edge, high, lambda i, mask: block([i], mask))


def _write_arg(w: Writer) -> None:
    """argmax and argmin: one element at a time, the first of equal ones (NaN counts as the extreme, as in NumPy)."""
    f = w.f
    (e,) = [q for q in w.kernel.equations if q.op.startswith("arg")]
    (v,) = e.vars
    kept, reduced = [a for a in w.axes if not a.reduced], [a for a in w.axes if a.reduced]
    best, where, count = f.slot(register_type(v.dtype)), f.slot("i64"), f.slot("i64")
    with ExitStack() as outside:
        at = _loops(w, outside, kept, {})
        for slot in (where, count):
            f.do(f"store i64 0, ptr {slot}")
        f.do(f"store {register_type(v.dtype)} {literal(0, v.dtype)}, ptr {best}")
        with ExitStack() as inside:
            here = _loops(w, inside, reduced, at)
            x = w.load(w.reads[v], here, None)
            kind = register_type(v.dtype)
            n = f.op(f"load i64, ptr {count}")
            before = Value(f.op(f"load {kind}, ptr {best}"), v.dtype)
            better = scalar._compare(f, "gt" if e.op == "argmax" else "lt", x, before)
            if v.dtype.kind == "f":
                new, old = f.compare("uno", x, x), f.compare("ord", before, before)
                better = f.binary("or", better, f.binary("and", new, old))
                better = f.binary("and", better, old)
            first = Value(f.op(f"icmp eq i64 {n}, 0"), np.bool_)
            take = f.binary("or", first, better)
            with f.when(take.name):
                f.do(f"store {kind} {x.name}, ptr {best}")
                f.do(f"store i64 {n}, ptr {where}")
            f.do(f"store i64 {f.op(f'add i64 {n}, 1')}, ptr {count}")
        _store_one(w, e, f.op(f"load i64, ptr {where}"), at)


__all__ = ["write_reduction"]
