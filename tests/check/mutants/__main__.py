"""``PYTHONPATH=tests python -m check.mutants [part of a name]``: what the check says of the kinds that were shown."""

from __future__ import annotations

import sys
import warnings

import numpy as np

from gyaku import check

from . import OPEN, RIGHTS, class_of


def main(part: str) -> None:
    """Print every wrong class that is not caught or not named, and every right one that is refused."""
    caught, named = 0, 0
    chosen = [m for m in OPEN if part in m.id]
    for m in chosen:
        right = RIGHTS[m.right]
        results = (check.layer(*_made(class_of(m), right, d)) for d in right.family.dims)
        wrong = next((r for r in results if not r.ok), None)
        caught, named = caught + (wrong is not None), named + (wrong is not None and wrong.cause in m.causes)
        if wrong is None or wrong.cause not in m.causes:
            print(f"{m.id}: expected {' or '.join(m.causes)}, got {wrong and wrong.cause}")
    print(f"{len(chosen)} wrong: {caught} caught, {named} named")
    for right in RIGHTS.values():
        for d in right.family.dims:
            result = check.layer(*_made(right.cls, right, d))
            if not result.ok:
                print(f"refused {right.name} {d}: {result}")


def _made(cls: object, right: object, dims: tuple[int, ...]) -> tuple:
    layer, inputs = right.family.make(cls, np.random.default_rng(3), dims)  # type: ignore[attr-defined]
    return layer, *inputs


warnings.simplefilter("ignore")
main(" ".join(sys.argv[1:]))
