"""Seconds a training step: Gyaku's compiled step beside every form of every peer, and the floor.

Every peer lives in its own process and takes its turn in every round. Forms far behind stop after the warm-up, the
others run a few rounds, and the quickest of each library go on to the full number. All start from the same values on
the same rows, and their losses are compared first.
"""

from __future__ import annotations

import json
import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, machine, save, table, verdict
from benchmarks.compiled import floor
from benchmarks.compiled.turns import Contender, Failed, Peer, in_turns
from benchmarks.compiled.workloads import WORKLOADS, Workload

FIRST, ROUNDS, KEPT, AT_LEAST, HOPELESS = 2, 9, 2, 0.04, 6
SAVED = RESULTS / "compiled_speed.json"
NAMES = {"gyaku": "Gyaku", "torch": "PyTorch", "jax": "JAX", "sklearn": "scikit-learn", "floor": "floor"}


def field() -> list[Peer]:
    """Return the processes that take part: each library alone in its own, by number of threads."""
    peers = [Peer("gyaku"), Peer("torch", 1), Peer("torch", 2), Peer("jax", 1, core=0), Peer("jax", 2)]
    peers += [Peer("sklearn", 1), Peer("sklearn", 2), Peer("floor", 1), Peer("floor", 2)]
    if _wide_vectors():  # NumPy's OpenBLAS does not use them on every processor that has them
        peers += [Peer("floor", n, also={"OPENBLAS_CORETYPE": "SkylakeX"}) for n in (1, 2)]
        for peer in peers[-2:]:
            peer.name += ", AVX-512"
    return peers


def _wide_vectors() -> bool:
    try:
        return "avx512vl" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def enter(
    w: Workload, peers: list[Peer], pairs: dict[str, list[Peer]]
) -> tuple[list[Contender], dict[str, Any], list[str]]:
    """Make every form; return those that run, their losses by name, and what did not run and why."""
    jobs = [(peer, lambda peer=peer: _made(w, [peer])) for peer in peers]
    jobs += [(pair[0], lambda pair=pair: _made(w, pair)) for pair in pairs.values() if w.members > 1]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda job: job[1](), jobs))
    contenders = [c for made, _, _ in results for c in made]
    losses = {name: values for _, seen, _ in results for name, values in seen.items()}
    return contenders, losses, [line for _, _, failures in results for line in failures]


def _made(w: Workload, peers: list[Peer]) -> tuple[list[Contender], dict[str, Any], list[str]]:
    contenders, losses, failures = [], {}, []
    bounds = np.linspace(0, w.members, len(peers) + 1).astype(int).tolist()
    shares = [{"first": a, "last": b} if len(peers) > 1 else {} for a, b in zip(bounds, bounds[1:], strict=False)]
    for form in peers[0].ask("list", workload=w.key, **shares[0]):
        where = peers[0].name if len(peers) == 1 else f"{peers[0].library}, {len(peers)} processes"
        try:
            made = [peer.ask("make", workload=w.key, form=form, **s) for peer, s in zip(peers, shares, strict=True)]
        except Failed as error:
            failures.append(f"{where}, {form}: {error}")
            continue
        contenders.append(Contender(f"{where}: {form}", peers, form))
        if made[0]["losses"]:
            losses[contenders[-1].name] = np.concatenate(
                [np.array(m["losses"]).reshape(w.epochs * w.steps, -1) for m in made], 1
            )
    return contenders, losses, failures


def compare(w: Workload, losses: dict[str, Any]) -> list[str]:
    """Return a line for each form whose losses are not those of the first step-by-step form.

    The first five steps within 0.1%, where nothing is drawn and steps are told one by one; the mean over all within 2%
    (10% with dropout or rows shuffled by the library itself).
    """
    reference = next(iter(v for k, v in losses.items() if k.startswith("torch")), None)
    if reference is None:
        return []
    lines = []
    for name, values in losses.items():
        own = w.dropout or np.ptp(values[: w.steps], axis=0).max() == 0  # told by epoch: shuffled by the library itself
        far = abs(values.mean() / reference.mean() - 1)
        if name.startswith("sklearn") and w.sizes[-1] == 2:
            continue  # two classes are one output there: another network
        near = 0.0 if own else np.abs(values[:5] / reference[:5] - 1).max()
        if far > (0.1 if own else 0.02) or near > 1e-3:
            lines.append(f"{name}: first steps {near:.1e} apart, mean {far:.1%} apart")
    return lines


def measure(w: Workload, contenders: list[Contender], rounds: int) -> dict[str, dict[str, Any]]:
    """Return {name: median, min, spread (half the middle range over the median), rounds} in seconds a step."""
    warm = {c.name: c.warm(AT_LEAST) for c in contenders}
    quickest = {lib: min((warm[c.name] for c in contenders if c.library == lib), default=0.0) for lib in NAMES}
    quick = [c for c in contenders if warm[c.name] < HOPELESS * quickest[c.library]]
    first = {name: [seconds] for name, seconds in warm.items()} | in_turns(quick, FIRST)
    kept = []
    for library in NAMES:
        own = [c for c in quick if c.library == library]
        own = own if library == "gyaku" else sorted(own, key=lambda c: min(first[c.name]))
        kept += own[:KEPT]
    times = first | in_turns(kept, rounds)
    each = w.steps * w.epochs * w.members
    return {name: summary([t / each for t in v]) for name, v in times.items()}


def summary(times: list[float]) -> dict[str, Any]:
    """Return median, min, relative middle range and number of the repeats."""
    low, high = np.percentile(times, (25, 75))
    middle = statistics.median(times)
    return {"median": middle, "min": min(times), "spread": float(high - low) / middle, "repeats": len(times)}


def best(times: dict[str, dict[str, Any]], library: str) -> tuple[str, dict[str, Any]] | None:
    """Return the quickest of a library's forms that went through all rounds."""
    full = max(v["repeats"] for v in times.values())
    own = [(k, v) for k, v in times.items() if k.split(",")[0].split(":")[0] == library and v["repeats"] == full]
    return min(own, key=lambda pair: pair[1]["median"], default=None)


def run(keys: list[str], rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure workloads and return everything by key."""
    peers = field()
    pairs = {lib: [Peer(lib, 1, core=0), Peer(lib, 1, core=1)] for lib in ("torch", "jax")}
    found: dict[str, Any] = {}
    for key in keys:
        w = WORKLOADS[key]
        contenders, losses, failures = enter(w, peers, pairs)
        odd = compare(w, losses)
        times = measure(w, contenders, rounds)
        found[key] = {"seconds": times, "not_run": failures, "differ": odd, "losses": shown(losses)}
        if w.floor:
            found[key]["copy"] = min(p.ask("copy", workload=key) for p in peers if p.library == "floor")
        for peer in [*peers, *sum(pairs.values(), [])]:
            peer.ask("drop")
        print(f"\n{w.title}\n{details(found[key])}", flush=True)
    for peer in [*peers, *sum(pairs.values(), [])]:
        peer.close()
    return found


def shown(losses: dict[str, Any]) -> dict[str, list[float]]:
    """Return the losses of the first three steps and the mean over all, by form."""
    return {name: [*np.round(v[:3, 0], 5).tolist(), round(float(v.mean()), 5)] for name, v in losses.items()}


def details(one: dict[str, Any]) -> str:
    """Return every form of a workload as a table."""
    rows = [
        [name, f"{v['median'] * 1e6:.1f}", f"{v['min'] * 1e6:.1f}", f"{v['spread']:.0%}", v["repeats"]]
        + [", ".join(f"{loss:.4f}" for loss in one["losses"].get(name, []))]
        for name, v in sorted(one["seconds"].items(), key=lambda pair: pair[1]["median"])
    ]
    head = ["form", "µs a step, median", "min", "middle range", "repeats", "losses of steps 1 to 3; mean"]
    notes = [f"not run: {line}" for line in one["not_run"]] + [f"**other losses**: {line}" for line in one["differ"]]
    return "\n".join([table(head, rows), *([""] if notes else []), *notes])


def ratios(found: dict[str, Any]) -> list[list[str]]:
    """Return a row for each workload and peer: ours, theirs, how many times faster, target and how it came out."""
    rows = []
    for key, one in found.items():
        w, times = WORKLOADS[key], one["seconds"]
        ours = next(v for k, v in times.items() if k.startswith("gyaku"))["median"]
        for library in ("torch", "jax", "sklearn"):
            theirs = best(times, library)
            if theirs is not None:
                rows.append(_row(w, library, ours, theirs))
        if w.floor:
            rows += _floor_rows(w, times, ours, one["copy"])
    return rows


def _row(w: Workload, library: str, ours: float, theirs: tuple[str, dict[str, Any]]) -> list[str]:
    name, seconds = theirs
    ratio, target, aim = seconds["median"] / ours, w.targets.get(library), w.aims.get(library)
    wanted = "" if target is None else f"≥ {target:g}×" + (f", aim {aim:g}×" if aim else "")
    form = f"{NAMES[library]}{name[len(library) :]}"
    came = "" if target is None else verdict(ratio >= target)
    return [w.title, form, f"{ours * 1e6:.1f}", f"{seconds['median'] * 1e6:.1f}", f"{ratio:.2f}×", wanted, came]


def _floor_rows(w: Workload, times: dict[str, Any], ours: float, copy: float) -> list[list[str]]:
    rows = []
    for wide, name in ((False, "NumPy's OpenBLAS as it comes"), (True, "OpenBLAS with its AVX-512 kernels")):
        own = [v["median"] for k, v in times.items() if k.startswith("floor") and ("AVX" in k) == wide]
        if own:
            least = min(own) + copy
            text = (
                f"floor: products alone {min(own) * 1e6:.0f} ({name}) + {floor.moved(w) / 1e6:.1f} MB {copy * 1e6:.0f}"
            )
            ratio = ours / least
            rows.append(
                [w.title, text, f"{ours * 1e6:.1f}", f"{least * 1e6:.1f}", f"{ratio:.2f}× of it", f"≤ {w.floor:g}×"]
                + [verdict(ratio <= w.floor)]
            )
    return rows


HEAD = ["workload", "best form", "Gyaku (µs a step)", "theirs", "times faster", "target", ""]


def main(keys: list[str] | None = None, rounds: int = ROUNDS) -> None:
    """Measure workloads (all unless named), print, and save beside what is known of the others."""
    busy = os.getloadavg()[0]
    found = run(keys or list(WORKLOADS), rounds)
    about = machine()
    known = json.loads(SAVED.read_text(encoding="utf-8")) if keys and SAVED.is_file() else {"workloads": {}}
    for one in known["workloads"].values():
        one.setdefault("machine", known.get("machine"))
    new = {key: one | {"machine": about, "load_before": busy} for key, one in found.items()}
    workloads = {key: (known["workloads"] | new)[key] for key in WORKLOADS if key in known["workloads"] | new}
    text = table(HEAD, ratios(workloads)) + f"\n\nProcesses that wanted a core in the minute before: {busy:.1f}."
    save("compiled_speed", text, {"workloads": workloads})
