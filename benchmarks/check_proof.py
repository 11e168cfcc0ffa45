"""Does the check catch every wrong backward, and leave the right ones alone? ``python -m benchmarks check_proof``.

All wrong backwards of ``tests/check/mutants`` (which change a gradient by more than 1e-6), and all right layers with
several seeds. Targets: all caught, none refused, the likely mistake named in at least 80 %. Half of the kinds of
mistakes were kept apart from whoever wrote the check.
"""

from __future__ import annotations

import collections
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import save, table, verdict

SEEDS = range(3, 8)


def main() -> None:
    """Run, print and save."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from check.mutants import HELD, OPEN, RIGHTS, class_of
    from check.mutants.effect import effect
    from check.mutants.proof import checked, outcome

    start = time.process_time()
    without = [m.id for m in OPEN + HELD if not effect(class_of(m), RIGHTS[m.right]) > 1e-6]
    outcomes = [outcome(m) for m in OPEN + HELD]
    right = [checked(r.cls, r, dims, s).ok for r in RIGHTS.values() for dims in r.family.dims for s in SEEDS]
    rows = [_row("all", outcomes), *(_row(name, some) for name, some in _groups(outcomes).items())]
    caught, named = (sum(getattr(o, key) for o in outcomes) / len(outcomes) for key in ("caught", "named"))
    refused = right.count(False)
    targets = [
        ["wrong backwards caught", f"{caught:.1%}", "100%", verdict(caught == 1.0)],
        ["likely mistake named", f"{named:.1%}", "80%", verdict(named >= 0.8)],
        ["right layers refused", f"{refused} of {len(right)} checks of {len(RIGHTS)}", "0", verdict(refused == 0)],
        ["mutants without an effect", str(len(without)), "0", verdict(not without)],
    ]
    text = table(("what", "measured", "target", ""), targets) + "\n\n"
    text += table(("wrong backwards", "number", "caught", "named"), rows)
    data = [{"mutant": o.mutant.id, "held": o.mutant.held, "caught": o.caught, "cause": o.cause} for o in outcomes]
    save("check_proof", text, {"mutants": data, "refused": refused, "seconds": time.process_time() - start})


def _groups(outcomes: list[Any]) -> dict[str, list[Any]]:
    """Return the outcomes by whether their kind was kept apart, and by kind."""
    groups: dict[str, list[Any]] = collections.defaultdict(list)
    for held, name in ((False, "kinds that were shown"), (True, "kinds kept apart")):
        groups[name] = [o for o in outcomes if o.mutant.held is held]
    for o in outcomes:
        groups[o.mutant.kind + (" (kept apart)" if o.mutant.held else "")].append(o)
    return groups


def _row(name: str, some: list[Any]) -> list[str]:
    return [name, str(len(some)), str(sum(o.caught for o in some)), str(sum(o.named for o in some))]


if __name__ == "__main__":
    main()
