"""Scales, ticks and number formats of the report's charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A map from data [low, high] to pixels [start, stop], linear or logarithmic (``log``)."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``; what lies outside is put on the edge."""
        low, high, v = (math.log10(max(a, 1e-300)) if self.log else a for a in (self.low, self.high, value))
        share = 0.5 if high == low else (v - low) / (high - low)
        return self.start + min(max(share, 0.0), 1.0) * (self.stop - self.start)

    def ticks(self, n: int = 5) -> list[float]:
        """Return about ``n`` round values inside the range (powers of ten on a logarithmic scale)."""
        if not self.log:
            return linear_ticks(self.low, self.high, n)
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        step = max(1, math.ceil((last - first + 1) / n))
        return [10.0**e for e in range(first, last + 1, step)]


def linear_ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Return about ``n`` multiples of 1, 2 or 5 times a power of ten between ``low`` and ``high``.

    >>> linear_ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / n
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def finite(values: Sequence[float | None]) -> list[float]:
    """Return the numbers among ``values``: no None, NaN or infinity."""
    return [v for v in values if v is not None and math.isfinite(v)]


def span(values: Sequence[float | None], *, log: bool = False, margin: float = 0.04) -> tuple[float, float]:
    """Return a range that holds all finite ``values`` (positive ones on a logarithmic scale), with a margin."""
    found = [v for v in finite(values) if v > 0 or not log]
    if not found:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = min(found), max(found)
    if log:
        return 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high) + 1e-9) * (10 if low == high else 1)
    gap = (high - low) * margin or abs(high) * 0.1 or 1.0
    return low - gap, high + gap


def number(value: float | None, digits: int = 4) -> str:
    """Return a number as a reader wants it: ``digits`` significant digits, no needless zeros, a dash for none.

    >>> number(0.97251), number(12345.6), number(1e-7), number(None)
    ('0.9725', '12,346', '1e-07', '–')
    """
    if value is None or not math.isfinite(value):
        return "–" if value is None else str(value)
    if value and abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}" if abs(value) < 1e12 else f"{value:.{digits - 1}g}"
    return f"{value:.{digits}g}"


def tick(value: float) -> str:
    """Return a round number beside an axis, short enough for the room there.

    >>> tick(0.25), tick(20000.0), tick(5e7)
    ('0.25', '20000', '5e+07')
    """
    return f"{value:.6g}"


def percent(value: float | None) -> str:
    """Return a fraction as a percentage with one decimal."""
    return number(None) if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"
