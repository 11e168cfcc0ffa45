"""Hyper-parameters that vary from step to step inside one call of machine code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, ShapeError
from gyaku.compiler.found import is_dynamic

Key = str | tuple[int, str]


class Varying:
    """Values by step: under a name for every group that has it, under (number of the group, name) for one group.

    ``lr`` has one value a step; ``betas``, a pair, one pair a step: (steps, 2). Groups are counted through all
    optimizers of the function. Raises ``ShapeError`` for another number of values, ``ArgumentError`` for what the
    groups have not, or what is no number there (a flag belongs to the program).
    """

    def __init__(self, given: Mapping[Any, Any], steps: int, groups: list[dict[str, Any]]) -> None:
        self.given = {key: np.asarray(values, dtype=np.float64) for key, values in given.items()}
        if any(v.shape[:1] != (steps,) for v in self.given.values()):
            raise ShapeError("steps", f"one value a step ({steps})", str({k: v.shape for k, v in self.given.items()}))
        self.names: list[dict[str, Any]] = []  # by group
        for number, group in enumerate(groups):
            own = {k: v for k, v in self.given.items() if isinstance(k, str) and k in group}
            own.update({k[1]: v for k, v in self.given.items() if isinstance(k, tuple) and k[0] == number})
            for name, values in own.items():
                _check(name, values, group)
            self.names.append(own)
        for key in self.given:
            if isinstance(key, tuple) and not 0 <= key[0] < len(groups):
                raise ArgumentError("steps", f"groups 0..{len(groups) - 1}", str(key[0]))

    def values(self, group: int, place: tuple[Any, ...]) -> Any:
        """Return the values by step of a hyper-parameter, ``place`` being its name (and which part), or None."""
        found = self.names[group].get(place[0])
        return None if found is None else np.ascontiguousarray(found[(slice(None), *place[1:])])

    def put(self, groups: list[dict[str, Any]], step: int) -> None:
        """Put the values of a step into the groups."""
        for group, own in zip(groups, self.names, strict=True):
            for name, values in own.items():
                group[name] = tuple(values[step].tolist()) if values.ndim > 1 else float(values[step])


def _check(name: str, values: Any, group: dict[str, Any]) -> None:
    if name not in group:
        raise ArgumentError("steps", f"a hyper-parameter among {', '.join(k for k in group if k != 'params')}", name)
    now = group[name]
    parts = now if isinstance(now, (tuple, list)) else (now,)
    if not all(is_dynamic(name, v) for v in parts):
        raise ArgumentError("steps", "a hyper-parameter that is a number", f"{name}={now!r}")
    wanted = values.shape[:1] + ((len(parts),) if isinstance(now, (tuple, list)) else ())
    if values.shape != wanted:
        raise ShapeError("steps", f"values of {name} {wanted}", str(values.shape))


def joined(rows: list[Mapping[Any, Any]]) -> dict[Any, Any]:
    """Return {name: values by step} of dictionaries with the same names, one a step."""
    return {key: np.array([row[key] for row in rows], dtype=np.float64) for key in rows[0]} if rows else {}
