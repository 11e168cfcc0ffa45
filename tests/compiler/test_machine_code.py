"""Machine code against NumPy: every primitive, odd shapes, views, products, threads, many steps."""

from __future__ import annotations

import dis
import gc
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from compiler.small import compare, program
from gyaku.backend.random import Generator
from gyaku.base.errors import PositionError
from gyaku.compiler import balance, cpu, pool
from gyaku.compiler.cpu import Executable
from gyaku.compiler.machine import is_x86
from gyaku.compiler.pace import Pace, sensible_threads
from gyaku.compiler.passes import optimized
from gyaku.compiler.plan import Plan
from gyaku.compiler.primitives import PRIMITIVES

RNG = np.random.default_rng(5)
DTYPES = ("float32", "float64")
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 88.0, -87.0, 1e-30, 3e-42, 709.0, -745.0, 1e300]
FLOAT_OPS = (
    "negative absolute exp expm1 log log1p log2 log10 sqrt sign sin cos tanh sinh cosh arctan floor ceil trunc rint "
    "isnan isfinite isinf erf"
).split()
PAIR_OPS = "add subtract multiply divide maximum minimum equal not_equal less less_equal greater greater_equal".split()


def numbers(*shape: int, dtype: Any = "float32") -> Any:
    return RNG.normal(size=shape).astype(dtype)


# --- elementwise ---


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_one_number_are_numpys_also_at_the_edges(dtype: str) -> None:
    with np.errstate(all="ignore"):
        special = np.array(SPECIAL).astype(dtype)
    for scale in (1e-6, 0.3, 20):
        x = np.concatenate([special, scale * numbers(53, dtype=dtype)]).astype(dtype)

        def write(b: Any, v: Any) -> list[Any]:
            return [b(op, v) for op in FLOAT_OPS]

        compare(write, [x], ulps=4)


@pytest.mark.parametrize("op", ["exp", "expm1", "log", "log1p", "tanh", "erf"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_number_is_right_to_a_few_units_in_the_last_place(op: str, dtype: str) -> None:
    x = np.concatenate([s * RNG.normal(size=3000) for s in (1e-20, 1e-6, 1e-2, 1, 30)])
    x = (np.abs(x) if op.startswith("log") else x).astype(dtype)
    p = program(lambda b, v: b(op, v), [x])
    (y,) = Executable(p).run([x])
    exact = PRIMITIVES[op].evaluate({}, x.astype(np.float64 if op == "erf" else np.longdouble))
    with np.errstate(all="ignore"):
        error = np.abs(y - exact) / np.spacing(np.abs(exact).astype(dtype))
    flushed = (y == 0) & (np.abs(exact) < np.finfo(dtype).tiny)  # too small for full precision
    assert np.nanmax(error[~flushed]) <= 3


@pytest.mark.parametrize(
    "shapes", [((7,), (7,)), ((5, 1), (1, 9)), ((4, 3, 17), (17,)), ((2, 1, 3), (5, 1)), ((), (6,))]
)
def test_pairs_broadcast_as_in_numpy(shapes: Any) -> None:
    a, c = (numbers(*s) for s in shapes)
    compare(lambda b, v, w: [b(op, v, w) for op in PAIR_OPS], [a, c])
    compare(lambda b, v, w: b("where", b("less", v, w), v, b("multiply", w, 2.5)), [a, c])


def test_nan_goes_through_maximum_and_comparisons_of_nan_are_false() -> None:
    x, y = np.array([np.nan, 1, np.nan, 2], "f4"), np.array([1, np.nan, np.nan, 1], "f4")
    compare(lambda b, v, w: [b(op, v, w) for op in PAIR_OPS], [x, y])


def test_dtypes_promote_as_in_numpy_and_weak_numbers_never_widen() -> None:
    x, i, flags = numbers(9), RNG.integers(-5, 5, 9), RNG.random(9) < 0.5

    def write(b: Any, v: Any, n: Any, m: Any, lr: Any) -> list[Any]:
        return [
            b("multiply", lr, v), b("add", v, n), b("add", n, 1), b("subtract", v, m),
            b("cast", v, dtype=np.dtype("i8")), b("cast", n, dtype=np.dtype(bool)),
            b("logical_and", m, b("greater", v, 0)), b("power", lr, 3.0),
        ]  # fmt: skip

    compare(write, [x, i, flags, 0.25])


# --- reductions ---


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (17, 6), (16, 16), (5, 70), (33, 9)])
def test_reductions_by_rows_by_columns_and_of_everything(shape: Any) -> None:
    x = numbers(*shape)

    def write(b: Any, v: Any) -> list[Any]:
        names = ("sum", "amax", "amin", "prod", "argmax", "argmin")
        kept = [b(op, v, axis=axis, keepdims=True) for op in ("sum", "amax") for axis in (0, 1)]
        return [b(op, v, axis=axis) for op in names for axis in (0, 1, None)] + kept

    for threads in (1, 2):
        compare(write, [x], threads, ulps=64)


def test_reductions_over_several_axes_of_four() -> None:
    x = numbers(3, 4, 5, 6)
    axes = [(0, 2, 3), (1,), (0, 1), (2, 3), (0, 3), (1, 2)]
    compare(lambda b, v: [b("sum", b("multiply", v, v), axis=a) for a in axes], [x], ulps=64)


# --- views and places ---


def test_views_are_read_where_they_lie() -> None:
    x = numbers(6, 8)

    def write(b: Any, v: Any) -> list[Any]:
        t = b("transpose", v, axes=(1, 0))
        part = b("slice", v, key=(slice(1, 6, 2), slice(None, None, -3)))
        back = b("flip", v, axis=(0,))
        wide = b("broadcast_to", b("slice", v, key=(slice(None), slice(2, 3))), shape=(6, 8))
        again = b("reshape", t, shape=(2, 24))
        return [b("add", t, 1), b("exp", part), b("add", back, wide), b("multiply", again, again), t, again]

    for threads in (1, 2):
        compare(write, [x], threads)


def test_joining_looking_up_and_adding_at_places() -> None:
    x, y, rows = numbers(5, 3), numbers(5, 4), np.array([4, 0, 0, -1, 2])
    pick = RNG.integers(0, 3, (5, 2))

    def write(b: Any, v: Any, w: Any, i: Any, j: Any) -> list[Any]:
        joined = b("concatenate", v, w, axis=1)
        column = b("arange", start=0, stop=5, step=1, dtype=np.dtype("i8"))
        inside = b("where", b("less", i, 3), b("maximum", i, 0), 0)  # an index made in the loop that uses it
        return [
            b("add", joined, 1), b("concatenate", v, v, axis=0), b("gather", v, i, pattern=("array",)),
            b("gather", v, column, inside, pattern=("array", "array")), b("take_along_axis", v, j, axis=1),
            b("index_add", w, i, shape=(7, 4), pattern=("array",)),
            b("scatter_add", j, b("take_along_axis", v, j, axis=1), shape=(5, 3), axis=1),
            b("index_add", v, shape=(9, 3), pattern=(slice(2, 7),)),
        ]  # fmt: skip

    compare(write, [x, y, rows, pick])


def test_what_machine_code_cannot_say_numpy_does() -> None:
    x = numbers(4, 6)

    def write(b: Any, v: Any) -> list[Any]:
        ordered = b("sort", b("exp", v), options=(("axis", 1),))
        return [
            b("multiply", ordered, 2),
            b("cumsum", v, options=(("axis", 0),)),
            b("einsum", v, v, subscripts="ij,kj->ik"),
        ]

    for threads in (1, 2):
        compare(write, [x], threads, ulps=64)


# --- products ---


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_all_sizes_and_orders(dtype: str) -> None:
    for m, n, k in [(1, 1, 1), (1, 40, 7), (40, 1, 7), (13, 17, 5), (33, 50, 64), (29, 100, 3), (7, 16, 16)]:
        a, c = numbers(m, k, dtype=dtype), numbers(k, n, dtype=dtype)
        turned = [np.ascontiguousarray(a.T), np.ascontiguousarray(c.T)]

        def write(b: Any, v: Any, w: Any, vt: Any, wt: Any) -> list[Any]:
            vs, ws = (v, b("transpose", vt, axes=(1, 0))), (w, b("transpose", wt, axes=(1, 0)))
            return [b("matmul", p, q) for p in vs for q in ws]

        for threads in (1, 2):
            compare(write, [a, c, *turned], threads, ulps=8 * k)


def test_a_product_whose_rows_share_places_in_the_cache_is_packed() -> None:
    a, b = numbers(33, 40), numbers(40, 1024)
    part = (slice(None), slice(0, 1000))  # the last group of columns is not full
    p = program(lambda write, x, y: write("matmul", x, y), [a, b])
    assert [task.kernel.kind for task in Plan(p, 1, (), lambda dtype: 8).tasks] == ["pack", "product"]
    for threads in (1, 2):
        compare(lambda write, x, y: write("matmul", x, y), [a, b], threads, ulps=64)
        compare(lambda write, x, y: write("matmul", x, write("slice", y, key=part)), [a, b], threads, ulps=64)


def test_products_with_vectors_and_stacks() -> None:
    a, v, s, w = numbers(4, 5), numbers(5), numbers(2, 3, 5), numbers(5, 6)
    compare(lambda b, x, y, z, q: [b("matmul", x, y), b("matmul", z, q), b("matmul", y, q)], [a, v, s, w], ulps=64)


def test_a_product_keeps_nan_and_infinity() -> None:
    a, c = numbers(20, 30), numbers(30, 40)
    a[3, 4], c[7, 8], a[5, 5] = np.nan, np.inf, 0
    compare(lambda b, x, y: b("matmul", x, y), [a, c], ulps=256)


# --- random masks ---


@pytest.mark.parametrize("shape", [(7,), (5, 16), (33, 10), (3, 4, 5)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_masks_have_the_generators_bits(shape: Any, threads: int) -> None:
    rng = np.array([2**63 + 11, 2**64 - 3, 5], np.uint64)
    p = program(lambda b, r: b("mask", r, threshold=45000, offset=3, shape=shape), [rng])
    (y,) = Executable(p, threads).run([rng])
    wanted = Generator(2**63 + 11, stream=2**64 - 3, counter=8).mask(45000 / 65536, shape)
    assert np.array_equal(y, wanted)


# --- state, steps, threads ---


def descent(b: Any, x: Any, w: Any, lr: Any) -> list[Any]:
    """One step of w <- w - lr (w x^T) x with the sum of w as a result."""
    error = b("matmul", b("matmul", w, b("transpose", x, axes=(1, 0))), x)
    return [b("subtract", w, b("multiply", lr, error)), b("sum", w, axis=None)]


def test_state_is_written_in_place_and_results_see_the_old_value() -> None:
    x, w = numbers(6, 5), numbers(4, 5)
    p = program(descent, [x, w, 0.01], [1, None])
    before = w.copy()
    (total,) = Executable(p).run([x, w, 0.01])
    assert np.allclose(total, before.sum(), rtol=1e-5)
    assert np.allclose(w, before - 0.01 * (before @ x.T @ x), rtol=1e-4, atol=1e-6)


def test_many_steps_in_one_call_are_the_same_bits_as_one_by_one() -> None:
    source, rows = numbers(50, 5), RNG.integers(0, 50, (9, 6))
    rates = RNG.random(9)
    p = program(descent, [source[:6], numbers(4, 5), 0.01], [1, None])
    one, many = numbers(4, 5), None
    many = one.copy()
    runner = Executable(p)
    singles = [runner.run([source[r], one, float(lr)])[0] for r, lr in zip(rows, rates, strict=True)]
    (totals,) = Executable(p).run_steps([None, many, None], {2: rates}, {0: (source, rows)}, 9)
    assert np.array_equal(one, many) and np.array_equal(totals, singles)


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    x, w = numbers(65, 41), numbers(31, 41)
    p = program(descent, [x, w, 0.01], [1, None])
    ends = []
    for threads in (1, 2, 3, 5):
        state = w.copy()
        (totals,) = Executable(p, threads).run_steps([x, state, 0.001], {}, {}, 20)
        ends.append((state.tobytes(), totals.tobytes()))
    assert len(set(ends)) == 1


def run_at(pace: Pace, each: dict[int, float], seconds: float) -> dict[int, float]:
    """Run steps for a while, ``each`` seconds on so many threads; return the seconds by number of threads."""
    spent = dict.fromkeys(each, 0.0)
    while sum(spent.values()) < seconds:
        threads, steps = pace.threads(), pace.steps
        spent[threads] += steps * each[threads]
        pace.took(steps, steps * each[threads])
    return spent


def test_the_faster_number_of_threads_is_found_and_found_again() -> None:
    pace = Pace(2)
    for one, two, best in ((5e-4, 4e-4, 2), (5e-4, 9e-4, 1), (0.2, 0.11, 2), (6e-5, 5e-3, 1)):
        each = {1: one, 2: two}
        run_at(pace, each, 5 + 400 * max(one, two))  # time to notice
        spent = run_at(pace, each, 5 + 400 * max(one, two))
        assert spent[best] / sum(spent.values()) > 0.95, (each, spent)


def test_after_a_pause_more_threads_are_tried_at_once() -> None:
    pace, busy, free = Pace(2), {1: 4e-3, 2: 8e-3}, {1: 4e-3, 2: 2e-3}
    run_at(pace, busy, 60)
    pace.rest()
    spent = run_at(pace, free, 0.2)
    assert spent[2] > 0.1, spent  # and not seconds later
    pace.rest()
    assert run_at(pace, free, 0.2)[1] < 0.06  # nothing is given up for a pause


def test_numbers_of_threads_that_are_alike_are_seldom_tried() -> None:
    pace, changes = Pace(2), 0
    run_at(pace, {1: 1e-3, 2: 1e-3}, 5)
    for _ in range(20_000):
        before = pace.now
        pace.took(1, 1e-3)
        changes += pace.now != before
    assert 2 <= changes <= 40  # there and back, every few seconds of work


@pytest.mark.parametrize(("threads", "start"), [(2, [512]), (2, [400]), (2, [660]), (3, [341, 682]), (3, [300, 640])])
def test_a_thread_that_waits_gets_more_rows_and_the_bits_stay(threads: int, start: list[int]) -> None:
    x, w = numbers(65, 41), numbers(31, 41)
    p = program(descent, [x, w, 0.01], [1, None])
    alone, state, runner = w.copy(), w.copy(), Executable(p, threads)
    cells, (least, most) = runner.bound().sync, balance.shares(threads)
    edges, waits = balance.edges(cells, threads), balance.waits(cells, threads)
    edges[1:-1] = start
    for last in (True, False):
        before = edges.copy()
        for _ in range(8):
            waits[threads - 1 if last else 0] = 10**9  # this thread says that it waited
            runner.run([x, state, 0.001])
            Executable(p, 1).run([x, alone, 0.001])
            shares = np.diff(edges)
            assert shares.sum() == 1024 and shares.min() >= least and shares.max() <= most
        assert edges[threads - 1] < before[threads - 1] if last else edges[1] > before[1]
    assert np.array_equal(state, alone)


@pytest.mark.parametrize(("threads", "rows"), [(2, 23), (3, 47), (2, 100), (2, 3)])
def test_every_number_of_rows_that_a_thread_may_get_is_computed(threads: int, rows: int) -> None:
    a, c = numbers(rows, 19), numbers(19, 37)
    p = program(lambda b, v, w: b("matmul", v, w), [a, c])
    (expected,), runner, (least, most) = Executable(p, 1).run([a, c]), Executable(p, threads), balance.shares(threads)
    edges = balance.edges(runner.bound().sync, threads)
    for first in range(least, most + 1, 5):
        edges[1] = first
        edges[2:-1] = first + (1024 - first) // 2
        assert np.array_equal(runner.run([a, c])[0], expected), (threads, rows, first)


def test_a_run_in_parts_is_the_run_as_a_whole() -> None:
    source, rows, rates = numbers(50, 5), RNG.integers(0, 50, (700, 6)), RNG.random(700)
    p, start = program(descent, [source[:6], numbers(4, 5), 0.01], [1, None]), numbers(4, 5)
    ends = []
    for pace in (Pace(2, free=False), Pace(2), Pace(3)):
        state, runner = start.copy(), Executable(p, 2)
        runner._paces[2] = pace
        (totals,) = runner.run_steps([None, state, None], {2: rates * 1e-3}, {0: (source, rows)}, 700)
        ends.append((state.tobytes(), totals.tobytes()))
    assert len(set(ends)) == 1


class Given:
    """Seats that give what a test says."""

    def __init__(self, share: int) -> None:
        self.share, self.wanted, self.busy = share, set[int](), 0

    def take(self, threads: int, seconds: float | None) -> tuple[int, bool]:
        self.wanted.add(threads)
        self.busy += 1
        return min(threads, self.share), True

    def leave(self, outermost: bool) -> None:
        self.busy -= 1


@pytest.mark.parametrize(("share", "used"), [(1, 1), (2, 2), (3, 3), (4, 4), (9, 4)])
def test_a_program_uses_as_many_threads_as_its_process_is_given(share: int, used: int, monkeypatch: Any) -> None:
    seat = Given(share)
    monkeypatch.setattr(cpu, "seat", seat)
    monkeypatch.setattr(cpu, "sensible_threads", lambda _: 4)
    p, ends = program(descent, [numbers(6, 5), numbers(4, 5), 0.01], [1, None]), []
    source, rows, start = numbers(50, 5), RNG.integers(0, 50, (4000, 6)), numbers(4, 5)
    for runner, most in ((Executable(p), used), (Executable(p, 1), 1)):
        state = start.copy()
        runner.run([source[:6], state, 1e-3])
        runner.run_steps([None, state, 1e-3], {}, {0: (source, rows)}, 4000)
        ends.append(state.tobytes())
        threads = {threads for _, threads in runner._codes}
        assert max(threads) == most and threads <= {1, most}
    assert ends[0] == ends[1] and seat.wanted == {4, 1} and seat.busy == 0


def test_a_program_made_for_a_number_of_threads_keeps_it(monkeypatch: Any) -> None:
    monkeypatch.setattr(cpu, "seat", Given(1))
    runner = Executable(program(descent, [numbers(6, 5), numbers(4, 5), 0.01], [1, None]), 2)
    runner.run([numbers(6, 5), numbers(4, 5), 0.01])
    assert {threads for _, threads in runner._codes} == {2}


def test_the_seat_is_left_when_a_step_fails(monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise MemoryError

    seat = Given(2)
    monkeypatch.setattr(cpu, "seat", seat)
    monkeypatch.setattr(cpu.Filled, "run", refuse)
    with pytest.raises(MemoryError):
        Executable(program(descent, [numbers(6, 5), numbers(4, 5), 0.01], [1, None]), 2).run([0, 0, 0.01])
    assert seat.busy == 0


def test_explain_counts_the_threads_it_runs_on(monkeypatch: Any) -> None:
    monkeypatch.setattr(cpu, "seat", Given(1))
    p = program(lambda b, v, w: b("matmul", v, w), [numbers(300, 300), numbers(300, 300)])
    rows = p.explain().rows
    assert sum(row.microseconds for row in rows) > 0


def test_work_memory_is_lent_and_nothing_stays_in_it() -> None:
    p, source = program(descent, [numbers(6, 5), numbers(4, 5), 0.01], [1, None]), numbers(50, 5)
    rows, start, ends = RNG.integers(0, 50, (40, 6)), numbers(4, 5), []

    def train(*runners: Executable) -> set[int]:
        for runner in runners:
            state = start.copy()
            runner.run_steps([None, state, 1e-3], {}, {0: (source, rows)}, 40)
            ends.append(state.tobytes())
            cpu._memory.of(1)[...] = 255  # what another program may leave there: NaN
        filled = [f for runner in runners for f in runner._codes.values()]
        return {id(f.held[row]) for f in filled for row, kind, _ in f.live if kind == "work"}

    def work() -> None:
        first, second = Executable(p, 1), Executable(p, 1)
        assert len(train(first, second, first)) == 1 and cpu._memory.last() is not None
        del first, second
        gc.collect()
        assert cpu._memory.last() is None  # no network, no memory

    with ThreadPoolExecutor(1) as pool:  # a thread that no other test has used
        pool.submit(work).result()
    assert len(set(ends)) == 1


def test_threads_of_python_have_work_memory_each() -> None:
    p, source = program(descent, [numbers(6, 5), numbers(4, 5), 0.01], [1, None]), numbers(50, 5)
    rows, start = RNG.integers(0, 50, (3000, 6)), numbers(4, 5)
    states = [start.copy() for _ in range(6)]
    runners = [Executable(p, 1) for _ in states]

    def train(runner: Executable, state: Any) -> None:
        runner.run_steps([None, state, 1e-3], {}, {0: (source, rows)}, 3000)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(train, runners, states))
    assert len({state.tobytes() for state in states}) == 1


FORK = """
import os, signal, threading, time
import numpy as np
from compiler.small import program
from gyaku.compiler.cpu import Executable
x = np.random.default_rng(0).normal(size=(200, 200)) / 14
p = program(lambda b, v: b("matmul", b("tanh", b("matmul", v, v)), v), [x])
runner, stop = Executable(p, 2), False
before = runner.run([x])[0]

def train():
    while not stop:
        runner.run([x])

thread = threading.Thread(target=train)
thread.start()
ends = []
for k in range(6):
    time.sleep(0.013)
    child = os.fork()  # most likely in the middle of a run
    if child == 0:
        signal.alarm(20)
        os._exit(0 if all(np.array_equal(runner.run([x])[0], before) for _ in range(3)) else 3)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop = True
thread.join()
print(*ends)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_forked_in_the_middle_of_a_run_has_threads_of_its_own() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["0"] * 6


def test_small_programs_get_one_thread() -> None:
    assert sensible_threads(program(descent, [numbers(6, 5), numbers(4, 5), 0.01], [1, None])) == 1


@pytest.mark.skipif(not is_x86(), reason="the control word of x86")
def test_results_too_small_for_full_precision_are_0_and_numpy_keeps_its_own_rules() -> None:
    tiny, x = np.full(3, 3e-39, "f4"), np.full(3, 2e-38, "f4")

    def write(b: Any, v: Any, w: Any) -> list[Any]:
        by_numpy = b("cumsum", v, options=(("axis", 0),))  # in the middle of machine code
        return [b("multiply", w, 0.1), b("multiply", v, 1e9), b("greater", by_numpy, 0.0), by_numpy]

    for threads in (1, 2):
        small, large, positive, sums = Executable(program(write, [tiny, x]), threads).run([tiny, x])
        assert (small == 0).all() and np.allclose(large, 3e-30, rtol=1e-5)
        assert positive.all() and np.array_equal(sums, np.cumsum(tiny))
        assert (x * np.float32(0.1) > 0).all()  # also after a run


def test_swapping_two_states_keeps_both() -> None:
    a, c = numbers(3), numbers(3)
    old = a.copy(), c.copy()
    Executable(program(lambda b, v, w: [w, v], [a, c], [0, 1])).run([a, c])
    assert np.array_equal(a, old[1]) and np.array_equal(c, old[0])


def test_an_error_inside_numpy_is_raised_after_the_run() -> None:
    x = numbers(3, 4)
    p = program(lambda b, v: b("sort", v, options=(("axis", 0),)), [x])
    runner = Executable(p)
    bound = runner.bound()
    bound.callbacks[0].params = {"options": (("axis", 9),)}
    with pytest.raises(Exception, match="axis 9"):
        runner.run([x])


def test_labels_out_of_range_never_touch_other_memory() -> None:
    x, t = numbers(4, 3), np.array([0, 99, -99, 2])
    column = np.arange(4)
    p = program(lambda b, v, c, i: b("gather", v, c, i, pattern=("array", "array")), [x, column, t])
    (y,) = Executable(p).run([x, column, t])
    assert y.tolist() == [x[0, 0], x[1, 2], x[2, 0], x[3, 2]]
    with pytest.raises(PositionError):
        PRIMITIVES["require_range"].evaluate({"low": 0, "high": 3}, t)


def test_an_interrupt_at_any_point_leaves_whole_steps_and_no_thread_behind() -> None:
    x, w = numbers(64, 40), numbers(30, 40)
    runner = Executable(program(descent, [x, w, 0.01], [1, None]), 3)
    alone, states, state = w.copy(), [w.tobytes()], w.copy()
    codes = {f.__code__: {} for f in (pool.run_together, pool._run, pool._open)}
    for code, names in codes.items():
        names.update({i.offset: i.opname for i in dis.get_instructions(code)})
    raised, left, last = 0, 0, dict[Any, str]()

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code not in codes:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            heard = last.get(frame, "") in ("RESUME", "CALL", "JUMP_BACKWARD")  # behind these Python looks for signals
            last[frame] = codes[frame.f_code][frame.f_lasti]
            left -= heard
            if heard and left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    for point in range(1, 2000):
        Executable(runner.program, 1).run([x, alone, 1e-3])
        states.append(alone.tobytes())
        began, left = len(states) - 2, point
        last.clear()
        sys.settrace(trace)
        try:
            runner.run([x, state, 1e-3])
        except KeyboardInterrupt:
            raised += 1
        finally:
            sys.settrace(before)
        assert state.tobytes() in (states[began], states[began + 1])
        if state.tobytes() == states[began]:
            runner.run([x, state, 1e-3])
        if left > 0:
            break
    assert raised == point - 1 and raised > 10
    assert state.tobytes() == alone.tobytes()


def test_an_interrupt_while_the_table_is_filled_leaves_no_address_behind(monkeypatch: Any) -> None:
    p = program(lambda b, v: b("multiply", v, 2.0), [numbers(4, 2)])
    first, second = numbers(4, 2), numbers(4, 2)
    runner = Executable(p, 1)
    runner.run([first])
    (row,) = [row for row, kind, _ in runner.bound().live if kind == "input"]

    class Interrupted(list[Any]):
        armed = True

        def __setitem__(self, k: Any, value: Any) -> None:
            super().__setitem__(k, value)
            if self.armed and k == row:
                self.armed = False
                raise KeyboardInterrupt

    runner.bound().held = Interrupted(runner.bound().held)
    with pytest.raises(KeyboardInterrupt):
        runner.run([second])
    assert np.array_equal(runner.run([second])[0], second * np.float32(2))


def with_numpy(b: Any, v: Any) -> list[Any]:
    y = b("exp", b("multiply", v, 0.1))
    z = b("cumsum", y, options=(("axis", 0),))  # by NumPy, in the middle
    return [b("matmul", y, z), b("add", y, z)]


def test_a_step_that_is_interrupted_in_numpy_is_whole(monkeypatch: Any) -> None:
    x, real, calls = numbers(6, 6), cpu.evaluate, 0
    runner = Executable(program(with_numpy, [x]), 1)
    wanted = runner.run([x])
    into = [np.empty_like(y) for y in wanted]

    def interrupted(*what: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyboardInterrupt
        return real(*what)

    monkeypatch.setattr(cpu, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner._run([x], {}, {}, into, 1)
    assert calls == 2 and all(np.array_equal(a, b) for a, b in zip(into, wanted, strict=True))


def test_a_program_that_runs_inside_another_s_numpy_has_memory_of_its_own(monkeypatch: Any) -> None:
    source, rows, real, inside = numbers(20, 6), RNG.integers(0, 20, (3, 6)), cpu.evaluate, 0
    one, other = (Executable(program(with_numpy, [source[:6]]), 1) for _ in range(2))
    wanted = one.run_steps([None], {}, {0: (source, rows)}, 3)
    other.run_steps([None], {}, {0: (source, rows)}, 3)

    def nested(*what: Any) -> Any:
        nonlocal inside
        y = real(*what)
        inside += 1
        if inside == 1:  # as a signal's handler may
            other.run_steps([None], {}, {0: (-source, rows)}, 3)
        return y

    monkeypatch.setattr(cpu, "evaluate", nested)
    found = one.run_steps([None], {}, {0: (source, rows)}, 3)
    assert inside == 6 and all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


# --- found by random programs ---


def test_truth_values_and_whole_numbers_are_computed_as_numpy_computes_them() -> None:
    flags, other = RNG.random((5, 17)) < 0.5, RNG.random((5, 17)) < 0.5
    n, m, small = RNG.integers(-9, 9, 23), RNG.integers(1, 5, 23), RNG.integers(0, 255, 23).astype(np.uint8)

    def write(b: Any, p: Any, q: Any, i: Any, j: Any, u: Any, lr: Any, x: Any) -> list[Any]:
        pairs = [b(op, p, q) for op in ("add", "multiply", "maximum", "minimum")]
        extremes = [b(op, v, axis=a) for op in ("amax", "amin") for v, a in ((p, 1), (p, 0), (p, None), (u, 0))]
        whole = [b(op, i, j) for op in ("floor_divide", "remainder")] + [b("floor", i), b("isnan", i), b("absolute", u)]
        return pairs + extremes + whole + [b("power", j, 2), b("remainder", x, 0.1), b("remainder", x, lr)]

    for threads in (1, 2):
        compare(write, [flags, other, n, m, small, 0.3, numbers(6)], threads)


def test_index_arrays_behind_slices_stacks_in_any_order_and_empty_parts_of_a_join() -> None:
    x, rows, w, empty = numbers(3, 5, 4), np.array([4, 0, -1]), numbers(5, 6), numbers(3, 0, 4)

    def write(b: Any, v: Any, i: Any, u: Any, none: Any) -> list[Any]:
        turned = b("transpose", v, axes=(2, 0, 1))
        joined = b("concatenate", v, none, axis=1)
        whole = slice(None)
        return [
            b("gather", v, i, pattern=(whole, "array")), b("gather", u, i, pattern=("array", slice(1, 3))),
            b("index_add", b("slice", v, key=(whole, slice(0, 3))), i, shape=(3, 5, 4), pattern=(whole, "array")),
            b("matmul", turned, u), b("sum", joined, axis=1), b("concatenate", none, none, axis=0),
        ]  # fmt: skip

    for threads in (1, 2, 3):
        compare(write, [x, rows, w, empty], threads, ulps=64)


def test_parts_of_a_join_are_not_read_before_every_thread_has_written_them() -> None:
    def write(b: Any, v: Any, w: Any) -> list[Any]:
        joined = b("concatenate", v, w, axis=0)
        part = b("slice", joined, key=(slice(0, len(w_rows)),))
        return [b("add", joined, 1), b("exp", part)]

    w_rows = numbers(30, 3)
    for threads in (2, 3):
        for _ in range(20):
            compare(write, [numbers(50, 3), w_rows], threads)


def test_state_that_takes_its_own_elements_in_another_order() -> None:
    x, order = numbers(40, 3), RNG.permutation(40)
    p = program(lambda b, v, i: b("gather", v, i, pattern=("array",)), [x, order], into=[0])
    for threads in (1, 2):
        state = x.copy()
        Executable(p, threads).run([state, order])
        assert np.array_equal(state, x[order])


def test_an_old_value_that_is_a_result_is_kept_before_it_is_replaced() -> None:
    x, y = np.array(3.0, "f4"), numbers(4)

    def write(b: Any, v: Any, w: Any) -> list[Any]:
        return [
            b("divide", v, 2.0),
            b("reshape", v, shape=(1, 1)),
            b("flip", w, axis=(0,)),
            b("reshape", w, shape=(2, 2)),
        ]

    p = program(write, [x, y], into=[0, None, 1, None])
    for threads in (1, 2):
        a, c = x.copy(), y.copy()
        old, pairs = Executable(p, threads).run([a, c])
        assert a == 1.5 and old[0, 0] == 3
        assert np.array_equal(c, y[::-1]) and np.array_equal(pairs, y.reshape(2, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "width"), [(32, 2), (33, 3), (7, 8), (1, 4), (50, 5)])
def test_short_rows_are_read_whatever_way_they_lie(dtype: Any, n: int, width: int) -> None:
    a, turned, wide = (x.astype(dtype) for x in (numbers(n, width), numbers(width, n), numbers(n + 3, 2 * width)))
    row, column, left = (x.astype(dtype) for x in (numbers(n, 1), numbers(width), numbers(n, 11)))

    def write(b: Any, a: Any, turned: Any, wide: Any, row: Any, column: Any, left: Any) -> list[Any]:
        part = b("slice", wide, key=(slice(1, n + 1), slice(0, 2 * width, 2)))
        x = b("add", b("subtract", a, row), b("multiply", b("transpose", turned, axes=(1, 0)), column))
        y = b("exp", b("add", x, part))
        sums = [b("sum", y, axis=1, keepdims=keep) for keep in (True, False)]
        most = b("amax", y, axis=1, keepdims=True)
        z = b("divide", b("subtract", y, most), sums[0])
        few = b("matmul", b("transpose", left, axes=(1, 0)), z)  # a weight's gradient with few columns
        return [y, z, *sums, most, b("amin", z, axis=1, keepdims=False), b("greater", y, row), few]

    for threads in (1, 2):
        compare(write, [a, turned, wide, row, column, left], threads, ulps=64)


# --- products that sums take in ---
@pytest.mark.parametrize("shape", [(64, 300), (257, 1024)])
def test_what_is_exactly_zero_in_numpy_is_zero(shape: tuple[int, int]) -> None:
    a, c = numbers(*shape), numbers(*shape)

    def write(b: Any, a: Any, c: Any) -> list[Any]:
        h = b("multiply", a, c)
        below = b("subtract", b("amax", h, axis=1, keepdims=True), h)
        squares = b("subtract", b("multiply", a, a), b("multiply", a, a))
        crossed = b("subtract", b("multiply", a, c), b("multiply", c, a))
        return [b("amin", below, axis=1), squares, crossed]

    for p in (program(write, [a, c]), optimized(program(write, [a, c]))):
        assert not any(y.any() for y in Executable(p, 1).run([a, c]))


def test_a_sum_takes_in_a_product_that_nobody_else_reads() -> None:
    a, c = np.full(40, 1 + 2.0**-12, "f4"), np.full(40, -1 - 2.0**-11, "f4")
    p = program(lambda b, a, c: b("add", b("multiply", a, a), c), [a, c])
    (fused,) = Executable(p, 1).run([a, c])
    kept = program(lambda b, a, c: [b("add", h := b("multiply", a, a), c), h], [a, c])
    assert np.array_equal(fused, np.full(40, 2.0**-24, "f4")) and not Executable(kept, 1).run([a, c])[0].any()
