"""One look inside a network: every weight layer's values, deltas, weights, dead and saturated units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gyaku.doctor.graph import activation_before
from gyaku.doctor.library import Array, array_of, for_looking, weight_layers

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
    ``alike`` whether all units have the same weights; ``update_ratio`` |change of W| / |W| of one step.
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

    def __init__(self, model: Any) -> None:
        self.layers = weight_layers(model)
        names = {id(m): name for name, m in self.layers}
        self.order: list[tuple[str, Any, Any, Any]] = []
        self.handles = [
            m.register_forward_hook(lambda m, given, y: self._note(names[id(m)], m, given[0], y))
            for _, m in self.layers
        ]

    def _note(self, name: str, module: Any, given: Any, y: Any) -> None:
        if y.requires_grad:
            y.retain_grad()
        self.order.append((name, module, given, y))

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()


def look(model: Any, x: Any, t: Any, loss: Callable[[Any, Any], Any]) -> tuple[list[LayerVitals], float]:
    """Run tensors ``x``, ``t`` forward and backward and return the weight layers in the order of their calls, the loss.

    Modes and running values stay as they were; gradients that were there are put back.
    """
    before = [(p, p.grad) for p in model.parameters()]
    for p, _ in before:
        p.grad = None
    seen = _Seen(model)
    try:
        with for_looking(model):
            y = model(x)
            value = loss(y, t)
            value.backward()
        return [_vitals(seen.order, i, y) for i in range(len(seen.order))], float(value)
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
        units=pre.shape[1],
        activation=activation,
        value_std=_std(values),
        pre_std=pre_std,
        delta=0.0 if delta is None else float(np.sqrt((delta.astype(np.float64) ** 2).sum(axis=1)).mean()),
        dead=float((values == 0).all(axis=0).mean()) if activation == "Relu" else None,
        saturated=float((_SLOPES[activation](values) < SATURATED).mean()) if activation in _SLOPES else None,
        weight_norm=norm(weight),
        gain=float(weight.std(dtype=np.float64) * np.sqrt(max(1, weight[0].size))),
        offset=0.0 if bias is None else float(abs(bias.mean(dtype=np.float64)) / max(pre_std, 1e-12)),
        alike=len(weight) > 1 and bool((weight == weight[:1]).all()),
        gradient=0.0 if grad is None else norm(grad),
    )


def _rows(a: Array) -> Array:
    return a.reshape(len(a), -1)


def _std(a: Array) -> float:
    with np.errstate(all="ignore"):
        return float(a.std(dtype=np.float64))


def norm(a: Array) -> float:
    """Return the Euclidean norm of all elements.

    >>> norm(np.array([3.0, 4.0]))
    5.0
    """
    return float(np.sqrt((a.astype(np.float64) ** 2).sum()))
