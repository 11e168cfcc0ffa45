"""Convolutions as machine code: register tiles of output positions x channels, straight from a padded picture.

Pictures lie with their channels last, (H, W, C). A tile of output positions x vectors of output channels stays in
registers while all taps go by: vectors of the weights (KH, KW, C, L) times single elements of the picture. Neighbouring
positions read the same elements, so the taps of a kernel row go by together and each element is loaded once for all.
The gradient by the weights is the same with roles exchanged: rows are taps, and the sum runs over positions.

A picture with a border is first copied into scratch memory of the thread, which stays in its cache; so any strides,
padding, cropping and dilation cost the same copy. A gradient by the input of a convolution with stride s is s x s
convolutions (``Part``), each with its own taps and every s-th output position.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gyaku.compiler.ir import Function, Value

Pair = tuple[int, int]
_WIDEST = 2  # vectors of a tile: wider ones read the picture less and the weights more often (measured: no gain)
_FEW = 5  # taps of a row that may go by together: each takes a register
_LONG = 15  # runs of rows from which tiles need not cross from one to the next


@dataclass(frozen=True)
class Part:
    """Output positions ``start + step i`` (i < ``size``), read from ``origin`` on with ``kernel`` taps."""

    kernel: Pair
    origin: Pair
    size: Pair
    start: Pair = (0, 0)
    step: Pair = (1, 1)


@dataclass(frozen=True)
class Picture:
    """What the taps see: ``size`` positions of C channels, x being put at ``before``, zeros where x is not."""

    size: Pair
    before: Pair  # rows above and columns left of x; negative ones cut x
    x: Pair  # the size of x
    channels: int
    strides: tuple[int, int, int]  # of x: row, column, channel

    @property
    def bare(self) -> bool:
        """Whether x itself is the picture."""
        dense = (self.x[1] * self.channels, self.channels, 1)
        unlike = any(s != d for s, d, n in zip(self.strides, dense, (*self.x, self.channels), strict=True) if n > 1)
        return self.size == self.x and self.before == (0, 0) and not unlike

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return self.size[0] * self.size[1] * self.channels


@dataclass(frozen=True)
class Taps:
    """How outputs and taps walk through the picture: ``stride`` between outputs, ``dilation`` between taps."""

    stride: Pair
    dilation: Pair


@dataclass(frozen=True)
class Target:
    """Vectors: their lanes, the processor's registers, the type."""

    lanes: int
    registers: int
    dtype: str


# --- the picture ------------------------------------------------------------------------------------------------------
def write_picture(p: Picture, dtype: str, lanes: int) -> Function:
    """Return ``name(X, P)``: x with its border laid out at P."""
    name = "picture_" + "_".join(map(str, (*p.size, *p.before, *p.x, p.channels, *p.strides, dtype))).replace("-", "m")
    f = Function(name, "ptr noalias %X, ptr noalias %P", lanes)
    (height, width), c = p.size, p.channels
    rows, columns = (_overlap(n, b, s) for n, b, s in zip(p.x, p.before, p.size, strict=True))
    line = width * c
    _zeros(f, 0, rows[0] * line, dtype)
    with f.loop(rows[0], rows[1]) as i:
        target = f.mul(i, line)
        _zeros(f, target, columns[0] * c, dtype)
        source = f.add(f.mul(f.add(i, -p.before[0]), p.strides[0]), (columns[0] - p.before[1]) * p.strides[1])
        _copy_line(f, p, source, f.add(target, columns[0] * c), columns[1] - columns[0], dtype)
        _zeros(f, f.add(target, columns[1] * c), (width - columns[1]) * c, dtype)
    _zeros(f, rows[1] * line, (height - rows[1]) * line, dtype)
    f.do("ret void")
    return f


def _overlap(n: int, before: int, size: int) -> Pair:
    """Return the range of picture rows that x (n rows, put at ``before``) covers."""
    low = min(max(before, 0), size)
    return low, max(low, min(before + n, size))


def _zeros(f: Function, start: Any, count: int, dtype: str) -> None:
    _each(f, count, lambda i, mask: f.store(f.constant(0, dtype), "%P", f.add(start, i), mask))


def _each(f: Function, count: int, block: Callable[[Any, str | None], None]) -> None:
    """Write ``block(i, mask)`` for whole vectors of ``count`` elements and once more for the masked rest."""
    whole = count - count % f.lanes
    if whole:
        with f.loop(0, whole, f.lanes) as i:
            block(i, None)
    if count % f.lanes:
        block(whole, f.first(count % f.lanes))


def _copy_line(f: Function, p: Picture, source: Any, target: Any, columns: int, dtype: str) -> None:
    """Write the copy of ``columns`` positions of one row."""
    c = p.channels
    if (p.strides[1] == c or columns == 1) and (p.strides[2] == 1 or c == 1):
        _each(f, columns * c, lambda i, m: f.store(f.load("%X", f.add(source, i), dtype, m), "%P", f.add(target, i), m))
        return
    with f.loop(0, columns) as j:
        a, b = f.add(source, f.mul(j, p.strides[1])), f.add(target, f.mul(j, c))
        if p.strides[2] == 1:
            _each(f, c, lambda i, m: f.store(f.load("%X", f.add(a, i), dtype, m), "%P", f.add(b, i), m))
        else:
            with f.loop(0, c) as k:
                x = f.load_one("%X", f.add(a, f.mul(k, p.strides[2])), dtype)
                f.do(f"store {_one(dtype)} {x}, ptr {f.address('%P', f.add(b, k), dtype)}")


def _one(dtype: str) -> str:
    return {"float32": "float", "float64": "double"}[dtype]


# --- the convolution --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Correlation:
    """One part of a convolution from a picture of width ``width`` and C channels into L channels."""

    part: Part
    taps: Taps
    width: int
    channels: int
    outputs: int
    y_width: int
    target: Target

    @property
    def runs(self) -> tuple[list[int], list[int], int]:
        """Return where runs of neighbouring taps start in the picture and in the weights' rows, and their length."""
        (kh, kw), (dh, dw), c = self.part.kernel, self.taps.dilation, self.channels
        line = self.width * c
        if dw == 1 or kw == 1:
            return [i * dh * line for i in range(kh)], [i * kw * c for i in range(kh)], kw * c
        at = [(i, j) for i in range(kh) for j in range(kw)]
        return [i * dh * line + j * dw * c for i, j in at], [(i * kw + j) * c for i, j in at], c

    @property
    def together(self) -> bool:
        """Whether the taps of a row go by at once, because neighbouring positions read the same elements."""
        (_, kw), sw, dw = self.part.kernel, self.taps.stride[1], self.taps.dilation[1]
        return 1 < kw <= _FEW and dw % sw == 0

    def most(self, vectors: int) -> int:
        """Return the positions that a tile of so many vectors may have."""
        at_once = self.part.kernel[1] if self.together else 1
        return max(1, (self.target.registers - 1) // vectors - at_once)

    def tiles(self, vectors: int) -> Iterator[tuple[Pair, Pair]]:
        """Yield (first position, size) of each tile that covers the part's positions."""
        most = self.most(vectors)
        h, w = self.part.size
        pieces = -(-w // most)
        tall = max(1, most // w) if pieces == 1 else 1
        for top in range(0, h, tall):
            for left, right in pairs_of(w, pieces):
                yield (top, left), (min(tall, h - top), right - left)

    def cycles(self, vectors: int, depth: int) -> float:
        """Return about how many cycles all positions take for so many vectors of channels."""
        found = 0.0
        for _, (h, w) in self.tiles(vectors):
            n = h * w
            found += depth * max(n * vectors / 2, (n + vectors) / 2, 4.0) + 1.5 * n * vectors + 20
        return found


def pairs_of(n: int, pieces: int) -> list[Pair]:
    """Return (start, stop) of nearly equal pieces of n."""
    cuts = [n * i // pieces for i in range(pieces + 1)]
    return [p for p in zip(cuts, cuts[1:], strict=False) if p[0] < p[1]]


def panels(c: Correlation) -> list[tuple[int, int]]:
    """Return (first vector, vectors) of panels of output channels, of the width that costs least."""
    vectors = -(-c.outputs // c.target.lanes)
    depth = c.channels * c.part.kernel[0] * c.part.kernel[1]

    def split(width: int) -> list[tuple[int, int]]:
        return [(v, min(width, vectors - v)) for v in range(0, vectors, width)]

    return min(
        (split(width) for width in range(1, min(_WIDEST, vectors) + 1)),
        key=lambda found: sum(c.cycles(w, depth) for _, w in found),
    )


def write_part(f: Function, c: Correlation, picture: str, weights: str, y: str, tiles: dict[str, Function]) -> None:
    """Write one part of one sample into ``f``; ``y`` is the output's first element."""
    (sh, sw), (oh, ow), lanes = c.taps.stride, c.part.origin, c.target.lanes
    for first, vectors in panels(c):
        tail = c.outputs % lanes if (first + vectors) * lanes > c.outputs else 0
        w = f.address(weights, first * lanes, c.target.dtype)
        for top, left, size, count, jump in _together(list(c.tiles(vectors))):
            name = _tile(c, vectors, tail, size, tiles)
            with f.loop(0, count) as i:
                row, column = f.add(top, f.mul(i, jump[0])), f.add(left, f.mul(i, jump[1]))
                x = f.add(
                    f.mul(f.add(f.mul(row, sh), oh), c.width * c.channels),
                    f.mul(f.add(f.mul(column, sw), ow), c.channels),
                )
                out_row = f.add(f.mul(row, c.part.step[0]), c.part.start[0])
                out_column = f.add(f.mul(column, c.part.step[1]), c.part.start[1])
                out = f.add(f.mul(f.add(f.mul(out_row, c.y_width), out_column), c.outputs), first * lanes)
                a, b = f.address(picture, x, c.target.dtype), f.address(y, out, c.target.dtype)
                f.do(f"call void @{name}(ptr {a}, ptr {w}, ptr {b})")


def _together(tiles: list[tuple[Pair, Pair]]) -> list[tuple[int, int, Pair, int, Pair]]:
    """Return equal tiles at equal distances as (top, left, size, count, jump): a loop each."""
    found: list[tuple[int, int, Pair, int, Pair]] = []
    by_size: dict[tuple[Pair, int], list[Pair]] = {}
    for at, size in tiles:
        by_size.setdefault((size, at[1]), []).append(at)
    for (size, left), places in by_size.items():
        jump = places[1][0] - places[0][0] if len(places) > 1 else 0
        found.append((places[0][0], left, size, len(places), (jump, 0)))
    return found


def _tile(c: Correlation, vectors: int, tail: int, size: Pair, tiles: dict[str, Function]) -> str:
    p = c.part
    parts = (*size, vectors, tail, *p.kernel, *p.step, *c.taps.stride, *c.taps.dilation)
    name = "conv_" + "_".join(map(str, (*parts, c.width, c.channels, c.outputs, c.y_width, c.target.dtype)))
    if name not in tiles:
        tiles[name] = _write_tile(name, c, vectors, tail, size)
    return name


def _write_tile(name: str, c: Correlation, vectors: int, tail: int, size: Pair) -> Function:
    f = Function(name, "ptr noalias %X, ptr noalias %W, ptr noalias %Y", c.target.lanes)
    (sh, sw), (th, tw), ch = c.taps.stride, c.part.step, c.channels
    places = [(i, j) for i in range(size[0]) for j in range(size[1])]
    reads = [(i * sh * c.width + j * sw) * ch for i, j in places]
    writes = [(i * th * c.y_width + j * tw) * c.outputs for i, j in places]
    tile = Tile(f, c.target.dtype, reads, vectors, tail)
    starts, rows, length = c.runs
    if c.together:
        _write_rows(tile, c)
    elif len(starts) * length <= 12:  # few taps: no loop at all
        for x, row in zip(starts, rows, strict=True):
            for k in range(length):
                tile.step("%X", x + k, "%W", (row + k) * c.outputs)
    elif starts:
        _write_runs(tile, c, starts, rows, length)
    tile.store("%Y", writes)
    f.do("ret void")
    return f


def _write_runs(tile: Tile, c: Correlation, starts: list[int], rows: list[int], length: int) -> None:
    f, dtype, (_, kw) = tile.f, c.target.dtype, c.part.kernel
    by_row = kw if len(starts) > c.part.kernel[0] else 1  # runs to a row of taps
    lines = starts[::by_row]
    with f.loop(0, len(lines)) as i:
        x = f.address("%X", f.mul(i, lines[1] - lines[0] if len(lines) > 1 else 0), dtype)
        w = f.address("%W", f.mul(i, kw * c.channels * c.outputs), dtype)
        for j in range(by_row):
            a, b = f.address(x, starts[j], dtype), f.address(w, rows[j] * c.outputs, dtype)
            tile.run(a, 1, b, c.outputs, length)


def _write_rows(tile: Tile, c: Correlation) -> None:
    """Write the taps of each row together, channel by channel."""
    f, dtype, (kh, kw), ch = tile.f, c.target.dtype, c.part.kernel, c.channels
    at = [j * c.taps.dilation[1] * ch for j in range(kw)]
    rows = [j * ch * c.outputs for j in range(kw)]
    with f.loop(0, kh) as i:
        x = f.address("%X", f.mul(i, c.taps.dilation[0] * c.width * ch), dtype)
        w = f.address("%W", f.mul(i, kw * ch * c.outputs), dtype)
        with f.loop(0, ch) as k:
            tile.steps(f.address(x, k, dtype), at, f.address(w, f.mul(k, c.outputs), dtype), rows)


class Tile:
    """Sums of rows x vectors in registers: row r reads single elements at ``reads[r]``."""

    def __init__(self, f: Function, dtype: str, reads: list[int], vectors: int, tail: int) -> None:
        self.f, self.dtype, self.reads, self.kind = f, dtype, reads, f.type(dtype)
        last = f.first(tail) if tail else None
        self.masks = [last if v == vectors - 1 else None for v in range(vectors)]
        self.sums = [[f.slot(self.kind) for _ in range(vectors)] for _ in reads]
        for cell in self._cells():
            f.do(f"store {self.kind} zeroinitializer, ptr {cell}")

    def _cells(self) -> Iterable[str]:
        return (cell for line in self.sums for cell in line)

    def run(self, x: str, x_step: int, w: str, w_step: int, length: int, at_once: int = 1) -> None:
        """Write ``length`` steps through x and w, ``at_once`` of them at a time."""
        f, unroll = self.f, max(at_once, min(length, 4 if len(self.reads) * len(self.masks) <= 16 else 2))
        whole = length - length % unroll

        def block(a: str, b: str, start: int, stop: int) -> None:
            for u in range(start, stop, at_once):
                some = range(u, min(u + at_once, stop))
                self.steps(a, [k * x_step for k in some], b, [k * w_step for k in some])

        if whole:
            with f.loop(0, whole, unroll) as k:
                a, b = f.address(x, f.mul(k, x_step), self.dtype), f.address(w, f.mul(k, w_step), self.dtype)
                block(a, b, 0, unroll)
        block(x, w, whole, length)

    def step(self, x: str, at: int, w: str, row: int) -> None:
        """Write one step: vectors of w times elements of x, added to the sums."""
        self.steps(x, [at], w, [row])

    def steps(self, x: str, at: list[int], w: str, rows: list[int]) -> None:
        """Write several steps at once: an element of x that more than one of them wants is loaded once."""
        f = self.f
        ws = [[f.load(w, row + v * f.lanes, self.dtype, m) for v, m in enumerate(self.masks)] for row in rows]
        wanted: dict[int, list[tuple[list[Value], list[str]]]] = {}
        for start, vectors in zip(at, ws, strict=True):
            for read, line in zip(self.reads, self.sums, strict=True):
                wanted.setdefault(start + read, []).append((vectors, line))
        for place in sorted(wanted):
            a = f.splat(f.load_one(x, place, self.dtype), self.dtype)
            for vectors, line in wanted[place]:
                for b, cell in zip(vectors, line, strict=True):
                    before = Value(f.op(f"load {self.kind}, ptr {cell}"), self.dtype)
                    f.do(f"store {self.kind} {f.intrinsic('fmuladd', a, b, before).name}, ptr {cell}")

    def store(self, y: str, writes: list[int], add: bool = False) -> None:
        """Write the sums to y at ``writes[r]``, or add them to what is there."""
        f = self.f
        for at, line in zip(writes, self.sums, strict=True):
            for v, (mask, cell) in enumerate(zip(self.masks, line, strict=True)):
                total = Value(f.op(f"load {self.kind}, ptr {cell}"), self.dtype)
                if add:
                    total = f.binary("fadd", f.load(y, at + v * f.lanes, self.dtype, mask), total)
                f.store(total, y, at + v * f.lanes, mask)


# --- the gradient by the weights --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class WeightGradient:
    """Sums over the positions of one sample: (KH, KW, C, L) of picture and gradient (OH, OW, L)."""

    kernel: Pair
    size: Pair  # of the outputs
    taps: Taps
    width: int
    channels: int
    outputs: int
    target: Target

    @property
    def together(self) -> bool:
        """Whether tiles hold all taps of a kernel row, because neighbouring positions read the same elements."""
        return 1 < self.kernel[1] <= _FEW and self.taps.dilation[1] % self.taps.stride[1] == 0

    @property
    def rows(self) -> list[list[tuple[int, int]]]:
        """Return (where in the picture it is read, row of the result) of each (kh, kw, c), in runs that tiles cut."""
        (kh, kw), (dh, dw), c = self.kernel, self.taps.dilation, self.channels
        at = [((i * dh * self.width + j * dw) * c, (i * kw + j) * c) for i in range(kh) for j in range(kw)]
        if self.together:
            return [[(x + k, row + k) for k in range(c) for x, row in at[i * kw : i * kw + kw]] for i in range(kh)]
        lines = [[(x + k, row + k) for k in range(c)] for x, row in at]
        if dw == 1:
            lines = [sum(lines[i * kw : i * kw + kw], []) for i in range(kh)]
        return lines if len(lines[0]) >= _LONG else [sum(lines, [])]

    def at_once(self, vectors: int) -> int:
        """Return how many positions go by at once."""
        return min(self.size[1], max(1, 4 // vectors)) if self.together else 1

    def pieces(self, vectors: int) -> list[list[tuple[int, int]]]:
        """Return the rows of each tile."""
        most = max(1, (self.target.registers - 1) // vectors - self.at_once(vectors))
        unit = self.kernel[1] if self.together else 1
        most = max(most // unit, 1)
        return [
            line[a * unit : b * unit]
            for line in self.rows
            for a, b in pairs_of(len(line) // unit, -(-len(line) // unit // most))
        ]

    def cycles(self, vectors: int) -> float:
        """Return about how many cycles a sample takes for so many vectors."""
        depth = self.size[0] * self.size[1]
        found = 0.0
        for rows in self.pieces(vectors):
            n = len(rows)
            found += depth * max(n * vectors / 2, (n + vectors) / 2, 4.0) + 3 * n * vectors + 20
        return found


def write_weight_gradient(
    f: Function, g: WeightGradient, picture: str, gy: str, out: str, tiles: dict[str, Function]
) -> None:
    """Write one sample into ``f``: adds to ``out`` what the picture and the gradient ``gy`` give."""
    lanes = g.target.lanes
    vectors = -(-g.outputs // lanes)
    width = min(
        range(1, min(_WIDEST, vectors) + 1),
        key=lambda w: sum(g.cycles(min(w, vectors - v)) for v in range(0, vectors, w)),
    )
    for first in range(0, vectors, width):
        own = min(width, vectors - first)
        tail = g.outputs % lanes if (first + own) * lanes > g.outputs else 0
        for rows in g.pieces(own):
            start, row = rows[0]
            name = _weight_tile(g, own, tail, tuple([(x - start, r - row) for x, r in rows]), tiles)
            x = f.address(picture, start, g.target.dtype)
            gv = f.address(gy, first * lanes, g.target.dtype)
            target = f.address(out, row * g.outputs + first * lanes, g.target.dtype)
            f.do(f"call void @{name}(ptr {x}, ptr {gv}, ptr {target})")


def _weight_tile(g: WeightGradient, vectors: int, tail: int, rows: tuple[Pair, ...], tiles: dict[str, Function]) -> str:
    which = zlib.crc32(repr(rows).encode())
    shape = "_".join(map(str, (len(rows), which, vectors, tail, *g.size, *g.taps.stride, *g.taps.dilation)))
    name = f"weight_{shape}_{g.width}_{g.channels}_{g.outputs}_{g.target.dtype}"
    if name not in tiles:
        f = tiles[name] = Function(name, "ptr noalias %X, ptr noalias %G, ptr noalias %O", g.target.lanes)
        tile = Tile(f, g.target.dtype, [x for x, _ in rows], vectors, tail)
        (h, w), (sh, sw) = g.size, g.taps.stride
        with f.loop(0, h) as i:
            x = f.address("%X", f.mul(i, sh * g.width * g.channels), g.target.dtype)
            gy = f.address("%G", f.mul(i, w * g.outputs), g.target.dtype)
            tile.run(x, sw * g.channels, gy, g.outputs, w, g.at_once(vectors))
        tile.store("%O", [r * g.outputs for _, r in rows], add=True)
        f.do("ret void")
    return name
