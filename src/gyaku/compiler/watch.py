"""Places to watch: dictionaries, lists, attributes, global names; unchanged while they hold the very same objects.

Equal values are not enough (an equal list is another list, ``True == 1``), so everything is compared by identity; of a
dictionary the keys too.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable
from typing import Any

Place = tuple[str, Any, tuple[str, ...]]  # dictionary, sequence, attributes or items; the object; names


class Watch:
    """Places, and what they held when they were last seen."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.before: list[Any] = []
        self._views: list[Iterable[Any]] = []
        self._getters: list[Callable[[], Any]] = []

    def dictionary(self, d: Any) -> None:
        """Watch the keys and values of a dictionary (or of a class)."""
        self.places.append(("dictionary", d, ()))
        self._views += [d, d.values()]

    def sequence(self, items: Any) -> None:
        """Watch the items of a list, set or deque."""
        self.places.append(("sequence", items, ()))
        self._views.append(items)

    def attributes(self, owner: Any, *names: str) -> None:
        """Watch attributes of an object that has them."""
        self.places.append(("attributes", owner, names))
        self._getters.append(functools.partial(_attributes, operator.attrgetter(*names), len(names), owner))

    def items(self, space: dict[str, Any], names: tuple[str, ...]) -> None:
        """Watch some items of a dictionary; others may come and go."""
        self.places.append(("items", space, names))
        self._getters.append(functools.partial(_items, space, names))

    def see(self) -> None:
        """Take what the places hold now for what they should hold."""
        self.before = self._now()

    def unchanged(self) -> bool:
        """Return whether every place holds the very same objects as when it was last seen."""
        try:
            now = self._now()
        except (ValueError, KeyError, RuntimeError, AttributeError):  # an emptied cell, a deleted name, a growing dict
            return False
        return len(now) == len(self.before) and all(map(operator.is_, now, self.before))

    def _now(self) -> list[Any]:
        now = list(itertools.chain.from_iterable(self._views))
        for get in self._getters:
            now += get()
        return now


def _attributes(get: Callable[[Any], Any], count: int, owner: Any) -> Any:
    return get(owner) if count > 1 else (get(owner),)


def _items(space: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    return [space[n] for n in names]
