"""Numbers as the lectures print them."""

from __future__ import annotations

from collections.abc import Iterable


def rounds_to(value: float, printed: str) -> bool:
    """Whether ``value``, rounded to the digits of ``printed``, is exactly that number.

    >>> rounds_to(1.489385195, "1.48938520"), rounds_to(0.0881, "0.08808560")
    (True, False)
    """
    digits = printed.lower().partition("e")[0].replace(".", "").lstrip("-+0")
    return float(f"{float(value):.{max(len(digits), 1) - 1}e}") == float(printed)


def all_round_to(values: Iterable[float], printed: Iterable[str]) -> bool:
    """Whether each value rounds to its printed number."""
    return all(rounds_to(v, p) for v, p in zip(values, printed, strict=True))
