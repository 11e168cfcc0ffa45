"""state_dict and load_state_dict: names and shapes as PyTorch's, all problems in one message, all or nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, NamedTuple

from gyaku.backend.devices import move
from gyaku.base.errors import DtypeError, ShapeError
from gyaku.core.mode import no_grad
from gyaku.core.tensor import Tensor, as_tensor_like, write


class IncompatibleKeys(NamedTuple):
    """The names that were missing from a state, and those it had too many."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def owned(module: Any, prefix: str = "") -> Iterator[tuple[str, Any, str, str]]:
    """Yield (dotted name, owner, kind, name) of every parameter and persistent buffer, shared ones under each name."""
    for kind in ("_parameters", "_buffers"):
        for name, value in module.__dict__[kind].items():
            if value is not None and name not in module._non_persistent:
                yield prefix + name, module, kind, name
    for name, child in module._modules.items():
        if child is not None:
            yield from owned(child, f"{prefix}{name}.")


def collect_state(module: Any, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> dict[str, Tensor]:
    """Fill ``destination`` with the state and return it."""
    for path, owner, kind, name in owned(module, prefix):
        value = owner.__dict__[kind][name]
        destination[path] = value if keep_vars else value.detach()
    return destination


def load_state(module: Any, given: Any, strict: bool, assign: bool) -> IncompatibleKeys:
    """Check every entry, then copy all of them; see ``Module.load_state_dict``."""
    if not hasattr(given, "keys"):
        raise DtypeError("load_state_dict", "a dict of names and tensors", type(given).__name__)
    places = {path: (owner, kind, name) for path, owner, kind, name in owned(module)}
    missing, unexpected = [k for k in places if k not in given], [k for k in given if k not in places]
    problems = _misshaped(places, given)
    if strict:
        problems = _named(missing, unexpected) + problems
    if problems:
        raise ShapeError(
            "load_state_dict",
            message=f"the state does not fit {type(module).__name__}: " + "; ".join(problems),
            hint="build the model with the settings it was saved with",
        )
    with no_grad():
        for path, (owner, kind, name) in places.items():
            if path in given:
                _take(owner, kind, name, given[path], assign)
    return IncompatibleKeys(missing, unexpected)


def _misshaped(places: dict[str, Any], given: Any) -> list[str]:
    problems = []
    for path, (owner, kind, name) in places.items():
        if path in given:
            want, got = tuple(owner.__dict__[kind][name].shape), tuple(getattr(given[path], "shape", ("?",)))
            if want != got:
                problems.append(f"{path}: expected shape {want}, got {got}")
    return problems


def _named(missing: list[str], unexpected: list[str]) -> list[str]:
    problems = [f"missing {k!r}" for k in missing]
    for k in unexpected:
        near = difflib.get_close_matches(k, missing, n=1)
        problems.append(f"unexpected {k!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    return problems


def _take(owner: Any, kind: str, name: str, value: Any, assign: bool) -> None:
    here = owner.__dict__[kind][name]
    value = as_tensor_like(value, here)
    if assign:
        here.data = value.detach()
    else:
        write(here, move(value._array, here.device))
