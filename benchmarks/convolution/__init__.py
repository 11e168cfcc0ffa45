"""Convolutional networks beside PyTorch and JAX: ``python -m benchmarks convolution``."""

from __future__ import annotations


def main() -> None:
    """Measure speed, layers, memory and first calls, and write the page."""
    from benchmarks.compiled import page
    from benchmarks.convolution import layers, own, speed

    for part in (speed, layers, own, page):
        part.main()
