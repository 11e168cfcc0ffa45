"""Matrix products as machine code of this very shape: register tiles over packed columns.

C = A B with sizes and strides known: a tile of ``rows`` x ``vectors`` of C stays in registers while k runs; each step
loads the vectors of B and multiplies them by single elements of A. B must have unit stride along its columns; otherwise
``write_pack`` first lays it out as [group][k][lane], a group being as many columns as a vector has lanes.
OpenBLAS as NumPy brings it runs at half this rate where it does not know the processor (measured: docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyaku.compiler.ir import Function, Value, register_type


@dataclass(frozen=True)
class Product:
    """C (m, n) = A B over k; strides in elements. Vectors of columns lie ``group`` elements apart in B."""

    m: int
    n: int
    k: int
    a_row: int
    a_col: int
    b_row: int
    group: int
    c_row: int
    dtype: str
    packed: bool  # B's last group is padded with zeros
    c_col: int = 1

    @property
    def key(self) -> str:
        """What the code of a tile depends on, beside its size."""
        lies = (self.a_row, self.a_col, self.b_row, self.group, self.c_row, self.c_col)
        return "_".join(map(str, (self.k, *lies, self.dtype, int(self.packed))))

    def name(self, among: tuple[int, int] | None = None) -> str:
        """Return the name of the function for just these rows, or for any number of them ``among`` from .. to."""
        rows = str(self.m) if among is None else f"{among[0]}to{among[1]}"
        return f"product_{rows}_{self.n}_{self.key}"

    def turned(self, lanes: int) -> Product:
        """Return the same product as C' = B' A' where that is better: few columns, and the rows of A lie side by side.

        Then vectors hold numbers of a column and not of a row, which would fill only a part of them.
        """
        if self.packed or self.a_row != 1 or 4 * self.n > lanes or self.m <= self.n:
            return self
        return Product(
            self.n, self.m, self.k, 1, self.b_row, self.a_col, lanes, self.c_col, self.dtype, False, self.c_row
        )


def most_rows(vectors: int, registers: int) -> int:
    """Return the height of a tile ``vectors`` wide that still fits into the registers."""
    return max(1, (registers - vectors - 1) // vectors)


# cycles that a load costs although it hides behind arithmetic: it does not where a core's other half is in use
# (measured there: tiles of 6 x 4 vectors 5-15% faster than 14 x 2; on a free core they are alike)
_A_LOAD = 0.15


def tiling(m: int, vectors: int, k: int, registers: int) -> tuple[int, float]:
    """Return (tile width in vectors, estimated cycles) for m rows and so many vectors of columns."""
    found = (1, float("inf"))
    for width in (1, 2, 3, 4):
        cycles = 0.0
        for w, count in ((width, vectors // width), (vectors % width, 1 if vectors % width else 0)):
            if count:
                tiles = -(-m // most_rows(w, registers))
                rows = m / tiles
                a_step = max(rows * w / 2, (rows + w) / 2, 4.0) + _A_LOAD * (rows + w)
                cycles += count * tiles * (k * a_step + rows * w + 12)
        if cycles < found[1] * 0.98:
            found = (width, cycles)
    return found


def write_product(p: Product, lanes: int, registers: int, among: tuple[int, int] | None = None) -> list[Function]:
    """Return the functions of a product, the last being ``name(A, B, C)``.

    With ``among`` it is ``name(A, B, C, m)`` for any m of these numbers (from, to); ``p.m`` is then a usual one.
    """
    if among is not None:
        return _write_for_any(p, lanes, registers, among)
    outer = Function(p.name(), "ptr noalias %A, ptr noalias %B, ptr noalias %C")
    tiles: dict[str, Function] = {}
    for start, w, tail in _panels(p, lanes, registers):
        _write_panel(outer, tiles, p, start, w, tail, lanes, registers)
    outer.do("ret void")
    return [*tiles.values(), outer]


def _panels(p: Product, lanes: int, registers: int) -> Iterator[tuple[int, int, int]]:
    """Yield the panels of columns: first vector, number of vectors, columns in the last one if it is not full."""
    vectors = -(-p.n // lanes)
    width, _ = tiling(p.m, vectors, p.k, registers)
    for start in range(0, vectors, width):
        w = min(width, vectors - start)
        yield start, w, p.n - (vectors - 1) * lanes if start + w == vectors and p.n % lanes else 0


def _write_panel(
    outer: Function, tiles: dict[str, Function], p: Product, start: int, w: int, tail: int, lanes: int, registers: int
) -> None:
    """Write the calls for one panel of columns: all rows in tiles of nearly equal height."""
    count = -(-p.m // most_rows(w, registers))
    low, more = divmod(p.m, count)
    b = outer.address("%B", start * p.group, p.dtype)
    row = 0
    for rows, times in ((low + 1, more), (low, count - more)):
        if not times or not rows:
            continue
        tile = _tile(tiles, p, rows, w, tail, lanes)
        with outer.loop(row, row + rows * times, rows) as i:
            outer.do(f"call void @{tile}({_places(outer, p, i, start * lanes, b)})")
        row += rows * times


def _places(f: Function, p: Product, row: str, column: int, b: str) -> str:
    """Write where a tile's rows of A and its numbers of C begin; return its arguments."""
    a = f.address("%A", f.mul(row, p.a_row), p.dtype)
    c = f.address("%C", f.add(f.mul(row, p.c_row), column * p.c_col), p.dtype)
    return f"ptr {a}, ptr {b}, ptr {c}"


def _write_for_any(p: Product, lanes: int, registers: int, among: tuple[int, int]) -> list[Function]:
    """Write a product of any number of rows ``among`` from .. to."""
    outer = Function(p.name(among), "ptr noalias %A, ptr noalias %B, ptr noalias %C, i64 %m")
    tiles: dict[str, Function] = {}
    for start, w, tail in _panels(p, lanes, registers):
        most = most_rows(w, registers)
        b = outer.address("%B", start * p.group, p.dtype)
        count = outer.op(f"sdiv i64 {outer.op(f'add i64 %m, {most - 1}')}, {most}")
        low = outer.op(f"sdiv i64 %m, {count}")
        more = outer.op(f"sub i64 %m, {outer.op(f'mul i64 {low}, {count}')}")
        edge = outer.op(f"mul i64 {more}, {outer.op(f'add i64 {low}, 1')}")
        cell = outer.slot("i64")
        outer.do(f"store i64 0, ptr {cell}")
        with outer.loop(0, count):
            row = outer.op(f"load i64, ptr {cell}")
            taller = outer.op(f"zext i1 {outer.op(f'icmp slt i64 {row}, {edge}')} to i64")
            rows = outer.op(f"add i64 {low}, {taller}")
            places = _places(outer, p, row, start * lanes, b)
            for height in _heights(most, among):
                tile = _tile(tiles, p, height, w, tail, lanes)
                with outer.when(outer.op(f"icmp eq i64 {rows}, {height}")):
                    outer.do(f"call void @{tile}({places})")
            outer.do(f"store i64 {outer.op(f'add i64 {row}, {rows}')}, ptr {cell}")
    outer.do("ret void")
    return [*tiles.values(), outer]


def _heights(most: int, among: tuple[int, int]) -> list[int]:
    """Return the heights of the tiles of nearly equal height that any of these numbers of rows is cut into."""
    found: set[int] = set()
    for m in range(max(among[0], 1), among[1] + 1):
        low, more = divmod(m, -(-m // most))
        found |= {low, low + 1} if more else {low}
    return sorted(found)


def _tile(tiles: dict[str, Function], p: Product, rows: int, w: int, tail: int, lanes: int) -> str:
    name = f"tile_{rows}x{w}_{tail}_{p.key}"
    if name not in tiles:
        tiles[name] = _write_tile(name, p, rows, w, tail, lanes)
    return name


def _write_tile(name: str, p: Product, rows: int, w: int, tail: int, lanes: int) -> Function:
    f = Function(name, "ptr noalias %A, ptr noalias %B, ptr noalias %C", lanes)
    kind = f.type(p.dtype)
    sums = [[f.slot(kind) for _ in range(w)] for _ in range(rows)]
    last = f.first(tail) if tail else None
    masks = [last if v == w - 1 else None for v in range(w)]
    for v in range(w):
        for r in range(rows):
            f.do(f"store {kind} zeroinitializer, ptr {sums[r][v]}")
    unroll = 4 if rows * w <= 16 else 2
    whole = p.k - p.k % unroll
    if whole:
        with f.loop(0, whole, unroll) as k:
            for u in range(unroll):
                _write_step(f, p, sums, masks, f.add(k, u))
    for u in range(whole, p.k):
        _write_step(f, p, sums, masks, u)
    for r in range(rows):
        for v in range(w):
            y = Value(f.op(f"load {kind}, ptr {sums[r][v]}"), p.dtype)
            if p.c_col == 1:
                f.store(y, "%C", r * p.c_row + v * lanes, masks[v])
            else:
                f.scatter(y, "%C", r * p.c_row + v * lanes * p.c_col, p.c_col, masks[v])
    f.do("ret void")
    return f


def _write_step(f: Function, p: Product, sums: list[list[str]], masks: list[str | None], k: Any) -> None:
    """Write one k: vectors of B times elements of A, added to the tile."""
    kind, row, fma = f.type(p.dtype), f.mul(k, p.b_row), f.intrinsic_name("fmuladd", p.dtype, 3)
    bs = [f.load("%B", f.add(row, v * p.group), p.dtype, None if p.packed else mask) for v, mask in enumerate(masks)]
    column = f.mul(k, p.a_col)
    for r, line in enumerate(sums):
        a = f.splat(f.load_one("%A", f.add(column, r * p.a_row), p.dtype), p.dtype)
        for b, cell in zip(bs, line, strict=True):
            before = f.op(f"load {kind}, ptr {cell}")
            after = f.op(f"call {kind} @{fma}({kind} {a.name}, {kind} {b.name}, {kind} {before})")
            f.do(f"store {kind} {after}, ptr {cell}")


def packed_size(n: int, k: int, lanes: int) -> int:
    """Return the elements of a packed B."""
    return -(-n // lanes) * k * lanes


def write_pack(name: str, n: int, k: int, strides: tuple[int, int], dtype: Any, lanes: int) -> Function:
    """Return ``name(B, out, lo, hi)``: groups lo..hi of columns laid out as [group][k][lane].

    Element (k, j) of B lies at k row + j column, ``strides`` being (row, column); with row 1 (a transposed matrix)
    blocks are turned in registers.
    """
    row, column = strides
    f = Function(name, "ptr noalias %B, ptr noalias %out, i64 %lo, i64 %hi", lanes)
    groups = -(-n // lanes)
    with f.loop("%lo", "%hi") as g:
        if n % lanes and groups > 1:
            full, part, done = f.fresh("full"), f.fresh("part"), f.fresh("packed")
            f.do(f"br i1 {f.op(f'icmp slt i64 {g}, {groups - 1}')}, label %{full}, label %{part}")
            for label, columns in ((full, lanes), (part, n % lanes)):
                f.label(label)
                _write_group(f, g, columns, k, row, column, dtype)
                f.do(f"br label %{done}")
            f.label(done)
        else:
            _write_group(f, g, n % lanes or lanes, k, row, column, dtype)
    f.do("ret void")
    return f


def _write_group(f: Function, g: str, columns: int, k: int, row: int, column: int, dtype: Any) -> None:
    """Write the packing of one group of ``columns`` columns."""
    lanes = f.lanes
    source = f.address("%B", f.mul(f.mul(g, lanes), column), dtype)
    target = f.address("%out", f.mul(g, k * lanes), dtype)
    if row != 1 or lanes == 1:
        with f.loop(0, k) as i:
            if column == 1:
                x = f.load(source, f.mul(i, row), dtype, f.first(columns) if columns < lanes else None)
            else:
                x = _collected(f, source, f.mul(i, row), column, columns, dtype)
            f.store(x, target, f.mul(i, lanes))
        return
    whole = k - k % lanes
    if whole:
        with f.loop(0, whole, lanes) as i:
            _write_turn(f, source, target, i, columns, column, lanes, dtype)
    if k % lanes:
        _write_turn(f, source, target, whole, columns, column, k % lanes, dtype)


def _collected(f: Function, base: str, start: Any, column: int, columns: int, dtype: Any) -> Value:
    kind, one = f.type(dtype), register_type(dtype)
    out = "zeroinitializer"
    for j in range(columns):
        x = f.load_one(base, f.add(start, j * column), dtype)
        out = f.op(f"insertelement {kind} {out}, {one} {x}, i64 {j}")
    return Value(out, dtype)


def _write_turn(
    f: Function, source: str, target: str, i: Any, columns: int, column: int, depth: int, dtype: Any
) -> None:
    """Write the transposition of a block: ``columns`` rows of ``depth`` neighbours become ``depth`` vectors."""
    lanes, kind = f.lanes, f.type(dtype)
    mask = f.first(depth) if depth < lanes else None
    zeros = "zeroinitializer"
    x = [f.load(source, f.add(i, j * column), dtype, mask).name if j < columns else zeros for j in range(lanes)]
    step = 1
    while step < lanes:
        for a in range(lanes):
            if not a & step:
                b = a + step
                upper = [lanes + j - step if j & step else j for j in range(lanes)]
                lower = [lanes + j if j & step else j + step for j in range(lanes)]
                x[a], x[b] = (_mixed(f, kind, x[a], x[b], which) for which in (upper, lower))
        step *= 2
    for j in range(depth):
        f.store(Value(x[j], dtype), target, f.mul(f.add(i, j), lanes))


def _mixed(f: Function, kind: str, a: str, b: str, which: list[int]) -> str:
    """Return lanes picked out of two vectors."""
    mask = ", ".join(f"i32 {m}" for m in which)
    return f.op(f"shufflevector {kind} {a}, {kind} {b}, <{len(which)} x i32> <{mask}>")


def lanes_of(dtype: Any, vector_bytes: int) -> int:
    """Return how many numbers of a type fill a vector."""
    return vector_bytes // np.dtype(dtype).itemsize
