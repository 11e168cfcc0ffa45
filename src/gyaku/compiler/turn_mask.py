"""Masks turned: random bits come row by row of (batch, features), and are wanted the other way round."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.compiler.fuse import Fusion, Kernel
from gyaku.compiler.ir import Function, Value
from gyaku.compiler.primitives import PRIMITIVES, Primitive
from gyaku.compiler.views import Storage

SIDE = 16  # bytes of a row that are turned at a time, and rows of them
_VECTOR = f"<{SIDE} x i8>"


def _kinds(p: dict[str, Any], x: Any) -> list[Any]:
    if x[0].ndim != 2 or x[0].dtype != np.bool_ or min(x[0].shape) < SIDE:
        raise ValueError(f"a mask of shape {x[0].shape}")
    return [(x[0].shape[::-1], x[0].dtype, False)]


PRIMITIVES["turn_mask"] = Primitive("turn_mask", "shape", lambda p, x: np.ascontiguousarray(x.T), _kinds)


def write_turn_mask(fusion: Fusion, kernel: Kernel, name: str) -> tuple[Function, list[Storage]]:
    """Return ``name(mask, out, lo, hi)``: rows lo..hi of the transpose.

    Where a side is no multiple of a block's, the last block begins earlier and writes some of the same bytes again.
    """
    (e,) = kernel.equations
    (v,) = e.vars
    view = fusion.view(v)
    assert view.contiguous and view.offset == 0  # a mask as it was drawn
    storages = [view.storage, fusion.views[e.output].storage]
    f = Function(name, "ptr noalias %mask, ptr noalias %out, i64 %lo, i64 %hi")
    rows, columns = v.shape
    with f.loop("%lo", "%hi", SIDE) as i:
        last = f.op(f"sub i64 %hi, {SIDE}")
        # Where there are fewer rows than a block has, some of another thread's are written too: the same bytes that it
        # writes itself, and nobody uses this memory for anything else before the next barrier.
        at = _one_of("smax", f, _one_of("smin", f, i, last), "0")
        with f.loop(0, rows, SIDE) as j:
            _write_block(f, at, _one_of("smin", f, j, str(rows - SIDE)), rows, columns)
    f.do("ret void")
    return f, [s.root for s in storages]


def _one_of(which: str, f: Function, a: str, b: str) -> str:
    """Return the smaller or the greater of two whole numbers."""
    return f.intrinsic(which, Value(a, np.int64), Value(b, np.int64)).name


def _write_block(f: Function, at: str, row: str, rows: int, columns: int) -> None:
    """Write the turning of one block: columns ``at``.. of rows ``row``.. of the mask."""
    source = f.address("%mask", f.add(f.mul(row, columns), at), np.int8)
    target = f.address("%out", f.add(f.mul(at, rows), row), np.int8)
    x = [f.op(f"load {_VECTOR}, ptr {f.address(source, k * columns, np.int8)}, align 1") for k in range(SIDE)]
    low = ", ".join(f"i32 {k}, i32 {k + SIDE}" for k in range(SIDE // 2))
    high = ", ".join(f"i32 {k}, i32 {k + SIDE}" for k in range(SIDE // 2, SIDE))
    for _ in range(SIDE.bit_length() - 1):  # each time rows k and k + 8 are dealt out one by one
        pairs = list(zip(x[: SIDE // 2], x[SIDE // 2 :], strict=True))
        x = [
            f.op(f"shufflevector {_VECTOR} {a}, {_VECTOR} {b}, <{SIDE} x i32> <{half}>")
            for a, b in pairs
            for half in (low, high)
        ]
    for k, y in enumerate(x):
        f.do(f"store {_VECTOR} {y}, ptr {f.address(target, k * rows, np.int8)}, align 1")
