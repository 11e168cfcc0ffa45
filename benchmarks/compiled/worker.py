"""One peer in its own process: reads commands as JSON lines, answers with JSON lines.

``python -m benchmarks.compiled.worker LIBRARY PACKAGE``: the package has the workloads and each library's forms.
The thread pools are sized by the environment before anything loads.
Commands: ``make`` a form of a workload (answer: its losses from the initial values on), ``run`` it once with a seed
(answer: seconds), ``drop`` all forms, ``peak`` (bytes a form takes), ``copy`` (the floor's bytes, in seconds).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

if "BENCHMARK_CORE" in os.environ:  # before a library counts the cores
    os.sched_setaffinity(0, {int(os.environ["BENCHMARK_CORE"])})

WARM = 0.1  # seconds
MODULES = {
    "gyaku": "ours",
    "torch": "peer_torch",
    "jax": "peer_jax",
    "sklearn": "peer_sklearn",
    "floor": "floor",
}


def timed(run: Callable[..., Any], seed: int, times: int) -> float:
    """Return the seconds of ``times`` measurements in a row, after ``WARM`` seconds of the same work.

    While others have their turn, this process's caches and cores go cold: for some 40 ms two threads are no faster than
    one (measured with pauses of 0.3 s).
    """
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    while time.perf_counter() - start < WARM:
        run(rng)
    start = time.perf_counter()
    for _ in range(times):
        run(rng)
    return time.perf_counter() - start


class Bench:
    """The forms a process holds ready."""

    def __init__(self, library: str, package: str) -> None:
        self.module = importlib.import_module(f"{package}.{MODULES[library]}")
        self.workloads = importlib.import_module(f"{package}.workloads").WORKLOADS
        self.made: dict[str, Callable[..., Any]] = {}

    def list(self, workload: str, first: int | None = None, last: int | None = None) -> list[str]:
        """Return the names of the forms of a workload."""
        return list(self._forms(workload, first, last))

    def _forms(self, workload: str, first: int | None, last: int | None) -> dict[str, Any]:
        w = self.workloads[workload]
        if first is None:
            return self.module.forms(w)
        return self.module.share(w, first, last)

    def make(self, workload: str, form: str, first: int | None = None, last: int | None = None) -> dict[str, Any]:
        """Make a form, run it once from the initial values, and return its losses and the seconds it all took."""
        start = time.perf_counter()
        run = self._forms(workload, first, last)[form]()
        losses = run(np.random.default_rng(0))
        self.made[form] = run
        return {"seconds": time.perf_counter() - start, "losses": np.asarray(losses, np.float64).tolist()}

    def run(self, form: str, seed: int, times: int) -> float:
        """Return the seconds of ``times`` measurements in a row."""
        return timed(self.made[form], seed, times)

    def peak(self, workload: str, form: str, times: int = 5) -> int:
        """Return by how many bytes making and running a form lifts the resident size above its level after import."""
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew from here
        before = _status("VmRSS")
        run = self._forms(workload, None, None)[form]()
        timed(run, 0, times)
        return _status("VmHWM") - before

    def drop(self) -> None:
        """Forget all forms."""
        self.made.clear()
        if hasattr(self.module, "forget"):
            self.module.forget()
        gc.collect()

    def copy(self, workload: str) -> float:
        """Return the seconds of the floor's bytes."""
        return self.module.copy_seconds(self.workloads[workload])


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def main(library: str, package: str) -> int:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")  # what a library prints must not mix with the answers
    os.dup2(2, 1)
    bench = Bench(library, package)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"value": getattr(bench, command.pop("do"))(**command)}
        except Exception as error:  # a form that does not run here is reported, not hidden
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
