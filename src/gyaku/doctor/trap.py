"""Who gave the first number that is not finite: operations of Gyaku and modules of PyTorch are watched one by one."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gyaku.core.mode import observe, state
from gyaku.core.node import format_line, user_frame
from gyaku.doctor.plan import Plan
from gyaku.doctor.trace import Trace, run


class Trap:
    """A context manager that remembers the first operation with finite inputs and an output that is not."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.stack = ExitStack()

    def __enter__(self) -> Trap:
        self.stack.enter_context(observe(self))
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def after_forward(self, op: Any, inputs: list[Any], output: Any, node: Any) -> None:
        """Look at what an operation gave."""
        if not self.found and all(map(_finite, inputs)):
            outputs = output if isinstance(output, tuple) else (output,)
            if not all(map(_finite, outputs)):
                frame = user_frame()
                self._note(op.name, format_line(frame.f_code, frame.f_lasti), state.module)

    def failed_forward(self, op: Any, inputs: list[Any], error: BaseException) -> None:
        """Nothing to remember: the error itself is told."""

    def after_backward(self, node: Any, gy: Any, gxs: tuple[Any, ...]) -> None:
        """Look at what a rule gave."""
        arrived = gy if isinstance(gy, tuple) else (gy,)
        if not self.found and all(map(_finite, arrived)) and not all(map(_finite, gxs)):
            self._note(f"{node.op.name} (backward)", node.where, node.module)

    def _note(self, op: str, line: str, module: Any) -> None:
        owner = module() if module is not None else None
        self.found = {"op": op, "line": f"({line})" if line else "", "where": getattr(owner, "path", "") or ""}


def _first_module(plan: Plan, step: int) -> dict[str, str]:
    """Return the innermost module of a PyTorch model that first gave a number that is not finite."""
    found: dict[str, str] = {}

    def note(name: str, module: Any, given: Any, output: Any) -> None:
        tensors = [t for t in (*given, output) if hasattr(t, "isfinite")]
        if not found and all(bool(t.isfinite().all()) for t in tensors[:-1]) and not bool(tensors[-1].isfinite().all()):
            found.update({"op": type(module).__name__, "line": "", "where": name})

    def listen(model: Any) -> None:
        for name, module in model.named_modules():
            if not list(module.children()):
                module.register_forward_hook(partial(note, name))

    run(replace(plan, steps=step, changes=(*plan.changes, listen)), every=10**9)
    return found


def _finite(value: Any) -> bool:
    array = getattr(value, "_array", value)
    return getattr(getattr(array, "dtype", None), "kind", "") != "f" or bool(np.isfinite(array).all())


def find_culprit(plan: Plan, trace: Trace) -> dict[str, str]:
    """Run the plan again up to the step whose loss was not finite and return who was first: op, line, where."""
    if trace.not_finite is None:
        return {}
    if plan.lib.__name__ != "gyaku":
        return _first_module(plan, trace.not_finite)
    trap = Trap()
    run(replace(plan, steps=trace.not_finite), every=10**9, trap=trap, trap_from=trace.not_finite - 1)
    return trap.found
