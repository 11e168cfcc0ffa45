"""A program bound to live memory: what a call has to look at, fill in and write back, and nothing more."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gyaku.base.errors import GraphError
from gyaku.compiler.arguments import Arguments
from gyaku.compiler.found import Found, hyper_key, mode_key
from gyaku.compiler.primitives import OutOfRange, within
from gyaku.compiler.program import Equation, Program
from gyaku.compiler.quick import Patience, Quick, Still, quick_of, still_of
from gyaku.compiler.trace import Leaf, Traced
from gyaku.core.mode import state
from gyaku.core.node import FOREIGN, clock
from gyaku.core.tensor import Tensor, new_tensor, wrote

_array_of = operator.attrgetter("_array")


class Entry:
    """A traced program with its executable; ``reason`` is set instead when it must stay eager."""

    def __init__(self, traced: Traced | None, executable: Any = None, grads: Any = None, reason: str = "") -> None:
        self.traced, self.executable, self.grads, self.reason = traced, executable, grads, reason
        self.before: Any = None  # the program as it was traced
        self.contiguous = False  # the executable wants arrays in C order and leaves range checks to us
        self.each = float("inf")  # seconds a step inside one call of many, when that was quickest

    def took(self, seconds: float) -> None:
        """Take note of how long a step took inside a call of many (the first call also compiles)."""
        self.each = min(seconds, self.each, 0.01)

    def fits(self, grads: tuple[bool, ...], found: Found, numbers: list[float]) -> bool:
        """Return whether the program is right for these gradients at the start, and for these numbers."""
        if self.traced is None:
            return True
        if not found.equal(self.traced.counters):
            return False
        return (self.traced.clears or grads == self.grads) and self.holds(found, numbers)

    def holds(self, found: Found, numbers: Any) -> bool:
        """Return whether the numbers that the function asked about are 0, or not, as they were."""
        if self.traced is None or self.traced.conditions is None:
            return True
        classes = self.traced.counters
        return self.traced.conditions.hold(lambda s: number_at(s, found, numbers, classes))


class Bound:
    """An entry bound to the tensors, groups and generators of one walk."""

    def __init__(self, entry: Entry, found: Found, given: Arguments, tensors: list[Tensor]) -> None:
        self.entry, self.found, self.mode = entry, found, mode_key()
        self.key, self.objects = given.key, given.objects
        self.also = [found.index(t) for t in given.tensors]
        self.tensors = found.tensors
        self.count = len(found.tensors)
        self.quick: Quick | None = None  # made once calls are alike
        self.still: Still | None = None  # the same for calls of many steps
        self.calls, self.runs = Patience(), Patience()  # with either
        traced = entry.traced
        if traced is None:
            return
        self.traced = traced
        self.counters = found.share(traced.counters)
        self.arrays: list[Any] = [None] * len(traced.program.inputs)
        self.refresh: list[tuple[int, Tensor]] = []
        self.args: list[tuple[int, int]] = []
        self.numbers: list[tuple[int, int]] = []
        self.hypers: list[tuple[int, tuple[Any, ...]]] = []
        self.rngs: list[tuple[Any, Any]] = []
        self.gradients: list[tuple[int, int]] = []
        for i, v in enumerate(traced.program.inputs):
            self._place(i, traced.sources[v])
        self.ranges = [(i, e.param("low"), e.param("high"), e.param("also")) for i, e in ranges_of(traced.program)[0]]
        self.contiguous = entry.contiguous
        asked = {s[0] for s in traced.conditions.sources} if traced.conditions is not None else set()
        self.conditions = traced.conditions if "number" not in asked else None  # with arguments: looked at by ``takes``
        self.counting = "counter" in asked and "number" not in asked
        self.draws = [(g, blocks) for g, blocks in zip(found.generators, traced.drawn) if blocks]
        self.graded = [(k, number) for k, number in traced.grads.items() if number is not None]
        self.groups = [g for o in found.optimizers for g in o.param_groups]
        self._see_groups()
        self._see_arrays()
        kinds = given.key[1:-1]
        simple = all(k[0] == "tensor" and k[1] == n and not k[4] for n, k in enumerate(kinds))
        simple = simple and given.key[-1] == (dict, ()) and len(tensors) == len(kinds)
        self.simple = [(k[2], k[3]) for k in kinds] if simple else None
        pairs = [(t, has) for t, has in zip(self.tensors, entry.grads) if t._node is not None or has]
        self.wanted, self.present = [t for t, _ in pairs], [has for _, has in pairs]

    def _place(self, i: int, source: tuple[Any, ...]) -> None:
        kind, found = source[0], self.found
        if kind == "tensor":
            self.refresh.append((i, found.tensors[source[1]]))
        elif kind == "arg":
            self.args.append((i, source[1]))
        elif kind == "number":
            self.numbers.append((i, source[1]))
        elif kind == "grad":
            self.gradients.append((i, source[1]))
        elif kind == "hyper":
            self.hypers.append((i, source))
        elif kind == "counter":
            self.arrays[i] = self.counters[source[1]]
        elif kind == "rng":
            self.arrays[i] = np.zeros(3, dtype=np.uint64)
            self.rngs.append((found.generators[source[1]], self.arrays[i]))
        else:  # a constant, made while the function was traced
            self.arrays[i] = np.require(source[1], requirements="C") if self.entry.contiguous else source[1]

    def _see_arrays(self) -> None:
        """Take the present memory of all tensors; refuse memory that two of them share."""
        self.memory = [t._array for t in self.tensors]
        for i, t in self.refresh:
            self.arrays[i] = t._array
        self.crooked = not all(t._array.flags.c_contiguous for _, t in self.refresh)
        self.cells = {id(t._cell) for t in self.tensors}
        self.given = [k - self.count for k in self.traced.written if k >= self.count]  # arguments that are written to
        written = [self.tensors[k] for k in self.traced.written if k < self.count]
        self.times = [t._cell for t in written]
        if any(not t._array.flags.writeable for t in written) or overlap(written, self.tensors):
            raise SharedMemory

    def _see_groups(self) -> None:
        self.values = [list(g.values()) for g in self.groups]
        self.params = [g["params"] for g in self.groups]
        self.kinds = [[(k, hyper_key(k, v)) for k, v in g.items() if k != "params"] for g in self.groups]
        for i, source in self.hypers:
            self.arrays[i] = number_at(source, self.found, ())

    # -- guards -------------------------------------------------------------------------------------------------------
    def takes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the arguments' tensors and numbers if the program was made for such, else None."""
        if self.simple is not None and not kwargs and len(args) == len(self.simple):
            for t, (shape, dtype) in zip(args, self.simple):
                if type(t) is not Tensor:
                    break
                a = t._array
                if type(a) is not np.ndarray or a.shape != shape or a.dtype != dtype or t._node is not None:
                    break
                if id(t._cell) in self.cells:
                    break
            else:
                if len(args) < 2 or len(set(map(id, args))) == len(args):
                    return args, ()
        given = Arguments(args, kwargs)
        if given.key != self.key or not all(map(operator.is_, given.objects, self.objects)):
            return None
        fresh = [t for t in given.tensors if self.found.index(t) is None]
        if any(id(t._cell) in self.cells for t in fresh) or self.also != [self.found.index(t) for t in given.tensors]:
            return None
        if not self.traced.clears and grads_of(fresh) != self.entry.grads[self.count :]:
            return None
        if any(t._node is not None and not t._node.is_leaf for t in fresh) and state.grad:
            return None
        return (fresh, given.numbers) if self.entry.holds(self.found, given.numbers) else None

    def fits(self) -> bool:
        """Return whether all that the program was made for is still so."""
        if self.mode != mode_key() or not self.found.unchanged():
            return False
        for group, values in zip(self.groups, self.values, strict=True):
            now = list(group.values())
            if len(now) != len(values) or not all(map(operator.is_, now, values)):
                if not self._other_numbers():
                    return False
                break
        if not all(map(operator.is_, map(_array_of, self.tensors), self.memory)):
            for t, a in zip(self.tensors, self.memory, strict=True):
                b = t._array
                if b is not a and (type(b) is not np.ndarray or b.shape != a.shape or b.dtype != a.dtype):
                    return False
            self._see_arrays()
        if self.counting and not self.entry.holds(self.found, ()):
            return False
        return self.traced.clears or [t._grad is not None for t in self.wanted] == self.present

    def _other_numbers(self) -> bool:
        """Take other numbers of the groups; return whether they are numbers that this program may be given."""
        kinds = [[(k, hyper_key(k, v)) for k, v in g.items() if k != "params"] for g in self.groups]
        if kinds != self.kinds or (self.conditions is not None and not self.entry.holds(self.found, ())):
            return False
        if any(params is not g["params"] for params, g in zip(self.params, self.groups)):
            return False
        self._see_groups()
        return True

    def settle(self) -> None:
        """Note that a call went well; after some of them, the next ones are only glanced at."""
        if self.calls.kept() and self.contiguous:
            self.quick = quick_of(self)

    def stir(self) -> None:
        """Note that a call was not like those before: look at calls thoroughly, and at twice as many as last time."""
        self.quick = None
        self.calls.broken()

    def alike(self, args: tuple[Any, ...]) -> bool:
        """Return whether all that the program was made for is still so, by machine code or thoroughly."""
        if self.still is not None:
            if self.still.holds(args):
                return True
            self.still = None
            self.runs.broken()
        if not self.fits() or self.takes(args, {}) is None:
            return False
        if self.runs.kept() and self.contiguous:
            self.still = still_of(self)
        return True

    # -- a run --------------------------------------------------------------------------------------------------------
    def fill(self, tensors: Any, numbers: Any) -> list[Any]:
        """Return the inputs of a run."""
        arrays = self.arrays
        for i, k in self.args:
            arrays[i] = tensors[k]._array
        for i, k in self.numbers:
            arrays[i] = numbers[k]
        for i, k in self.gradients:
            t = self.tensors[k] if k < self.count else tensors[k - self.count]
            arrays[i] = t._grad._array  # type: ignore[union-attr,unused-ignore]
        for g, buffer in self.rngs:
            buffer[0], buffer[1], buffer[2] = g.seed, g.stream, g.counter
        return arrays

    def run(self, tensors: Any, numbers: Any) -> Any:
        """Run once and return the function's result.

        Raises ``SharedMemory``, before anything is changed, where an argument that is written to is not alone.
        """
        if self.given and overlap([tensors[k] for k in self.given], [*tensors, *self.tensors]):
            raise SharedMemory
        arrays = self.fill(tensors, numbers)
        if self.contiguous:
            results = self._run_contiguous(arrays)
        else:
            results = self.entry.executable.run(arrays)
        self.after(tensors, 1, results)
        return self.result(self.traced.result, tensors, results)

    def group(self, source: tuple[Any, ...]) -> int:
        """Return the number, through all optimizers, of the group that a hyper-parameter belongs to."""
        return sum(len(o.param_groups) for o in self.found.optimizers[: source[1]]) + int(source[2])

    def straight(self) -> bool:
        """Return whether all state lies in C order."""
        return not self.crooked

    def _run_contiguous(self, arrays: list[Any]) -> list[Any]:
        """Run machine code, which wants C order: other arrays are copied, and state copied back."""
        for i, low, high, also in self.ranges:
            if not within(arrays[i], low, high, also):
                raise OutOfRange("compiled step", f"whole numbers {low}..{high - 1}", "others")
        for i, _ in self.args:
            if not arrays[i].flags.c_contiguous:
                return self._run_copied(arrays)
        if self.crooked:
            return self._run_copied(arrays)
        return self.entry.executable.run(arrays)

    def _run_copied(self, arrays: list[Any]) -> list[Any]:
        straight = [np.ascontiguousarray(a) if isinstance(a, np.ndarray) and a.ndim else a for a in arrays]
        results = self.entry.executable.run(straight)
        for i in {i for i in self.traced.program.into if i is not None}:
            if straight[i] is not arrays[i]:
                arrays[i][...] = straight[i]
        return results

    def after(self, tensors: Any, steps: int, results: list[Any]) -> None:
        """Take down what the runs changed beside memory: write times, generators, gradients, hyper-parameters."""
        for k, number in self.traced.grads.items():
            if number is None:
                t = self.tensors[k] if k < self.count else tensors[k - self.count]
                if t._grad is not None:
                    t._grad = None
        self.after_alike(tensors, steps, results)

    def after_alike(self, tensors: Any, steps: int, results: list[Any]) -> None:
        """Take down what each run changes, where gradients that the program lets go are not there to begin with."""
        now = clock()
        for cell in self.times:
            if cell[0] != FOREIGN:
                cell[0] = now
        for k in self.given:
            wrote(tensors[k])
        for g, blocks in self.draws:
            g.skip(blocks * steps)
        for k, number in self.graded:
            t = self.tensors[k] if k < self.count else tensors[k - self.count]
            t._grad = new_tensor(as_array(results[number]))
        for i, j, name, value in self.traced.hypers:
            self.found.optimizers[i].param_groups[j][name] = self.result(value, tensors, results)

    def result(self, tree: Any, tensors: Any, results: list[Any]) -> Any:
        """Return the function's result from the program's."""
        kind = type(tree)
        if kind is Leaf:
            if tree.kind == "tensor":
                return new_tensor(as_array(results[tree.number]))
            if tree.kind == "number":
                return np.asarray(results[tree.number]).item()
            k = tree.number
            return self.tensors[k] if k < self.count else tensors[k - self.count]
        if isinstance(tree, tuple):
            parts = [self.result(v, tensors, results) for v in tree]
            return kind(*parts) if hasattr(tree, "_fields") else tuple(parts)
        if kind is list:
            return [self.result(v, tensors, results) for v in tree]
        if kind is dict:
            return {k: self.result(v, tensors, results) for k, v in tree.items()}
        return tree


def ranges_of(program: Program) -> tuple[list[tuple[int, Equation]], list[Equation]]:
    """Return the range checks of inputs, with the number of the input, and the other range checks."""
    place, seen = {v: i for i, v in enumerate(program.inputs)}, []
    rest = []
    for e in program.equations:
        if e.op in ("reshape", "transpose", "slice", "require_range", "broadcast_to") and e.inputs[0] in place:
            if e.op == "require_range":
                seen.append((place[e.inputs[0]], e))
            elif e.output.size != program.inputs[place[e.inputs[0]]].size:
                continue  # a part: the rest of the input need not be in the range
            place[e.output] = place[e.inputs[0]]
        elif e.op == "require_range":
            rest.append(e)
    return seen, rest


class SharedMemory(GraphError):
    """Two tensors that the program writes to share memory."""

    def __init__(self) -> None:
        super().__init__("compiled step", "tensors with memory of their own", "memory shared by two of them")


def number_at(source: tuple[Any, ...], found: Found, numbers: Any, classes: Any = ()) -> float:
    """Return what a number of the program is now: a hyper-parameter, a counter or an argument."""
    if source[0] == "hyper":
        value = found.optimizers[source[1]].param_groups[source[2]][source[3]]
        for k in source[4:]:
            value = value[k]
        return float(value)
    if source[0] == "counter":
        return found.counts[classes[source[1]][0]].value
    return float(numbers[source[1]])


def as_array(value: Any) -> Any:
    """Return a result as an array (0-d results may come as numbers)."""
    return value if isinstance(value, np.ndarray) else np.asarray(value)


def grads_of(tensors: list[Tensor]) -> tuple[bool, ...]:
    """Return which tensors have a gradient."""
    return tuple([t._grad is not None for t in tensors])


def overlap(written: list[Tensor], tensors: list[Tensor]) -> bool:
    """Return whether memory of one tensor in ``written`` is also another's."""
    mine = {id(t) for t in written}
    spans = sorted((*_span(t._array), id(t) in mine) for t in tensors if t._array.size)
    return any(start < end and (a or b) for (_, end, a), (start, _, b) in zip(spans, spans[1:]))


def _span(a: Any) -> tuple[int, int]:
    start = a.__array_interface__["data"][0]
    low = sum((n - 1) * s for n, s in zip(a.shape, a.strides) if s < 0)
    high = sum((n - 1) * s for n, s in zip(a.shape, a.strides) if s > 0)
    return start + low, start + high + a.itemsize
