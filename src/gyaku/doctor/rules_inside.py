"""Rules about the layers: initial values, variance and deltas by depth, saturated and dead units.

Thresholds come from healthy networks (He or Glorot values, 1 to 10 layers, with and without norm): deltas of the first
and the last hidden layer differ by less than a factor 30, activations by less than 10, fewer than a fifth of the units
of a ReLU layer are dead, fewer than 0.4 of the values of tanh saturated late in training.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.doctor import remedies
from gyaku.doctor.case import Case
from gyaku.doctor.probe import LayerVitals
from gyaku.doctor.rules import rule
from gyaku.doctor.verdict import Chart, Curve, Finding

_SMALL, _LARGE = 0.2, 3.5  # deviation of the weights times sqrt(inputs)
_VANISHED, _EXPLODED = 1e-3, 1e3
_GROWN = 30.0
_DEAD, _SATURATED = 0.55, 0.6
_CHAOTIC, _FLAT = 1.9, 0.2  # gain of tanh (useful: 1 to 1.7), and saturated values before training (healthy: 0.1)


def _chart(layers: list[LayerVitals], y: str, values: list[float], *, log: bool = True, mark: Any = None) -> Chart:
    curve = Curve(y, range(len(layers)), values, "forward" if y != "delta" else "backward")
    return Chart("layer", y, (curve,), log=log, labels=tuple(layer.name for layer in layers), mark=mark)


def _he(case: Case) -> Any:
    return remedies.with_model(remedies.he_values)


_CODE = 'nn.init.kaiming_normal_(layer.weight, nonlinearity="relu"); nn.init.zeros_(layer.bias)'


@rule("bad_init")
def bad_init(case: Case) -> Finding | None:
    """Equal units; biases far away; weights of a useless size that show in the signal; first outputs much too large."""
    layers, hidden = case.first, case.first[:-1]
    for layer in hidden:
        if layer.alike:
            return _init(case, layer, {"units": layer.units, "form": "alike"}, 1.0)
    for layer in hidden:
        if layer.offset > 5.0:
            return _init(case, layer, {"offset": layer.offset, "form": "bias"}, 0.9)
    odd = [layer for layer in hidden if not _SMALL <= layer.gain <= _LARGE]
    if odd and "not_normalised" not in case.found and _hurts(case, odd):
        worst = max(odd, key=lambda layer: abs(math.log(max(layer.gain, 1e-12))))
        return _init(case, worst, {"gain": worst.gain}, 1.0)
    return _chaotic(case, hidden) or _loud(case, layers)


def _chaotic(case: Case, hidden: list[LayerVitals]) -> Finding | None:
    """Deep tanh with weights so large that many values are flat before the first step: order is lost by depth."""
    curved = [layer for layer in hidden if layer.saturated is not None and layer.gain > _CHAOTIC]
    if len(curved) < 3 or "not_normalised" in case.found or float(np.median([x.saturated for x in curved])) < _FLAT:
        return None
    worst = max(curved, key=lambda layer: layer.gain)
    return _init(case, worst, {"gain": worst.gain}, 0.8)


def _hurts(case: Case, odd: list[LayerVitals]) -> bool:
    """Whether weights of an unusual size matter: a norm behind them makes up for it, and one layer bears some."""
    values = [layer.value_std for layer in case.first[:-1]]
    if any(layer.gain > _LARGE for layer in odd) and (
        max(values) > 30.0 or any((layer.saturated or 0.0) > 0.5 for layer in case.first)
    ):
        return True
    lost = len(values) > 1 and values[-1] < 1e-2 * max(values)
    if not case.can_try:
        return lost and case.progress < 0.5
    return (lost or case.progress < 0.7 or case.trace.not_finite is not None) and case.helps(
        "bad_init", _he(case), gap=0.15
    )


def _loud(case: Case, layers: list[LayerVitals]) -> Finding | None:
    """First outputs so large that the first loss is far above that of guessing (log K)."""
    first, base = case.first_loss, case.baseline
    if not layers or "not_normalised" in case.found or "target_shape" in case.found or not layers[-1].pre_std > 3.0:
        return None
    if not first > 2.5 * base + 1.0 or _grown(layers[:-1]):
        return None  # what grew layer by layer is not the fault of the last one
    return _init(case, layers[-1], {"first": first, "baseline": base, "form": "outputs"}, 0.8)


def _grown(hidden: list[LayerVitals]) -> bool:
    return len(hidden) >= 3 and hidden[-1].value_std > _GROWN * max(hidden[0].value_std, 1e-30)


def _init(case: Case, layer: LayerVitals, evidence: dict[str, Any], score: float) -> Finding:
    chart = _chart(case.first, "gain", [x.gain for x in case.first])
    return Finding("bad_init", score, layer.name, evidence, _CODE, chart, change=_he(case) if case.can_try else None)


@rule("exploding_variance")
def exploding_variance(case: Case) -> Finding | None:
    """Activations that grow by a factor 30 from the first hidden layer to the last, before training."""
    hidden = case.first[:-1]
    if not _grown(hidden):
        return None
    evidence = {"first": hidden[0].value_std, "last": hidden[-1].value_std}
    chart = _chart(hidden, "std", [x.value_std for x in hidden])
    return Finding("exploding_variance", 1.0, hidden[-1].name, evidence, f"{_CODE}  # or nn.BatchNorm1d",
                   chart, change=_he(case) if case.can_try else None)  # fmt: skip


def _deltas(case: Case) -> tuple[list[LayerVitals], float]:
    """Return the look and ratio (first over last hidden layer) farthest from 1, before training or later."""
    found: tuple[list[LayerVitals], float] = ([], 1.0)
    for _, layers in case.trace.looks[:1] + case.trace.looks[len(case.trace.looks) // 2 :: 4]:
        hidden = layers[:-1]
        if len(hidden) < 3 or not hidden[-1].delta > 1e-12:
            continue
        ratio = hidden[0].delta / hidden[-1].delta
        if math.isfinite(ratio) and abs(math.log(max(ratio, 1e-30))) > abs(math.log(max(found[1], 1e-30))):
            found = (hidden, ratio)
    return found


@rule("exploding")
def exploding(case: Case) -> Finding | None:
    """Deltas that grow by a factor 1000 on their way back."""
    hidden, ratio = _deltas(case)
    if not hidden or ratio < _EXPLODED:
        return None
    evidence = {"first": hidden[0].delta, "last": hidden[-1].delta}
    chart = _chart(hidden, "delta", [x.delta for x in hidden])
    return Finding("exploding", 1.0, hidden[0].name, evidence, "clip_norm=1  # and He's initial values", chart,
                   change=_he(case) if case.can_try else None)  # fmt: skip


@rule("vanishing")
def vanishing(case: Case) -> Finding | None:
    """Deltas that fall to a thousandth on their way back."""
    hidden, ratio = _deltas(case)
    if not hidden or ratio > _VANISHED:
        return None
    evidence = {"first": hidden[0].delta, "last": hidden[-1].delta}
    chart = _chart(hidden, "delta", [x.delta for x in hidden])
    change = remedies.with_model(remedies.both(remedies.activations("ReLU"), remedies.he_values))
    return Finding("vanishing", 1.0, hidden[0].name, evidence, "nn.ReLU()  # for nn.Sigmoid(), with He's values",
                   chart, change=change if case.can_try else None)  # fmt: skip


def _worst(case: Case, what: str) -> tuple[LayerVitals | None, list[LayerVitals]]:
    """Return the layer with the largest share of ``what`` before training or at the end, and its look."""
    best: tuple[LayerVitals | None, list[LayerVitals]] = (None, [])
    for layers in (case.first, case.last):
        for layer in layers:
            share = getattr(layer, what)
            if share is not None and layer.units >= 4 and (best[0] is None or share > getattr(best[0], what)):
                best = (layer, layers)
    return best


@rule("saturated")
def saturated(case: Case) -> Finding | None:
    """A layer of sigmoids or tanhs of which six values in ten are flat."""
    layer, layers = _worst(case, "saturated")
    if layer is None or layer.saturated is None or layer.saturated < _SATURATED:
        return None
    evidence = {"percent": f"{100 * layer.saturated:.0f}", "activation": layer.activation.lower()}
    chart = _chart(layers, "saturated", [x.saturated or 0.0 for x in layers], log=False, mark=_SATURATED)
    return Finding("saturated", layer.saturated, layer.name, evidence, "nn.init.xavier_normal_(layer.weight)",
                   chart, change=_he(case) if case.can_try else None)  # fmt: skip


@rule("dead_relu")
def dead_relu(case: Case) -> Finding | None:
    """A layer of ReLUs of which more than half of the units answer nobody: the others may learn, but it is wasted."""
    layer, layers = _worst(case, "dead")
    if layer is None or layer.dead is None or layer.dead < _DEAD:
        return None
    evidence = {"percent": f"{100 * layer.dead:.0f}", "units": layer.units, "rows": 256}
    chart = _chart(layers, "dead", [x.dead or 0.0 for x in layers], log=False, mark=_DEAD)
    leaky = remedies.activations("LeakyReLU", instead_of=("ReLU",))
    change = remedies.with_model(remedies.both(leaky, remedies.he_values))
    return Finding("dead_relu", layer.dead, layer.name, evidence, "nn.LeakyReLU()  # He's values, biases 0",
                   chart, change=change if case.can_try else None)  # fmt: skip
