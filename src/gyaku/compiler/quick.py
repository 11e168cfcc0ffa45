"""A call that is like the one before: one look by machine code, one run, and nothing else."""

from __future__ import annotations

import operator
import struct
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gyaku.backend.dtypes import get_default_dtype
from gyaku.backend.seats import seat
from gyaku.compiler.pace import work_of
from gyaku.compiler.trace import Leaf
from gyaku.compiler.watch import Watch
from gyaku.core.mode import state
from gyaku.core.node import clock
from gyaku.core.tensor import new_tensor

if TYPE_CHECKING:
    from gyaku.compiler.binding import Bound
    from gyaku.compiler.cpu import Filled

_array_of = operator.attrgetter("_array")
_SOON = 5e-6  # seconds of work
_SHORT = 5e-3  # seconds of work: many of them in a row are known to others well enough by counting
_USUAL = sys.implementation.name == "cpython" and struct.calcsize("P") == 8 and sys.byteorder == "little"


class Patience:
    """When to trust that calls are alike: after two of them, and after each that was not, after twice as many."""

    def __init__(self) -> None:
        self.calm, self.wanted = 0, 2  # calls looked at thoroughly since one was not alike; so many are wanted

    def kept(self) -> bool:
        """Note a call that was like those before; return whether the next ones may be glanced at from now on."""
        self.calm += 1
        return self.calm == self.wanted

    def broken(self) -> None:
        """Note a call that was not."""
        self.calm, self.wanted = 0, min(2 * self.wanted, 1024)


class Still:
    """A look by machine code that says whether all that a bound program was made for is still so.

    It is made while that is so. Gradients that the program lets go must not be there: then nothing has to be done
    about them. ``arrays`` are those of ``given`` arguments, then of results, as ``Glance`` takes them.
    """

    def __init__(
        self,
        bound: Bound,
        arrays: list[Any],
        given: int,
        table: int = 0,
        written: Sequence[Any] = (),
        step: tuple[int, int] = (0, 0),
    ) -> None:
        from gyaku.compiler.glance import Glance, can_see

        self.bound, self.given = bound, given
        self.grad, self.default = state.grad, get_default_dtype()
        self.rest, seen = Watch(), Watch()  # what Python looks at, what machine code does
        for kind, place, names in bound.found.watch.places:
            getattr(seen if can_see(kind, place) else self.rest, kind)(place, *_spread(kind, names))
        self.rest.see()
        for group in bound.groups:
            seen.dictionary(group)
        attributes: list[tuple[Any, str]] = [(t, "_array") for t in bound.tensors] + bound.found.nodes()
        for leaf, hooks in bound.found.hooks():
            attributes += [(leaf, "hooks"), (leaf, "after")]
            for found in hooks:
                seen.sequence(found)
        present = [] if bound.traced.clears else zip(bound.wanted, bound.present, strict=True)
        grads = [*present, *((bound.tensors[k], False) for k, made in bound.traced.grads.items() if made is None)]
        cells = [t._cell for t in bound.tensors]
        self.glance = Glance(seen, attributes, grads, arrays, given, cells, list(written), table, step)
        self.same, self.block, self.looks = self.glance.function, self.glance.block, bool(self.rest.places)

    def holds(self, args: tuple[Any, ...], results: Sequence[Any] = (), now: int | None = None) -> bool:
        """Return whether nothing changed and these arguments are such as the program was made for.

        ``results`` are the arrays for them, ``now`` the new write time, where such are part of the glance.
        """
        if state.grad is not self.grad or get_default_dtype() is not self.default or len(args) != self.given:
            return False
        if self.looks and not self.rest.unchanged():
            return False
        try:
            return bool(self.same(self.block, args, (*map(_array_of, args), *results), now))
        except AttributeError:  # no tensors
            return False


class Quick(Still):
    """A bound program whose calls may be judged by a glance, which also enters the addresses of their arrays."""

    def __init__(self, bound: Bound, filled: Filled, kinds: list[Any], ranges: dict[int, Any]) -> None:
        self.bound, self.filled = bound, filled
        self.places = {i: 2 * row for row, kind, i in filled.live if kind == "input"}
        arrays = [(s, d, self._place(k), ranges.get(k)) for k, (s, d) in enumerate(kinds)]
        self.made = [(np.empty, v.shape, v.dtype) for v, into in filled.outputs if into is None]
        rows = {i: 2 * row for row, kind, i in filled.live if kind == "result"}
        arrays += [(s, d, rows[k], None) for k, (_, s, d) in zip(filled.which_result, self.made, strict=True)]
        self.moved = [place // 2 for _, _, place, _ in arrays if place >= 0]
        traced, result = bound.traced, bound.traced.result
        usual = not (bound.draws or bound.graded or traced.hypers)  # only the write times change
        self.function, self.usual = filled.code.functions[0], usual
        # a step that is over sooner than other threads would notice needs no call of its own
        self.work = work = work_of(traced.program)
        self.within, self.short = usual and not bound.rngs and work < _SOON, work < _SHORT
        step = (filled.code.library.address("run_0"), filled.gate) if self.within else (0, 0)
        super().__init__(bound, arrays, len(kinds), filled.address, bound.times if usual else (), step)
        self.until, self.calls = 0, 1  # the write time at which other processes are told again that this one trains
        self.only = result.number if type(result) is Leaf and result.kind == "tensor" else None

    def _place(self, argument: int) -> int:
        """Return where in the table the address of an argument stands, or -1 where the program does not read it."""
        return next((self.places[i] for i, k in self.bound.args if k == argument and i in self.places), -1)

    def run(self, args: tuple[Any, ...]) -> tuple[Any] | None:
        """Run once and return (the function's result,); None if this call has to be looked at thoroughly."""
        filled, bound = self.filled, self.bound
        if filled.filled is not bound.arrays:
            return None
        results = [make(shape, dtype) for make, shape, dtype in self.made]
        now = clock()
        if now > self.until and self.short:
            self.calls = seat.count(self.calls)
            self.until = now + self.calls
        held = filled.held
        for row in self.moved:  # before the look, which enters addresses and may give up half-way
            held[row] = None
        if not self.holds(args, results, now):
            return None
        for g, buffer in bound.rngs:
            buffer[0], buffer[1], buffer[2] = g.seed, g.stream, g.counter
        if not self.within:
            if self.short:
                self.function(filled.address, 1, filled.gate)
            else:
                with seat.taken(1, self.work):
                    self.function(filled.address, 1, filled.gate)
            if not self.usual:
                bound.after_alike(args, 1, results)
        if self.only is not None:
            return (new_tensor(results[self.only]),)
        return (bound.result(bound.traced.result, args, results),)


def _spread(kind: str, names: tuple[str, ...]) -> tuple[Any, ...]:
    return names if kind == "attributes" else (names,) if kind == "items" else ()


def quick_of(bound: Bound) -> Quick | None:
    """Return the quick form of a bound program, or None where calls have more to be looked at or done."""
    from gyaku.compiler.glance import labels_fit

    kinds, filled = bound.simple, bound.entry.executable.alone()
    if not _plain(bound) or filled is None or filled.callbacks or kinds is None:
        return None
    of, ranges = dict(bound.args), {}
    for i, *within in bound.ranges:
        k = of.get(i)
        if k is None or k in ranges or not labels_fit(*kinds[k]):
            return None
        ranges[k] = within
    if not _few_dimensions(kinds):
        return None
    return Quick(bound, filled, kinds, ranges)


def still_of(bound: Bound) -> Still | None:
    """Return what looks whether nothing changed, or None where there is more to be looked at."""
    kinds = bound.simple
    if not _plain(bound) or kinds is None or not _few_dimensions(kinds):
        return None
    return Still(bound, [(shape, dtype, -1, None) for shape, dtype in kinds], len(kinds))


def _plain(bound: Bound) -> bool:
    """Return whether calls have nothing to be looked at or done that a glance does not see."""
    return (
        _USUAL
        and all(k < bound.count for k in bound.traced.grads)
        and not (bound.given or bound.gradients or bound.counting or bound.crooked or bound.found.digests)
    )


def _few_dimensions(kinds: list[Any]) -> bool:
    from gyaku.compiler.glance import MOST_DIMENSIONS

    return all(len(shape) <= MOST_DIMENSIONS for shape, _ in kinds)
