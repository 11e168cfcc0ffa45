"""The module of a plan: one function a kernel, and for each thread one that calls them step after step."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.compiler import machine
from gyaku.compiler.balance import FINISHED, possible_rows, write_edge, write_meeting
from gyaku.compiler.convolve import write_convolution
from gyaku.compiler.denormals import flushed, kept
from gyaku.compiler.fuse import CORRELATIONS, Kernel
from gyaku.compiler.gemm import Product, lanes_of, write_pack, write_product
from gyaku.compiler.ir import Function
from gyaku.compiler.loops import Writer
from gyaku.compiler.philox import write_mask
from gyaku.compiler.plan import BARRIER, Plan, Task
from gyaku.compiler.program import Program
from gyaku.compiler.scatter import write_scatter
from gyaku.compiler.turn_mask import write_turn_mask
from gyaku.compiler.views import Storage, View


class Emitter:
    """Writes the module; ``table`` lists what each pointer of the run-time table is."""

    def __init__(self, plan: Plan, timed: bool = False) -> None:
        self.plan, self.timed = plan, timed
        self.functions: dict[str, Function] = {}
        self._products: dict[tuple[Product, tuple[int, int] | None], None] = {}  # in the order they are first met
        self.table: list[
            tuple[str, int]
        ] = []  # ("input", i), ("source", i), ("rows", i), ("result", k), ("constant", s), ...
        self.constants: list[Storage] = []
        self.callbacks: list[tuple[Kernel, list[View]]] = []  # equations that NumPy evaluates

        calls = [(task, self._kernel(i, task)) for i, task in enumerate(self.plan.order) if task is not BARRIER]
        self._drivers = [self._driver(t, dict(calls)) for t in range(self.plan.threads)]

    def outline(self) -> str:
        """Return what the module's assembly is made from: the assembly, but of products only what they are to be."""
        return self._joined([]) + "\n".join(map(repr, self._products))

    def text(self) -> str:
        """Return the module's assembly. Products are most of it, so it is written only where it is to be compiled."""
        written: dict[str, Function] = {}
        for p, among in self._products:
            lanes, registers = lanes_of(p.dtype, machine.vector_bytes()), machine.vector_registers()
            made = write_product(p, lanes, registers, among)
            written.update((f.name, f) for f in made if f.name not in written)
        return self._joined(list(written.values()))

    def _joined(self, products: list[Function]) -> str:
        functions = [*products, *self.functions.values(), *self._drivers]
        meeting = write_meeting(self.plan.threads) if self.plan.threads > 1 else ""
        needs = sorted(set().union(*(f.needs for f in functions)))
        return "\n".join([*needs, meeting, *map(str, functions), machine.attributes()])

    # -- kernels -----------------------------------------------------------------------------------------------------
    def _kernel(self, number: int, task: Task) -> Any:
        """Return a function(driver, thread, low, high) that writes the call of a kernel."""
        kernel = task.kernel
        name = f"k{number}_{kernel.kind}"
        if kernel.kind in ("map", "reduce"):
            writer = Writer(self.plan.fusion, kernel, name, machine.vector_bytes())
            f = self._shared(writer.write())
            return self._plain_call(f.name, writer.storages)
        if kernel.kind == "product":
            return self._product_call(kernel)
        if kernel.kind == "pack":
            return self._pack_call(kernel, name)
        if kernel.kind == "rows":
            return self._rows_call(kernel, name)
        if kernel.kind == "python":
            return self._python_call(kernel)
        if kernel.kind in CORRELATIONS:
            storages = write_convolution(self.plan.fusion, kernel, name, self.functions)
            return self._plain_call(name, storages)
        writer_of = {"mask": write_mask, "turn_mask": write_turn_mask, "scatter": write_scatter}[kernel.kind]
        f, storages = writer_of(self.plan.fusion, kernel, name)
        self.functions[name] = f
        return self._plain_call(name, storages)

    def _shared(self, f: Function) -> Function:
        """Enter a function, or return an equal one that is there already."""
        body = "\n".join([f.arguments, *f.slots, *f.lines])
        for other in self.functions.values():
            if getattr(other, "body", None) == body:
                return other
        f.body = body  # type: ignore[attr-defined]
        self.functions[f.name] = f
        return f

    def _plain_call(self, name: str, storages: list[Storage]) -> Any:
        def call(d: Function, pointers: Any, low: Any, high: Any) -> None:
            given = ", ".join(f"ptr {pointers(s)}" for s in storages)
            d.do(f"call void @{name}({given}{', ' if given else ''}i64 {low}, i64 {high})")

        return call

    def _product_call(self, kernel: Kernel) -> Any:
        extra = kernel.extra
        (e,) = kernel.equations
        a, b = extra["a"], extra["b"]
        dtype = e.output.dtype
        lanes = lanes_of(dtype, machine.vector_bytes())
        target = self.plan.fusion.views[e.output].storage
        if extra["packed"]:
            b_row, group = lanes, extra["k"] * lanes
        else:
            b_row, group = b.strides[0], lanes

        def call(d: Function, pointers: Any, low: Any, high: Any) -> None:
            known = isinstance(low, int) and isinstance(high, int)
            m = extra["m"] if kernel.rows <= 0 else high - low if known else extra["m"] // self.plan.threads
            shape, lies = (m, extra["n"], extra["k"]), (a.strides[0], a.strides[1], b_row, group, extra["n"])
            p = Product(*shape, *lies, dtype.name, extra["packed"])
            turned = p.turned(lanes) if known else p
            among = None if known else possible_rows(extra["m"], self.plan.threads)
            self._products[turned, among] = None
            name = turned.name(among)
            start = low if kernel.rows > 0 else 0
            left = d.address(pointers(a.storage), d.add(d.mul(start, a.strides[0]), a.offset), dtype)
            right = d.address(pointers(b.storage), b.offset, dtype)
            out = d.address(pointers(target), d.mul(start, extra["n"]), dtype)
            count = "" if known else f", i64 {d.op(f'sub i64 {high}, {low}')}"
            left, right = (right, left) if turned is not p else (left, right)
            d.do(f"call void @{name}(ptr {left}, ptr {right}, ptr {out}{count})")

        return call

    def _pack_call(self, kernel: Kernel, name: str) -> Any:
        source, target = kernel.extra["source"], kernel.extra["target"]
        lanes = lanes_of(target.dtype, machine.vector_bytes())
        k, n = source.shape
        name = f"pack_{n}_{k}_{source.strides[0]}_{source.strides[1]}_{target.dtype.name}"
        if name not in self.functions:
            self.functions[name] = write_pack(name, n, k, (source.strides[0], source.strides[1]), target.dtype, lanes)

        def call(d: Function, pointers: Any, low: Any, high: Any) -> None:
            base = d.address(pointers(source.storage), source.offset, target.dtype)
            d.do(f"call void @{name}(ptr {base}, ptr {pointers(target)}, i64 {low}, i64 {high})")

        return call

    def _rows_call(self, kernel: Kernel, name: str) -> Any:
        i, target = kernel.extra["input"], kernel.extra["target"]
        nbytes = target.nbytes // kernel.shape[0]
        f = Function(name, "ptr noalias %source, ptr noalias %rows, ptr noalias %out, i64 %lo, i64 %hi")
        f.needs.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        with f.loop("%lo", "%hi") as r:
            row = f.load_one("%rows", r, np.int64)
            a = f.op(f"getelementptr i8, ptr %source, i64 {f.mul(row, nbytes)}")
            b = f.op(f"getelementptr i8, ptr %out, i64 {f.mul(r, nbytes)}")
            f.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {b}, ptr {a}, i64 {nbytes}, i1 false)")
        f.do("ret void")
        self.functions[name] = f

        def call(d: Function, pointers: Any, low: Any, high: Any) -> None:
            given = f"ptr {pointers(('source', i))}, ptr {pointers(('rows', i))}, ptr {pointers(target)}"
            d.do(f"call void @{name}({given}, i64 {low}, i64 {high})")

        return call

    def _python_call(self, kernel: Kernel) -> Any:
        """Return how NumPy is called: with the addresses of what it reads and writes."""
        views = [self.plan.fusion.view(v) for v in kernel.equations[0].vars]
        storages = [*(v.storage for v in views), *(self.plan.fusion.views[v].storage for v in kernel.stores)]
        number = len(self.callbacks)
        self.callbacks.append((kernel, views))

        def call(d: Function, pointers: Any, low: Any, high: Any) -> None:
            places = d.slot(f"[{len(storages)} x ptr]")
            for i, storage in enumerate(storages):
                d.do(f"store ptr {pointers(storage)}, ptr {d.address(places, i, np.int64)}")
            function = self._base(d, self._entry("callback", number))
            with kept(d):
                d.do(f"call void {function}(ptr {places})")

        return call

    # -- the steps -----------------------------------------------------------------------------------------------------
    def _driver(self, thread: int, calls: dict[Any, Any]) -> Function:
        f = Function(f"run_{thread}", "ptr %table, i64 %steps, ptr %sync", linkage="")
        with flushed(f), f.loop(0, "%steps") as step:
            self._step(f, step, thread, calls)
        if thread == 0 and self.plan.threads > 1:
            f.do(f"store i64 1, ptr {f.address('%sync', FINISHED, np.int64)}")
        f.do("ret void")
        return f

    def _step(self, f: Function, step: str, thread: int, calls: dict[Any, Any]) -> None:
        """Write what a thread does in one step."""
        known: dict[Any, str] = {}
        edges: dict[tuple[int, int], Any] = {}

        def pointers(what: Any) -> str:
            key = what.root if isinstance(what, Storage) else what
            if key not in known:
                known[key] = self._pointer(f, key, step, thread)
            return known[key]

        for number, task in enumerate(self.plan.order):
            clock = self._tick(f)
            if task is BARRIER:
                f.do(f"call void @barrier(ptr %sync, i64 {thread}, i1 false)")
                self._tock(f, clock, number, thread)
                continue
            rows = task.kernel.rows
            if self.plan.balanced and possible_rows(rows, self.plan.threads)[0] > 0:
                for edge in (thread, thread + 1):
                    if (rows, edge) not in edges:
                        edges[rows, edge] = write_edge(f, rows, edge, self.plan.threads)
                calls[task](f, pointers, edges[rows, thread], edges[rows, thread + 1])
                self._tock(f, clock, number, thread)
                continue
            low, high = self.plan.bounds(rows, thread)
            if task.kernel.kind in ("map", "reduce", "mask", "turn_mask", "scatter", "rows", "pack") and rows <= 0:
                high = min(high, 1) * self._all_rows(task.kernel)
            if high > low:
                calls[task](f, pointers, low, high)
                self._tock(f, clock, number, thread)
        if self.plan.threads > 1:
            f.do(f"call void @barrier(ptr %sync, i64 {thread}, i1 true)")

    def _tick(self, f: Function) -> str:
        """Write the reading of the processor's clock, where kernels are timed."""
        if not self.timed:
            return ""
        f.needs.add("declare i64 @llvm.readcyclecounter()")
        return f.op("call i64 @llvm.readcyclecounter()")

    def _tock(self, f: Function, clock: str, number: int, thread: int) -> None:
        """Write the adding up of the cycles since ``clock``."""
        if self.timed:
            spent = f.op(f"sub i64 {self._tick(f)}, {clock}")
            base = self._base(f, self._entry("cycles", 0))
            cell = f.address(base, thread * len(self.plan.order) + number, np.int64)
            before = f.op(f"load i64, ptr {cell}")
            f.do(f"store i64 {f.op(f'add i64 {before}, {spent}')}, ptr {cell}")

    def _all_rows(self, kernel: Kernel) -> int:
        """Return what a kernel that is not shared out walks as its first loop."""
        if kernel.kind == "rows":
            return kernel.shape[0]
        if kernel.kind == "pack":
            return int(kernel.extra["target"].split[0])
        kept = [s for i, s in enumerate(kernel.shape) if s != 1 and i not in kernel.axes]
        return kept[0] if kept else 1

    def _entry(self, kind: str, index: int) -> int:
        if (kind, index) not in self.table:
            self.table.append((kind, index))
        return self.table.index((kind, index))

    def _pointer(self, f: Function, key: Any, step: str, thread: int) -> str:
        """Write how a thread finds a storage: a base from the table, moved on with each step."""
        if isinstance(key, tuple):
            return self._stepped(f, self._entry(*key), step)
        if key.kind in ("input", "result"):
            return self._stepped(f, self._entry(key.kind, key.index), step)
        if key.kind == "constant":
            if key not in self.constants:
                self.constants.append(key)
            return self._base(f, self._entry("constant", self.constants.index(key)))
        if key.kind == "private":
            base = self._base(f, self._entry("private", 0))
            offset = thread * (self.plan.private_bytes or 64) + self.plan.offsets[key]
        else:
            base = self._base(f, self._entry("work", 0))
            offset = self.plan.offsets[key]
        return f.op(f"getelementptr i8, ptr {base}, i64 {offset}")

    def _base(self, f: Function, entry: int) -> str:
        return f.op(f"load ptr, ptr {f.address('%table', 2 * entry, np.int64)}")

    def _stepped(self, f: Function, entry: int, step: str) -> str:
        base = self._base(f, entry)
        stride = f.load_one("%table", 2 * entry + 1, np.int64)
        return f.op(f"getelementptr i8, ptr {base}, i64 {f.op(f'mul i64 {stride}, {step}')}")


def emitter_of(program: Program, threads: int, gathered: tuple[int, ...], timed: bool = False) -> Emitter:
    """Return what writes the module of a program; ``timed`` adds up the cycles of every kernel."""
    return Emitter(Plan(program, threads, gathered, lambda dtype: lanes_of(dtype, machine.vector_bytes())), timed)
