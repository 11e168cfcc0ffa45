"""How many threads the matrix products use."""

from __future__ import annotations

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
