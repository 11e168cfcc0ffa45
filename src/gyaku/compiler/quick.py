"""A call that is like the one before: one look by machine code, one run, and nothing else."""

from __future__ import annotations

import operator
import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from gyaku.backend.dtypes import get_default_dtype
from gyaku.compiler.watch import Watch
from gyaku.core.mode import state

if TYPE_CHECKING:
    from gyaku.compiler.binding import Bound
    from gyaku.compiler.cpu import Filled

_array_of = operator.attrgetter("_array")
_USUAL = sys.implementation.name == "cpython" and struct.calcsize("P") == 8 and sys.byteorder == "little"


class Quick:
    """A bound program whose calls may be judged by a glance; made while everything is as the program wants it.

    Gradients that the program lets go must not be there: then nothing has to be done about them.
    """

    def __init__(self, bound: Bound, filled: Filled, kinds: list[Any], ranges: dict[int, Any]) -> None:
        from gyaku.compiler.glance import Glance, can_see

        self.bound, self.filled = bound, filled
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
        self.places = {i: 2 * row for row, kind, i in filled.live if kind == "input"}
        arrays = [(s, d, self._place(k), ranges.get(k)) for k, (s, d) in enumerate(kinds)]
        self.made = [(np.empty, v.shape, v.dtype) for v, into in filled.outputs if into is None]
        rows = {i: 2 * row for row, kind, i in filled.live if kind == "result"}
        arrays += [(s, d, rows[k], None) for k, (_, s, d) in zip(filled.which_result, self.made, strict=True)]
        self.moved = [place // 2 for _, _, place, _ in arrays if place >= 0]
        present = [] if bound.traced.clears else zip(bound.wanted, bound.present, strict=True)
        grads = [*present, *((bound.tensors[k], False) for k, made in bound.traced.grads.items() if made is None)]
        cells = [t._cell for t in bound.tensors]
        self.glance = Glance(seen, attributes, grads, arrays, len(kinds), cells, filled.address)
        self.same, self.block, self.given = self.glance.function, self.glance.block, len(kinds)
        self.function, self.looks = filled.code.functions[0], bool(self.rest.places)

    def _place(self, argument: int) -> int:
        """Return where in the table the address of an argument stands, or -1 where the program does not read it."""
        return next((self.places[i] for i, k in self.bound.args if k == argument and i in self.places), -1)

    def run(self, args: tuple[Any, ...]) -> tuple[Any] | None:
        """Run once and return (the function's result,); None if this call has to be looked at thoroughly."""
        filled, bound = self.filled, self.bound
        if filled.filled is not bound.arrays or state.grad is not self.grad or get_default_dtype() is not self.default:
            return None
        if len(args) != self.given or (self.looks and not self.rest.unchanged()):
            return None
        results = [make(shape, dtype) for make, shape, dtype in self.made]
        try:
            if not self.same(self.block, args, (*map(_array_of, args), *results)):
                return None
        except AttributeError:  # no tensors
            return None
        held = filled.held
        for row in self.moved:
            held[row] = None  # the table has other addresses now
        for g, buffer in bound.rngs:
            buffer[0], buffer[1], buffer[2] = g.seed, g.stream, g.counter
        self.function(filled.address, 1, filled.gate)
        bound.after_alike(args, 1, results)
        return (bound.result(bound.traced.result, args, results),)


def _spread(kind: str, names: tuple[str, ...]) -> tuple[Any, ...]:
    return names if kind == "attributes" else (names,) if kind == "items" else ()


def quick_of(bound: Bound) -> Quick | None:
    """Return the quick form of a bound program, or None where calls have more to be looked at or done."""
    from gyaku.compiler.glance import MOST_DIMENSIONS, labels_fit

    kinds, filled = bound.simple, bound.entry.executable.alone()
    plain = all(k < bound.count for k in bound.traced.grads) and not (
        bound.given or bound.gradients or bound.counting or bound.crooked or bound.found.digests
    )
    if not _USUAL or not plain or filled is None or filled.callbacks or kinds is None:
        return None
    of, ranges = dict(bound.args), {}
    for i, *within in bound.ranges:
        k = of.get(i)
        if k is None or k in ranges or not labels_fit(*kinds[k]):
            return None
        ranges[k] = within
    if any(len(shape) > MOST_DIMENSIONS for shape, _ in kinds):
        return None
    return Quick(bound, filled, kinds, ranges)
