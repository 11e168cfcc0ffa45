"""What passes share that write a program anew with other layouts: fresh values, and equations one by one."""

from __future__ import annotations

from typing import Any

from gyaku.compiler.passes import dead_code
from gyaku.compiler.primitives import infer
from gyaku.compiler.program import Equation, Operand, Program, Var

SUMS = ("sum", "prod", "amax", "amin", "any", "all")  # reductions that a layout does not matter to


class Relayout:
    """Writes equations; ``made`` says which equation of the old program makes a value."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.equations: list[Equation] = []
        self.made = {v: e for e in program.equations for v in e.outputs}
        self.where = ""  # the user's line that asked for what is written now
        self._next = 1 + max((v.id for v in [*self.made, *program.inputs]), default=0)

    def emit(self, op: str, *inputs: Operand, into: Var | None = None, **params: Any) -> Var:
        """Write an equation and return what it makes."""
        if into is None:
            (kind,) = infer(op, params, inputs)
            into = Var(self._next, *kind)
            self._next += 1
        self.equations.append(Equation(op, inputs, tuple(params.items()), (into,), self.where))
        return into

    def finished(self) -> Program:
        """Return the new program without what nobody reads, checked."""
        program = dead_code(self.program.replaced(self.equations))
        program.check()
        return program
