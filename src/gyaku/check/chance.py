"""Random layers made repeatable: every source of random numbers that a layer may draw from starts at a given seed."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from gyaku.backend.random import Generator, default_generator

_new_rng = np.random.default_rng  # the real one, also while a layer sees the seeded one
_seeds: list[int] = []  # of the blocks that are open


def sources_of(layer: Any) -> list[Any]:
    """Return the generators that lie beside a layer: in its class, and in the module of its ``forward``."""
    kind = layer if isinstance(layer, type) else type(layer)
    beside = getattr(getattr(kind, "forward", None), "__globals__", {})
    own = [v for c in kind.__mro__ for v in vars(c).values()]
    kinds = (np.random.Generator, np.random.RandomState, random.Random, Generator)
    return [v for v in (*beside.values(), *own) if isinstance(v, kinds) and v is not default_generator]


@contextlib.contextmanager
def fixed_chance(seed: int, sources: list[Any]) -> Iterator[None]:
    """Start NumPy's, Python's and Gyaku's random numbers, and ``sources``, at ``seed``; afterwards all are as before.

    ``np.random.default_rng()`` without a seed gets this one. Inside of another such block, only the start is new.
    """
    with contextlib.nullcontext() if _seeds else _all_restored(sources):
        _seeds.append(seed)
        restart(seed, sources)
        try:
            yield
        finally:
            _seeds.pop()


@contextlib.contextmanager
def _all_restored(sources: list[Any]) -> Iterator[None]:
    numpy_state, python_state, own_state = np.random.get_state(), random.getstate(), default_generator.get_state()
    before = [_state_of(source) for source in sources]

    def seeded(given: Any = None) -> np.random.Generator:
        return _new_rng(_seeds[-1] if given is None else given)

    np.random.default_rng = seeded  # type: ignore[assignment]
    try:
        yield
    finally:
        np.random.default_rng = _new_rng
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        default_generator.set_state(own_state)
        for source, state in zip(sources, before):
            _set_state(source, state)


def restart(seed: int, sources: list[Any]) -> None:
    """Let all random numbers begin again at ``seed`` (inside ``fixed_chance``)."""
    np.random.seed(seed)
    random.seed(seed)
    default_generator.manual_seed(seed)
    for source in sources:
        _seed(source, seed)


def _seed(source: Any, seed: int) -> None:
    if isinstance(source, np.random.Generator):
        source.bit_generator.state = type(source.bit_generator)(seed).state
    elif isinstance(source, Generator):
        source.manual_seed(seed)
    else:
        source.seed(seed)


def _state_of(source: Any) -> Any:
    if isinstance(source, np.random.Generator):
        return copy.deepcopy(source.bit_generator.state)
    if isinstance(source, random.Random):
        return source.getstate()
    return source.get_state()


def _set_state(source: Any, state: Any) -> None:
    if isinstance(source, np.random.Generator):
        source.bit_generator.state = state
    elif isinstance(source, random.Random):
        source.setstate(state)
    else:
        source.set_state(state)
