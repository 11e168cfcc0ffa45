"""A compiled step beside eager, restarted from eager's state at each step, array by array: ‖difference‖ / ‖eager‖."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

import gyaku as gy
from compiler.models import World, build

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
RULE = 1e-6  # the update rule, given the same gradients


def classifier_step(model: Any, optimizer: Any) -> Any:
    """Return an ordinary training step of a classifier."""

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = gy.nn.functional.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step


def worlds(seed: int) -> tuple[World, World]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(seed), build(seed)


def distance(a: Any, b: Any, floor: float = 0.0) -> float:
    """Return ‖a - b‖ / max(‖b‖, floor); 0 for equal arrays, NaN against NaN too."""
    a, b = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    if np.array_equal(a, b, equal_nan=True):
        return 0.0
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), floor, 1e-300))


def state_of(world: World) -> tuple[Any, Any]:
    """Return copies of weights, buffers and the state of the optimizer."""
    return copy.deepcopy(world.model.state_dict()), copy.deepcopy(world.optimizer.state_dict())


def set_state(world: World, state: tuple[Any, Any]) -> None:
    """Put weights, buffers and optimizer back."""
    world.model.load_state_dict(state[0])
    world.optimizer.load_state_dict(state[1])


def run(world: World, step: Any, i: int, state: tuple[Any, Any], random: Any, dtype: str = "") -> Any:
    """Run step ``i`` from a state; return its results and everything that it changed."""
    set_state(world, state)
    gy.set_rng_state(random)
    batch = world.batches[i]
    if dtype:
        world.model.to(dtype)
        batch = tuple([t.to(dtype) if t.is_floating_point() else t for t in batch])
    return [r._array.copy() for r in step(*batch)], world.arrays()


def step_faults(seed: int, runner: str) -> list[str]:
    """Return what a compiled step, restarted from eager's state each time, makes of gradients, buffers and results.

    A gradient whose exact value is (nearly) 0, as that of a bias in front of a batch norm, is in float32 nothing but
    rounding, for eager too. There compiled may be four times as far from eager as rounding takes eager itself.
    """
    eager, other = worlds(seed)
    step = gy.compile(other.step, runner=runner, keep_gradients=True)
    tolerance, faults = TOLERANCE[eager.dtype], []
    gy.manual_seed(seed)
    for i in range(len(eager.batches)):
        eager.before(i)
        other.before(i)
        start, random = state_of(eager), gy.get_rng_state()
        wanted, b = run(eager, eager.step, i, start, random)
        after = gy.get_rng_state()
        found, a = run(other, step, i, start, random)
        faults += [f"step {i} generator"] if gy.get_rng_state() != after else []
        faults += [f"step {i} result {k}: {d:.1e}" for k, d in enumerate(map(distance, found, wanted)) if d > tolerance]
        names = [n for n in b if n.startswith("gradient") or "running" in n or "tracked" in n]
        off = [n for n in names if distance(a[n], b[n]) > tolerance]
        if off:
            own = rounding(seed, eager, i, start, random, b)
            off = [n for n in off if np.linalg.norm(a[n].astype(np.float64) - b[n]) > 4 * own[n]]
            gy.set_rng_state(after)
        faults += [f"step {i} {n}: {distance(a[n], b[n]):.1e}" for n in off]
    if step.fallback_reason or step.traces > 2:
        faults.append(repr(step))
    return faults and [eager.text, *faults]


def rounding(seed: int, eager: World, i: int, start: Any, random: Any, b: Any) -> dict[str, float]:
    """Return what is rounding in eager's arrays, as norms: the distance to the same step in float64, and the last place
    of the largest gradient."""
    largest = max(np.linalg.norm(v.astype(np.float64)) for n, v in b.items() if n.startswith("gradient"))
    place = 2 * float(np.finfo(eager.dtype).eps) * largest
    if eager.dtype == "float64":
        return dict.fromkeys(b, 16 * place)  # of sums of up to a few hundred numbers
    exact = worlds(seed)[0]
    arrays = run(exact, exact.step, i, start, random, "float64")[1]
    return {n: max(place, float(np.linalg.norm(b[n].astype(np.float64) - arrays[n]))) for n in b if n in arrays}


def rule_faults(seed: int, runner: str) -> list[str]:
    """Return what a compiled ``optimizer.step`` makes of the same gradients."""
    eager, other = worlds(seed)
    step, faults = gy.compile(lambda: other.optimizer.step(), runner=runner), []
    rng = np.random.default_rng(seed)
    for i in range(len(eager.batches)):
        eager.before(i)
        other.before(i)
        set_state(other, state_of(eager))
        for p, q in zip(eager.model.parameters(), other.model.parameters(), strict=True):
            p.grad = gy.tensor(rng.normal(size=p.shape).astype(eager.dtype))
            q.grad = p.grad.clone()
        eager.optimizer.step()
        step()
        a, b = other.arrays(), eager.arrays()
        faults += [
            f"step {i} {name}: {d:.1e}"
            for name in b
            if not name.startswith("gradient") and (d := distance(a[name], b[name])) > RULE
        ]
    return faults and [eager.text, *faults]


def made_up(v: Any, rng: Any) -> Any:
    """Return a value for an input of a program."""
    if v.dtype.kind != "f":
        return np.zeros(v.shape, v.dtype)
    return np.full((), 0.5) if v.weak else (rng.random(v.shape) / 20).astype(v.dtype)


def bit_faults(seed: int) -> list[str]:
    """Return the numbers of threads on which machine code does not have the bits that it has on one."""
    from gyaku.compiler.cpu import Executable

    world = worlds(seed)[0]
    world.before(0)
    program, rng = gy.compile(world.step).program(*world.batches[0]), np.random.default_rng(seed)
    arrays, ends = [made_up(v, rng) for v in program.inputs], {}
    for threads in (1, 2, 3):
        own, runner = [a.copy() for a in arrays], Executable(program, threads)
        results = [r for _ in range(3) for r in runner.run(own)]
        ends[threads] = [np.nan_to_num(a, nan=7.0).tobytes() for a in [*results, *own]]
    faults = [f"{threads} threads" for threads in (2, 3) if ends[threads] != ends[1]]
    return faults and [world.text, *faults]


def turn_everything(monkeypatch: Any) -> None:
    """Let weights of every size be large enough for ``features_first``, in batches of every size."""
    from gyaku.compiler import features

    for name in ("_LARGE", "_LARGE_FIRST", "_LARGE_IN_SMALL"):
        monkeypatch.setattr(features, name, 0)
    monkeypatch.setattr(features, "_FEWEST", 1)
