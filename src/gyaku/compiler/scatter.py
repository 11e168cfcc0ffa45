"""Sums at looked-up places: the adjoints of indexing, element by element on one thread (places may repeat)."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np

from gyaku.compiler.fuse import Fusion, Kernel
from gyaku.compiler.ir import Function, Value, register_type
from gyaku.compiler.program import Equation
from gyaku.compiler.views import Storage, View, c_strides, whole


def write_scatter(fusion: Fusion, kernel: Kernel, name: str) -> tuple[Function, list[Storage]]:
    """Return ``name(storages..., lo, hi)`` that fills the output with zeros and adds the values at their places."""
    (e,) = kernel.equations
    out = fusion.views[e.output]
    views = [fusion.view(v) for v in e.vars]
    storages = list(dict.fromkeys([*(v.storage.root for v in views), out.storage.root]))
    arguments = ", ".join([f"ptr noalias %p{i}" for i in range(len(storages))] + ["i64 %lo", "i64 %hi"])
    f = Function(name, arguments)
    base = f"%p{storages.index(out.storage.root)}"
    f.needs.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    f.do(f"call void @llvm.memset.p0.i64(ptr {base}, i8 0, i64 {out.storage.nbytes}, i1 false)")

    def pointer(view: View) -> str:
        return f"%p{storages.index(view.storage.root)}"

    if e.op == "index_add":
        _index_add(f, e, views, out, pointer)
    else:
        _scatter_add(f, e, views, out, pointer)
    f.do("ret void")
    return f, storages


def _walk(f: Function, shape: tuple[int, ...], stack: ExitStack) -> list[Any]:
    return [stack.enter_context(f.loop(0, n)) for n in shape]


def _at(f: Function, view: View, indices: list[Any]) -> Any:
    total: Any = view.offset
    for i, n, stride in zip(indices, view.shape, view.strides, strict=True):
        total = f.add(total, f.mul(i, 0 if n == 1 else stride))
    return total


def _wrapped(f: Function, i: str, n: int) -> str:
    """Return an index counted from the end if negative, kept within 0..n-1."""
    below = f.op(f"icmp slt i64 {i}, 0")
    i = f.op(f"select i1 {below}, i64 {f.add(i, n)}, i64 {i}")
    i = f.op(f"select i1 {f.op(f'icmp slt i64 {i}, 0')}, i64 0, i64 {i}")
    return f.op(f"select i1 {f.op(f'icmp sgt i64 {i}, {n - 1}')}, i64 {n - 1}, i64 {i}")


def _add(f: Function, base: str, place: Any, x: str, dtype: Any) -> None:
    kind = register_type(dtype)
    address = f.address(base, place, dtype)
    before = f.op(f"load {kind}, ptr {address}")
    word = "fadd" if np.dtype(dtype).kind == "f" else "add"
    f.do(f"store {kind} {f.op(f'{word} {kind} {before}, {x}')}, ptr {address}")


def _index_add(f: Function, e: Equation, views: list[View], out: View, pointer: Any) -> None:
    values, *indices = views
    pattern, shape = e.param("pattern"), e.param("shape")
    dtype = e.output.dtype
    target = whole(out.storage, shape)
    if not indices:
        part = target.slice(tuple(pattern) if isinstance(pattern, tuple) else pattern)
        with ExitStack() as stack:
            at = _walk(f, part.shape, stack)
            x = f.load_one(pointer(values), _at(f, values.broadcast(part.shape), at), dtype)
            _add(f, pointer(out), _at(f, part, at), x, dtype)
        return
    lead = len(indices)
    common = tuple(np.broadcast_shapes(*[i.shape for i in indices]))
    rest = shape[lead:]
    with ExitStack() as stack:
        at = _walk(f, (*common, *rest), stack)
        place: Any = 0
        for n, stride, view in zip(shape, c_strides(shape), indices, strict=False):
            raw = f.load_one(pointer(view), _at(f, view.broadcast(common), at[: len(common)]), view.storage.dtype)
            i = f.cast(Value(raw, view.storage.dtype), np.int64).name
            place = f.add(place, f.mul(_wrapped(f, i, n), stride))
        for i, stride in zip(at[len(common) :], c_strides(shape)[lead:], strict=True):
            place = f.add(place, f.mul(i, stride))
        x = f.load_one(pointer(values), _at(f, values.broadcast((*common, *rest)), at), dtype)
        _add(f, pointer(out), place, x, dtype)


def _scatter_add(f: Function, e: Equation, views: list[View], out: View, pointer: Any) -> None:
    index, values = views
    shape, axis, dtype = e.param("shape"), e.param("axis"), e.output.dtype
    axis %= len(shape)
    with ExitStack() as stack:
        at = _walk(f, index.shape, stack)
        raw = f.load_one(pointer(index), _at(f, index, at), index.storage.dtype)
        i = _wrapped(f, f.cast(Value(raw, index.storage.dtype), np.int64).name, shape[axis])
        place: Any = 0
        for d, stride in enumerate(c_strides(shape)):
            place = f.add(place, f.mul(i if d == axis else at[d], stride))
        x = f.load_one(pointer(values), _at(f, values.broadcast(index.shape), at), dtype)
        _add(f, pointer(out), place, x, dtype)
