"""The program of a compiled step: typed array equations in single assignment, one line each when printed."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gyaku.base.errors import GraphError

Shape = tuple[int, ...]
_SHORT = {"float32": "f32", "float64": "f64", "float16": "f16", "int64": "i64", "int32": "i32", "bool": "b1"}


class Var:
    """A value of the program: its number, shape and dtype; ``weak`` for a number that never widens an array.

    A weak value is a Python float to NumPy: ``2.5 * x`` keeps the type of x (NEP 50).
    """

    __slots__ = ("id", "shape", "dtype", "weak")

    def __init__(self, id: int, shape: Shape, dtype: Any, weak: bool = False) -> None:
        self.id, self.shape, self.dtype, self.weak = id, tuple(shape), np.dtype(dtype), weak

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        n = 1
        for s in self.shape:
            n *= s
        return n

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.size * self.dtype.itemsize

    @property
    def type(self) -> str:
        """Type and shape as printed: ``f32[100,784]``, ``f64*`` for a weak number."""
        name = _SHORT.get(self.dtype.name, self.dtype.name)
        return name + ("*" if self.weak else "") + (f"[{','.join(map(str, self.shape))}]" if self.shape else "")

    def __repr__(self) -> str:
        return f"v{self.id}"


Operand = Var | bool | int | float  # a Python number stands for itself


@dataclass(frozen=True, eq=False)
class Equation:
    """``outputs = op(inputs; params)``; ``where`` is the user's line that asked for it."""

    op: str
    inputs: tuple[Operand, ...]
    params: tuple[tuple[str, Any], ...]
    outputs: tuple[Var, ...]
    where: str = ""

    def __str__(self) -> str:
        left = ", ".join(f"{v!r}:{v.type}" for v in self.outputs)
        right = ", ".join([*map(repr, self.inputs), *(f"{k}={_short(v)}" for k, v in self.params)])
        return f"{left} = {self.op}({right})"

    @property
    def output(self) -> Var:
        """The first (usually only) output."""
        return self.outputs[0]

    @functools.cached_property
    def vars(self) -> tuple[Var, ...]:
        """The inputs that are values of the program, not literals."""
        return tuple([v for v in self.inputs if type(v) is Var])

    def param(self, name: str, default: Any = None) -> Any:
        """Return a parameter by name."""
        return dict(self.params).get(name, default)


@dataclass
class Program:
    """Inputs, equations and outputs; ``into[k]`` is the input whose memory takes output k, or None for a result."""

    inputs: list[Var]
    equations: list[Equation]
    outputs: list[Var]
    into: list[int | None]
    names: dict[int, str] = field(default_factory=dict)  # what an input is, by its number: "x", "0.weight", "lr"

    def __str__(self) -> str:
        lines = ["program"]
        lines += [
            f"  in   {v!r}:{v.type}" + (f"  # {self.names[v.id]}" if v.id in self.names else "") for v in self.inputs
        ]
        lines += [f"  {e}" for e in self.equations]
        for v, target in zip(self.outputs, self.into, strict=True):
            name = self.names.get(self.inputs[target].id, "state") if target is not None else "result"
            lines.append(
                f"  out  {v!r}:{v.type}  -> {name}" + (f" ({self.inputs[target]!r})" if target is not None else "")
            )
        return "\n".join(lines)

    def __len__(self) -> int:
        return len(self.equations)

    def explain(self, threads: int | None = None) -> Any:
        """Return a table of the machine code: what was fused, buffers, bytes, FLOPs and time of every kernel.

        Raises ``MissingPackageError`` without llvmlite.
        """
        from gyaku.compiler.profile import profile

        return profile(self, threads)

    def replaced(self, equations: Iterable[Equation], renamed: dict[Var, Operand] | None = None) -> Program:
        """Return the program with other equations; ``renamed`` says what stands for a value that is gone."""
        renamed = renamed or {}
        outputs = [_follow(v, renamed) for v in self.outputs]
        if not all(type(v) is Var for v in outputs):
            raise GraphError("compile", "values as outputs", "a literal")
        return replace(self, equations=list(equations), outputs=outputs)

    def uses(self) -> Counter[Var]:
        """Return how often each value is read (outputs count as reads)."""
        found: Counter[Var] = Counter(v for e in self.equations for v in e.vars)
        found.update(self.outputs)
        return found

    def check(self) -> None:
        """Infer every shape and type again and compare; each value is made once, before it is read."""
        from gyaku.compiler.primitives import infer

        known = set(self.inputs)
        for e in self.equations:
            missing = [v for v in e.vars if v not in known]
            if missing:
                raise GraphError("compile (check)", f"{missing[0]!r} before it is read", str(e))
            kinds = infer(e.op, dict(e.params), e.inputs)
            for v, (shape, dtype, weak) in zip(e.outputs, kinds, strict=True):
                if v in known or (v.shape, v.dtype, v.weak) != (tuple(shape), np.dtype(dtype), weak):
                    raise GraphError("compile (check)", f"{np.dtype(dtype)}{list(shape)} for {v!r}", str(e))
                known.add(v)
        lost = [v for v in self.outputs if v not in known]
        if lost:
            raise GraphError("compile (check)", "outputs that some equation makes", repr(lost[0]))


def _follow(v: Var, renamed: dict[Var, Operand]) -> Any:
    while type(v) is Var and v in renamed:
        v = renamed[v]  # type: ignore[assignment]
    return v


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
