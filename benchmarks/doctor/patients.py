"""What a run of the proof is made of: a data set, a network, how it is trained, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

import gyaku as gy
from gyaku import nn
from gyaku.nn import functional as F

from .sets import SETS, Part, Set

ACTIVATIONS: dict[str, tuple[type, float]] = {  # and the gain of good initial values
    "relu": (nn.ReLU, 2.0),
    "tanh": (nn.Tanh, 1.0),
    "sigmoid": (nn.Sigmoid, 1.0),
    "leaky": (nn.LeakyReLU, 2.0),
    "elu": (nn.ELU, 1.5),
    "gelu": (nn.GELU, 2.0),
    "silu": (nn.SiLU, 2.0),
}


@dataclass
class Patient:
    """One run: ``gyaku.doctor.examine(model, data, **options)``."""

    model: Any
    data: Part
    options: dict[str, Any] = field(default_factory=dict)
    set: Set | None = None


class Fault(NamedTuple):
    """A planted fault. ``keys``: the diseases that name it; ``where``: the layers, if it sits in one."""

    name: str
    keys: tuple[str, ...]
    sets: tuple[str, ...]
    make: Callable[[Set, int], Patient]
    where: tuple[str, ...] = ()
    held: bool = False

    def patient(self, seed: int) -> Patient:
        return self.make(SETS[self.sets[seed % len(self.sets)]](seed), seed)


def fault(
    into: list[Fault], name: str, keys: str, sets: str, where: str = ""
) -> Callable[[Callable[[Set, int], Patient]], Callable[[Set, int], Patient]]:
    """Register a function (set, seed) -> Patient as a planted fault; keys, sets and layers are apart by blanks."""

    def register(make: Callable[[Set, int], Patient]) -> Callable[[Set, int], Patient]:
        into.append(Fault(name, tuple(keys.split()), tuple(sets.split()), make, tuple(where.split())))
        return make

    return register


# --- networks ---------------------------------------------------------------------------------------------------------


def net(
    s: Set,
    seed: int,
    hidden: Sequence[int] = (32, 32),
    activation: str = "relu",
    *,
    norm: bool = False,
    dropout: float = 0.0,
    outputs: int | None = None,
    gain: float | None = None,
    last: Any = None,
) -> Any:
    """Return a healthy network for a set: Linear, (BatchNorm1d,) activation, (Dropout,) ..., Linear (, ``last``)."""
    gy.manual_seed(seed)
    make, good = ACTIVATIONS[activation]
    layers: list[Any] = []
    width = s.inputs
    for units in hidden:
        layers.append(linear(width, units, good if gain is None else gain))
        layers += [nn.BatchNorm1d(units)] if norm else []
        layers.append(make())
        layers += [nn.Dropout(dropout)] if dropout else []
        width = units
    layers.append(linear(width, s.outputs if outputs is None else outputs, 1.0))
    layers += [last] if last is not None else []
    return nn.Sequential(*layers)


def linear(inputs: int, outputs: int, gain: float) -> Any:
    """Return a layer with weights of variance ``gain`` / inputs and biases 0."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=(gain / inputs) ** 0.5)
    nn.init.zeros_(layer.bias)
    return layer


def write(parameter: Any, values: Any) -> None:
    """Put values into a parameter."""
    with gy.no_grad():
        parameter.copy_(gy.tensor(np.broadcast_to(np.asarray(values, np.float32), tuple(parameter.shape)).copy()))


def scale(parameter: Any, factor: float) -> None:
    """Multiply a parameter by a number."""
    write(parameter, parameter.detach().numpy() * factor)


class Residual(nn.Module):
    """x + W relu(V x)."""

    def __init__(self, units: int, gain: float) -> None:
        super().__init__()
        self.first, self.second = linear(units, units, 2.0), linear(units, units, gain)

    def forward(self, x: Any) -> Any:
        return x + self.second(F.relu(self.first(x)))


def by_parameters(factor: float, place: int, model: Any) -> Callable[[Any], Any]:
    """Return a function params -> SGD in which layer ``place`` learns ``factor`` times as fast as the others."""
    at = {i for i, (name, _) in enumerate(model.named_parameters()) if name.split(".")[0] == str(place)}

    def make(parameters: Any) -> Any:
        found = list(parameters)
        mine, others = [p for i, p in enumerate(found) if i in at], [p for i, p in enumerate(found) if i not in at]
        return gy.optim.SGD([{"params": others}, {"params": mine, "lr": 0.05 * factor}], lr=0.05)

    return make


# --- losses and steps -------------------------------------------------------------------------------------------------


def loss_of(s: Set, outputs: int | None = None) -> Callable[[Any, Any], Any]:
    """Return the loss that belongs to a set, of outputs and targets."""
    if s.regression:
        return F.mse_loss
    if (s.outputs if outputs is None else outputs) == 1:
        return lambda y, t: F.binary_cross_entropy_with_logits(y, t.to(y.dtype).reshape(y.shape))
    return F.cross_entropy


def patient(s: Set, model: Any, **options: Any) -> Patient:
    """Return a run on a set with its dev part, Adam and 300 steps unless ``options`` say otherwise."""
    data = options.pop("data", s.train)
    chosen = {"dev": s.dev, "batch_size": 32, "steps": 300, "optimizer": "adam"} | options
    if isinstance(chosen["optimizer"], str) and "lr" not in chosen:
        chosen["lr"] = {"adam": 0.003, "sgd": 0.1, "momentum": 0.02}.get(chosen["optimizer"], 0.003)
    return Patient(model, data, {k: v for k, v in chosen.items() if v is not None}, s)


def score(model: Any, part: Part) -> float:
    """Return the accuracy on a part, or the share of the variance explained."""
    model.eval()
    with gy.no_grad():
        y = model(gy.tensor(part[0])).numpy()
    t = part[1]
    if t.dtype.kind == "f":
        return float(1 - ((y - t) ** 2).mean() / t.var())
    found = y[:, 0] > 0 if y.shape[1] == 1 else y.argmax(axis=1)
    return float((found == t).mean())


def train(p: Patient, seed: int) -> tuple[float, float]:
    """Train a run by a plain loop of our own, as the options say, and return its scores on train and dev."""
    from gyaku.train.schedule import make_optimizer

    o, (x, t), rng = p.options, p.data, np.random.default_rng(seed)
    rest = {k: o[k] for k in ("lr", "momentum", "weight_decay", "l1", "l2") if k in o}
    optimizer = make_optimizer(o["optimizer"], p.model, **rest)
    loss = loss_of(p.set, p.model[-1].out_features)  # type: ignore[arg-type]
    p.model.train()
    order = np.arange(0)
    for _ in range(o["steps"]):
        if len(order) < o["batch_size"]:
            order = rng.permutation(len(x))
        rows, order = order[: o["batch_size"]], order[o["batch_size"] :]
        optimizer.zero_grad()
        loss(p.model(gy.tensor(x[rows])), gy.tensor(t[rows])).backward()
        optimizer.step()
    return score(p.model, p.data), score(p.model, o["dev"])
