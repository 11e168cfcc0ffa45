"""Programs as machine code: one call runs any number of steps, without the interpreter lock."""

from __future__ import annotations

import ctypes
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.backend.seats import seat
from gyaku.compiler import machine
from gyaku.compiler.balance import FINISHED, common_memory
from gyaku.compiler.channels import channels_last
from gyaku.compiler.emit import emitter_of
from gyaku.compiler.features import features_first
from gyaku.compiler.fuse import Fusion, Unsupported
from gyaku.compiler.pace import Pace, sensible_threads
from gyaku.compiler.pool import run_together
from gyaku.compiler.primitives import evaluate
from gyaku.compiler.program import Program, Var
from gyaku.compiler.views import Storage, View, whole

_PART = 0.2  # seconds that a part of a run takes about, unless a step takes longer
_PAUSE = 0.5  # seconds after which other processes may have come or gone
_RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)


class Code:
    """The machine code of a program for some threads and gathered inputs; holds no data."""

    def __init__(self, program: Program, threads: int, gathered: tuple[int, ...], timed: bool = False) -> None:
        self.program, self.threads, self.gathered = program, threads, gathered
        self.emitter = emitter_of(program, threads, gathered, timed)
        self.plan = self.emitter.plan
        try:
            self.library = machine.library_of(self.emitter.text, self.emitter.outline())
        except RuntimeError as error:  # LLVM's own complaint: eager code can do it all the same
            raise Unsupported(f"what LLVM accepts ({str(error).splitlines()[-1].strip()})") from error
        self.functions = [_RUN(self.library.address(f"run_{t}")) for t in range(threads)]


class Executable:
    """A program ready to run.

    ``run(arrays)`` runs one step; ``run_steps`` many. Arrays are C-contiguous NumPy arrays of the program's inputs
    (Python numbers for weak scalars). State is written into the arrays given.
    """

    def __init__(self, program: Program, threads: int | None = None, timed: bool = False) -> None:
        self.program, self.timed = features_first(channels_last(program)), timed
        program = self.program
        self.threads = sensible_threads(program) if threads is None else threads
        self._free, self._paces = threads is None, dict[int, Pace]()  # by most threads
        self._ended = self._each = 0.0  # when the last run did; seconds of each of its steps
        Fusion(program)  # refuses what machine code cannot express
        self._codes: dict[Any, Filled] = {}

    def bound(self, gathered: tuple[int, ...] = (), threads: int | None = None) -> Filled:
        """Return the machine code for inputs that are looked up, with its memory; compiled when first asked for."""
        key = gathered, threads or self.threads
        if key not in self._codes:
            alone = self.threads == 1 and not gathered  # such calls may come without ``run``
            code = Code(self.program, key[1], gathered, self.timed)
            # In a callback Python runs, and a signal's handler may use the same memory.
            self._codes[key] = Filled(code, lent=not alone and not code.emitter.callbacks)
        return self._codes[key]

    def alone(self) -> Filled | None:
        """Return the machine code of single steps if it is always the same, of one thread; else None."""
        return self.bound() if self.threads == 1 else None

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Run one step and return the results."""
        outputs = zip(self.program.outputs, self.program.into, strict=True)
        results = [np.empty(v.shape, v.dtype) for v, into in outputs if into is None]
        self._run(arrays, {}, {}, results, 1)
        return results

    def run_steps(
        self,
        arrays: Sequence[Any],
        varying: dict[int, Any] | None = None,
        gathered: dict[int, tuple[Any, Any]] | None = None,
        steps: int = 1,
    ) -> list[Any]:
        """Run ``steps`` steps.

        ``varying[i]`` has one value of input i a step, ``gathered[i]`` = (array, rows (steps, n)) looks its rows up.

        Returns the results stacked along a first axis of steps.
        """
        outputs = zip(self.program.outputs, self.program.into, strict=True)
        results = [np.empty((steps, *v.shape), v.dtype) for v, into in outputs if into is None]
        self._run(arrays, varying or {}, gathered or {}, results, steps)
        return results

    def _run(self, arrays: Sequence[Any], varying: Any, gathered: Any, results: list[Any], steps: int) -> None:
        which, done = tuple(sorted(gathered)), 0
        while done < steps:
            share, outermost = seat.take(self.threads, self._expected(steps - done))
            try:
                pace = self._pace(share)
                bound, part = self.bound(which, pace.threads()), slice(done, min(steps, done + pace.steps))
                began = time.perf_counter()
                if began - self._ended > _PAUSE:
                    pace.rest()
                if part.stop - done == steps:
                    bound.run(arrays, varying, gathered, results, steps)
                else:
                    some = {i: a[part] for i, a in varying.items()}
                    rows = {i: (a, r[part]) for i, (a, r) in gathered.items()}
                    bound.run(arrays, some, rows, [r[part] for r in results], part.stop - done, stacked=True)
                self._ended = time.perf_counter()
                self._each = (self._ended - began) / (part.stop - done)
                pace.took(part.stop - done, self._ended - began)
            finally:
                seat.leave(outermost)
            done = part.stop

    def _expected(self, steps: int) -> float | None:
        """Return about how many seconds the next part of so many steps takes; None before the first run."""
        return max(self._each, min(steps * self._each, _PART)) or None

    def _pace(self, share: int) -> Pace:
        """Return what chooses the threads where at most ``share`` are there."""
        most = share if self._free else self.threads
        if most not in self._paces:
            self._paces[most] = Pace(most, self._free)
        return self._paces[most]


_FIXED = ("private", "constant", "cycles", "callback")


class _Memory(threading.local):
    """The work memory of a thread of Python: networks that take turns in it find it in the cache."""

    last: Any = None  # weakly: it goes with the last program that used it

    def of(self, nbytes: int) -> Any:
        """Return memory of at least so many bytes. Nothing stays in it from call to call."""
        memory = None if self.last is None else self.last()
        if memory is None or memory.nbytes < nbytes:
            memory = _aligned(nbytes)
            self.last = weakref.ref(memory)
        return memory


_memory = _Memory()


class Filled:
    """Machine code with its memory and its table of pointers; unless it is ``lent``, work memory, too."""

    def __init__(self, code: Code, lent: bool) -> None:
        self.code = code
        plan, program = code.plan, code.program
        self.outputs = list(zip(program.outputs, program.into, strict=True))
        self.private = _aligned(max(plan.private_bytes, 64) * plan.threads)
        cells = common_memory(plan.threads)
        self.sync = _aligned(cells.nbytes).view(np.int64)
        self.sync[...] = cells
        self.finished = self.sync[FINISHED:]
        self.entries = code.emitter.table
        self.table = np.zeros((len(self.entries), 2), np.int64)
        self.scalars = [np.zeros((), v.dtype) for v in program.inputs]
        self.sizes = [v.nbytes for v in program.inputs]
        self.which_result = {k: i for i, k in enumerate(k for k, (_, into) in enumerate(self.outputs) if into is None)}
        self.cycles = np.zeros((plan.threads, len(plan.order)), np.int64)
        self.callbacks: list[Callback] = []
        for row, (kind, index) in enumerate(self.entries):
            if kind == "cycles":
                self.table[row, 0] = self.cycles.ctypes.data
            elif kind == "private":
                self.table[row, 0] = self.private.ctypes.data
            elif kind == "callback":
                self.callbacks.append(Callback(code, index))
                self.table[row, 0] = self.callbacks[-1].address
            elif kind == "constant":
                self.table[row, 0] = code.emitter.constants[index].array.ctypes.data
        self.live = [(row, kind, index) for row, (kind, index) in enumerate(self.entries) if kind not in _FIXED]
        self.work = None if lent else _aligned(plan.work_bytes)
        self.held: list[Any] = [None] * len(self.entries)
        self.filled: Any = None  # the list of arrays that the table was filled from, for a single step
        self.strides = [0] * len(self.entries)
        self.address, self.gate = self.table.ctypes.data, self.sync.ctypes.data

    def run(
        self,
        arrays: Sequence[Any],
        varying: dict[int, Any],
        gathered: dict[int, tuple[Any, Any]],
        results: list[Any],
        steps: int,
        stacked: bool = False,
    ) -> None:
        """Fill the table and run."""
        table, held, self.filled = self.table, self.held, None
        for row, kind, index in self.live:
            stride = 0
            if kind == "input":
                if index in varying:
                    array, stride = varying[index], self.sizes[index]
                else:
                    array = arrays[index]
                    if type(array) is not np.ndarray:
                        self.scalars[index][...] = array
                        array = self.scalars[index]
            elif kind == "work":
                array = _memory.of(self.code.plan.work_bytes) if self.work is None else self.work
            elif kind == "source":
                array = gathered[index][0]
            elif kind == "rows":
                array = gathered[index][1]
                stride = array.strides[0]
            else:
                array = results[self.which_result[index]]
                stride = array.strides[0] if steps > 1 or stacked else 0
            if array is not held[row]:  # asking an array for its address takes longer than a small step
                held[row] = None  # an interrupt here must not leave an address that seems to be another's
                table[row, 0] = array.ctypes.data
                held[row] = array
            if stride != self.strides[row]:
                table[row, 1] = self.strides[row] = stride
        if not (varying or gathered or stacked) and steps == 1:
            self.filled = arrays
        if self.code.threads == 1:
            self.code.functions[0](self.address, steps, self.gate)
        else:
            self.sync[0] = 0  # a process forked in the middle of a run has inherited who arrived
            run_together(self.code.functions, self.finished, self.address, steps, self.gate)
        for callback in self.callbacks:
            callback.raise_error()


class Callback:
    """An equation that NumPy evaluates in the middle of machine code, on the memory that it is given."""

    def __init__(self, code: Code, number: int) -> None:
        kernel, self.views = code.emitter.callbacks[number]
        (self.equation,) = kernel.equations
        self.stores = [(v, self.equation.outputs.index(v)) for v in kernel.stores]
        self.params = dict(self.equation.params)
        self.error: BaseException | None = None
        self.function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._run)
        self.address = int(ctypes.cast(self.function, ctypes.c_void_p).value or 0)

    def _run(self, places: int) -> None:
        while True:
            try:
                return self._evaluate(places)
            except Exception as error:  # a callback cannot raise through machine code: it is raised after the run
                self.error = self.error or error
                return None
            except BaseException as error:  # Ctrl-C: the step is to be whole, so once more
                self.error = self.error or error

    def _evaluate(self, places: int) -> None:
        given = iter((ctypes.c_void_p * (len(self.views) + len(self.stores))).from_address(places))
        values = {v: _seen(next(given), view) for v, view in zip(self.equation.vars, self.views, strict=True)}
        with np.errstate(all="ignore"):
            y = evaluate(
                self.equation.op,
                self.params,
                [_number(v, values) if type(v) is Var else v for v in self.equation.inputs],
            )
        ys = y if isinstance(y, tuple) else (y,)
        for v, k in self.stores:
            _seen(next(given), whole(Storage("work", 0, v.dtype, v.size), v.shape))[...] = ys[k]

    def raise_error(self) -> None:
        """Raise what NumPy raised during the run."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error


def _number(v: Var, values: dict[Var, Any]) -> Any:
    """Return a value as NumPy takes it: a weak one as a Python number, which widens no array."""
    return values[v].item() if v.weak else values[v]


def _seen(address: int, view: View) -> Any:
    """Return a NumPy array of a view's elements at an address."""
    storage = view.storage.root
    memory: Any = (ctypes.c_char * max(storage.nbytes, 1)).from_address(address)
    line = np.frombuffer(memory, np.uint8)
    flat = line[: storage.nbytes].view(storage.dtype)
    steps = tuple([s * storage.dtype.itemsize for s in view.strides])
    return np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, steps)


def _aligned(nbytes: int) -> Any:
    """Return zeroed memory that begins at a cache line."""
    raw = np.zeros(nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + nbytes]


__all__ = ["Code", "Executable", "Unsupported"]
