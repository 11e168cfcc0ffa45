"""Passes: small rewritings of a program, each followed by a check of all shapes and types.

None of them changes a bit of a result: x + 0 stays (it turns -0 into 0), sums keep their order, and nothing is
reassociated. Transposes stay too: to a runner they are views, which a matrix product reads as they lie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.compiler.primitives import PRIMITIVES, evaluate, infer
from gyaku.compiler.program import Equation, Operand, Program, Var

_SYMMETRIC = ("add", "multiply")  # (of two NaN the first may come through, or the other)
_KEEP = ("require_range",)  # equations that do something beside making a value


class _Rewriting:
    """A walk through the equations in order that leaves out, replaces or renames."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.renamed: dict[Var, Operand] = {}
        self.equations: list[Equation] = []
        self.outputs = set(program.outputs)
        self.taken = set(program.inputs) | self.outputs  # values that may not stand for an output
        self.made: dict[Var, Equation] = {}

    def run(self) -> Program:
        """Return the program rewritten."""
        for e in self.program.equations:
            inputs = tuple([self.renamed.get(v, v) if type(v) is Var else v for v in e.inputs])
            e = Equation(e.op, inputs, e.params, e.outputs, e.where)
            new = self.rewrite(e)
            if isinstance(new, Equation):
                self.equations.append(new)
                self.made[new.output] = new
            elif not self.rename(e.output, new):
                self.equations.append(e)
                self.made[e.output] = e
        return self.program.replaced(self.equations, self.renamed)

    def rename(self, v: Var, by: Any) -> bool:
        """Let ``by`` stand for ``v``, unless an output would then be an input, a literal or another output."""
        if v in self.outputs:
            if type(by) is not Var or by in self.taken:
                return False
            self.taken.add(by)
        self.renamed[v] = by
        return True

    def rewrite(self, e: Equation) -> Equation | Operand:
        """Return the equation to keep, or what stands for its output."""
        raise NotImplementedError


class _Common(_Rewriting):
    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.known: dict[Any, Var] = {}

    def rewrite(self, e: Equation) -> Equation | Operand:
        inputs = [str(v.id) if type(v) is Var else f"{type(v)} {v!r}" for v in e.inputs]
        key = (e.op, tuple(sorted(inputs) if e.op in _SYMMETRIC else inputs), repr(e.params))
        if e.op == "copy" or len(e.outputs) > 1:
            return e
        known = self.known.setdefault(key, e.output)
        return e if known is e.output else known


class _Simpler(_Rewriting):
    """Copies, reshapes of reshapes, and constants: what is known without running."""

    def rewrite(self, e: Equation) -> Equation | Operand:
        rule = getattr(self, f"_{e.op}", None)
        e = self._with_literals(e)
        constant = self._constant(e)
        if constant is not None:
            return constant
        found = rule(e) if rule is not None else None
        return e if found is None else found

    def _full(self, v: Any) -> Equation | None:
        made = self.made.get(v) if type(v) is Var else None
        return made if made is not None and made.op == "full" else None

    def _with_literals(self, e: Equation) -> Equation:
        """Put numbers in place of arrays of one number, where the type and shape of the result stay."""
        if PRIMITIVES[e.op].kind != "elementwise" or not any(self._full(v) for v in e.inputs):
            return e
        inputs = tuple([f.param("value") if (f := self._full(v)) else v for v in e.inputs])
        if not any(type(v) is Var for v in inputs):
            return e
        (kind,) = infer(e.op, dict(e.params), inputs)
        y = e.output
        if (tuple(kind[0]), np.dtype(kind[1]), kind[2]) != (y.shape, y.dtype, y.weak):
            return e
        return Equation(e.op, inputs, e.params, e.outputs, e.where)

    def _constant(self, e: Equation) -> Equation | Operand | None:
        """Return an array of one number, or a literal, for an equation of constants."""
        kind = PRIMITIVES[e.op].kind
        if kind not in ("elementwise", "shape") or e.op == "concatenate":
            return None
        fulls = [self._full(v) for v in e.inputs]
        if not all(f is not None or type(v) is not Var for f, v in zip(fulls, e.inputs, strict=True)):
            return None
        y, values = (
            e.output,
            [np.full((), f.param("value"), f.param("dtype")) if f else v for f, v in zip(fulls, e.inputs)],
        )
        with np.errstate(all="ignore"):
            value = values[0] if kind == "shape" else evaluate(e.op, dict(e.params), values)
        number: Any = value if isinstance(value, (bool, int, float)) else np.asarray(value).item()
        if y.weak:
            return number  # type: ignore[no-any-return,unused-ignore]
        return Equation("full", (), (("shape", y.shape), ("value", number), ("dtype", y.dtype)), e.outputs, e.where)

    def _copy(self, e: Equation) -> Equation | Operand:
        return e.inputs[0]

    _contiguous = _copy

    def _cast(self, e: Equation) -> Equation | Operand | None:
        (x,) = e.inputs
        return x if type(x) is Var and not x.weak and x.dtype == e.output.dtype else None

    def _reshape(self, e: Equation) -> Equation | Operand | None:
        (x,) = e.inputs
        if type(x) is Var and x.shape == e.output.shape:
            return x
        before = self.made.get(x)  # type: ignore[arg-type]
        return Equation(e.op, before.inputs, e.params, e.outputs, e.where) if before and before.op == e.op else None

    def _broadcast_to(self, e: Equation) -> Equation | Operand | None:
        (x,) = e.inputs
        return x if type(x) is Var and x.shape == e.output.shape else None

    def _transpose(self, e: Equation) -> Equation | Operand | None:
        (x,), axes = e.inputs, e.param("axes")
        if axes == tuple(range(len(axes))):
            return x
        before = self.made.get(x)  # type: ignore[arg-type]
        if before is None or before.op != "transpose":
            return None
        both = tuple([before.param("axes")[a] for a in axes])
        if both == tuple(range(len(both))):
            return before.inputs[0]
        return Equation(e.op, before.inputs, (("axes", both),), e.outputs, e.where)

    def _negative(self, e: Equation) -> Equation | Operand | None:
        before = self.made.get(e.inputs[0])  # type: ignore[arg-type]
        return before.inputs[0] if before is not None and before.op == "negative" else None

    def _multiply(self, e: Equation) -> Equation | Operand | None:
        a, b = e.inputs
        return self._same(e, a, b, 1) or self._same(e, b, a, 1)

    def _divide(self, e: Equation) -> Equation | Operand | None:
        x, by = e.inputs
        return self._same(e, x, by, 1)

    def _subtract(self, e: Equation) -> Equation | Operand | None:
        x, by = e.inputs
        return self._same(e, x, by, 0)

    _power = _divide

    def _same(self, e: Equation, x: Any, by: Any, neutral: int) -> Operand | None:
        """Return ``x`` if ``by`` is the number that changes nothing in a result of this type and shape."""
        y = e.output
        plain = type(by) in (int, float) and by == neutral and not (by == 0 and str(by)[0] == "-")
        fits = type(x) is Var and (x.shape, x.dtype, x.weak) == (y.shape, y.dtype, y.weak)
        return x if plain and fits else None


def dead_code(program: Program) -> Program:
    """Leave out equations whose results nobody reads, but no check."""
    alive = set(program.outputs)
    kept = []
    for e in reversed(program.equations):
        if e.op in _KEEP or any(v in alive for v in e.outputs):
            kept.append(e)
            alive |= set(e.vars)
    return program.replaced(reversed(kept))


def common_subexpressions(program: Program) -> Program:
    """Compute once what is written down several times: counters, masks' signs, a softmax in forward and backward."""
    return _Common(program).run()


def simpler(program: Program) -> Program:
    """Fold constants and drop what changes nothing: copies, x * 1, reshapes of reshapes, transposes of transposes."""
    return _Simpler(program).run()


def unused_inputs(program: Program) -> Program:
    """Leave out inputs that nobody reads and no output goes into."""
    used = {v for e in program.equations for v in e.vars} | set(program.outputs)
    used |= {program.inputs[k] for k in program.into if k is not None}
    inputs = [v for v in program.inputs if v in used]
    place = {v: i for i, v in enumerate(inputs)}
    into = [None if k is None else place[program.inputs[k]] for k in program.into]
    return Program(inputs, program.equations, program.outputs, into, program.names)


PASSES: tuple[Callable[[Program], Program], ...] = (
    dead_code,
    simpler,
    common_subexpressions,
    simpler,
    common_subexpressions,
    dead_code,
    unused_inputs,
)


def optimized(program: Program) -> Program:
    """Return the program after all passes; each is followed by a check."""
    for each in PASSES:
        program = each(program)
        program.check()
    return program
