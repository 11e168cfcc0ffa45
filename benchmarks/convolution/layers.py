"""GFLOP/s of every convolution and product of the compiled step, beside the machine's rate of bare matrix products."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import gyaku as gy
from benchmarks.common import save, table
from benchmarks.convolution import ours
from benchmarks.convolution.workloads import WORKLOADS, Workload, batches

LEAST = 1_000_000  # FLOPs of a row
WHAT = {"correlate": "convolution", "correlate_weight": "gradient by the weights", "product": "matrix product"}
SIDES = (1024, 1024, 512)


def product_rates() -> dict[str, float]:
    """Return the GFLOP/s of a matrix product on all cores: NumPy's, and our own machine code's."""
    m, n, k = SIDES
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    out, times = np.empty((m, n), np.float32), []
    for _ in range(40):
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        times.append(time.perf_counter() - start)
    profile = gy.compile(lambda x, y: x @ y).program(gy.tensor(a), gy.tensor(b)).explain()
    row = next(r for r in profile.rows if r.kind == "product")
    return {"NumPy": 2 * m * n * k / min(times) / 1e9, "Gyaku": row.flops / row.microseconds / 1e3}


def profiled(w: Workload) -> dict[str, Any]:
    """Return the rows of a step with many FLOPs, and where the time goes by kind."""
    x, t = batches(w)[0]
    profile = gy.compile(ours.train_step(w)).program(gy.tensor(x), gy.tensor(t)).explain()
    rows = [_row(r) for r in profile.rows if r.flops >= LEAST and r.kind in WHAT]
    kinds: dict[str, float] = {}
    for r in profile.rows:
        kinds[r.kind] = kinds.get(r.kind, 0.0) + r.microseconds
    moved = {r.kind: sum(q.bytes for q in profile.rows if q.kind == r.kind) for r in profile.rows}
    return {"step": profile.step, "rows": rows, "kinds": kinds, "bytes": moved, "threads": profile.threads}


def _row(r: Any) -> dict[str, Any]:
    e = r.equations[0]
    inputs = " by ".join("x".join(map(str, v.shape)) for v in e.vars[:2])
    return {"what": WHAT[r.kind], "shape": f"{inputs} to {'x'.join(map(str, e.output.shape))}"} | {
        "flops": r.flops,
        "microseconds": r.microseconds,
    }


def text(found: dict[str, Any]) -> str:
    """Return the tables."""
    rates, parts = found["product"], []
    rate = max(rates.values())
    m, n, k = SIDES
    bare = ", ".join(f"{name}'s {value:.0f}" for name, value in rates.items())
    parts.append(f"Bare matrix products of {m} x {k} by {k} x {n} on all cores, GFLOP/s: {bare}.")
    for key, one in found["networks"].items():
        parts.append(f"\n**{WORKLOADS[key].title}**: {one['step'] / 1e3:.2f} ms a step ({_shares(one)})\n")
        parts.append(table(["what", "shapes", "MFLOP", "µs", "GFLOP/s", "of the bare rate"], _lines(one, rate)))
    return "\n".join(parts)


def _lines(one: dict[str, Any], rate: float) -> list[list[str]]:
    lines = []
    for r in one["rows"]:
        own = r["flops"] / r["microseconds"] / 1e3
        numbers = [f"{r['flops'] / 1e6:.1f}", f"{r['microseconds']:.0f}", f"{own:.0f}", f"{own / rate:.0%}"]
        lines.append([r["what"], r["shape"], *numbers])
    return lines


def _shares(one: dict[str, Any]) -> str:
    """Return where the time goes, largest first."""
    kinds = sorted(one["kinds"].items(), key=lambda pair: -pair[1])
    named = [(WHAT.get(kind, {"map": "elementwise", "reduce": "sums"}.get(kind, kind)), us) for kind, us in kinds]
    return ", ".join(f"{name} {us / one['step']:.0%}" for name, us in named if us > 0.01 * one["step"])


def main() -> None:
    """Measure, print and save."""
    found = {"product": product_rates(), "networks": {key: profiled(w) for key, w in WORKLOADS.items()}}
    save("convolution_layers", text(found), found)
