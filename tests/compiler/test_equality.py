"""The compiled step against eager, whatever model, loss, optimizer or schedule: the interpreter has eager's bits, also
behind the passes; machine code agrees to rounding (a dozen here, all of them in ``make parity``)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from compiler.compare import bit_faults, rule_faults, step_faults
from compiler.models import COUNT, World, build
from gyaku.compiler import interpret
from gyaku.compiler.compiled import Compiled
from gyaku.compiler.passes import optimized


def record(world: World, step: Any, seed: int) -> list[Any]:
    """Run all batches; return results and everything that changed, step by step."""
    gy.manual_seed(seed)
    found = []
    for i, batch in enumerate(world.batches):
        world.before(i)
        results = [r._array.copy() for r in step(*batch)]
        found.append((results, world.arrays(), gy.get_rng_state()))
    return found


def differences(eager: list[Any], compiled: list[Any]) -> list[str]:
    """Name what differs in any bit (gradients that a compiled optimizer step let go are not compared)."""
    faults = []
    for i, ((a, b, r), (c, d, s)) in enumerate(zip(eager, compiled, strict=True)):
        faults += [f"step {i} result {k}" for k, (x, y) in enumerate(zip(a, c, strict=True)) if not same(x, y)]
        wanted = {name for name in b if not name.startswith("gradient")}
        faults += [f"step {i} lacks {name}" for name in wanted ^ {n for n in d if not n.startswith("gradient")}]
        faults += [f"step {i} {name}" for name in sorted(wanted & set(d)) if not same(b[name], d[name])]
        faults += [f"step {i} generator"] if r != s else []
    return faults


def same(x: Any, y: Any) -> bool:
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


@pytest.mark.parametrize("first", range(0, COUNT, 10))
def test_the_interpreter_has_the_bits_of_eager(first: int) -> None:
    for seed in range(first, first + 10):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eager_world, world = build(seed), build(seed)
        eager = record(eager_world, eager_world.step, seed)
        step = gy.compile(world.step, runner="interpret")
        assert differences(eager, record(world, step, seed)) == [], world.text
        assert step.traces == 1 and not step.fallback_reason, world.text
        assert all(np.isfinite(results[0]).all() for results, _, _ in eager), world.text


class Optimized(Compiled):
    """Runs the program behind all passes through the interpreter."""

    def _entry(self, traced: Any, grads: Any) -> Any:
        entry = super()._entry(traced, grads)
        self.before = len(traced.program)
        traced.program = optimized(traced.program)
        self.behind = len(traced.program)
        entry.executable = interpret.Executable(traced.program)
        return entry


@pytest.mark.parametrize("first", range(0, COUNT, 40))
def test_no_pass_changes_a_bit(first: int) -> None:
    for seed in range(first, first + 40, 4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eager_world, world = build(seed), build(seed)
        step = Optimized(world.step, keep_gradients=False, runner="interpret", threads=None)
        eager = record(eager_world, eager_world.step, seed)
        assert differences(eager, record(world, step, seed)) == [], world.text
        assert step.behind < step.before


@pytest.mark.parametrize("seed", range(3, 200, 17))
def test_machine_code_agrees_with_eager(seed: int) -> None:
    pytest.importorskip("llvmlite", reason="machine code needs llvmlite: pip install 'gyaku[compile]'")
    assert step_faults(seed, "cpu") == []


@pytest.mark.parametrize("seed", range(5, 200, 50))
def test_update_rules_in_machine_code(seed: int) -> None:
    pytest.importorskip("llvmlite", reason="machine code needs llvmlite: pip install 'gyaku[compile]'")
    assert rule_faults(seed, "cpu") == []


@pytest.mark.parametrize("seed", [3, 5, 6, 23, 40, 49, 54, 56, 104, 120, 170])
def test_the_bits_of_drawn_models_do_not_depend_on_the_number_of_threads(seed: int) -> None:
    pytest.importorskip("llvmlite", reason="machine code needs llvmlite: pip install 'gyaku[compile]'")
    assert bit_faults(seed) == []
