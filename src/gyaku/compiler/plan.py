"""The order of the kernels, who waits for whom, and where everything lies in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gyaku.compiler.fuse import CORRELATIONS, Fusion, Kernel, Unsupported
from gyaku.compiler.gemm import packed_size
from gyaku.compiler.program import Program, Var
from gyaku.compiler.views import Storage, View, whole

ALIGN = 64
BARRIER = None  # an entry of the order


@dataclass(eq=False)
class Task:
    """A kernel with what it reads (view, own rows only) and writes, and the tasks ``before`` it.

    ``before[task]`` says whether other threads' part of that task counts too.
    """

    kernel: Kernel
    reads: list[tuple[View, bool]] = field(default_factory=list)
    writes: list[Storage] = field(default_factory=list)
    before: dict[Task, bool] = field(default_factory=dict)

    def after(self, other: Task, crossing: bool) -> None:
        """Note that this one waits for ``other``."""
        if other is not self:
            self.before[other] = self.before.get(other, False) or crossing


_WAY = 4096  # bytes: lines so far apart, or a multiple of it, share one set of a first-level cache
_FEW, _ROWS = 24, 32  # rows that such a set holds with room to spare; rows of a product that pay for packing


def _collides(b: View, m: int) -> bool:
    """Whether rows of B, read one below the other for each tile, drive one another out of the cache.

    Measured at width 1024: a step takes 5.1 ms instead of 6.1; at 512 the packing costs what it gains.
    """
    far = b.strides[0] * b.storage.dtype.itemsize
    return m >= _ROWS and b.shape[0] > _FEW and far > 0 and far % _WAY == 0


class Plan:
    """How a program runs on ``threads`` threads; inputs in ``gathered`` are rows looked up in larger arrays."""

    def __init__(self, program: Program, threads: int, gathered: tuple[int, ...], lanes_of: Any) -> None:
        self.program, self.threads, self.gathered = program, threads, gathered
        self.fusion = Fusion(program)
        # samples of a convolution and rows of other kernels belong together only in even shares
        self.balanced = threads > 1 and not any(k.kind in CORRELATIONS for k in self.fusion.kernels)
        self.lanes_of = lanes_of
        self.inputs = [self.fusion.views[v].storage for v in program.inputs]
        self.results: list[Storage] = []
        self._entered = 0  # so many tasks stand in ``_reading``
        self._reading: dict[Storage, list[tuple[Task, View]]] = {}
        self._gather_inputs()
        self._pack_products()
        self.tasks = [self._task(k) for k in self.fusion.kernels]
        self._depend()
        self._outputs()
        self.order = self._ordered()
        self._lay_out()

    # -- kernels that the program does not name ----------------------------------------------------------------------
    def _gather_inputs(self) -> None:
        for i in reversed(self.gathered):
            v = self.program.inputs[i]
            # the gradient of a weight reads all rows: a second copy costs less than what another core has just written
            alone = self.balanced
            storage = Storage("private" if alone else "work", len(self.fusion.storages), v.dtype, v.size)
            self.fusion.storages.append(storage)
            self.inputs[i].same = storage
            kernel = Kernel("rows", v.shape)
            kernel.extra.update(input=i, target=storage)
            kernel.rows = -1 if alone else v.shape[0]
            storage.split = (v.shape[0], v.size // v.shape[0])
            self.fusion.kernels.insert(0, kernel)

    def _pack_products(self) -> None:
        done: dict[Any, Storage] = {}
        kernels: list[Kernel] = []
        for kernel in self.fusion.kernels:
            if kernel.kind == "product":
                pack = self._operands(kernel, done)
                if pack is not None:
                    kernels.append(pack)
            kernels.append(kernel)
        self.fusion.kernels = kernels

    def _operands(self, kernel: Kernel, done: dict[Any, Storage]) -> Kernel | None:
        """Settle how a product reads its operands; return the kernel that packs B, if that is needed."""
        (e,) = kernel.equations
        if e.output.dtype.kind != "f" or any(v.dtype != e.output.dtype for v in e.vars):
            raise Unsupported(f"a product of {e.vars[0].dtype} and {e.vars[1].dtype}")
        a, b = (self._matrix(self.fusion.view(v), i) for i, v in enumerate(e.vars))
        m, k = a.shape
        n = b.shape[1]
        if e.output.size != m * n:
            raise Unsupported("a product of stacks of matrices")
        kernel.extra.update(a=a, b=b, m=m, n=n, k=k, packed=False)
        kernel.rows = m if m > 1 else 0
        storage = self.fusion.views[e.output].storage if e.output in self.fusion.views else None
        if storage is not None:
            storage.split = (m, n) if m > 1 else None
        if n == 1 or (b.strides[1] == 1 and not _collides(b, m)):
            return None
        key = (b.storage, b.shape, b.strides, b.offset)
        kernel.extra["packed"] = True
        if key in done:
            kernel.extra["b"] = whole(done[key], (done[key].size,))
            return None
        lanes = self.lanes_of(e.output.dtype)
        groups = -(-n // lanes)
        alone = b.storage.private
        kind = "private" if alone else "work"
        packed = Storage(kind, len(self.fusion.storages), e.output.dtype, packed_size(n, k, lanes))
        self.fusion.storages.append(packed)
        packed.split = (groups, k * lanes)
        done[key] = packed
        pack = Kernel("pack", (n, k))
        pack.extra.update(source=b, target=packed)
        pack.rows = -1 if alone else groups
        kernel.extra["b"] = whole(packed, (packed.size,))
        return pack

    def _matrix(self, view: View, side: int) -> View:
        if view.ndim == 2:
            return view
        if view.ndim == 1:
            shape = (1, view.shape[0]) if side == 0 else (view.shape[0], 1)
            strides = (0, view.strides[0]) if side == 0 else (view.strides[0], 1)
            return View(view.storage, shape, strides, view.offset)
        if side == 0:
            lead = int(np.prod(view.shape[:-1]))
            found = view.reshape((lead, view.shape[-1]))
            if found is not None:
                return found
        raise Unsupported("a product of stacks of matrices")

    # -- what depends on what ----------------------------------------------------------------------------------------
    def _task(self, kernel: Kernel) -> Task:
        task = Task(kernel)
        extra, view = kernel.extra, self.fusion.view
        if kernel.kind == "product":
            a, b = extra["a"], extra["b"]
            task.reads = [(a, self._own(kernel, a, a.strides[0])), (b, b.storage.private)]
        elif kernel.kind == "pack":
            source = extra["source"]
            task.reads, task.writes = [(source, source.storage.private)], [extra["target"]]
        elif kernel.kind == "rows":
            task.writes = [extra["target"]]
        elif kernel.kind in ("map", "reduce"):
            for v in kernel.sources:
                if v not in self.fusion.literals or v in self.fusion.views:
                    task.reads.append((view(v), self._aligned(kernel, view(v))))
        elif kernel.kind in CORRELATIONS:
            by_sample = 1 if kernel.kind == "correlate" else 2  # the weights are for all samples
            given = [view(v) for v in kernel.equations[0].vars]
            task.reads = [(v, i < by_sample and self._own_samples(kernel, v)) for i, v in enumerate(given)]
        else:
            task.reads = [(view(v), False) for v in kernel.read]
        task.writes += [self.fusion.views[v].storage for v in kernel.stores]
        if "copy" in extra:
            task.writes.append(extra["copy"][2])
        return task

    def _own(self, kernel: Kernel, view: View, stride: int) -> bool:
        """Whether a thread that does its rows of ``kernel`` reads only what it wrote itself."""
        storage = view.storage.root
        if storage.private:
            return True
        if storage.split is None:
            return kernel.rows == 0
        rows, width = storage.split
        reach = view.offset + sum((s - 1) * st for s, st in zip(view.shape, view.strides, strict=True) if st != stride)
        return kernel.rows == rows and stride == width and 0 <= reach < width and min(view.strides, default=0) >= 0

    def _own_samples(self, kernel: Kernel, view: View) -> bool:
        """Whether a thread convolves only samples that it wrote itself."""
        storage, rows = view.storage.root, kernel.rows
        if rows <= 1 or storage.split is None or view.ndim != 4:
            return self._own(kernel, view, view.strides[0])
        samples = view.shape[0]
        even = rows == samples or (samples % rows == 0 and rows % self.threads == 0)
        alike = Kernel("map", view.shape)
        alike.rows = samples
        return even and self._own(alike, view, view.strides[0])

    def _aligned(self, kernel: Kernel, view: View) -> bool:
        if kernel.rows <= 0:
            return self._own(kernel, view, -1)
        try:
            wide = view.broadcast(kernel.shape)
        except (ValueError, IndexError):
            return False
        if any(e.op in ("gather", "take_along_axis") for e in kernel.equations):
            return False
        d = next(i for i, s in enumerate(kernel.shape) if s != 1 and i not in kernel.axes)
        return self._own(kernel, wide, wide.strides[d])

    def _whose(self, kernel: Kernel) -> dict[Storage, set[Kernel] | None]:
        """Return for each storage that ``kernel`` reads who makes those parts, or None where it reads all of it."""
        found: dict[Storage, set[Kernel] | None] = {}
        fusion = self.fusion
        for v in kernel.sources:
            root = fusion._root(v)
            if root in fusion.views:
                storage, maker = fusion.views[root].storage.root, fusion.maker.get(root)
                before = found.get(storage, set())
                found[storage] = None if maker is None or before is None else before | {maker}
        return found

    def _depend(self) -> None:
        writers: dict[Storage, list[Task]] = {}
        for task in self.tasks:
            for storage in task.writes:
                writers.setdefault(storage.root, []).append(task)
        self.writers = writers
        for task in self.tasks:
            whose = self._whose(task.kernel) if self.fusion.maker else {}
            for view, own in task.reads:
                makers = whose.get(view.storage.root)
                for writer in writers.get(view.storage.root, ()):
                    if makers is None or writer.kernel in makers:
                        task.after(writer, not own)

    # -- where outputs go ----------------------------------------------------------------------------------------------
    def _outputs(self) -> None:
        """Settle where every output goes: computed into its place where that is safe, else copied there at the end."""
        taken: set[Storage] = set()
        late: list[tuple[int, Var, View, Storage, int | None]] = []
        views = [self._old(v) for v in self.program.outputs]  # before anything is written over
        for k, (v, into, view) in enumerate(zip(self.program.outputs, self.program.into, views, strict=True)):
            target = self.inputs[into] if into is not None else Storage("result", k, v.dtype, v.size)
            self.results.append(target)
            if into is not None and v is self.program.inputs[into]:
                continue
            if self._own_memory(v, view, target) and view.storage not in taken:
                taken.add(view.storage)
                late.append((k, v, view, target, into))
            else:
                self._copy_out(v, view, target)
        for _, v, view, target, into in late:  # now every reader of the old values is known
            if into is None or self._may_replace(self.writers[view.storage], target, v):
                view.storage.same = target
                self.writers[target] = [*self.writers.get(target, []), *self.writers.pop(view.storage)]
            else:
                self._copy_out(v, view, target)

    def _old(self, v: Var) -> View:
        """Return where an output lies; an old value that another output overwrites is copied first."""
        view = self.fusion.view(v)
        storage, p = view.storage.root, self.program
        if storage.kind != "input" or storage.index not in p.into:
            return view
        stays = p.outputs[p.into.index(storage.index)] is p.inputs[storage.index]
        return view if stays else self._kept(v, view)

    def _kept(self, v: Var, view: View) -> View:
        """Copy a value out of the way, and return where it is then."""
        storage = Storage("work", len(self.fusion.storages), v.dtype, v.size)
        self.fusion.storages.append(storage)
        self._copying(v, view, storage)
        return whole(storage, v.shape)

    def _own_memory(self, v: Var, view: View, target: Storage) -> bool:
        """Whether a value lies alone in work memory, in order, so that it may lie in ``target`` instead."""
        s = view.storage
        return (
            s.root.kind == "work"
            and s.same is None
            and view.contiguous
            and view.offset == 0
            and s.size == v.size
            and s.dtype == target.dtype
            and all(t.kernel.kind in ("map", "reduce", "product", "scatter", "python") for t in self.writers[s])
        )

    def _readers(self, storage: Storage) -> list[tuple[Task, View]]:
        for task in self.tasks[self._entered :]:  # tasks are only added, at the end
            for view, _ in task.reads:
                self._reading.setdefault(view.storage.root, []).append((task, view))
        self._entered = len(self.tasks)
        return self._reading.get(storage, [])

    def _may_replace(self, writers: list[Task], target: Storage, v: Var) -> bool:
        """Whether the old value is read by nobody after these tasks write the new one in its place."""
        if len(writers) != 1:
            return False
        (writer,) = writers
        if writer.kernel.kind != "map" or writer.kernel.shape != v.shape or target in self.writers:
            return False
        if self.program.inputs[target.index].shape != v.shape:
            return False
        if any(e.op in ("gather", "take_along_axis") for e in writer.kernel.equations):
            return False  # it may look up what it has already overwritten
        readers = self._readers(target)
        for task, view in readers:
            if task is writer:
                if not (view.shape == v.shape and view.contiguous and view.offset == 0):
                    return False
            elif writer in self._ancestors(task):
                return False
        for task, _ in readers:
            writer.after(
                task,
                not (self._aligned(task.kernel, whole(target, v.shape)) and task.kernel.rows == writer.kernel.rows)
                or task.kernel.rows <= 0,
            )
        return True

    def _ancestors(self, task: Task) -> set[Task]:
        found: set[Task] = set()
        todo = list(task.before)
        while todo:
            t = todo.pop()
            if t not in found:
                found.add(t)
                todo += t.before
        return found

    def _copy_out(self, v: Var, view: View, target: Storage) -> None:
        """Copy a value to its place at the end, when nobody needs what lies there."""
        before = [*self.writers.get(view.storage.root, ()), *(t for t, _ in self._readers(target))]
        before += self.writers.get(target, ())
        task = self._copying(v, view, target)
        for other in before:
            task.after(other, True)

    def _copying(self, v: Var, view: View, target: Storage) -> Task:
        """Add the task, of one thread, that copies a value; what it waits for is its caller's to say."""
        kernel = Kernel("map", v.shape)
        kernel.extra.update(copy=(v, whole(target, v.shape), target), reads=[v], source=view)
        task = Task(kernel, [(view, False)], [target])
        self.writers.setdefault(target, []).append(task)
        self.tasks.append(task)
        self.fusion.kernels.append(kernel)
        return task

    # -- order and memory ----------------------------------------------------------------------------------------------
    def _ordered(self) -> list[Task | None]:
        """Return the tasks in an order that keeps every dependence, with as few barriers as lists allow."""
        waiting = list(self.tasks)
        order: list[Task | None] = []
        epoch: dict[Task, int] = {}
        now = 0
        while waiting:
            moved = False
            for task in list(waiting):
                ready = all(
                    t in epoch and (self.threads == 1 or not crossing or epoch[t] < now)
                    for t, crossing in task.before.items()
                )
                if ready:
                    order.append(task)
                    epoch[task] = now
                    waiting.remove(task)
                    moved = True
                    if self.threads == 1:
                        break
            if not moved:
                if order and order[-1] is BARRIER:
                    raise Unsupported("a cycle of kernels")
                order.append(BARRIER)
                now += 1
        self.barriers = sum(t is BARRIER for t in order)
        return order

    def _lay_out(self) -> None:
        """Give every work storage its place; places are used again once nobody reads them any more."""
        first: dict[Storage, int] = {}
        last: dict[Storage, int] = {}
        epoch = 0
        for position, task in enumerate(self.order):
            if task is BARRIER:
                epoch += 1
                continue
            when = position if self.threads == 1 else epoch
            for storage in [*(s.root for s in task.writes), *(v.storage.root for v, _ in task.reads)]:
                if storage.kind == "work":
                    first.setdefault(storage, when)
                    last[storage] = when
        self.offsets: dict[Storage, int] = {}
        live: list[tuple[int, int, int]] = []  # (start, stop, last use)
        self.work_bytes = 0
        for storage in sorted(first, key=lambda s: (first[s], -s.nbytes)):
            size = -(-(storage.nbytes + 16) // ALIGN) * ALIGN  # a mask may write 16 bytes past its end
            live = [b for b in live if b[2] >= first[storage]]
            at = 0
            for start, stop, _ in sorted(live):
                if start - at >= size:
                    break
                at = max(at, stop)
            live.append((at, at + size, last[storage]))
            self.offsets[storage] = at
            self.work_bytes = max(self.work_bytes, at + size)
        self.private_bytes = 0
        for storage in self.fusion.storages:
            if storage.kind == "private" and storage.same is None:
                self.offsets[storage] = self.private_bytes
                self.private_bytes += -(-storage.nbytes // ALIGN) * ALIGN

    def bounds(self, rows: int, thread: int) -> tuple[int, int]:
        """Return the rows that a thread does."""
        if rows <= 0:
            return (0, 1) if rows < 0 or thread == 0 else (0, 0)
        return rows * thread // self.threads, rows * (thread + 1) // self.threads
