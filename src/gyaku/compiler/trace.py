"""The trace: a function is run once with tracers in place of its arrays, and what it does becomes a program."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gyaku.backend.namespace import NAMESPACES
from gyaku.backend.tracing import tracing
from gyaku.base.errors import TraceError
from gyaku.compiler.found import Found, Names, is_dynamic
from gyaku.compiler.interpret import Executable
from gyaku.compiler.program import Program, Var
from gyaku.compiler.recorder import Live, Recorder, Source
from gyaku.compiler.tracer import Scalar, Tracer
from gyaku.compiler.vocabulary import namespace
from gyaku.core.mode import observe
from gyaku.core.tensor import Tensor


class SideEffect(Exception):
    """The function changed something that a program would not change again."""


@dataclass
class Traced:
    """A program, where its inputs come from, and what to do with its outputs."""

    program: Program
    sources: dict[Var, Source]
    result: Any  # the function's result, with Leaf in place of what the program computes
    grads: dict[int, Any] = field(default_factory=dict)  # tensor -> None (let go) or the number of a result
    hypers: list[tuple[int, int, str, Any]] = field(default_factory=list)  # (optimizer, group, name, result or value)
    written: list[int] = field(default_factory=list)  # tensors whose memory the program writes to
    conditions: Conditions | None = None  # what the function asked of numbers
    stepped: list[int] = field(default_factory=list)  # parameters that an optimizer has moved
    counters: list[list[int]] = field(default_factory=list)  # counters that are one number
    drawn: list[int] = field(default_factory=list)  # blocks of random words, by generator
    clears: bool = False  # gradients that were there before play no part


@dataclass(frozen=True)
class Leaf:
    """A place in the result: ``number`` of a result of the program, or of a live tensor."""

    kind: str  # tensor, number, live
    number: int


class Conditions:
    """What a function asked of numbers while it was traced, as a program of these numbers, with the answers."""

    def __init__(self, program: Program, sources: list[Source], answers: list[bool]) -> None:
        self.executable, self.sources, self.answers = Executable(program), sources, answers

    @classmethod
    def of(cls, recorder: Recorder) -> Conditions:
        """Return the conditions of a trace."""
        needed, equations = set(recorder.asked), []
        for e in reversed(recorder.equations):
            if any(v in needed for v in e.outputs):
                equations.append(e)
                needed |= set(e.vars)
        pairs = [(v, s) for v, s in zip(recorder.inputs, recorder.sources, strict=True) if v in needed]
        program = Program([v for v, _ in pairs], equations[::-1], list(recorder.asked), [None] * len(recorder.asked))
        return cls(program, [s for _, s in pairs], list(recorder.asked.values()))

    def hold(self, number: Callable[[Source], float]) -> bool:
        """Return whether the answers are the same for what ``number`` gives."""
        found = self.executable.run([number(s) for s in self.sources])
        return all(bool(y) == answer for y, answer in zip(found, self.answers, strict=True))


class Trace:
    """One trace of ``function(*args, **kwargs)``, whose tensors (beyond those found) are ``given``."""

    def __init__(
        self, found: Found, given: list[Tensor], live: Live, *, wide: bool = False, keep_gradients: bool = False
    ) -> None:
        self.found, self.given, self.keep = found, given, keep_gradients
        self.recorder = Recorder(list(found.generators), found.counts, live, wide)
        self.tensors = [*found.tensors, *given]
        self.outputs: list[Var] = []
        self.into: list[Var | None] = []

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Traced:
        """Run the function and return its program."""
        with self._in_place():
            result = function(*args, **kwargs)
            self._check_side_effects()
            traced = Traced(None, {}, self._result(result))  # type: ignore[arg-type]
            self._gradients(traced)
            self._state(traced)
        return self._finish(traced)

    # -- before and after -------------------------------------------------------------------------------------------
    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Put tracers into the live tensors and groups; put everything back whatever happens."""
        saved = [(t, t._array, t._grad, t._node, t._cell) for t in self.tensors]
        grads = [(t._grad, t._grad._array) for t in self.tensors if t._grad is not None]
        groups = [(g, dict(g)) for o in self.found.optimizers for g in o.param_groups]
        warned = [(o, o._warned) for o in self.found.optimizers]
        tracing.recorder, NAMESPACES[Tracer] = self.recorder, namespace
        try:
            self._swap()
            with observe(self.recorder):
                yield
        finally:
            tracing.recorder = None
            for t, array, grad, node, cell in saved:
                t._array, t._grad, t._node, t._cell = array, grad, node, cell
            for g, array in grads:
                g._array = array
            for group, values in groups:
                group.clear()
                group.update(values)
            for o, value in warned:
                o._warned = value
            self._restore()

    def _swap(self) -> None:
        recorder, first = self.recorder, len(self.found.tensors)
        self.start: list[Var] = []
        self.nodes = [t._node for t in self.tensors]
        self.grads: list[Any] = []
        for k, t in enumerate(self.tensors):
            source = ("tensor", k) if k < first else ("arg", k - first)
            name = self.found.names[k] if k < first else f"argument {k - first}"
            t._array = recorder.array(source, t._array, name)
            self.start.append(t._array.var)
        for k, t in enumerate(self.tensors):
            g = t._grad
            if g is not None:
                g._array = recorder.array(("grad", k), g._array, f"gradient of {recorder.names.get(k, k)}")
            self.grads.append((g, None if g is None else g._array.var))
        for i, o in enumerate(self.found.optimizers):
            for j, group in enumerate(o.param_groups):
                for name, value in list(group.items()):
                    if name != "params":
                        group[name] = self._hyper((i, j, name), value)
        self.hypers = [
            (i, j, g, dict(g)) for i, o in enumerate(self.found.optimizers) for j, g in enumerate(o.param_groups)
        ]

    def _hyper(self, place: tuple[Any, ...], value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return tuple([self._hyper((*place, k), v) for k, v in enumerate(value)])
        if is_dynamic(place[2], value):
            return self.recorder.number(("hyper", *place), value, ".".join(map(str, place[2:])))
        return value

    # -- side effects -----------------------------------------------------------------------------------------------
    def _check_side_effects(self) -> None:
        """Refuse changes that only this run would make; a buffer that was replaced is written to instead."""
        for container, copy, name in self.found.mutable:
            for place, old, new in _differences(container, copy):
                k = self.found.index(old)
                if k is not None and isinstance(new, Tensor) and new.shape == old.shape:
                    self.tensors[k]._array.hold(new._array)
                    continue
                raise SideEffect(f"it changes {name or 'an object'}{place}")

    def _restore(self) -> None:
        for container, copy, _ in self.found.mutable:
            for _ in _differences(container, copy):
                _put_back(container, copy)
                break

    # -- outputs ----------------------------------------------------------------------------------------------------
    def _output(self, value: Any, into: Var | None = None) -> int:
        """Enter an output and return its number among the results."""
        self.outputs.append(self.recorder.operand(value) if not isinstance(value, Var) else value)
        self.into.append(into)
        return sum(v is None for v in self.into) - 1

    def _result(self, value: Any) -> Any:
        """Return the function's result with places in it of what the program computes."""
        if isinstance(value, Tensor):
            for k, t in enumerate(self.tensors):
                if t is value:
                    return Leaf("live", k)
            return Leaf("tensor", self._output(_as_var(self.recorder, value._array)))
        if isinstance(value, Scalar):
            return Leaf("number", self._output(value))
        if isinstance(value, Tracer):
            raise TraceError("compiled step", "tensors as results", "a bare array of the program")
        if isinstance(value, tuple):
            parts = [self._result(v) for v in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        if isinstance(value, list):
            return [self._result(v) for v in value]
        if isinstance(value, dict):
            return {k: self._result(v) for k, v in value.items()}
        return value

    def _gradients(self, traced: Traced) -> None:
        stepped, reset = self.recorder.stepped, True
        for k, (t, (before, start)) in enumerate(zip(self.tensors, self.grads, strict=True)):
            now = t._grad
            if t._node is not None or before is not None:
                reset = reset and before is not None and now is not before
            if id(t) in stepped:
                traced.stepped.append(k)
            if id(t) in stepped and not self.keep:
                traced.grads[k] = None
            elif now is before:
                if now is not None and now._array.var is not start:
                    self._output(now._array.var, start)
            elif now is None:
                traced.grads[k] = None
            else:
                traced.grads[k] = self._output(_as_var(self.recorder, now._array))
        traced.clears = reset

    def _state(self, traced: Traced) -> None:
        for k, (t, start) in enumerate(zip(self.tensors, self.start, strict=True)):
            now = t._array
            if isinstance(now, np.ndarray) or now.shape != start.shape or now.dtype != start.dtype:
                raise SideEffect(f"it gives {self.recorder.names.get(start.id, 'a tensor')} another memory")
            if t._node is not self.nodes[k]:
                raise SideEffect("it changes what requires a gradient")
            if now.var is not start:
                traced.written.append(k)
                self._output(now.var, start)
        for k, value in self.recorder.counted():
            start = next(v for v, s in zip(self.recorder.inputs, self.recorder.sources) if s == ("counter", k))
            if isinstance(value, Scalar) and value.var is not start:
                self._output(value, start)
        for i, j, group, before in self.hypers:
            if list(group) != list(before):
                raise SideEffect("it adds to a group of the optimizer")
            for name, value in group.items():
                if value is not before[name]:
                    traced.hypers.append((i, j, name, self._result(value)))

    def _finish(self, traced: Traced) -> Traced:
        recorder = self.recorder
        for array, copy in recorder.constants:
            if not np.array_equal(array, copy, equal_nan=array.dtype.kind == "f"):
                raise SideEffect("it writes to a tensor after it has used it")
        used = {v for e in recorder.equations for v in e.vars} | set(self.outputs)
        used |= {v for v in self.into if v is not None}
        inputs = [v for v in recorder.inputs if v in used]
        sources = {v: s for v, s in zip(recorder.inputs, recorder.sources) if v in used}
        place = {v: i for i, v in enumerate(inputs)}
        into = [None if v is None else place[v] for v in self.into]
        traced.program = Program(inputs, recorder.equations, self.outputs, into, recorder.names)
        traced.sources, traced.drawn = sources, recorder.drawn
        traced.counters = recorder.classes
        traced.conditions = Conditions.of(recorder) if recorder.asked else None
        traced.clears = traced.clears and not any(s[0] == "grad" for s in sources.values())
        self.found.generators[:] = recorder.generators
        return traced


def _as_var(recorder: Recorder, array: Any) -> Var:
    return recorder.captured(array) if isinstance(array, np.ndarray) else array.var


def _differences(container: Any, copy: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (place, old, new) where a container no longer holds what its copy does."""
    if isinstance(container, types.CellType):
        if container.cell_contents is not copy:
            yield "", copy, container.cell_contents
    elif isinstance(copy, dict) and isinstance(container, dict):
        if not isinstance(copy, Names):
            yield from ((f".{name}", None, new) for name, new in container.items() if name not in copy)
        for name, old in copy.items():
            new = container.get(name, None)
            if new is not old:
                yield f".{name}", old, new
    elif isinstance(container, list):
        if len(container) != len(copy):
            yield "", None, None
        else:
            yield from ((f"[{i}]", a, b) for i, (a, b) in enumerate(zip(copy, container)) if a is not b)
    elif container != copy:
        yield "", None, None


def _put_back(container: Any, copy: Any) -> None:
    if isinstance(container, types.CellType):
        container.cell_contents = copy
    elif isinstance(container, (list, deque)):
        container.clear()
        container.extend(copy)
    elif isinstance(copy, Names):
        container.update(copy)
    else:
        container.clear()
        container.update(copy)
