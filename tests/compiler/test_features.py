"""Activations of large layers lie features by batch in machine code: which are turned, and that it is right."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from compiler.compare import bit_faults, classifier_step, made_up, step_faults, turn_everything
from compiler.small import compare, program
from gyaku import nn, optim
from gyaku.backend.random import Generator
from gyaku.compiler import features, interpret
from gyaku.compiler.program import Program

pytest.importorskip("llvmlite", reason="machine code needs llvmlite: pip install 'gyaku[compile]'")
from gyaku.compiler.cpu import Executable

RNG = np.random.default_rng(3)


def numbers(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def ops(p: Program) -> Counter[str]:
    return Counter(e.op for e in p.equations)


def turned(p: Program) -> set[tuple[int, ...]]:
    """Return the shapes of the products of the program for machine code that the program as it was does not have."""
    made = [{e.output.shape for e in q.equations if e.op == "matmul"} for q in (features.features_first(p), p)]
    return made[0] - made[1]


def step_of(model: nn.Module) -> Any:
    return classifier_step(model, optim.Adam(model.parameters(), lr=1e-3))


def trained(model: nn.Module, inputs: int, batch: int, classes: int) -> tuple[Program, list[Any]]:
    """Return the optimized program of a training step, and values for its inputs."""
    x, t = numbers(batch, inputs), RNG.integers(0, classes, batch)
    p = gy.compile(step_of(model)).program(gy.tensor(x), gy.tensor(t))
    return p, [{x.shape: x, t.shape: t}.get(v.shape, made_up(v, RNG)) for v in p.inputs]


def copies(arrays: list[Any]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]


@pytest.mark.parametrize("batch", [20, 90])
def test_a_large_network_is_turned_and_trains_as_the_interpreter_does(batch: int) -> None:
    gy.manual_seed(1)
    layers = [nn.Linear(600, 240), nn.BatchNorm1d(240), nn.ReLU(), nn.Dropout(0.3), nn.Linear(240, 230), nn.Tanh()]
    p, arrays = trained(nn.Sequential(*layers, nn.Linear(230, 7)), 600, batch, 7)
    assert {(240, batch), (230, batch)} <= turned(p)
    q = features.features_first(p)
    assert ops(q)["turn_mask"] == 1
    expected, found = copies(arrays), copies(arrays)
    loss, own = interpret.Executable(p).run(expected), Executable(p, 2).run(found)
    turned_too = copies(arrays)
    by_numpy = interpret.Executable(q).run(turned_too)
    for a, b, c in zip([*loss, *expected], [*own, *found], [*by_numpy, *turned_too], strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-6)
        np.testing.assert_allclose(c, a, rtol=2e-4, atol=2e-6)


def test_small_layers_stay_as_they_are() -> None:
    layers = [nn.Linear(600, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)]
    p, _ = trained(nn.Sequential(*layers), 600, 100, 10)
    assert features.features_first(p) is p


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let weights of every size be large."""
    turn_everything(monkeypatch)


@pytest.mark.usefixtures("everything")
def test_what_is_given_or_asked_for_is_not_turned() -> None:
    x, w, v = numbers(20, 12), numbers(12, 12), numbers(12, 5)
    noisy = program(lambda b, x, w, v: b("sum", b("matmul", b("add", x, x), w)), [x, w, v])
    assert turned(noisy) == {(12, 20)}
    assert not any(e.op == "add" and e.output.shape == (12, 20) for e in features.features_first(noisy).equations)
    asked = program(lambda b, x, w, v: b("maximum", b("matmul", x, v), 0), [x, w, v])
    assert features.features_first(asked) is asked

    def cumulating(b: Any, x: Any, w: Any, v: Any) -> Any:
        return b("sum", b("add", b("matmul", x, w), b("cumsum", x, options=(("axis", 1),))))

    cumulated = program(cumulating, [x, w, v])
    assert features.features_first(cumulated) is cumulated


@pytest.mark.usefixtures("everything")
def test_a_transpose_that_changes_nothing_is_none() -> None:
    x, w = gy.tensor(numbers(32, 24)), gy.tensor(numbers(24, 24))

    def step(x: Any, w: Any) -> Any:
        v = w.permute(0, 1)
        return (x @ v).sum(), v

    assert np.isclose(gy.compile(step)(x, w)[0].item(), step(x, w)[0].item(), rtol=1e-4)


def test_a_first_layer_with_few_outputs_stays_as_it_is() -> None:
    p, _ = trained(nn.Sequential(nn.Linear(3072, 10)), 3072, 32, 10)
    assert features.features_first(p) is p


def test_a_head_behind_convolutions_stays_as_it_is() -> None:
    head = [nn.Flatten(), nn.Linear(8 * 14 * 14, 128), nn.ReLU(), nn.Linear(128, 10)]
    model = nn.Sequential(nn.Unflatten(1, (1, 16, 16)), nn.Conv2d(1, 8, 3), nn.ReLU(), *head)
    p, _ = trained(model, 256, 32, 10)
    assert (8 * 14 * 14, 32) not in turned(p)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_rows_looked_up_are_packed_by_each_thread(threads: int) -> None:
    x, t, rows = numbers(300, 21), RNG.integers(0, 4, 300), RNG.integers(0, 300, (5, 40))

    def run(threads: int, whole: bool) -> list[bytes]:
        gy.manual_seed(2)
        model = nn.Sequential(nn.Linear(21, 90), nn.ReLU(), nn.Linear(90, 50), nn.Tanh(), nn.Linear(50, 4))
        compiled = gy.compile(step_of(model), threads=threads)
        if whole:
            compiled.steps(x, t, rows=rows)
        else:
            for r in rows:
                compiled(gy.tensor(x[r]), gy.tensor(t[r]))
        return [p._array.tobytes() for p in model.parameters()]

    assert run(threads, whole=True) == run(1, whole=False)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("threads", [1, 3])
def test_sums_rows_and_columns_beside_turned_values(threads: int) -> None:
    x, w, v, row, column = numbers(37, 12), numbers(19, 12), numbers(19, 11), numbers(19), numbers(37, 1)

    def write(b: Any, x: Any, w: Any, v: Any, row: Any, column: Any) -> list[Any]:
        h = b("matmul", x, b("transpose", w, axes=(1, 0)))
        h = b("multiply", b("add", h, row), column)
        h = b("subtract", h, b("reshape", row, shape=(1, 19)))
        found = [b("sum", h, axis=axis, keepdims=keep) for axis in (None, 0, -1, (0, 1)) for keep in (False, True)]
        high = b("subtract", h, b("amax", h, axis=1, keepdims=True))
        low = b("subtract", high, b("amin", high, axis=0, keepdims=True))
        last = b("argmax", b("matmul", low, v), axis=1)
        return [*found, b("sum", low, axis=1), last, b("matmul", b("transpose", low, axes=(1, 0)), x)]

    assert (19, 37) in turned(program(write, [x, w, v, row, column]))
    compare(write, [x, w, v, row, column], threads, ulps=40)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("shape", [(16, 16), (100, 64), (128, 37), (64, 1000), (257, 33), (17, 16)])
def test_masks_are_turned(shape: tuple[int, int], threads: int) -> None:
    rng = np.array([5, 6, 7], np.uint64)
    p = program(lambda b, r: b("turn_mask", b("mask", r, threshold=30000, offset=3, shape=shape)), [rng])
    wanted = Generator(5, stream=6, counter=10).mask(30000 / 65536, shape)
    assert np.array_equal(Executable(p, threads).run([rng])[0], wanted.T)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("seed", range(1, 200, 16))
def test_drawn_models_turned_agree_with_eager(seed: int) -> None:
    assert step_faults(seed, "cpu") == []


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("seed", [3, 27, 97, 104])
def test_the_bits_of_turned_models_do_not_depend_on_the_number_of_threads(seed: int) -> None:
    assert bit_faults(seed) == []
