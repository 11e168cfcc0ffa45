"""The recorder of a trace: it writes equations down, gives live tensors a place among the inputs, and marks lines."""

from __future__ import annotations

import gc
import sys
from collections import Counter as Tally
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.compiler.primitives import infer
from gyaku.compiler.program import Equation, Var
from gyaku.compiler.tracer import Scalar, Tracer, refused
from gyaku.core.node import format_line, user_frame
from gyaku.core.tensor import Tensor

Source = tuple[
    Any, ...
]  # where the value of an input comes from: ("arg", 0), ("tensor", 3), ("hyper", 0, 1, "lr"), ...


@dataclass
class Live:
    """Tensors and generators that were there before the trace, by the identity of their array."""

    arrays: dict[int, Tensor]
    generators: dict[int, Generator]

    @classmethod
    def look(cls) -> Live:
        """Look through all objects of the process."""
        found = cls({}, {})
        for thing in gc.get_objects():
            if issubclass(type(thing), Tensor):  # not isinstance: that would ask proxies to load
                found.arrays.setdefault(id(getattr(thing, "_array", None)), thing)
            elif type(thing) is Generator:
                found.generators[id(thing)] = thing
        return found


def _alone() -> int:
    """Return the reference count of a cell that one tensor alone knows (it differs between Python versions)."""
    t = Tensor()
    return sys.getrefcount(t._cell)


_ALONE = _alone()


class Recorder:
    """Writes down the equations of one trace. Also an observer: it sees what escapes it, and names the lines."""

    def __init__(self, generators: list[Generator], counts: list[Any], live: Live, wide: bool = False) -> None:
        self.equations: list[Equation] = []
        self.inputs: list[Var] = []
        self.sources: list[Source] = []
        self.names: dict[int, str] = {}
        self.examples: dict[Var, Any] = {}
        self.ranges: dict[Var, tuple[int, int, int | None]] = {}  # whole numbers: low .. high - 1, or another one
        self.checked: dict[Var, Var] = {}  # whole numbers, and the same after their check, read from then on
        self.generators, self.drawn = generators, [0] * len(generators)
        self.live = live
        self.unknown: dict[int, Any] = {}  # live tensors and generators met on the way, not found beforehand
        self.constants: list[tuple[Any, Any]] = []  # (array, copy of it when it was met)
        self.counts = counts  # all counters of the optimizers
        self.classes: list[list[int]] = []  # which of them are one number
        self.counters: dict[tuple[int, int, str], Any] = {}  # what they are now
        self.moves: Tally[tuple[int, int, str]] = Tally()  # how often they moved
        self.asked: dict[Var, bool] = {}  # numbers whose truth the function has asked for, with the answer
        self.stepped: set[int] = set()  # parameters whose gradient an optimizer has used, by identity
        self.wide = wide  # labels may be the ignored one, whatever the example says
        self._by_array: dict[int, Var] = {}
        self._known: dict[Any, Any] = {}
        self._lines: dict[Any, str] = {}
        self._marked = 0
        self._count = 0

    # -- values ---------------------------------------------------------------------------------------------------
    def new(self, shape: Any, dtype: Any, weak: bool = False) -> Var:
        """Return a value with the next number."""
        self._count += 1
        return Var(self._count - 1, shape, dtype, weak)

    def input(self, source: Source, shape: Any, dtype: Any, *, weak: bool = False, name: str = "") -> Var:
        """Return a value that each run is given."""
        var = self.new(shape, dtype, weak)
        self.inputs.append(var)
        self.sources.append(source)
        if name:
            self.names[var.id] = name
        return var

    def array(self, source: Source, like: Any, name: str = "") -> Tracer:
        """Return a tracer for an input of the shape and type of the array ``like``."""
        var = self.input(source, like.shape, like.dtype, name=name)
        self.examples[var] = like
        return Tracer(self, var)

    def number(self, source: Source, value: Any, name: str = "") -> Scalar:
        """Return a number that each run is given; ``value`` is what it is now."""
        return Scalar(self, self.input(source, (), np.float64, weak=True, name=name), value)

    def operand(self, value: Any) -> Any:
        """Return what an equation reads for ``value``: a value of the program or a literal."""
        if isinstance(value, (Tracer, Scalar)):
            if value.recorder is not self:
                raise refused("a value of another trace", "return it from the function instead of keeping it")
            return value.var
        if isinstance(value, (bool, int, float)) and not isinstance(value, np.generic):
            return value
        return self.captured(np.asarray(value))

    def captured(self, array: Any) -> Var:
        """Return an input for a concrete array: a live tensor's, to be read afresh, or a constant of the function."""
        found = self._by_array.get(id(array))
        if found is not None:
            return found
        tensor = self.live.arrays.get(id(array))
        if tensor is not None:
            self.unknown[id(tensor)] = tensor
        var = self.input(("constant", array), array.shape, array.dtype, name="constant")
        self.constants.append((array, array.copy()))
        self._by_array[id(array)] = var
        return var

    # -- equations ------------------------------------------------------------------------------------------------
    def add(self, op: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> tuple[Var, ...]:
        """Write an equation down and return its values."""
        inputs = tuple([self.checked.get(v, v) if type(v) is Var else v for v in inputs])
        outputs = tuple([self.new(*kind) for kind in infer(op, params, inputs)])
        self.equations.append(Equation(op, inputs, tuple(params.items()), outputs, self._line()))
        self._note_range(op, inputs, params, outputs[0])
        return outputs

    def _note_range(self, op: str, inputs: tuple[Any, ...], params: dict[str, Any], y: Var) -> None:
        """Note in which range the whole numbers of a value lie, where that is plain."""
        if op in ("reshape", "transpose", "broadcast_to", "slice", "copy") and inputs[0] in self.ranges:
            self.ranges[y] = self.ranges[inputs[0]]
        elif op == "where" and inputs[1] in self.ranges and inputs[2] == 0:
            low, high, _ = self.ranges[inputs[1]]  # labels, with 0 in place of the one to be ignored
            self.ranges[y] = (min(low, 0), high, None)
        elif op in ("argmax", "argmin", "argsort"):
            axis = dict(params.get("options", params)).get("axis")
            self.ranges[y] = (0, inputs[0].size if axis is None else inputs[0].shape[axis], None)

    def _line(self) -> str:
        frame = user_frame()
        key = (frame.f_code, frame.f_lasti)
        if key not in self._lines:
            self._lines[key] = format_line(*key)
        return self._lines[key]

    # -- an observer: what escapes the tracers, and the lines of backward -----------------------------------------
    def after_forward(self, op: Any, inputs: list[Any], output: Any, node: Any) -> None:
        """Note live tensors that an operation read by itself; the trace will be repeated with them as inputs."""
        self._marked = len(self.equations)
        for x in inputs:
            tensor = self.live.arrays.get(id(x)) if type(x) is np.ndarray else None
            if tensor is not None:
                self.unknown[id(tensor)] = tensor

    def failed_forward(self, op: Any, inputs: list[Any], error: BaseException) -> None:
        """Nothing to note."""

    def after_backward(self, node: Any, gy: Any, gxs: tuple[Any, ...]) -> None:
        """Give the equations of a backward rule the line of the operation, not that of the walk."""
        where = node.where
        for i in range(self._marked, len(self.equations)):
            e = self.equations[i]
            self.equations[i] = Equation(e.op, e.inputs, e.params, e.outputs, where)
        self._marked = len(self.equations)

    # -- what formulas cannot say ---------------------------------------------------------------------------------
    def may_ignore(self, labels: Tracer, ignore: int) -> bool:
        """Return whether the label ``ignore`` is among the labels at hand; unknown ones may hold it."""
        example = self.examples.get(labels.var)
        return example is None or self.wide or bool((example == ignore).any())

    def mask(self, generator: Generator, threshold: int, shape: tuple[int, ...]) -> Tracer:
        """Return a random mask: a function of the generator's state at the start and of how much was drawn since."""
        i = self._generator(generator)
        rng = self._known.get(("rng", i))
        if rng is None:
            rng = self._known["rng", i] = self.input(("rng", i), (3,), np.uint64, name=f"rng{i}")
        n = 1
        for s in shape:
            n *= s
        params = {"threshold": threshold, "offset": self.drawn[i], "shape": tuple(shape)}
        self.drawn[i] += (n + 15) // 16  # sixteen elements a block
        return Tracer(self, self.add("mask", (rng,), params)[0])

    def _generator(self, generator: Generator) -> int:
        for i, known in enumerate(self.generators):
            if known is generator:
                return i
        if id(generator) in self.live.generators:
            self.unknown[id(generator)] = generator
        self.generators.append(generator)
        self.drawn.append(0)
        return len(self.generators) - 1

    def make_room(self, t: Tensor, values: Any) -> None:
        """Let a tensor made inside the function hold a value of the program from now on."""
        if isinstance(t._array, np.ndarray) and isinstance(values, (Tracer, Scalar)):
            if sys.getrefcount(t._cell) > _ALONE:
                raise refused("a traced value written into memory that views share", "build a new tensor instead")
            t._array = Tracer(self, self.captured(t._array))

    def draw(self) -> Any:
        """Refuse a draw other than a mask."""
        raise refused("a random draw other than dropout's mask", "draw it outside and pass it as an argument")

    def counter(self, optimizer: Any, p: Any, name: str) -> Any:
        """Return what a counter of a parameter is now; equal ones of a group are one number."""
        key = (id(optimizer), id(p), name)
        if key not in self.counters:
            k, count = next(
                (
                    (k, c)
                    for k, c in enumerate(self.counts)
                    if c.optimizer is optimizer and c.parameter is p and c.name == name
                ),
                (None, None),
            )
            if count is None:
                raise refused("an optimizer made inside the compiled function", "make it outside")
            kind = (id(optimizer), count.group, name, count.value)
            if kind not in self._known:
                self._known[kind] = self.number(("counter", len(self.classes)), count.value, name), len(self.classes)
                self.classes.append([])
            number, place = self._known[kind]
            self.classes[place].append(k)
            self.counters[key] = number
        return self.counters[key]

    def count(self, optimizer: Any, p: Any, name: str, value: Any) -> None:
        """Take down what a counter of a parameter has become."""
        key = (id(optimizer), id(p), name)
        self.counters[key], self.moves[key] = value, self.moves[key] + 1
        self.stepped.add(id(p))

    def counted(self) -> list[tuple[int, Any]]:
        """Return (class of counters, last value) of those that moved."""
        found = []
        for k, members in enumerate(self.classes):
            counts = [self.counts[m] for m in members]
            if len({self.moves[id(c.optimizer), id(c.parameter), c.name] for c in counts}) > 1:
                raise refused("parameters of one group stepped differently often", "step all of them, or none")
            c = counts[0]
            found.append((k, self.counters[id(c.optimizer), id(c.parameter), c.name]))
        return found
