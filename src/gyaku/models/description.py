"""What models share: a description as plain JSON values, checked before anything of its size is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, UnknownNameError
from gyaku.nn import init as initial

Description = dict[str, Any]
Shapes = Iterator[tuple[str, tuple[int, ...]]]


class Described(nn.Module):
    """Base of the models that a file can hold: ``architecture`` describes what the class was built with."""

    kind = ""
    _description: Description

    def architecture(self) -> Description:
        """Return the description that ``gyaku.models.build`` builds the same layers from, as plain JSON values."""
        return {"kind": self.kind, **self._description}

    @property
    def parameter_count(self) -> int:
        """The number of trained numbers."""
        return sum(p.numel() for p in self.parameters())


def read_description(data: Any, kind: str, fields: Mapping[str, type], check: Callable[[Description], Any]) -> Any:
    """Return a checked description from JSON of unknown origin. Raises ``DataError`` for anything else."""
    kinds = {"kind": str, **fields}
    if not isinstance(data, dict) or set(data) != set(kinds):
        raise DataError("architecture", f"the entries {', '.join(kinds)}", str(data)[:80])
    for name, wanted in kinds.items():
        if type(data[name]) is not wanted:
            raise DataError(f"architecture.{name}", f"a {wanted.__name__}", str(data[name])[:40])
    if data["kind"] != kind:
        raise DataError("architecture.kind", repr(kind), repr(data["kind"])[:40])
    try:
        return check({name: data[name] for name in fields})
    except (ArgumentError, UnknownNameError) as error:
        raise DataError("architecture", message=str(error)) from error


def is_size(n: Any) -> bool:
    """Return whether n is a whole number of at least 1 that memory could ever hold."""
    return type(n) is int and 1 <= n < 2**31


def check_sizes(where: str, d: Mapping[str, Any], *names: str) -> None:
    """Refuse entries that are not whole numbers of at least 1."""
    for name in names:
        if not is_size(d[name]):
            raise ArgumentError(where, f"{name} >= 1", str(d[name])[:40])


def check_image(where: str, inputs: Sequence[Any], least: int, hint: str = "enlarge them: --size") -> None:
    """Refuse inputs that are not images (C, H, W) with sides of at least ``least`` pixels."""
    if len(inputs) != 3 or not all(is_size(n) for n in inputs):
        raise ArgumentError(where, "images (C, H, W)", f"inputs of shape {tuple(inputs)}", hint="tables take an MLP")
    if min(inputs[1:]) < least:
        got = f"{inputs[1]} x {inputs[2]}"
        raise ArgumentError(where, f"images of at least {least} x {least} pixels", got, hint=hint)


def check_share(where: str, name: str, value: float) -> None:
    """Refuse a probability of a zero outside [0, 1)."""
    if not 0.0 <= value < 1.0:
        raise ArgumentError(where, f"0 <= {name} < 1", str(value))


def start_he(model: Any, seed: int | Generator) -> None:
    """Give every weight normals of variance 2 / N_in, N_in being the inputs of one unit (He et al. 2015); biases 0.

    Each layer draws from its own stream, so that a change of one leaves the values of the others. The last layer,
    ``output``, has no ReLU behind it: variance 1 / N_in.
    """
    root = seed if isinstance(seed, Generator) else Generator(seed).split(type(model).__name__)
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if weight is None or weight.ndim < 2:
            continue
        gain = 1.0 if name == "output" else 2.0
        initial.normal_(weight, std=math.sqrt(gain / _inputs_of_one_unit(module)), generator=root.split(name))
        if module.bias is not None:
            initial.zeros_(module.bias)


def _inputs_of_one_unit(module: Any) -> int:
    weight = module.weight
    if isinstance(module, nn.ConvTranspose2d):  # (C, L, kernel): one output pixel sees 1 / stride² of the kernel
        return max(1, weight.shape[0] * math.prod(weight.shape[2:]) // math.prod(module.stride))
    return math.prod(weight.shape[1:])
