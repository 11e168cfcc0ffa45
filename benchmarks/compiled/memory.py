"""What the compiled step keeps and asks for: 10,000 steps in one process, and the peak beside PyTorch's.

Targets: after the first 500 steps the resident size and Python's own allocations stay flat (at most 256 KiB and 4 KiB
more); the peak above the level after import is at most PyTorch's.
"""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path
from typing import Any

from benchmarks.common import save, table, verdict
from benchmarks.compiled import ours
from benchmarks.compiled.turns import Failed, Peer
from benchmarks.compiled.workloads import WORKLOADS, batches

MEASURED = ("lecture", "deep_norm")
GYAKU = ("compiled, epochs", "compiled, one step a call")
TORCH = ("eager", "eager, fused", "compile, whole step")


def resident() -> int:
    """Return the resident size of this process in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(steps: int = 10_000, settled: int = 500) -> dict[str, int]:
    """Return by how many bytes resident size and traced allocations grow after the first steps, called from Python."""
    w = WORKLOADS["lecture"]
    step = ours.gy.compile(ours.train_step(w))
    ready = [(ours.gy.tensor(x), ours.gy.tensor(t)) for x, t in batches(w)]
    sizes: dict[int, tuple[int, int]] = {}
    tracemalloc.start()
    for k in range(1, steps + 1):
        step(*ready[k % len(ready)])
        if k in (settled, steps):
            gc.collect()
            sizes[k] = resident(), tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    (size, traced), (after, traced_after) = sizes[settled], sizes[steps]
    return {"resident": after - size, "traced": traced_after - traced}


def peaks() -> dict[str, int]:
    """Return the peak above the level after import by library and form, one process each."""
    found = {}
    for key in MEASURED:
        for library, forms in (("gyaku", GYAKU), ("torch", TORCH)):
            for form in forms:
                peer = Peer(library)
                try:
                    found[f"{key}: {library}, {form}"] = peer.ask("peak", workload=key, form=form)
                except Failed as error:
                    print(f"not run: {key}: {library}, {form}: {error}", flush=True)
                peer.close()
    return found


def main() -> None:
    """Measure, print and save."""
    grown, peak = growth(), peaks()
    rows: list[list[Any]] = [
        ["resident size, steps 500 to 10,000 (KiB)", f"{grown['resident'] / 1024:.0f}", "≤ 256"]
        + [verdict(grown["resident"] <= 256 * 1024)],
        ["Python's allocations, steps 500 to 10,000 (KiB)", f"{grown['traced'] / 1024:.1f}", "≤ 4"]
        + [verdict(grown["traced"] <= 4096)],
    ]
    for key in MEASURED:
        theirs = min((v for k, v in peak.items() if k.startswith(f"{key}: torch")), default=None)
        for name, size in peak.items():
            if name.startswith(key):
                held = theirs is not None and "gyaku" in name
                rows.append([f"peak above import, {name} (MiB)", f"{size / 2**20:.1f}"])
                rows[-1] += [f"≤ {theirs / 2**20:.1f}", verdict(size <= theirs)] if held and theirs else ["", ""]
    save("compiled_memory", table(["what", "measured", "target", ""], rows), {"growth": grown, "peak": peak})
