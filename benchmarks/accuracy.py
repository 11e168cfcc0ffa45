"""What `gyaku train` reaches with its defaults: digits over 5 seeds, and MNIST from the folder named by GYAKU_DATA.

Targets: digits at least 0.97 (mean of 5 seeds); MNIST, 10,000 training digits, at least 0.97 in under 2 minutes;
the lecture's plain net at least 0.945.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.common import save, table, verdict


def train(*options: str) -> tuple[dict[str, Any], float]:
    """Run the command in an empty folder and return its results and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gyaku", "train", *options, "--out", folder, "--quiet", "--json"]
        start = time.perf_counter()
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(answer.stdout), time.perf_counter() - start


def _row(name: str, runs: list[tuple[dict[str, Any], float]], target: float, limit: float | None) -> list[str]:
    found = [r["parts"]["test"]["accuracy"] for r, _ in runs]
    linear = [r["baselines"]["linear"]["test"]["accuracy"] for r, _ in runs]
    seconds = max(s for _, s in runs)
    mean = statistics.mean(found)
    met = mean >= target and (limit is None or seconds <= limit)
    spread = f"{mean:.4f}" + (f" ({min(found):.4f} to {max(found):.4f})" if len(found) > 1 else "")
    goal = f"≥ {target}" + (f" in {limit:.0f} s" if limit else "")
    return [name, spread, f"{statistics.mean(linear):.4f}", f"{seconds:.0f}", goal, verdict(met)]


def main() -> None:
    """Measure, print and save."""
    digits = [train("digits", "--seed", str(seed)) for seed in range(5)]
    rows = [_row("digits, 5 seeds", digits, 0.97, None)]
    if os.environ.get("GYAKU_DATA"):
        rows.append(_row("mnist", [train("mnist")], 0.97, 120))
        rows.append(_row("mnist --plain", [train("mnist", "--plain")], 0.945, None))
    head = ["gyaku train", "test accuracy", "linear model", "seconds, whole command", "target", ""]
    save("accuracy", table(head, rows), {"rows": rows})
