"""What a run depends on beside data and seed: versions, processor, threads, BLAS."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import math
import os
import platform
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, require

_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
# What must be equal for two runs to give the same bits.
EXACT = ("python", "numpy", "gyaku", "platform", "processor", "threads", "blas", "llvmlite", "device")


def describe_machine(on: str = "cpu") -> dict[str, Any]:
    """Return the facts of the run card: versions, platform, processor, cores, BLAS and its threads, device."""
    import gyaku

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gyaku": gyaku.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": blas_threads(),
        "blas": _blas(),
        "llvmlite": _version("llvmlite"),
        "device": on,
    }


def _version(package: str) -> str:
    """Return the version of an installed package, without importing it; empty when there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """Return the name of the processor; Linux tells it in a file, other systems through ``platform``."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> float:
    """Return the bytes of memory of this machine; infinity where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def blas_threads() -> int:
    """Return how many threads a matrix product uses."""
    if can_limit_threads():
        found = [int(pool["num_threads"]) for pool in _pools().threadpool_info() if pool["user_api"] == "blas"]
        if found:
            return max(found)
    for name in _THREADS:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return os.cpu_count() or 1


def _pools() -> Any:
    """Return threadpoolctl; the variable that its import puts into the environment is taken out again."""
    before = os.environ.get("KMP_DUPLICATE_LIB_OK")
    pools = require("threadpoolctl", where="--threads", extra="threads")
    if before is None:
        os.environ.pop("KMP_DUPLICATE_LIB_OK", None)
    return pools


def can_limit_threads() -> bool:
    """Return whether threadpoolctl, which ``limited_threads`` needs, is installed."""
    return importlib.util.find_spec("threadpoolctl") is not None


def _blas() -> str:
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)) or "unknown"


@contextlib.contextmanager
def limited_threads(n: int | None) -> Iterator[None]:
    """Let matrix products use ``n`` threads inside the block (``None``: as they are).

    Raises ``MissingPackageError`` when threadpoolctl is not installed, ``ArgumentError`` for n < 1.
    """
    if n is None or n == blas_threads():
        yield
        return
    if n < 1:
        raise ArgumentError("threads", "at least 1", str(n))
    with _pools().threadpool_limits(limits=n, user_api="blas"):
        yield


def differences(card: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return in words what differs between the machine of a run card and this one, of what the bits depend on."""
    known = [key for key in EXACT if key in card]
    return [f"{key}: {card[key]} -> {now[key]}" for key in known if card[key] != now[key]]
