"""The strong Wolfe line search: a step length that lowers the loss enough and flattens its slope enough.

Nocedal and Wright, *Numerical Optimization* (2nd edition, 2006), algorithms 3.5 (a bracket is sought) and 3.6 (it is
narrowed), with minimisation of the cubic through two points and slopes (equation 3.59) in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DECREASE, CURVATURE = 1e-4, 0.9  # Nocedal and Wright's c1 and c2 for quasi-Newton directions
MOST = 25  # evaluations in one search, beside the first


@dataclass(frozen=True)
class Point:
    """A place on the line: step length ``t``, loss, gradient (flat) and slope along the direction."""

    t: float
    loss: float
    grad: Any
    slope: float


def strong_wolfe(
    at: Callable[[float], Point], start: Point, t: float, size: float, tolerance_change: float
) -> tuple[Point, int]:
    """Return a point that fulfils both conditions, or the best one found, and how many points were evaluated.

    ``at(t)`` evaluates; ``start`` is t = 0; ``size`` is the largest element of the direction in absolute value. A
    bracket whose move is below ``tolerance_change`` is narrow enough.
    """
    bracket, count = _sought(at, start, t)
    if len(bracket) == 2:
        bracket, count = _narrowed(at, start, bracket, count, size, tolerance_change)
    return min(bracket, key=lambda p: p.loss), count


def _flat(p: Point, start: Point) -> bool:
    return abs(p.slope) <= -CURVATURE * start.slope


def _too_high(p: Point, start: Point) -> bool:
    """Whether the loss has not fallen in proportion to the step (a NaN counts as fallen: comparisons say no)."""
    return p.loss > start.loss + DECREASE * p.t * start.slope


def _sought(at: Callable[[float], Point], start: Point, t: float) -> tuple[list[Point], int]:
    """Go forward until two points enclose a step that will do (or one point is it)."""
    before, now, count = start, at(t), 1
    while count <= MOST:
        if _too_high(now, start) or (count > 2 and now.loss >= before.loss):
            return [before, now], count
        if _flat(now, start):
            return [now], count
        if now.slope >= 0:
            return [before, now], count
        least, most = now.t + 0.01 * (now.t - before.t), now.t * 10
        before, now = now, at(cubic_minimum(before, now, least, most))
        count += 1
    return [start, now], count


def _narrowed(
    at: Callable[[float], Point], start: Point, bracket: list[Point], count: int, size: float, tolerance_change: float
) -> tuple[list[Point], int]:
    """Narrow the bracket until a point will do; a point too near an end is moved inward the second time."""
    stuck = False
    while len(bracket) == 2 and count <= MOST and abs(bracket[1].t - bracket[0].t) * size >= tolerance_change:
        left, right = sorted(p.t for p in bracket)
        t = cubic_minimum(bracket[0], bracket[1], left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        bracket, count = _with(bracket, at(t), start), count + 1
    return bracket, count


def _with(bracket: list[Point], new: Point, start: Point) -> list[Point]:
    """Return the half of the bracket that holds a good step; a single point when ``new`` is one."""
    low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
    after = list(bracket)
    if _too_high(new, start) or new.loss >= bracket[low].loss:
        after[high] = new
        return after
    if _flat(new, start):
        return [new]
    if new.slope * (bracket[high].t - bracket[low].t) >= 0:
        after[high] = bracket[low]
    after[low] = new
    return after


def cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """Return where the cubic through two points and their slopes is lowest, kept within ``least`` .. ``most``.

    The middle of the interval where the cubic has no minimum.
    """
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t) if a.t < b.t else math.nan
    square = d1 * d1 - a.slope * b.slope
    d2 = math.sqrt(square) if square >= 0 else math.nan
    curvature = b.slope - a.slope + 2 * d2
    if not curvature > 0:
        return (least + most) / 2
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / curvature), least), most)
