"""Run benchmarks by name, or all: ``python -m benchmarks define_by_run training_step``."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "define_by_run", "budget", "training_step", "footprint", "memory", "accuracy", "explain", "compiled", "check_proof",
    "doctor_proof", "convolution", "energy",
)  # fmt: skip


def main(names: list[str]) -> int:
    """Run the benchmarks ``names`` in order."""
    unknown = [n for n in names if n not in NAMES]
    if unknown:
        print(f"benchmarks: expected names among {', '.join(NAMES)}, got {', '.join(unknown)}", file=sys.stderr)
        return 2
    for name in names or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
