"""Wrong and right backwards for the proof of ``gyaku.check``: ``wrong()`` and ``RIGHTS``."""

from __future__ import annotations

import functools
from typing import Any

from . import held_kinds, open_kinds, right_lecture, right_nets, right_tensor
from .base import FAMILIES, PLACES, Mutant, Right, load, wrong_source

_HOMES = {
    name: getattr(home, name)
    for home in (right_lecture, right_nets, right_tensor)
    for name in vars(home)
    if name in PLACES
}
RIGHTS: dict[str, Right] = {n: Right(_HOMES[n], layer, FAMILIES[family]) for n, (layer, family) in PLACES.items()}
OPEN: list[Mutant] = open_kinds.MUTANTS
HELD: list[Mutant] = [m._replace(held=True) for m in held_kinds.MUTANTS]


@functools.cache
def class_of(m: Mutant) -> Any:
    """Return the wrong class of a mutant."""
    return load(wrong_source(m, RIGHTS), m.right)
