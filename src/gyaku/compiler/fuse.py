"""Equations gathered into kernels: loops over one shape, reductions, products, and what stands alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from gyaku.compiler import joins
from gyaku.compiler.ir import supported
from gyaku.compiler.program import Equation, Program, Shape, Var
from gyaku.compiler.recompute import recompute
from gyaku.compiler.scalar import writable
from gyaku.compiler.views import Storage, View, whole

VIEWS = ("reshape", "transpose", "broadcast_to", "slice", "flip", "require_range")
CORRELATIONS = ("correlate", "correlate_weight")
_REDUCTIONS = ("sum", "prod", "amax", "amin", "any", "all", "argmax", "argmin")


class Unsupported(Exception):
    """An equation that machine code cannot express; the message names it."""


class Kernel:
    """One piece of machine code.

    ``kind`` is map, reduce, product, pack, rows, mask, turn_mask, scatter, correlate, correlate_weight or python.
    ``equations`` in order; ``shape`` the space that is walked; ``stores`` the values that leave it. ``rows`` is how
    many pieces threads may share (0: one thread does all; -1: each thread does all, for itself).
    """

    def __init__(self, kind: str, shape: Shape, equations: Iterable[Equation] = (), axes: tuple[int, ...] = ()) -> None:
        self.kind, self.shape, self.axes = kind, tuple(shape), axes
        self.equations: list[Equation] = list(equations)
        self.seen: set[Var] = set()  # what its equations read, while equations are being dealt out
        self.stores: list[Var] = []
        self.extra: dict[str, Any] = {}
        self.rows = 0

    def __repr__(self) -> str:
        return f"<{self.kind} {list(self.shape)}: {', '.join(e.op for e in self.equations)}>"

    @property
    def made(self) -> set[Var]:
        """The values its equations make."""
        return {v for e in self.equations for v in e.outputs}

    @property
    def read(self) -> list[Var]:
        """The values it takes from outside, each once, in order."""
        made = self.made
        return list(dict.fromkeys(v for e in self.equations for v in e.vars if v not in made))

    @property
    def sources(self) -> list[Var]:
        """What it reads: the values its equations take, or what it copies."""
        return [*self.read, *self.extra.get("reads", ())]


class Fusion:
    """The kernels of a program, and the view of every value that lies in memory."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.kernels: list[Kernel] = []
        self.home: dict[Var, int] = {}  # the kernel that makes a value
        self.views: dict[Var, View] = {}
        self.alias: dict[Var, Equation] = {}  # values that are views of others
        self.literals: dict[Var, Any] = {}
        self.storages: list[Storage] = []
        self.placed: dict[Var, None] = {}  # values that lie in a part of a larger one, in order
        self.again: set[Var] = set()  # values that several loops compute, all to the same bits
        self.scratch: Storage | None = None  # memory of each thread for a picture with its border
        for i, v in enumerate(program.inputs):
            if not supported(v.dtype):
                raise Unsupported(f"an input of {v.dtype}")
            self.views[v] = whole(Storage("input", i, v.dtype, v.size, name=program.names.get(v.id, "")), v.shape)
        for e in program.equations:
            self._place(e)
        self._merge()
        self._sink()
        recompute(self)
        self._settle()

    # -- which kernel an equation goes to ----------------------------------------------------------------------------
    def _place(self, e: Equation) -> None:
        if not all(supported(v.dtype) for v in e.outputs):
            raise Unsupported(f"{e.op} of {e.output.dtype}")
        if e.op in VIEWS:
            self._alias(e)
        elif e.op == "full" or (e.op == "concatenate" and e.output.size == 0):
            self.literals[e.output] = e.param("value", 0)
        elif e.op == "arange":
            array = np.arange(e.param("start"), e.param("stop"), e.param("step"), dtype=e.param("dtype"))
            self.views[e.output] = whole(self._new("constant", e.output, array), e.output.shape)
        elif e.op in ("concatenate", "interleave"):
            joins.join(self, e)
        elif e.op == "item" and e.vars and e.vars[0].ndim:
            flat = Var(-1, (), e.vars[0].dtype)
            self._alias(Equation("reshape", e.vars, (("shape", ()),), (flat,), e.where))
            self._map(Equation("item", (flat,), (), e.outputs, e.where))
        elif e.op == "take_along_axis" or (e.op == "gather" and _arrays_lead(e)):
            self._map(e)
        elif e.op in _REDUCTIONS:
            self._reduce(e)
        elif e.op == "matmul" and _plain_product(e):
            self._product(e)
        elif e.op in CORRELATIONS:
            self._convolution(e)
        elif e.op in ("mask", "turn_mask"):
            self._put(e, None, e.op, e.output.shape)
        elif e.op == "scatter_add" or (e.op == "index_add" and _arrays_lead(e)):
            self._put(e, None, "scatter", e.output.shape)
        elif writable(e):
            self._map(e)
        else:  # sorting, einsum, ...: NumPy does it, called from the machine code
            self._put(e, None, "python", ())

    def _new(self, kind: str, v: Var, array: Any = None) -> Storage:
        storage = Storage(kind, len(self.storages), v.dtype, v.size, array)
        self.storages.append(storage)
        return storage

    def _alias(self, e: Equation) -> None:
        (source,) = e.vars
        if source in self.literals:
            self.literals[e.output] = self.literals[source]
            return
        self.alias[e.output] = e
        self.home[e.output] = self.home.get(source, -1)

    def _after(self, e: Equation, shape: Shape | None) -> tuple[int, list[int]]:
        """Return the first kernel that may hold ``e``, and the kernels that make its inputs as it wants them."""
        lowest, makers = 0, []
        table = e.inputs[0] if e.op in ("gather", "take_along_axis") else None  # looked up, not read one by one
        for v in e.vars:
            k = self.home.get(v, -1)
            if k < 0:
                continue
            joined = shape is not None and v is not table and v not in self.alias and self._makes(k, v, shape)
            lowest = max(lowest, k if joined else k + 1)
            if joined:
                makers.append(k)
        return lowest, makers

    def _makes(self, k: int, v: Var, shape: Shape) -> bool:
        kernel = self.kernels[k]
        return kernel.kind == "map" and kernel.shape == shape and v.shape == shape and v in kernel.made

    def _map(self, e: Equation) -> None:
        shape = e.output.shape
        lowest, makers = self._after(e, shape)
        place = next((k for k in sorted(makers, reverse=True) if k >= lowest), None)
        if place is None:
            mine = {v for v in e.vars if v.size > 1 or shape == ()}
            place = next(
                (
                    k
                    for k in range(len(self.kernels) - 1, lowest - 1, -1)
                    if self.kernels[k].kind == "map"
                    and self.kernels[k].shape == shape
                    and (shape == () or mine & self.kernels[k].seen)
                ),
                None,
            )
        self._put(e, place, "map", shape)

    def _put(self, e: Equation, place: int | None, kind: str, shape: Shape, axes: tuple[int, ...] = ()) -> None:
        if place is None:
            place = len(self.kernels)
            self.kernels.append(Kernel(kind, shape, (), axes))
        self.kernels[place].equations.append(e)
        self.kernels[place].seen.update(e.vars)
        for v in e.outputs:
            self.home[v] = place

    def _reduce(self, e: Equation) -> None:
        (x,) = e.vars
        axes = reduced_axes(e)
        lowest, _ = self._after(e, None)
        single = e.op in ("argmax", "argmin")
        place = next(
            (
                k
                for k in range(lowest, len(self.kernels))
                if self.kernels[k].kind == "reduce"
                and not single
                and self.kernels[k].shape == x.shape
                and self.kernels[k].axes == axes
                and not any(q.op in ("argmax", "argmin") for q in self.kernels[k].equations)
            ),
            None,
        )
        self._put(e, place, "reduce", x.shape, axes)

    def _convolution(self, e: Equation) -> None:
        """A convolution; the threads' scratch memory grows to the largest picture."""
        if self.scratch is None:
            self.scratch = Storage("private", len(self.storages), np.uint8, 0)
            self.storages.append(self.scratch)
        x = e.vars[0]
        nbytes = math.prod(e.param("scheme").size) * x.shape[3] * x.dtype.itemsize
        self.scratch.size = max(self.scratch.size, nbytes)
        self._put(e, None, e.op, e.output.shape)

    def _product(self, e: Equation) -> None:
        """A product; a stack of matrices by one matrix is one product of all their rows."""
        a, b = e.vars
        if a.ndim > 2:
            flat = Var(-1, (math.prod(a.shape[:-1]), a.shape[-1]), a.dtype)
            self._alias(Equation("reshape", (a,), (("shape", flat.shape),), (flat,), e.where))
            e = Equation("matmul", (flat, b), e.params, e.outputs, e.where)
        if _one_column(e):
            self._dot(e)
        else:
            self._put(e, None, "product", e.output.shape)

    def _dot(self, e: Equation) -> None:
        """A product with one column: rows times that column, summed (measured: four times as fast as a tile)."""
        a, b = e.vars
        row = Var(-1, (1, b.shape[0]), b.dtype)
        each = Var(-1, a.shape, a.dtype)
        self._alias(Equation("transpose", (b,), (("axes", (1, 0)),), (row,), e.where))
        self._map(Equation("multiply", (a, row), (), (each,), e.where))
        self._reduce(Equation("sum", (each,), (("axis", 1), ("keepdims", True)), e.outputs, e.where))

    def _users(self) -> dict[Var, set[int]]:
        """Return which kernels read each value, itself or a view of it."""
        users: dict[Var, set[int]] = {}
        for k, kernel in enumerate(self.kernels):
            for v in kernel.sources:
                users.setdefault(self._root(v), set()).add(k)
        return users

    # -- a loop moves down into the loop that first uses what it makes -------------------------------------------------
    def _merge(self) -> None:
        users = self._users()
        for kernel in self.kernels:
            fixed = "copy" in kernel.extra or kernel.made & self.placed.keys()
            if kernel.kind == "map" and kernel.shape != () and not fixed:
                first = min((j for v in kernel.made for j in users.get(v, ())), default=None)
                if first is not None:
                    self._merge_into(first, kernel, users)

    def _merge_into(self, j: int, kernel: Kernel, users: dict[Var, set[int]]) -> None:
        """Move the equations of a loop into kernel ``j``, the first that uses them, if that is such a loop too."""
        other, made = self.kernels[j], kernel.made
        if other.kind != "map" or other.shape != kernel.shape or "copy" in other.extra:
            return
        tables = {e.inputs[0] for e in other.equations if e.op in ("gather", "take_along_axis")}
        if not all(v in made and v not in tables for v in other.read if self._root(v) in made):
            return
        for v in kernel.read:
            users[self._root(v)].add(j)
        for v in made:
            users.get(v, set()).discard(j)
            self.home[v] = j
        other.equations = [*kernel.equations, *other.equations]
        kernel.equations = []

    # -- producers that only feed one reduction move into it -----------------------------------------------------------
    def _sink(self) -> None:
        users = self._users()
        kept = {self._root(v) for v in self.program.outputs} | self.placed.keys()
        for k, kernel in enumerate(self.kernels):
            if kernel.kind == "reduce" and not any(e.op.startswith("arg") for e in kernel.equations):
                self._sink_into(k, kernel, users, kept)

    def _sink_into(self, k: int, kernel: Kernel, users: dict[Var, set[int]], kept: set[Var]) -> None:
        for v in list(kernel.read):
            j = self.home.get(v, -1)
            if v in self.alias or j < 0 or v in kept or users.get(v) != {k} or v.shape != kernel.shape:
                continue
            maker = self.kernels[j]
            if maker.kind != "map" or "copy" in maker.extra:
                continue
            chain = self._exclusive(maker, v, users, kept)
            if chain is None:
                continue
            maker.equations = [e for e in maker.equations if e not in chain]
            kernel.equations = [*chain, *kernel.equations]
            for e in chain:
                self.home[e.output] = k
                for r in e.vars:
                    users.setdefault(self._root(r), set()).add(k)

    def _exclusive(self, maker: Kernel, v: Var, users: dict[Var, set[int]], kept: set[Var]) -> list[Equation] | None:
        """Return the equations of ``maker`` that only serve ``v``, or None if one of them reads what stays inside."""
        by_output = {e.output: e for e in maker.equations}
        inside: dict[Var, int] = {}
        for e in maker.equations:
            for r in set(e.vars):
                inside[r] = inside.get(r, 0) + 1
        if inside.get(v):
            return None
        chain = [by_output[v]]
        for e in chain:
            for r in set(e.vars):
                if r in by_output:
                    if inside[r] == 1 and r not in users and r not in kept:
                        chain.append(by_output[r])
                    elif not (users.get(r) or r in kept):
                        return None  # it would have to be stored only for us
        return [e for e in maker.equations if e in chain]

    def _root(self, v: Var) -> Var:
        while v in self.alias:
            v = self.alias[v].vars[0]
        return v

    # -- what lies in memory -----------------------------------------------------------------------------------------
    def _settle(self) -> None:
        self.kernels = [k for k in self.kernels if k.equations or "copy" in k.extra]
        made = {v: k for k in self.kernels for v in k.made}
        needed: dict[Var, None] = {}
        for kernel in self.kernels:
            for v in kernel.sources:
                needed[self._root(v)] = None
        for v in self.program.outputs:
            needed[self._root(v)] = None
        self.maker = {v: made[v] for v in self.placed}
        for v, kernel in self.maker.items():
            kernel.stores.append(v)
        for v in needed:
            if v in made and v not in self.views:
                private = made[v].kind == "map" and v.shape == ()
                self.views[v] = whole(self._new("private" if private else "work", v), v.shape)
                made[v].stores.append(v)
            elif v in self.literals:
                array = np.full(v.shape, self.literals[v], dtype=v.dtype)
                self.views[v] = whole(self._new("constant", v, array), v.shape)
        for v in list(self.alias):
            if self._root(v) in self.views:  # else nobody reads it
                self.view(v)
        for kernel in self.kernels:
            self._set_rows(kernel)

    def view(self, v: Var) -> View:
        """Return where a value lies (a view of a view resolved)."""
        if v in self.views:
            return self.views[v]
        e = self.alias.get(v)
        if e is None:
            raise Unsupported(f"{v!r}, which lies nowhere")
        source = self.view(e.vars[0])
        if e.op == "reshape":
            found = source.reshape(e.output.shape)
        elif e.op == "transpose":
            found = source.transpose(e.param("axes"))
        elif e.op == "broadcast_to":
            found = source.broadcast(e.output.shape)
        elif e.op == "slice":
            found = source.slice(e.param("key"))
        elif e.op == "flip":
            found = source.flip(e.param("axis"))
        else:
            found = source
        if found is None:
            found = self._copied(v, e, source)
        self.views[v] = found
        return found

    def _copied(self, v: Var, e: Equation, source: View) -> View:
        """A reshape that needs a copy: a kernel that writes the elements in order."""
        storage = self._new("work", v)
        kernel = Kernel("map", e.vars[0].shape)
        kernel.extra["copy"] = (e.vars[0], whole(storage, e.vars[0].shape), storage)
        kernel.extra["reads"] = [e.vars[0]]
        root = self._root(e.vars[0])
        at = next((i + 1 for i, k in enumerate(self.kernels) if root in k.made), 0)
        self.kernels.insert(at, kernel)
        return whole(storage, v.shape)

    def _set_rows(self, kernel: Kernel) -> None:
        split = split_of(kernel)
        kernel.rows = split[0]
        for v in kernel.stores:
            own = split if v not in self.placed else (split[0], self.views[v].strides[0])
            self.views[v].storage.split = own if split[0] > 0 else None
        if "copy" in kernel.extra:
            _, target, storage = kernel.extra["copy"]
            alone = target.contiguous and target.shape == kernel.shape and storage.size == math.prod(kernel.shape)
            if not alone and joins.covers(target, kernel.rows):
                split, alone = (kernel.rows, target.strides[0]), True
            storage.split = split if alone and split[0] > 0 else None
            if storage.split is None:
                kernel.rows = 0


def _plain_product(e: Equation) -> bool:
    """Whether a product is one of two matrices (or vectors) of one floating type, or of a stack by a matrix."""
    a, b = e.vars
    return e.output.dtype.kind == "f" and a.dtype == b.dtype and b.ndim <= 2 and a.size > 0 and b.size > 0


def _arrays_lead(e: Equation) -> bool:
    """Whether a key is made of index arrays and whole dimensions after them, or of numbers and slices alone."""
    pattern, lead = e.param("pattern"), len(e.vars) - 1
    if e.op == "index_add" and not lead:
        return True
    arrays, rest = pattern[:lead], pattern[lead:]
    return all(p == "array" for p in arrays) and all(p in (slice(None), Ellipsis) for p in rest)


def _one_column(e: Equation) -> bool:
    """Whether a product of two matrices has a single column, long enough to be a sum of vectors."""
    a, b = e.vars
    return a.ndim == b.ndim == e.output.ndim == 2 and b.shape[1] == 1 and a.shape[0] > 1 and b.shape[0] >= 16


def reduced_axes(e: Equation) -> tuple[int, ...]:
    """Return the axes a reduction runs over, sorted."""
    axis, ndim = e.param("axis"), e.vars[0].ndim
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,))))


def split_of(kernel: Kernel) -> tuple[int, int]:
    """Return (rows, elements a row of what it writes).

    Rows are -1 where every thread does it for itself, 0 where one does it for all.
    """
    if kernel.kind == "map":
        if kernel.shape == ():
            return -1, 1
        sizes = [s for s in kernel.shape if s != 1]
    elif kernel.kind == "reduce":
        sizes = [s for i, s in enumerate(kernel.shape) if i not in kernel.axes and s != 1]
    elif kernel.kind == "product":
        sizes = list(kernel.shape[-2:]) if len(kernel.shape) == 2 else []
        if sizes and sizes[0] == 1:
            sizes = []
    elif kernel.kind in ("mask", "turn_mask"):
        sizes = [s for s in kernel.shape if s != 1]
    elif kernel.kind in CORRELATIONS:
        sizes = list(kernel.shape) if kernel.shape[0] > 1 else []
    else:
        sizes = []
    if not sizes:
        return 0, 1
    return sizes[0], math.prod(sizes[1:])
