"""How threads meet and how they share out rows: barriers, and edges that move towards the thread that waits least.

Cores are not equally fast for long: other programs use them, or the other half of one. A thread that waited longest in
the last steps gets a few more rows of every kernel in the next ones. Rows are computed alike whoever does it, so the
results stay the same to the last bit.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from gyaku.compiler import machine
from gyaku.compiler.ir import Function

# the threads' common memory, in cells of 8 bytes; what different threads write lies in different cache lines
_TURN = 8
FINISHED = 16  # says that thread 0 is through
_STEPS = 24
_EDGES = 32
_WHOLE = 1024  # rows are counted in so many parts: thread t does those from edge t to edge t + 1
_NOTCH = 16  # parts that change hands at a time
_EVERY = 4  # steps between two changes

_BARRIER = """
define internal void @barrier(ptr %sync, i64 %thread, i1 %end) noinline #0 {
entry:
  %turn = getelementptr i64, ptr %sync, i64 TURN
  %now = load atomic i64, ptr %turn acquire, align 8
  %before = atomicrmw add ptr %sync, i64 1 acq_rel
  %last = icmp eq i64 %before, LAST
  br i1 %last, label %open, label %wait
open:
  store atomic i64 0, ptr %sync monotonic, align 8
  br i1 %end, label %balance, label %release
balance:
  call void @balance(ptr %sync)
  br label %release
release:
  %next = add i64 %now, 1
  store atomic i64 %next, ptr %turn release, align 8
  ret void
wait:
  %spins = phi i64 [ 0, %entry ], [ %more, %again ]
  %seen = load atomic i64, ptr %turn acquire, align 8
  %moved = icmp ne i64 %seen, %now
  br i1 %moved, label %done, label %again
again:
  PAUSE
  %more = add i64 %spins, 1
  ret_or_wait
done:
  %cells = mul i64 %thread, 8
  %place = add i64 %cells, WAITS
  %cell = getelementptr i64, ptr %sync, i64 %place
  %until = load i64, ptr %cell
  %sum = add i64 %until, %spins
  store i64 %sum, ptr %cell
  ret void
}
"""
_YIELD = """%long = icmp sgt i64 %more, 4096
  br i1 %long, label %rest, label %wait
rest:
  %r = call i32 @sched_yield()
  br label %wait"""


def _waits(threads: int) -> int:
    """Return the cell of thread 0's waiting; the next thread's lies 8 cells on."""
    return -(-(_EDGES + threads + 1) // 8) * 8


def common_memory(threads: int) -> Any:
    """Return the cells that threads have in common, at the start: even shares."""
    cells = np.zeros(_waits(threads) + 8 * threads, np.int64)
    edges(cells, threads)[...] = [_WHOLE * t // threads for t in range(threads + 1)]
    return cells


def edges(cells: Any, threads: int) -> Any:
    """Return where the threads' shares begin and end, in parts of 1024."""
    return cells[_EDGES : _EDGES + threads + 1]


def waits(cells: Any, threads: int) -> Any:
    """Return how often each thread looked in vain whether the others had come, since the last change."""
    return cells[_waits(threads) :: 8]


def shares(threads: int) -> tuple[int, int]:
    """Return the least and the most that a thread may get, in parts of 1024: a third less or more than its own."""
    return 2 * _WHOLE // (3 * threads), 4 * _WHOLE // (3 * threads) + 1


def possible_rows(rows: int, threads: int) -> tuple[int, int]:
    """Return the fewest and the most of ``rows`` that one thread may get."""
    least, most = shares(threads)
    return rows * least // _WHOLE, min(rows, -(-rows * most // _WHOLE))


def write_edge(f: Function, rows: int, edge: int, threads: int) -> Any:
    """Write which row an edge is at, by the common memory; the outer ones are known."""
    if edge in (0, threads):
        return rows if edge else 0
    parts = f.load_one("%sync", _EDGES + edge, np.int64)
    return f.op(f"lshr i64 {f.mul(parts, rows)}, {_WHOLE.bit_length() - 1}")


def write_meeting(threads: int) -> str:
    """Return the assembly of ``barrier(sync, thread, end of the step)``."""
    pause = "call void @llvm.x86.sse2.pause()" if machine.is_x86() else "fence acquire"
    posix = sys.platform != "win32"
    text = _BARRIER.replace("LAST", str(threads - 1)).replace("PAUSE", pause).replace("TURN", str(_TURN))
    text = text.replace("WAITS", str(_waits(threads)))
    text = text.replace("  ret_or_wait", "  " + (_YIELD if posix else "br label %wait"))
    text = text.replace("[ %more, %again ]", "[ %more, %again ], [ 0, %rest ]" if posix else "[ %more, %again ]")
    head = "declare i32 @sched_yield()\n" if posix else ""
    head += "declare void @llvm.x86.sse2.pause()\n" if machine.is_x86() else ""
    return head + str(_balance(threads)) + text


def _balance(threads: int) -> Function:
    """Return ``balance(sync)``, for the last thread at the end of a step, while the others stand still."""
    f, (least, most) = Function("balance", "ptr %sync"), shares(threads)
    step = f.op(f"add i64 {f.load_one('%sync', _STEPS, np.int64)}, 1")
    f.do(f"store i64 {step}, ptr {f.address('%sync', _STEPS, np.int64)}")
    with f.when(f.op(f"icmp eq i64 {f.op(f'and i64 {step}, {_EVERY - 1}')}, 0")):
        waited = [f.load_one("%sync", _waits(threads) + 8 * t, np.int64) for t in range(threads)]
        for t in range(threads):
            f.do(f"store i64 0, ptr {f.address('%sync', _waits(threads) + 8 * t, np.int64)}")
        idle, long = _extreme(f, waited, "sgt")
        busy, short = _extreme(f, waited, "slt")
        with f.when(f.op(f"icmp sgt i64 {long}, {f.op(f'mul i64 {short}, 2')}")):
            more = f.op(f"icmp slt i64 {_share(f, idle)}, {most - _NOTCH}")
            fewer = f.op(f"icmp sgt i64 {_share(f, busy)}, {least + _NOTCH}")
            with f.when(f.op(f"and i1 {more}, {fewer}")):
                up = f.op(f"icmp slt i64 {idle}, {busy}")
                change = f.op(f"select i1 {up}, i64 {_NOTCH}, i64 {-_NOTCH}")
                start = f.op(f"select i1 {up}, i64 {idle}, i64 {busy}")
                stop = f.op(f"select i1 {up}, i64 {busy}, i64 {idle}")
                with f.loop(start, stop) as edge:
                    cell = f.address("%sync", f.add(edge, _EDGES + 1), np.int64)
                    moved = f.op(f"add i64 {f.op(f'load i64, ptr {cell}')}, {change}")
                    f.do(f"store i64 {moved}, ptr {cell}")
    f.do("ret void")
    return f


def _extreme(f: Function, values: list[str], how: str) -> tuple[str, str]:
    """Write which of some values is the greatest or the least; return its number and the value."""
    which, best = "0", values[0]
    for t, value in enumerate(values[1:], 1):
        further = f.op(f"icmp {how} i64 {value}, {best}")
        which = f.op(f"select i1 {further}, i64 {t}, i64 {which}")
        best = f.op(f"select i1 {further}, i64 {value}, i64 {best}")
    return which, best


def _share(f: Function, thread: str) -> str:
    low, high = (f.load_one("%sync", f.add(thread, _EDGES + k), np.int64) for k in (0, 1))
    return f.op(f"sub i64 {high}, {low}")
