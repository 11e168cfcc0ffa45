"""How many threads work: one setting for the matrix products of NumPy's BLAS and for compiled programs."""

from __future__ import annotations

import os
from typing import Any

from gyaku.base.errors import ArgumentError, require


def _pools(where: str) -> list[dict[str, Any]]:
    control: Any = require("threadpoolctl", where=where, extra="threads")
    return [pool for pool in control.threadpool_info() if pool["user_api"] == "blas"]


def get_num_threads() -> int:
    """Return the number of threads of the BLAS that NumPy uses (1 when none is found).

    Raises ``MissingPackageError`` without threadpoolctl.
    """
    return max((int(pool["num_threads"]) for pool in _pools("get_num_threads")), default=1)


def set_num_threads(num_threads: int) -> None:
    """Set the number of threads of the BLAS that NumPy uses, for the whole process.

    Raises ``MissingPackageError`` without threadpoolctl.
    """
    if isinstance(num_threads, bool) or not isinstance(num_threads, int) or num_threads < 1:
        raise ArgumentError("set_num_threads", "a whole number of at least 1", repr(num_threads))
    control: Any = require("threadpoolctl", where="set_num_threads", extra="threads")
    control.threadpool_limits(limits=num_threads, user_api="blas")
    _setting.threads = num_threads


class _Setting:
    threads: int | None = None


_setting = _Setting()


def available_threads() -> int:
    """Return how many threads a compiled program may use.

    That is what ``set_num_threads`` said, else ``OMP_NUM_THREADS`` or ``OPENBLAS_NUM_THREADS``, else the number of
    cores that this process may run on.
    """
    if _setting.threads is not None:
        return _setting.threads
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return cores()


def cores() -> int:
    """Return how many cores this process may run on."""
    return len(core_numbers())


def core_numbers() -> list[int]:
    """Return the numbers of the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
