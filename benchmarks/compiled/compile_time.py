"""Seconds of the first call of a compiled step: with an empty cache, from the cache, and the import of the compiler.

Targets: at most 5 s with an empty cache for the lecture's network, at most 0.3 s from the cache.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.common import save, table, verdict
from benchmarks.compiled.turns import ROOT
from benchmarks.compiled.workloads import WORKLOADS

SCRIPT = """
import json, sys, time
start = time.perf_counter()
import llvmlite.binding
llvmlite_seconds = time.perf_counter() - start
import importlib
ours, workloads = (importlib.import_module(f"{sys.argv[2]}.{part}") for part in ("ours", "workloads"))
w = workloads.WORKLOADS[sys.argv[1]]
eager, step = ours.train_step(w), ours.gy.compile(ours.train_step(w))
x, t = map(ours.gy.tensor, workloads.batches(w)[0])
eager(x, t)
start = time.perf_counter()
step(x, t)
first = time.perf_counter() - start
start = time.perf_counter()
step(x, t)
print(json.dumps({"llvmlite": llvmlite_seconds, "first": first, "second": time.perf_counter() - start}))
"""
MEASURED = ("tiny", "lecture", "deep_norm")


def once(key: str, cache: str, package: str = "benchmarks.compiled") -> dict[str, float]:
    """Return the seconds of one fresh process with this cache folder."""
    env = os.environ | {"XDG_CACHE_HOME": cache, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, "-c", SCRIPT, key, package]
    answer = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def measure(key: str, repeats: int = 5) -> dict[str, Any]:
    """Return the medians: ``empty`` and ``cached`` first calls, the second call, the import of llvmlite."""
    empty, cached = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            empty.append(once(key, cache))
            cached.append(once(key, cache))
    middle = {"empty": statistics.median(e["first"] for e in empty)}
    middle |= {"cached": statistics.median(c["first"] for c in cached)}
    return middle | {k: statistics.median(c[k] for c in cached) for k in ("second", "llvmlite")}


def main() -> None:
    """Measure, print and save."""
    found = {key: measure(key) for key in MEASURED}
    rows = []
    for key, seconds in found.items():
        held = key == "lecture"
        rows.append([f"{WORKLOADS[key].title}: first call, empty cache (s)", f"{seconds['empty']:.2f}"])
        rows[-1] += ["≤ 5", verdict(seconds["empty"] <= 5)] if held else ["", ""]
        rows.append([f"{WORKLOADS[key].title}: first call, from the cache (s)", f"{seconds['cached']:.2f}"])
        rows[-1] += ["≤ 0.3", verdict(seconds["cached"] <= 0.3)] if held else ["", ""]
    llvmlite = statistics.median(v["llvmlite"] for v in found.values())
    rows.append(["import of llvmlite, not in the above (s)", f"{llvmlite:.2f}", "", ""])
    save("compiled_first_call", table(["what", "measured", "target", ""], rows), {"seconds": found})
