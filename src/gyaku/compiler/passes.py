"""Passes: small rewritings of a program, each checked."""

from __future__ import annotations

from collections.abc import Callable

from gyaku.compiler.program import Program


def dead_code(program: Program) -> Program:
    """Leave out equations whose results nobody reads."""
    alive = set(program.outputs)
    kept = []
    for e in reversed(program.equations):
        if any(v in alive for v in e.outputs):
            kept.append(e)
            alive |= set(e.vars)
    return program.replaced(reversed(kept))


PASSES: tuple[Callable[[Program], Program], ...] = (dead_code,)


def optimized(program: Program) -> Program:
    """Return the program after all passes; each is followed by a check."""
    for each in PASSES:
        program = each(program)
        program.check()
    return program
