"""What every benchmark shares: timing in turns, the machine's description, tables and JSON."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def in_turns(candidates: dict[str, Callable[[], Any]], *, calls: int, rounds: int = 15) -> dict[str, dict[str, float]]:
    """Return {name: {"best": s, "median": s}} per call, timed in ``rounds`` turns of ``calls`` calls each."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for function in candidates.values():
        for _ in range(max(3, calls // 5)):
            function()
    for _ in range(rounds):
        for name, function in candidates.items():
            time.sleep(0.05)  # threads of the peer before that still spin would take a core
            function()
            start = time.perf_counter()
            for _ in range(calls):
                function()
            times[name].append((time.perf_counter() - start) / calls)
    return {name: {"best": min(t), "median": statistics.median(t)} for name, t in times.items()}


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge the numbers: processor, cores, versions, commit."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {p: _version(p) for p in ("gyaku", "numpy", "torch", "jax", "scikit-learn")},
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(c) for c in line) + " |" for line in lines)


def verdict(ok: bool) -> str:
    """Return how a target came out."""
    return "met" if ok else "**missed**"


def save(name: str, text: str, data: dict[str, Any]) -> None:
    """Print a benchmark's table, and write it and its JSON to ``benchmarks/results``."""
    about = machine()
    versions = ", ".join(f"{p} {v}" for p, v in about["packages"].items() if v)
    where = f"{about['processor']}, {about['cores']} cores, Python {about['python']}"
    foot = f"{where}, {versions}, commit {about['commit']}, {about['date']}"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(f"# {name}\n\n{text}\n\n{foot}\n", encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": about, **data}, indent=1) + "\n", encoding="utf-8")
    print(f"\n## {name}\n\n{text}\n\n{foot}", flush=True)
