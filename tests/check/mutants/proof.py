"""What the check says of every wrong backward, and a table of it: for the tests and for ``benchmarks.check_proof``."""

from __future__ import annotations

import collections
import warnings
from typing import Any, NamedTuple

import numpy as np

from gyaku import check

from . import RIGHTS, class_of
from .base import Mutant, Right


class Outcome(NamedTuple):
    mutant: Mutant
    caught: bool
    cause: str | None  # of the first shape that was refused

    @property
    def named(self) -> bool:
        return self.cause in self.mutant.causes

    @property
    def layer(self) -> str:
        return RIGHTS[self.mutant.right].layer


def checked(cls: Any, right: Right, dims: tuple[int, ...], seed: int = 3) -> Any:
    """The check's answer for a class, made and fed as its family is."""
    layer, inputs = right.family.make(cls, np.random.default_rng(seed), dims)
    if right.family.interface == "function":
        return check.layer(layer, *inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a wrong backward may divide by zero
        return check.layer(layer, *inputs)


def outcome(m: Mutant) -> Outcome:
    right = RIGHTS[m.right]
    for dims in right.family.dims:
        result = checked(class_of(m), right, dims)
        unused = next((f.cause for f in result.findings if f.cause == "upstream_ignored"), None)  # a remark on a loss
        if not result.ok or unused:
            return Outcome(m, True, result.cause or unused)
    return Outcome(m, False, None)


def rate(some: list[Outcome]) -> float:
    return sum(o.named for o in some) / len(some)


def table(outcomes: list[Outcome]) -> str:
    """Caught and named, by layer and by kind, kinds kept apart from tuning marked with a star."""
    groups: dict[str, list[Outcome]] = collections.defaultdict(list)
    for o in outcomes:
        groups["all"].append(o)
        groups["kinds kept out of tuning" if o.mutant.held else "kinds that were shown"].append(o)
        groups[f"layer {o.layer}"].append(o)
        groups[f"{'*' if o.mutant.held else ' '} {o.mutant.kind}"].append(o)
    rows = [
        f"{name:45} {len(some):4} {sum(o.caught for o in some):6} {sum(o.named for o in some):6} {rate(some):6.0%}"
        for name, some in groups.items()
    ]
    return "\n".join([f"{'':45} {'all':>4} {'caught':>6} {'named':>6}", *rows])
