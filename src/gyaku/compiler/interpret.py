"""The runner ``interpret``: NumPy evaluates one equation after the other, with the bits of eager code."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from gyaku.compiler.convolution import CONVOLUTIONS
from gyaku.compiler.convolution import flops as convolution_flops
from gyaku.compiler.primitives import PRIMITIVES
from gyaku.compiler.program import Equation, Program, Var

Rows = tuple[Any, Any]  # (source array, rows (steps, batch))


class Executable:
    """A program evaluated by NumPy. ``run`` returns the results in order; state goes into the arrays given."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.calls: list[Any] = []
        last = {v: k for k, e in enumerate(program.equations) for v in e.vars}
        kept = set(program.outputs) | set(program.inputs)
        for k, e in enumerate(program.equations):
            done = tuple(v for v in {*e.vars, *e.outputs} if v not in kept and last.get(v, k) == k)
            self.calls.append((PRIMITIVES[e.op].evaluate, dict(e.params), e, done))

    def run(self, arrays: list[Any]) -> list[Any]:
        """Run once: ``arrays`` are the inputs in order (a weak number as a float or a 0-d array)."""
        values = {
            v: float(a) if v.weak and v.dtype.kind == "f" else a
            for v, a in zip(self.program.inputs, arrays, strict=True)
        }
        self._evaluate(values)
        given = {id(a) for a in arrays}
        found = [_own(values[v], given) for v in self.program.outputs]
        for y, k in zip(found, self.program.into, strict=True):
            if k is not None:
                arrays[k][...] = y
        return [y for y, k in zip(found, self.program.into, strict=True) if k is None]

    def _evaluate(self, values: dict[Var, Any]) -> None:
        with np.errstate(all="ignore"):
            for evaluate, params, e, done in self.calls:
                y = evaluate(params, *[values[v] if type(v) is Var else v for v in e.inputs])
                if len(e.outputs) == 1:
                    values[e.outputs[0]] = y
                else:
                    values.update(zip(e.outputs, y, strict=True))
                for v in done:
                    del values[v]

    def run_steps(self, arrays: list[Any], varying: dict[int, Any], gathered: dict[int, Rows], steps: int) -> list[Any]:
        """Run ``steps`` times; inputs in ``varying`` and ``gathered`` differ; results get a leading axis of steps."""
        stacked: list[list[Any]] = []
        for k in range(steps):
            now = list(arrays)
            for i, values in varying.items():
                now[i] = values[k]
            for i, (source, rows) in gathered.items():
                now[i] = source[rows[k]]
            stacked.append(self.run(now))
        return [np.stack([np.asarray(y) for y in column]) for column in zip(*stacked, strict=True)]

    def explain(self, arrays: list[Any]) -> Table:
        """Run on copies of ``arrays`` and return what each equation moves, computes and takes."""
        values = {
            v: float(a) if v.weak and v.dtype.kind == "f" else np.array(a)
            for v, a in zip(self.program.inputs, arrays, strict=True)
        }
        rows = []
        with np.errstate(all="ignore"):
            for evaluate, params, e, _ in self.calls:
                start = time.perf_counter()
                y = evaluate(params, *[values[v] if type(v) is Var else v for v in e.inputs])
                seconds = time.perf_counter() - start
                values.update(zip(e.outputs, y if len(e.outputs) > 1 else (y,), strict=True))
                rows.append(Row(e, bytes_of(e), flops_of(e), seconds))
        return Table(rows)


class Row(NamedTuple):
    """One equation: the bytes it reads and writes, its floating-point operations, and the seconds it took."""

    equation: Equation
    bytes: int
    flops: int
    seconds: float


class Table(list[Row]):
    """The rows of a program's equations, printable."""

    def __str__(self) -> str:
        lines = [f"{'us':>8} {'FLOPs':>12} {'bytes':>11}  equation"]
        lines += [f"{r.seconds * 1e6:8.1f} {r.flops:12,} {r.bytes:11,}  {r.equation}" for r in self]
        total = f"{sum(r.seconds for r in self) * 1e6:8.1f} {sum(r.flops for r in self):12,}"
        return "\n".join([*lines, f"{total} {sum(r.bytes for r in self):11,}  {len(self)} equations"])


def _own(y: Any, given: set[int]) -> Any:
    """Return a result that shares no memory with the inputs."""
    if not isinstance(y, np.ndarray):
        return y if isinstance(y, (bool, int, float)) else np.array(y)
    return y.copy() if y.base is not None or id(y) in given or not y.flags.owndata else y


def bytes_of(e: Equation) -> int:
    """Return the bytes an equation reads and writes; a view moves none."""
    if e.op in ("reshape", "transpose", "broadcast_to", "slice"):
        return 0
    return sum(v.nbytes for v in (*e.vars, *e.outputs))


def flops_of(e: Equation) -> int:
    """Return the floating-point operations of an equation (a multiply-add counts two)."""
    kind = PRIMITIVES[e.op].kind
    if e.op in CONVOLUTIONS:
        return convolution_flops(e)
    if kind == "product":
        return 2 * e.output.size * e.vars[0].shape[0 if e.param("ta") else -1]
    if kind == "elementwise" and e.output.dtype.kind == "f":
        return e.output.size
    return e.vars[0].size if kind == "reduce" and e.vars else 0
