"""Claims that one way is better than another, seed by seed, with both shares and their difference in the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gyaku.figures.experiment import Claim
from gyaku.figures.race import paired, percent, points
from gyaku.figures.statistics import holm, wilcoxon


def gain(what: tuple[str, str], a: Any, b: Any, *, least: float = 0.0, p: float | None = None) -> Claim:
    """Return the claim ``what`` (en, ja): the interval of a - b lies above ``least``, and p, where given, below 0.05.

    >>> gain(("more", "多い"), [0.9, 0.9], [0.8, 0.8]).en
    'more: 90.0 % [90.0, 90.0] against 80.0 % [80.0, 80.0], +10.00 [+10.00, +10.00] points (2 seeds)'
    """
    d = paired(a, b)
    en, ja = ("", "") if p is None else (f"; p = {p:.2g}, Wilcoxon, Holm", f"、p = {p:.2g}、Wilcoxon、Holm 補正")
    return Claim(
        d.low > least and (p is None or p < 0.05),
        f"{what[0]}: {percent(a)} against {percent(b)}, {points(d)} points ({d.n} seeds{en})",
        f"{what[1]}：{percent(a)} と {percent(b)}、差 {points(d)} ポイント（{d.n} シード{ja}）",
    )


def gains(trials: Sequence[tuple[tuple[str, str], Any, Any]]) -> list[Claim]:
    """Return the claims of (what, a, b), each with Wilcoxon's paired test, corrected for their number by Holm."""
    corrected = holm([wilcoxon(a, b) for _, a, b in trials])
    return [gain(what, a, b, p=p) for (what, a, b), p in zip(trials, corrected, strict=True)]
