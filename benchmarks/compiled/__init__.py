"""The compiled step beside PyTorch, JAX and scikit-learn: ``python -m benchmarks compiled``."""

from __future__ import annotations


def main() -> None:
    """Measure speed, first calls, memory and widths, and write the page."""
    from benchmarks.compiled import compile_time, memory, page, speed, width

    for part in (speed, compile_time, memory, width, page):
        part.main()
