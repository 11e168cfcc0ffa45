"""What became of a program: its kernels in order, what each moves and computes, and the time each takes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyaku.compiler import scalar
from gyaku.compiler.convolution import flops as convolution_flops
from gyaku.compiler.cpu import Executable
from gyaku.compiler.fuse import CORRELATIONS, Kernel
from gyaku.compiler.pace import sensible_threads
from gyaku.compiler.plan import BARRIER, Task
from gyaku.compiler.program import Equation, Program

_SECONDS = 0.05  # how long is measured


@dataclass(frozen=True)
class Row:
    """One kernel: its equations, the bytes it reads and writes, its FLOPs, and the time of the slowest thread."""

    kind: str
    shape: tuple[int, ...]
    equations: tuple[Equation, ...]
    bytes: int
    flops: int
    microseconds: float
    threads: int

    @property
    def title(self) -> str:
        """What it does in a few words: the primitives in it."""
        return " ".join(e.op for e in self.equations) or self.kind


class Profile:
    """The table of ``Program.explain``; ``rows`` for a program that reads it."""

    def __init__(self, rows: list[Row], step: float, work: int, threads: int, barriers: int) -> None:
        self.rows, self.step, self.work, self.threads, self.barriers = rows, step, work, threads, barriers

    def __str__(self) -> str:
        flops, moved = sum(r.flops for r in self.rows), sum(r.bytes for r in self.rows)
        head = (
            f"{len(self.rows)} kernels from {sum(len(r.equations) for r in self.rows)} equations, {self.threads} "
            f"thread{'s' * (self.threads > 1)}, {self.barriers} barriers, {self.work:,} bytes of work memory\n"
            f"one step: {self.step:.1f} us, {flops:,} FLOPs ({flops / max(self.step, 1e-9) / 1e3:.1f} GFLOP/s), "
            f"{moved:,} bytes moved\n"
        )
        lines = [f"{'us':>8} {'%':>5} {'GFLOP/s':>8} {'GB/s':>7} {'FLOPs':>12} {'bytes':>11}  kernel"]
        for r in self.rows:
            us = max(r.microseconds, 1e-9)
            share = 100 * r.microseconds / max(self.step, 1e-9)
            what = f"{r.kind} {list(r.shape)} {r.title}"
            what = what if len(what) <= 90 else what[:87] + "..."
            lines.append(
                f"{r.microseconds:8.2f} {share:5.1f} {r.flops / us / 1e3:8.1f} {r.bytes / us / 1e3:7.1f} "
                f"{r.flops:12,} {r.bytes:11,}  {what}"
            )
        return head + "\n".join(lines)

    __repr__ = __str__


def profile(program: Program, threads: int | None = None) -> Profile:
    """Run a program on made-up inputs of its shapes, timing every kernel with the processor's clock."""
    executable = Executable(program, threads or sensible_threads(program), timed=True)
    arrays = [_made_up(v) for v in program.inputs]
    began = time.perf_counter()
    executable.run(arrays)
    executable.run(arrays)
    bound = executable.bound()
    once = max((time.perf_counter() - began) / 2, 1e-7)
    steps = max(5, min(10_000, int(_SECONDS / once)))
    stacked = executable.run_steps(arrays, {}, {}, steps)
    bound.cycles[...] = 0
    began = time.perf_counter()
    executable.run_steps(arrays, {}, {}, steps)
    step = (time.perf_counter() - began) / steps * 1e6
    del stacked
    plan = bound.code.plan
    total = max(int(bound.cycles[0].sum()), 1)
    rows = [
        _row(task, float(bound.cycles[:, i].max()) / total * step, executable.threads)
        for i, task in enumerate(plan.order)
        if task is not BARRIER
    ]
    return Profile(rows, step, plan.work_bytes, executable.threads, plan.barriers)


def _made_up(v: Any) -> Any:
    if v.dtype.kind != "f":
        return np.zeros(v.shape, v.dtype)
    if v.shape == ():
        return np.full((), 0.5, v.dtype)
    return np.random.default_rng(0).uniform(0.1, 1, v.shape).astype(v.dtype)


def _row(task: Task, microseconds: float, threads: int) -> Row:
    kernel = task.kernel
    seen = {view.storage.root: view.storage.nbytes for view, _ in task.reads}
    moved = sum(seen.values()) + sum(s.nbytes for s in task.writes)
    shared = threads if kernel.rows > 1 else 1
    return Row(kernel.kind, kernel.shape, tuple(kernel.equations), moved, _flops(kernel), microseconds, shared)


def _flops(kernel: Kernel) -> int:
    if kernel.kind == "product":
        extra = kernel.extra
        return 2 * int(extra["m"]) * int(extra["n"]) * int(extra["k"])
    if kernel.kind in CORRELATIONS:
        return convolution_flops(kernel.equations[0])
    if kernel.kind in ("map", "reduce"):
        return math.prod(kernel.shape) * sum(scalar.cost(e) for e in kernel.equations)
    return 0
