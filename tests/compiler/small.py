"""Small programs written by hand, for tests of the machine code; NumPy's answer by the primitives' own rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.compiler.cpu import Executable
from gyaku.compiler.primitives import evaluate, infer
from gyaku.compiler.program import Equation, Program, Var


class Builder:
    """Writes equations: ``b("add", x, y)`` returns the new value."""

    def __init__(self) -> None:
        self.inputs: list[Var] = []
        self.equations: list[Equation] = []
        self.count = 0

    def var(self, kind: tuple[Any, Any, bool]) -> Var:
        self.count += 1
        return Var(self.count, *kind)

    def input(self, array: Any) -> Var:
        weak = isinstance(array, float)
        self.inputs.append(self.var((np.shape(array), np.asarray(array).dtype, weak)))
        return self.inputs[-1]

    def __call__(self, op: str, *x: Any, **params: Any) -> Var:
        outputs = tuple([self.var(kind) for kind in infer(op, params, x)])
        self.equations.append(Equation(op, x, tuple(params.items()), outputs))
        return outputs[0]


def program(write: Callable[..., Any], arrays: list[Any], into: list[int | None] | None = None) -> Program:
    """Return the program that ``write(builder, *inputs)`` gives, checked."""
    b = Builder()
    outputs = write(b, *[b.input(a) for a in arrays])
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    made = Program(b.inputs, b.equations, outputs, into or [None] * len(outputs))
    made.check()
    return made


def by_numpy(p: Program, arrays: list[Any]) -> list[Any]:
    """Return the outputs as NumPy computes them, equation by equation."""
    values: dict[Any, Any] = dict(zip(p.inputs, arrays, strict=True))
    with np.errstate(all="ignore"):
        for e in p.equations:
            values[e.output] = evaluate(e.op, dict(e.params), [values.get(v, v) for v in e.inputs])
    return [np.asarray(values[v]) for v in p.outputs]


def compare(write: Callable[..., Any], arrays: list[Any], threads: int = 1, ulps: float = 8) -> None:
    """Run as machine code and by NumPy; floats agree to some units in the last place of the largest, others exactly."""
    p = program(write, arrays)
    for y, wanted in zip(Executable(p, threads).run(arrays), by_numpy(p, arrays), strict=True):
        assert y.shape == wanted.shape and y.dtype == wanted.dtype
        if wanted.dtype.kind == "f":
            finite = np.isfinite(wanted)
            assert np.array_equal(np.where(finite, 0, y), np.where(finite, 0, wanted), equal_nan=True)
            size = np.abs(wanted[finite]).max(initial=0)
            assert np.abs(y[finite] - wanted[finite]).max(initial=0) <= ulps * np.spacing(wanted.dtype.type(size))
        else:
            assert np.array_equal(y, wanted)
