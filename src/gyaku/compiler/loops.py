"""Loops as machine code: elementwise kernels and reductions over one shape, vectors along the last dimension."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.compiler import scalar
from gyaku.compiler.fuse import Fusion, Kernel
from gyaku.compiler.ir import Function, Value, literal, register_type
from gyaku.compiler.program import Equation, Var
from gyaku.compiler.views import Storage, View


class Axis:
    """One loop: its extent, and the dimensions of the kernel's shape it stands for."""

    def __init__(self, extent: int, dims: tuple[int, ...], reduced: bool) -> None:
        self.extent, self.dims, self.reduced = extent, dims, reduced


class Writer:
    """Writes one map or reduce kernel as a function ``name(storages..., lo, hi)``."""

    def __init__(self, fusion: Fusion, kernel: Kernel, name: str, vector_bytes: int) -> None:
        self.fusion, self.kernel = fusion, kernel
        self.storages: list[Storage] = []
        self.reads = {v: self._view(v) for v in kernel.read if v not in fusion.literals}
        self.writes = {v: fusion.views[v] for v in kernel.stores}
        for view in [*self.reads.values(), *self.writes.values(), *self._copy_views()]:
            if view.storage.root not in self.storages:
                self.storages.append(view.storage.root)
        self.taken_in = scalar.taken_in(kernel.equations, self.writes.keys() | fusion.again)
        self.factors: dict[Var, tuple[Value, Value]] = {}  # of the products that are taken in
        arguments = ", ".join([f"ptr noalias %p{i}" for i in range(len(self.storages))] + ["i64 %lo", "i64 %hi"])
        self.axes = self._axes()
        widest = vector_bytes // self._widest()
        self.flat = kernel.kind == "map" and len(self.axes) == 2 and not self._irregular() and self._is_flat(widest)
        if kernel.kind == "reduce" and self._reduces_short_rows(widest):
            self.axes.reverse()  # vectors of rows, not of the few numbers in one
        self.f = Function(name, arguments, self._lanes(widest))

    def _view(self, v: Var) -> View:
        return self.fusion.view(v)

    def _copy_views(self) -> list[View]:
        if "copy" not in self.kernel.extra:
            return []
        return [self._source(), self.kernel.extra["copy"][1]]

    def _source(self) -> View:
        """Return what a copying kernel copies."""
        return self.kernel.extra.get("source") or self.fusion.view(self.kernel.extra["copy"][0])

    def _widest(self) -> int:
        """Return the size of the largest numbers that the kernel computes."""
        numbers = (v for e in self.kernel.equations for v in (*e.vars, *e.outputs) if v.dtype.kind == "f")
        return max((v.dtype.itemsize for v in numbers), default=4)

    def _lanes(self, lanes: int) -> int:
        if self.kernel.shape == () or any(e.op.startswith("arg") for e in self.kernel.equations):
            return 1
        inner = math.prod(self.kernel.shape) if self.flat else self.axes[-1].extent if self.axes else 1
        while lanes > 2 and lanes // 2 >= inner:
            lanes //= 2  # short rows take shorter vectors
        return lanes

    # -- the loops ---------------------------------------------------------------------------------------------------
    def _axes(self) -> list[Axis]:
        """Return the loops from the outside in: neighbouring dimensions become one where every view allows it."""
        k = self.kernel
        axes = [Axis(s, (i,), i in k.axes) for i, s in enumerate(k.shape) if s != 1]
        if any(e.op in ("gather", "take_along_axis", "argmax", "argmin") for e in k.equations):
            return axes
        strides = [self._strides(view) for view in self._all_views()]
        if k.kind == "reduce":
            strides += [self.kept_strides(e) for e in k.equations if e.output in self.writes]
        first = next((i for i, a in enumerate(axes) if not a.reduced), -1)  # the one that threads share stays apart
        at = len(axes) - 1
        while at > 0:
            a, b = axes[at - 1], axes[at]
            mergeable = a.reduced == b.reduced and at - 1 != first
            if mergeable and all(st[a.dims[-1]] == st[b.dims[-1]] * b.extent for st in strides):
                axes[at - 1 : at + 1] = [Axis(a.extent * b.extent, a.dims + b.dims, a.reduced)]
            at -= 1
        return axes

    def kept_strides(self, e: Equation) -> list[int]:
        """Return the strides of a reduction's output by the dimensions of the kernel's shape (0 where reduced)."""
        view, shape = self.writes[e.output], self.kernel.shape
        own = list(view.strides)
        if view.ndim == len(shape):
            return [0 if i in self.kernel.axes else own[i] for i in range(len(shape))]
        given = iter(own)
        return [0 if i in self.kernel.axes else next(given) for i in range(len(shape))]

    def _all_views(self) -> list[View]:
        views = [view.broadcast(self.kernel.shape) for view in self.reads.values() if self._fits(view)]
        if self.kernel.kind == "map":
            views += [v for v in self.writes.values() if v.shape == self.kernel.shape]
        views += [v.broadcast(self.kernel.shape) for v in self._copy_views()]
        return views

    def _fits(self, view: View) -> bool:
        try:
            return np.broadcast_shapes(view.shape, self.kernel.shape) == self.kernel.shape
        except ValueError:
            return False

    def _strides(self, view: View) -> list[int]:
        return [0 if s == 1 else st for s, st in zip(view.shape, view.strides, strict=True)]

    def pointer(self, storage: Storage) -> str:
        """Return the argument that points at a storage."""
        return f"%p{self.storages.index(storage.root)}"

    def write(self) -> Function:
        """Write the function and return it."""
        if self.kernel.kind == "reduce":
            from gyaku.compiler.reductions import write_reduction

            write_reduction(self)
        elif not self.axes:
            self.body({}, None)
        else:
            self._map_loops()
        self.f.do("ret void")
        return self.f

    def _map_loops(self) -> None:
        if self.flat:
            n = self.axes[1].extent
            self.vectors(self.f.mul("%lo", n), self.f.mul("%hi", n), lambda i, mask: self.body({}, mask, flat=i))
        else:
            self._nest(0, {})

    def _irregular(self) -> bool:
        return any(e.op in ("gather", "take_along_axis") for e in self.kernel.equations)

    def _is_flat(self, lanes: int) -> bool:
        """Whether every view runs through memory without gaps (or stands still).

        Where rows are short, it is enough that what is written does: what is read is looked up number by number.
        """
        every = self._all_views()
        short = self.axes[1].extent <= lanes // 2 and all(v.storage.size < 2**31 for v in every)
        views = [*self.writes.values(), *self._copy_views()] if short else every
        return all(self._steps(view) in ((0, 0), (self.axes[1].extent, 1)) for view in views)

    def _steps(self, view: View) -> tuple[int, int]:
        """Return the strides of a view along the two loops."""
        strides = self._strides(view.broadcast(self.kernel.shape))
        return strides[self.axes[0].dims[-1]], strides[self.axes[1].dims[-1]]

    def _reduces_short_rows(self, lanes: int) -> bool:
        """Whether each row of a matrix becomes a number, the rows being shorter than half a vector."""
        if [a.reduced for a in self.axes] != [False, True] or self.axes[1].extent > lanes // 2 or self._irregular():
            return False
        sums = [e for e in self.kernel.equations if e.output in self.writes]
        if any(e.op.startswith("arg") for e in self.kernel.equations):
            return False
        return all(self.kept_strides(e)[self.axes[0].dims[-1]] == 1 for e in sums)

    def _nest(self, depth: int, at: dict[int, Any]) -> None:
        axis = self.axes[depth]
        low, high = ("%lo", "%hi") if depth == 0 else (0, axis.extent)
        if depth == len(self.axes) - 1:
            self.vectors(low, high, lambda i, mask: self.body(at | {axis.dims[-1]: i}, mask))
            return
        with self.f.loop(low, high) as i:
            self._nest(depth + 1, at | {axis.dims[-1]: i})

    def vectors(self, low: Any, high: Any, block: Callable[[Any, str | None], Any]) -> None:
        """Write the innermost loop: ``block(index, mask)`` for whole vectors, and once more for the masked rest."""
        f, lanes = self.f, self.f.lanes
        if lanes == 1:
            with f.loop(low, high) as i:
                block(i, None)
            return
        if isinstance(low, int) and isinstance(high, int):
            short = (high - low) % lanes
            if high - short > low:
                with f.loop(low, high - short, lanes) as i:
                    block(i, None)
            if short:
                block(high - short, f.first(short))
            return
        count = f.op(f"sub i64 {high}, {low}")
        rest = f.op(f"and i64 {count}, {lanes - 1}")
        edge = f.op(f"sub i64 {high}, {rest}")
        with f.loop(low, edge, lanes) as i:
            block(i, None)
        with f.when(f.op(f"icmp sgt i64 {rest}, 0")):
            block(edge, f.first(rest))

    # -- one element (one vector of elements) --------------------------------------------------------------------------
    def index(self, view: View, at: dict[int, Any], flat: Any = None) -> tuple[Any, int]:
        """Return (index of the first element, stride along the vectors) of a view of the kernel's shape."""
        inner = self.axes[-1].dims[-1] if self.axes else -1
        strides = self._strides(view)
        if flat is not None:
            return (self.f.add(flat, view.offset), 1) if any(strides) else (view.offset, 0)
        total: Any = view.offset
        for axis in self.axes:
            d = axis.dims[-1]
            if d in at:
                total = self.f.add(total, self.f.mul(at[d], strides[d]))
        return total, strides[inner] if inner >= 0 else 0

    def load(self, view: View, at: dict[int, Any], mask: str | None, flat: Any = None) -> Value:
        """Write the load of one vector of a view."""
        f, dtype = self.f, view.storage.dtype
        base = self.pointer(view.storage)
        if flat is not None and self._steps(view) not in ((0, 0), (self.axes[1].extent, 1)):
            return f.gather(base, self._looked_up_flat(view, flat), dtype, mask)
        index, stride = self.index(view.broadcast(self.kernel.shape), at, flat)
        if stride == 1 and f.lanes > 1:
            return f.load(base, index, dtype, mask)
        if stride == 0 or f.lanes == 1:
            return f.splat(f.load_one(base, index, dtype), dtype)
        return f.gather(base, self._spread(index, stride), dtype, mask)

    def _looked_up_flat(self, view: View, flat: Any) -> str:
        """Return the indices of a view for the vector of numbers from ``flat`` on, counted through all rows."""
        f, extent, (by_row, by_column) = self.f, self.axes[1].extent, self._steps(view)
        kind = f"<{f.lanes} x i32>" if f.lanes > 1 else "i32"
        flat = f.op(f"trunc i64 {flat} to i32") if isinstance(flat, str) else str(flat)
        number = f.op(f"add {kind} {f.splat(flat, np.int32).name}, {f.steps(np.int32)}")
        row = f.op(f"udiv {kind} {number}, {literal(extent, np.int32, f.lanes)}")
        place = literal(view.offset, np.int32, f.lanes)
        if by_column:
            before = f.op(f"mul {kind} {row}, {literal(extent, np.int32, f.lanes)}")
            column = f.op(f"sub {kind} {number}, {before}")
            place = f.op(f"add {kind} {place}, {f.op(f'mul {kind} {column}, {literal(by_column, np.int32, f.lanes)}')}")
        if by_row:
            place = f.op(f"add {kind} {place}, {f.op(f'mul {kind} {row}, {literal(by_row, np.int32, f.lanes)}')}")
        return f.op(f"sext {kind} {place} to {f.type(np.int64)}")

    def _spread(self, index: Any, stride: int) -> str:
        """Return the vector of indices index, index + stride, ..."""
        f = self.f
        steps = "<" + ", ".join(f"i64 {i * stride}" for i in range(f.lanes)) + ">"
        return f.op(f"add <{f.lanes} x i64> {f.splat(str(index), np.int64).name}, {steps}")

    def body(self, at: dict[int, Any], mask: str | None, flat: Any = None) -> dict[Var, Value]:
        """Write the equations for one vector; stores what leaves the kernel."""
        if "copy" in self.kernel.extra:
            target = self.kernel.extra["copy"][1]
            self._store(self.load(self._source(), at, mask, flat), target, at, mask, flat)
        values = self.compute(self.kernel.equations, at, mask, flat)
        for v, view in self.writes.items():
            self._store(values[v], view, at, mask, flat)
        return values

    def compute(
        self, equations: list[Equation], at: dict[int, Any], mask: str | None, flat: Any = None
    ) -> dict[Var, Value]:
        """Write elementwise equations for one vector and return their values."""
        values: dict[Var, Value] = {}
        self.factors = {}

        def operand(v: Any) -> Any:
            if type(v) is not Var:
                return v
            if v not in values:
                if v in self.fusion.literals:
                    return self.f.constant(self.fusion.literals[v], v.dtype)
                values[v] = self.load(self.reads[v], at, mask, flat)
            return values[v]

        for e in equations:
            if e.op == "gather":
                values[e.output] = self._gather(e, values, at, mask)
            elif e.op == "take_along_axis":
                values[e.output] = self._take(e, values, at, mask)
            elif e.output in self.taken_in:
                self.factors[e.output] = scalar.factors(self.f, e, [operand(v) for v in e.inputs])
            elif (product := next((v for v in e.vars if v in self.factors), None)) is not None:
                first = e.inputs[0] is product
                other = operand(e.inputs[1 if first else 0])
                values[e.output] = scalar.sum_of(self.f, self.factors[product], other, e, first)
            else:
                values[e.output] = scalar.write(self.f, e, [operand(v) for v in e.inputs])
        return values

    def _store(self, value: Value, view: View, at: dict[int, Any], mask: str | None, flat: Any) -> None:
        index, stride = self.index(view, at, flat)
        f, base = self.f, self.pointer(view.storage)
        value = f.cast(value, view.storage.dtype)
        if stride == 1 or f.lanes == 1:
            f.store(value, base, index, mask)
            return
        kind, one = f.type(value.dtype), register_type(value.dtype)
        for lane in range(f.lanes):  # into every second element and the like: concatenation along the last dimension
            bit = None if mask is None else f.op(f"extractelement <{f.lanes} x i1> {mask}, i64 {lane}")
            x = f.op(f"extractelement {kind} {value.name}, i64 {lane}")
            self._store_one(x, one, value.dtype, base, f.add(index, lane * stride), bit)

    def _store_one(self, x: str, one: str, dtype: Any, base: str, index: Any, bit: str | None) -> None:
        f = self.f

        def put() -> None:
            y = f.op(f"zext i1 {x} to i8") if dtype.kind == "b" else x
            f.do(f"store {'i8' if dtype.kind == 'b' else one} {y}, ptr {f.address(base, index, dtype)}")

        if bit is None:
            put()
        else:
            with f.when(bit):
                put()

    # -- looked-up elements ------------------------------------------------------------------------------------------
    def _lane_index(self, d: int, at: dict[int, Any]) -> str:
        """Return the index along dimension ``d`` in every lane."""
        inner = self.axes[-1].dims[-1] if self.axes else -1
        base = self.f.splat(str(at.get(d, 0)), np.int64)
        if d != inner or self.f.lanes == 1:
            return base.name
        return self.f.op(f"add <{self.f.lanes} x i64> {base.name}, {self.f.steps()}")

    def _looked_up(
        self,
        v: Var,
        shape: tuple[int, ...],
        extent: int,
        values: dict[Var, Value],
        at: dict[int, Any],
        mask: str | None,
    ) -> Value:
        """Return whole-number indices from ``v``, negative ones counted from the end, kept within the array."""
        f = self.f
        if v in values and v not in self.reads:  # made in this very loop
            found = values[v]
        else:
            view, rest = self.fusion.view(v).broadcast(shape), self.kernel.shape[len(shape) :]
            found = self.load(
                View(view.storage, (*shape, *rest), (*view.strides, *[0] * len(rest)), view.offset), at, mask
            )
        i = f.cast(found, np.int64)
        zero, n = f.constant(0, np.int64), f.constant(extent, np.int64)
        i = f.select(f.compare("slt", i, zero), f.binary("add", i, n), i)
        i = f.select(f.compare("slt", i, zero), zero, i)
        top = f.constant(max(extent - 1, 0), np.int64)
        return f.select(f.compare("sgt", i, top), top, i)

    def _gather(self, e: Equation, values: dict[Var, Value], at: dict[int, Any], mask: str | None) -> Value:
        x, *indices = e.vars
        view = self.fusion.view(x)
        lead = len(indices)
        shape = e.output.shape[: e.output.ndim - (view.ndim - lead)]
        total = self.f.constant(view.offset, np.int64)
        for j, v in enumerate(indices):
            i = self._looked_up(v, shape, view.shape[j], values, at, mask)
            total = self.f.binary("add", total, self.f.binary("mul", i, self.f.constant(view.strides[j], np.int64)))
        for j in range(lead, view.ndim):
            d = len(shape) + j - lead
            i = Value(self._lane_index(d, at), np.int64)
            total = self.f.binary("add", total, self.f.binary("mul", i, self.f.constant(view.strides[j], np.int64)))
        return self._fetch(view, total, mask)

    def _take(self, e: Equation, values: dict[Var, Value], at: dict[int, Any], mask: str | None) -> Value:
        x, indices = e.vars
        view, axis = self.fusion.view(x), e.param("axis")
        total = self.f.constant(view.offset, np.int64)
        for d in range(view.ndim):
            if d == axis:
                i = self._looked_up(indices, self.kernel.shape, view.shape[d], values, at, mask)
            else:
                i = Value(self._lane_index(d, at), np.int64)
            stride = 0 if view.shape[d] == 1 else view.strides[d]
            total = self.f.binary("add", total, self.f.binary("mul", i, self.f.constant(stride, np.int64)))
        return self._fetch(view, total, mask)

    def _fetch(self, view: View, total: Value, mask: str | None) -> Value:
        if self.f.lanes == 1:
            return Value(
                self.f.load_one(self.pointer(view.storage), total.name, view.storage.dtype), view.storage.dtype
            )
        return self.f.gather(self.pointer(view.storage), total.name, view.storage.dtype, mask)
