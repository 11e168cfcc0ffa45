"""Does the doctor find what was planted, and leave the healthy alone? ``python -m benchmarks doctor_proof``.

Planted faults x 5 seeds on five data sets, and 200 healthy runs that really train well. Targets: recall at least 0.90,
false alarms at most 5 %, cost at most 10 % of the training time when it samples every 50 steps. Half of the healthy
runs and a third of the faults were kept apart from whoever wrote the doctor; ``python -m benchmarks.doctor_proof open``
runs the others, and a part of a fault's name behind it only that fault.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
import warnings
from collections.abc import Iterable
from typing import Any

import gyaku as gy
from benchmarks.common import save, table, verdict
from benchmarks.doctor.healthy import healthy
from benchmarks.doctor.patients import Fault, Patient, net
from benchmarks.doctor.sets import SETS
from benchmarks.doctor_faults import FAULTS

SEEDS = range(5)


def examined(p: Patient, seed: int, reruns: bool = True) -> dict[str, Any]:
    """Return what the doctor says about a run, and how long it took; an error is kept as its text."""
    from gyaku.doctor import examine

    start = time.perf_counter()
    row: dict[str, Any] = {"keys": [], "where": {}, "healthy": None, "error": ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = examine(p.model, p.data, seed=seed, proof=reruns, **p.options)
        row["keys"], row["healthy"] = list(found.keys), found.healthy
        row["where"] = {f.key: f.where for f in reversed(found.findings)}
    except Exception as error:  # a doctor that stops has missed
        row["error"] = f"{type(error).__name__}: {error}"[:200]
    return row | {"seconds": time.perf_counter() - start}


def judge(fault: Fault, seed: int, reruns: bool = True) -> dict[str, Any]:
    """Return one planted run: found (among the findings), first (the verdict itself), the layer right (or None)."""
    p = fault.patient(seed)
    row = examined(p, seed, reruns) | {"fault": fault.name, "expected": fault.keys, "held": fault.held, "seed": seed}
    row["set"] = p.set.name if p.set else ""
    hits = [k for k in row["keys"] if k in fault.keys]
    row |= {"found": bool(hits), "first": bool(hits) and row["keys"][0] in fault.keys, "layer": None}
    if fault.where and hits:
        row["layer"] = any(row["where"][k] in fault.where for k in hits)
    return row


def planted(faults: Iterable[Fault], pool: Any = None, reruns: bool = True) -> list[dict[str, Any]]:
    """Judge every fault with every seed, in the processes of a pool when there is one."""
    if pool is None:
        return [judge(f, seed, reruns) for f in faults for seed in SEEDS]
    return list(pool.starmap(judge_named, [(f.name, seed, reruns) for f in faults for seed in SEEDS], chunksize=1))


def judge_named(name: str, seed: int, reruns: bool) -> dict[str, Any]:
    """Judge one planted run; functions do not travel between processes, names do."""
    from benchmarks import doctor_held

    every = {f.name: f for f in (*(f._replace(held=True) for f in doctor_held.FAULTS), *FAULTS)}
    return judge(every[name], seed, reruns)


def unharmed(stream: int, activations: list[str], optimizers: list[str], held: bool) -> list[dict[str, Any]]:
    """Examine a hundred healthy runs."""
    rows = []
    for d, p in healthy(100, stream, activations, optimizers):
        rows.append(examined(p, d["seed"]) | d | {"held": held})
    return rows


def cost() -> list[dict[str, Any]]:
    """Return the share of the training time that the doctor takes as a callback every 50 steps."""
    rows = []
    for name, hidden, batch in (("digits", [100] * 4, 100), ("digits", [64], 32), ("table", [32, 32], 32)):
        s = SETS[name](0)
        times: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(7):
            for watched in (False, True):
                times[watched].append(_fit_seconds(s, hidden, batch, watched))
        plain, with_it = (min(times[w]) for w in (False, True))  # noise only ever adds time
        text = f"{s.inputs}-{'-'.join(map(str, hidden))}-{s.outputs}, batch {batch}"
        rows.append({"network": text, "seconds": plain, "share": with_it / plain - 1})
    return rows


def _fit_seconds(s: Any, hidden: list[int], batch: int, watched: bool) -> float:
    """Return the processor's seconds: unlike those of the clock, they do not count what other programs do."""
    from gyaku.doctor import Doctor

    callbacks = [Doctor(every=50)] if watched else []
    epochs = max(1, round(2000 * batch / len(s.train[0])))
    model = net(s, 0, hidden)
    start = time.process_time()
    gy.train.fit(model, s.train, dev=s.dev, epochs=epochs, batch_size=batch, lr=0.003, callbacks=callbacks)
    return time.process_time() - start


def share(rows: list[dict[str, Any]], key: str) -> float:
    """Return the share of rows for which ``key`` holds, of those that have it."""
    values = [bool(r[key]) for r in rows if r[key] is not None]
    return sum(values) / len(values) if values else float("nan")


def summary(rows: list[dict[str, Any]], well: list[dict[str, Any]]) -> list[list[str]]:
    """Return the lines of the table of results: shown faults, faults kept apart, all."""
    lines = []
    groups = (("shown", [False]), ("kept apart", [True]), ("all", [False, True]))
    for name, which in groups:
        some, fit = [r for r in rows if r["held"] in which], [r for r in well if r["held"] in which]
        if not some and not fit:
            continue
        alarms = sum(r["healthy"] is not True for r in fit)
        others = [len(r["keys"]) for r in some]
        lines.append([
            name, str(len({r["fault"] for r in some})), str(len(some)),
            f"{share(some, 'found'):.3f}", f"{share(some, 'first'):.3f}", f"{share(some, 'layer'):.3f}",
            f"{statistics.mean(others):.1f}" if others else "", f"{alarms} of {len(fit)}",
        ])  # fmt: skip
    return lines


HEAD = ("faults", "kinds", "runs", "recall", "named first", "layer right", "findings a run", "false alarms")


def by_fault(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return a line for each fault."""
    lines = []
    for name in dict.fromkeys(r["fault"] for r in rows):
        some = [r for r in rows if r["fault"] == name]
        missed = sorted({", ".join(r["keys"]) or r["error"] or "nothing" for r in some if not r["found"]})
        layer = [r["layer"] for r in some if r["layer"] is not None]
        found = f"{sum(r['found'] for r in some)}/{len(some)}"
        lines.append([
            name + (" (kept apart)" if some[0]["held"] else ""), " or ".join(some[0]["expected"]), found,
            f"{sum(r['first'] for r in some)}/{len(some)}", f"{sum(layer)}/{len(layer)}" if layer else "",
            "; ".join(missed)[:160],
        ])  # fmt: skip
    return lines


def main(only_open: bool = False, part: str = "") -> None:
    """Run, print and (the whole of it) save."""
    start = time.perf_counter()
    faults = list(FAULTS)
    if not only_open:
        from benchmarks import doctor_held

        faults += [f._replace(held=True) for f in doctor_held.FAULTS]
    costs = [] if part else cost()
    streams = [] if part else [(1, ["relu", "tanh", "sigmoid"], ["adam", "sgd", "momentum"], False)]
    if not only_open:
        streams += [doctor_held.healthy_runs(lambda *stream: stream)]
    chosen = [f for f in faults if part in f.name]
    with multiprocessing.get_context("fork").Pool(2) as pool:  # two runs at a time: they do not depend on each other
        wells = [pool.apply_async(unharmed, stream) for stream in streams]
        rows = planted(chosen, pool)
        quick = [] if only_open else planted(chosen, pool, reruns=False)
        well = [row for found in wells for row in found.get()]
    lines = summary(rows, well)
    head_cost = ("network", "training, s", "doctor's share", "")
    dear = [[c["network"], f"{c['seconds']:.2f}", f"{c['share']:.1%}", verdict(c["share"] <= 0.10)] for c in costs]
    detail = by_fault(rows)
    head_detail = ("planted", "expected", "found", "first", "layer", "said instead")
    text = "\n\n".join([table(HEAD, lines), table(head_cost, dear), table(head_detail, detail)])
    alarms = [r for r in well if r["healthy"] is not True]
    if only_open:
        print(text)
        for r in alarms:
            print({k: v for k, v in r.items() if k not in ("where", "held")})
        print(f"{time.perf_counter() - start:.0f} s")
        return
    said = sorted({k for r in alarms for k in r["keys"] or [r["error"]]})
    seconds = time.perf_counter() - start
    without = f"Without reruns (proof=False) recall is {share(quick, 'found'):.3f}, {len(quick)} runs."
    notes = f"{without} Diseases named in healthy runs: {', '.join(said) or 'none'}. The whole took {seconds:.0f} s."
    save(
        "doctor_proof",
        f"{text}\n\n{notes}",
        {"runs": rows, "healthy": well, "cost": costs, "without_reruns": quick, "seconds": seconds},
    )


if __name__ == "__main__":
    main(sys.argv[1:2] == ["open"], " ".join(sys.argv[2:]))
