"""Peak memory beside PyTorch's, and the first call of the compiled step.

Targets: the peak above the level after import at most PyTorch's, with code from the cache and when it has to be
compiled (PyTorch's eager forms never have to); the first call of ResNet-8 with an empty cache at most
5 s.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.common import save, table, verdict
from benchmarks.compiled import compile_time
from benchmarks.compiled.turns import Failed, Peer
from benchmarks.convolution.speed import PACKAGE
from benchmarks.convolution.workloads import WORKLOADS

FORMS = {"gyaku": ("compiled",), "torch": ("eager", "eager, channels last")}
FIRST = 5.0  # seconds


def peaks(key: str) -> dict[str, int]:
    """Return the peak above the level after import by library and form, each in its own process, at once."""
    pairs = [(library, form) for library, forms in FORMS.items() for form in forms]
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(len(pairs)) as pool:
        anew = _peak(key, *pairs[0], cache)
        found = [anew, *pool.map(lambda pair: _peak(key, *pair, cache), pairs)]
    names = [", ".join([*pairs[0], "compiling anew"]), *map(", ".join, pairs)]
    return {name: size for name, size in zip(names, found, strict=True) if size}


def _peak(key: str, library: str, form: str, cache: str) -> int:
    """Return a form's peak; 0 where it does not run."""
    also = {"XDG_CACHE_HOME": cache} if library == "gyaku" else {}
    peer = Peer(library, 2 if library == "torch" else None, package=PACKAGE, also=also)
    try:
        return int(peer.ask("peak", workload=key, form=form, times=2))
    except Failed as error:
        print(f"not run: {key}: {library}, {form}: {error}", flush=True)
        return 0
    finally:
        peer.close()


def first_calls(key: str) -> dict[str, float]:
    """Return the seconds of the first call with an empty cache and from the cache."""
    with tempfile.TemporaryDirectory() as cache:
        empty, cached = (compile_time.once(key, cache, PACKAGE) for _ in range(2))
    return {"empty": empty["first"], "cached": cached["first"]}


def main() -> None:
    """Measure, print and save."""
    rows: list[list[Any]] = []
    found: dict[str, Any] = {}
    for key, w in WORKLOADS.items():
        peak, first = peaks(key), first_calls(key)
        found[key] = {"peak": peak, "first": first}
        theirs = min((v for k, v in peak.items() if k.startswith("torch")), default=None)
        for name, size in peak.items():
            target = ["", ""]
            if theirs is not None and name.startswith("gyaku"):
                target = [f"≤ {theirs / 2**20:.1f}", verdict(size <= theirs)]
            rows.append([f"{w.title}: peak above import, {name} (MiB)", f"{size / 2**20:.1f}", *target])
        target = [f"≤ {FIRST:g}", verdict(first["empty"] <= FIRST)] if key == "resnet8" else ["", ""]
        rows.append([f"{w.title}: first call, empty cache (s)", f"{first['empty']:.2f}", *target])
        rows.append([f"{w.title}: first call, from the cache (s)", f"{first['cached']:.2f}", "", ""])
    save("convolution_own", table(["what", "measured", "target", ""], rows), found)
