"""Milliseconds a training step: Gyaku's compiled step beside PyTorch's and JAX's forms, in turns.

Each library lives in its own process, with two threads, and takes its turn in every round (``benchmarks.compiled``).
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.common import save, table, verdict
from benchmarks.compiled.speed import NAMES, best, compare, details, enter, measure, shown
from benchmarks.compiled.turns import Peer
from benchmarks.convolution.workloads import WORKLOADS, Workload

PACKAGE = "benchmarks.convolution"
ROUNDS = 7
HEAD = ["network", "best form", "Gyaku (ms a step)", "theirs", "times faster", "target", ""]


def run(keys: list[str], rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure networks and return everything by key."""
    peers = [Peer("gyaku", package=PACKAGE), *(Peer(lib, 2, package=PACKAGE) for lib in ("torch", "jax"))]
    found: dict[str, Any] = {}
    for key in keys:
        w = WORKLOADS[key]
        contenders, losses, failures = enter(w, peers, {})
        odd = compare(w, losses)
        times = measure(w, contenders, rounds)
        found[key] = {"seconds": times, "not_run": failures, "differ": odd, "losses": shown(losses)}
        for peer in peers:
            peer.ask("drop")
        print(f"\n{w.title}\n{details(found[key])}", flush=True)
    for peer in peers:
        peer.close()
    return found


def ratios(found: dict[str, Any]) -> list[list[str]]:
    """Return a row for each network and peer: ours, theirs, how many times faster, target and how it came out."""
    rows = []
    for key, one in found.items():
        ours = best(one["seconds"], "gyaku")
        assert ours is not None
        for library in ("torch", "jax"):
            theirs = best(one["seconds"], library)
            if theirs is not None:
                rows.append(_row(WORKLOADS[key], library, ours[1]["median"], theirs))
    return rows


def _row(w: Workload, library: str, ours: float, theirs: tuple[str, dict[str, Any]]) -> list[str]:
    name, seconds = theirs
    ratio, form = seconds["median"] / ours, f"{NAMES[library]}{name[len(library) :]}"
    wanted = f"≥ {w.target:.2g}×" + (f", aim {w.aim:g}×" if w.aim else "") if library == "torch" else ""
    came = verdict(ratio >= w.target) if library == "torch" else ""
    return [w.title, form, f"{ours * 1e3:.2f}", f"{seconds['median'] * 1e3:.2f}", f"{ratio:.2f}×", wanted, came]


def main(keys: list[str] | None = None, rounds: int = ROUNDS) -> None:
    """Measure, print and save."""
    busy = os.getloadavg()[0]
    found = run(keys or list(WORKLOADS), rounds)
    text = table(HEAD, ratios(found)) + f"\n\nProcesses that wanted a core in the minute before: {busy:.1f}."
    save("convolution_speed", text, {"load_before": busy, "workloads": found})
