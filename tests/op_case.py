"""What a row of ``op_cases.py`` is made of: kinds of inputs, samples, kinks and refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import gyaku as gy


@dataclass(frozen=True)
class Input:
    """One input array: how its numbers are drawn, and its shape."""

    draw: Callable[[np.random.Generator, tuple[int, ...]], Any]
    shape: tuple[int, ...]

    def array(self, rng: np.random.Generator, dtype: Any) -> np.ndarray:
        a = np.asarray(self.draw(rng, self.shape))
        return a.astype(dtype) if a.dtype.kind == "f" else a


def real(*shape: int) -> Input:
    """Return normal numbers."""
    return Input(lambda rng, s: rng.normal(size=s), shape)


def away(*shape: int) -> Input:
    """Return numbers of both signs whose size is 0.3 to 2: away from a kink at 0."""
    return Input(lambda rng, s: rng.choice([-1.0, 1.0], size=s) * rng.uniform(0.3, 2, size=s), shape)


def positive(*shape: int) -> Input:
    """Return numbers from 0.3 to 2."""
    return Input(lambda rng, s: rng.uniform(0.3, 2, size=s), shape)


def larger(*shape: int) -> Input:
    """Return numbers from 2.3 to 4: larger than any of ``away``."""
    return Input(lambda rng, s: rng.uniform(2.3, 4, size=s), shape)


def unit(*shape: int) -> Input:
    """Return numbers from -0.9 to 0.9."""
    return Input(lambda rng, s: rng.uniform(-0.9, 0.9, size=s), shape)


def inside(*shape: int) -> Input:
    """Return numbers from 0.05 to 0.95: probabilities."""
    return Input(lambda rng, s: rng.uniform(0.05, 0.95, size=s), shape)


def spread(*shape: int) -> Input:
    """Return numbers of which no two are nearer than 0.1, none of them near a multiple of 1/2: no ties."""
    n = math.prod(shape)
    return Input(lambda rng, s: (rng.permutation(n).reshape(s) - n // 2) * 0.25 + 0.12, shape)


def mask(*shape: int) -> Input:
    """Return truth values."""
    return Input(lambda rng, s: rng.random(size=s) < 0.5, shape)


def whole(high: int, *shape: int) -> Input:
    """Return integers from 0 to high - 1."""
    return Input(lambda rng, s: rng.integers(0, high, size=s), shape)


def exactly(values: Any) -> Input:
    """Return these numbers."""
    a = np.asarray(values)
    return Input(lambda rng, s: a.copy(), a.shape)


@dataclass(frozen=True)
class Sample:
    """Inputs of one call, and its keyword arguments (the operation's static ones)."""

    inputs: tuple[Input, ...]
    static: dict[str, Any] = field(default_factory=dict)

    @property
    def floating(self) -> bool:
        return any(a.dtype.kind == "f" for a in self.arrays(np.float64))

    def arrays(self, dtype: Any) -> list[np.ndarray]:
        rng = np.random.default_rng(11)
        return [i.array(rng, dtype) for i in self.inputs]


def at(*inputs: Input, **static: Any) -> Sample:
    """Return a sample."""
    return Sample(inputs, static)


@dataclass(frozen=True)
class Kink:
    """A point where no derivative exists, and the one the documentation declares (of the sum of outputs)."""

    x: tuple[Any, ...]
    expected: tuple[Any, ...]
    static: dict[str, Any] = field(default_factory=dict)


def kink(x: Any, expected: Any, **static: Any) -> Kink:
    """Return a kink of an operation with one input."""
    return Kink((np.asarray(x, dtype=float),), (expected,), static)


@dataclass(frozen=True)
class Refusal:
    """A call that must fail, and the whole message (without the user's line)."""

    call: Callable[[], Any]
    text: str


@dataclass(frozen=True)
class Case:
    """One operation: how it is called, what it should give, and where to look.

    ``beyond`` says why the rule is not read as a formula (only where its shape depends on data); ``smooth`` is false
    where there is no derivative to check; ``loose`` widens the tolerance where the reference is the rougher one.
    """

    op: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    samples: tuple[Sample, ...]
    kinks: tuple[Kink, ...] = ()
    errors: tuple[Refusal, ...] = ()
    smooth: bool = True
    promotes: bool = False
    floats: bool = False
    view: bool = False
    loose: float = 1
    beyond: str = ""


def unary(op: str, call: Any, reference: Any, domain: Any = real, *, static: tuple[Any, ...] = (), **more: Any) -> Case:
    """Return the row of a function of each element: a matrix, a large one, 0-d, empty; one more for each ``static``."""
    first = static[0] if static else {}
    shapes = ((3, 4), (), (0, 3), (29, 5)) if more.get("smooth", True) else ((3, 4), (), (0, 3))
    samples = [Sample((domain(*s),), first) for s in shapes]
    samples += [Sample((domain(2, 3),), other) for other in static[1:]]
    more.setdefault("floats", more.get("smooth", True))
    return Case(op, call, reference, tuple(samples), **more)


SHAPES = [
    ((3, 4), (3, 4)),
    ((29, 5), (5,)),
    ((3, 1), (1, 4)),
    ((2, 3), ()),
    ((), (2, 1, 3)),
    ((), ()),
    ((0, 3), (1, 3)),
    ((2, 1, 3), (4, 1)),
]


def binary(op: str, call: Any, reference: Any, domain: Any = real, other: Any = None, **more: Any) -> Case:
    """Return the row of a function of two broadcast inputs."""
    shapes = SHAPES if more.get("smooth", True) else SHAPES[1:4] + SHAPES[5:7]
    samples = tuple(at(domain(*a), (other or domain)(*b)) for a, b in shapes)
    return Case(op, call, reference, samples, promotes=True, **more)


def t(*shape: int) -> Any:
    """Return a tensor of ones, for the refusals."""
    return gy.Tensor(np.ones(shape, dtype=np.float32))


def as_input(x: Any, like: Any) -> Any:
    return None if x is None else gy.Tensor(np.asarray(x, dtype=like._array.dtype))


def weighted(function: Any, *names: str) -> Any:
    """Return ``function`` with the static arrays called ``names`` made tensors of the input's type."""
    return lambda x, *more, **k: function(x, *more, **{n: as_input(v, x) if n in names else v for n, v in k.items()})
