"""One look inside a network: every weight layer's values, deltas, weights, dead and saturated units."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gyaku.doctor.graph import activation_before
from gyaku.doctor.library import Array, array_of, for_looking, weight_layers
from gyaku.train.probe import dead_share

SATURATED = 0.05  # a slope below this share of the largest one
# Activation -> its derivative, from the output, as a share of the largest value.
_SLOPES: dict[str, Callable[[Array], Array]] = {
    "Sigmoid": lambda y: 4.0 * y * (1.0 - y),
    "Tanh": lambda y: 1.0 - y * y,
}


@dataclass
class LayerVitals:
    """What was measured at one weight layer; norms and deviations in the units of the tensors.

    ``value_std`` is that of what the next layer receives (behind norm and activation), ``pre_std`` of the layer's own
    output; ``delta`` the mean over samples of ||dE/da||, E being the loss of that sample; ``gain`` the deviation of
    the weights times sqrt(inputs): 1.41 for He's values, 1 for Glorot's; ``offset`` |mean bias| over ``pre_std``;
    ``dead`` is the share of units, of a convolution that of channels; ``alike`` whether all units have the same
    weights; ``update_ratio`` |change of W| / |W| of one step.
    """

    name: str
    units: int
    activation: str
    value_std: float
    pre_std: float
    delta: float
    dead: float | None
    saturated: float | None
    weight_norm: float
    gain: float
    offset: float
    alike: bool
    gradient: float
    update_ratio: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return asdict(self)


class _Seen:
    """Outputs and inputs of the weight layers during one forward pass."""

    def __init__(self, layers: list[tuple[str, Any]]) -> None:
        names = {id(m): name for name, m in layers}
        self.order: list[tuple[str, Any, Any, Any]] = []
        self.handles = [
            m.register_forward_hook(lambda m, given, y: self._note(names[id(m)], m, given[0], y)) for _, m in layers
        ]

    def _note(self, name: str, module: Any, given: Any, y: Any) -> None:
        if y.requires_grad:
            y.retain_grad()
        self.order.append((name, module, given, y))

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()


def look(
    model: Any, x: Any, t: Any, loss: Callable[[Any, Any], Any], layers: list[tuple[str, Any]] | None = None
) -> list[LayerVitals]:
    """Run tensors ``x``, ``t`` forward and backward and return the weight layers in the order of their calls.

    Modes and running values stay as they were; gradients that were there are put back.
    """
    before = [(p, p.grad) for p in model.parameters()]
    for p, _ in before:
        p.grad = None
    seen = _Seen(weight_layers(model) if layers is None else layers)
    try:
        with for_looking(model):
            y = model(x)
            loss(y, t).backward()
        return [_vitals(seen.order, i, y) for i in range(len(seen.order))]
    finally:
        seen.close()
        for p, grad in before:
            p.grad = grad


def _vitals(order: list[tuple[str, Any, Any, Any]], i: int, last: Any) -> LayerVitals:
    name, module, given, y = order[i]
    following = order[i + 1][2] if i + 1 < len(order) else last
    pre = _rows(array_of(y))
    after = array_of(following)
    activation = activation_before(following, y) if i + 1 < len(order) else ""
    values = _rows(after)
    weight = array_of(module.weight)
    grad = None if module.weight.grad is None else array_of(module.weight.grad)
    bias = None if getattr(module, "bias", None) is None else array_of(module.bias)
    delta = None if y.grad is None else _rows(array_of(y.grad)) * len(pre)
    pre_std = _std(pre)
    return LayerVitals(
        name=name,
        units=y.shape[1] if len(y.shape) == 4 else pre.shape[1],
        activation=activation,
        value_std=_std(values),
        pre_std=pre_std,
        delta=0.0 if delta is None else _row_norm(delta),
        dead=dead_share(after) if activation == "Relu" else None,
        saturated=float((_SLOPES[activation](values) < SATURATED).mean()) if activation in _SLOPES else None,
        weight_norm=norm(weight),
        gain=_std(weight) * math.sqrt(max(1, weight[0].size)),
        offset=0.0 if bias is None else float(abs(bias.mean(dtype=np.float64)) / max(pre_std, 1e-12)),
        alike=len(weight) > 1 and bool((weight[0] == weight[1]).all() and (weight == weight[:1]).all()),
        gradient=0.0 if grad is None else norm(grad),
    )


def _rows(a: Array) -> Array:
    return a.reshape(len(a), -1)


def _row_norm(a: Array) -> float:
    """Return the mean norm of the rows; in float64, because deltas may be very small."""
    rows = a.astype(np.float64)
    return float(np.sqrt(np.einsum("ij,ij->i", rows, rows)).mean())


def _std(a: Array) -> float:
    return norm(a - a.mean()) / math.sqrt(max(1, a.size))


def norm(a: Array) -> float:
    """Return the Euclidean norm of all elements.

    >>> norm(np.array([3.0, 4.0]))
    5.0
    """
    flat = a.ravel()
    square = float(np.dot(flat, flat))
    if not 1e-30 < square < 1e30 and flat.dtype != np.float64:  # float32 would overflow, or lose everything
        return norm(flat.astype(np.float64))
    return math.sqrt(square) if square >= 0 else square
