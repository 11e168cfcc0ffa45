"""Statistics of every layer over time, on one fixed batch: activations, deltas, dead and saturated units, weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gyaku.core.tensor import new_tensor
from gyaku.train.checkpoint import arrays_of
from gyaku.train.events import Callback
from gyaku.train.history import rows_of, text_of
from gyaku.train.objective import Objective
from gyaku.train.outputs import device_of_model

if TYPE_CHECKING:
    from gyaku.train.loop import Loop

Array = NDArray[Any]
_BINS = 40
# Activation -> derivative, from the output, as a share of its largest value.
_SLOPES = {"Sigmoid": lambda y: 4.0 * y * (1.0 - y), "Tanh": lambda y: 1.0 - y * y}
_SATURATED = 0.05
_ACTIVATIONS = (
    "ReLU", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU", "Softplus", "Sigmoid", "Tanh", "Hardtanh",
)  # fmt: skip


class Layer:
    """One weight layer as the probe saw it: ``pre`` = a, its pre-activation; ``value`` behind the activation."""

    def __init__(self, name: str, module: Any, pre: Any) -> None:
        self.name, self.module, self.pre, self.value, self.activation = name, module, pre, pre, ""

    @property
    def values(self) -> Array:
        """The output behind the activation: (N, units), of a convolution (N, channels, H, W)."""
        array: Array = self.value.detach().cpu()._array
        return array if array.ndim == 4 else array.reshape(len(array), -1)

    @property
    def delta(self) -> Array:
        """dE/da of every sample, E being the loss of that sample, in the shape of the layer's output."""
        grad = self.pre.grad.detach().cpu()._array
        return (grad if grad.ndim == 4 else grad.reshape(len(grad), -1)) * len(grad)


def look_through(model: Any, x: Array, t: Array, objective: Objective) -> list[Layer]:
    """Run a batch forward and backward in eval mode and return its weight layers in the order of their calls.

    Gradients of the parameters are cleared afterwards; mode and weights stay as they were.
    """
    layers: list[Layer] = []
    names = {id(module): name for name, module in model.named_modules()}
    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(lambda m, _, y: _note(layers, names[id(m)], m, y)) for leaf in leaves]
    was_training, on = model.training, device_of_model(model)
    model.eval()
    try:
        y = model(new_tensor(x).to(on))
        objective.loss(y, new_tensor(t).to(on)).backward()
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    for p in model.parameters():
        p.grad = None
    return layers


def _note(layers: list[Layer], name: str, module: Any, y: Any) -> None:
    kind = type(module).__name__
    if any(p.ndim >= 2 for p in module.parameters(recurse=False)):
        y.retain_grad()
        layers.append(Layer(name, module, y))
    elif layers and kind in _ACTIVATIONS:
        layers[-1].value, layers[-1].activation = y, kind


def _statistics(layer: Layer, ratio: float | None) -> dict[str, Any]:
    values, delta = layer.values, layer.delta.reshape(len(layer.delta), -1)
    slope = _SLOPES.get(layer.activation)
    weight = layer.module.weight.detach().cpu()._array
    return {
        "name": layer.name,
        "kind": type(layer.module).__name__,
        "units": values.shape[1],
        "activation": layer.activation,
        "mean": float(values.mean(dtype=np.float64)),
        "std": float(values.std(dtype=np.float64)),
        "delta_norm": float(np.sqrt((delta.astype(np.float64) ** 2).sum(axis=1)).mean()),
        "dead": dead_share(values) if layer.activation == "ReLU" else None,
        "saturated": float((slope(values) < _SATURATED).mean()) if slope else None,
        "weight_norm": _norm(weight),
        "update_ratio": ratio,
    }


def dead_share(values: Array) -> float:
    """Return the share of units (of a convolution: channels, at all places) that are 0 for every sample."""
    values = values if values.ndim == 4 else values.reshape(len(values), -1)
    return float((values == 0).all(axis=(0, *range(2, values.ndim))).mean())


def _norm(array: Array) -> float:
    return float(np.sqrt((array.astype(np.float64) ** 2).sum()))


class Probe(Callback):
    """Keeps one row of statistics an epoch (``rows``) and histograms of the first and the last epoch.

    ``x``, ``t`` is the batch to look at. The update ratio is that of the epoch's last step: |change of W| / |W|.
    """

    def __init__(self, x: Array, t: Array) -> None:
        self.x, self.t = x, t
        self.rows: list[dict[str, Any]] = []
        self._counted: dict[str, Array] = {}
        self._values: dict[str, Array] = {}  # of the last look, counted when somebody asks
        self._before: dict[str, Array] = {}
        self._ratios: dict[str, float] = {}

    def on_fit_start(self, loop: Loop) -> None:
        """Look at the network before its first step."""
        if not self.rows:
            self._look(loop, 0)

    def next_batch(self, loop: Loop) -> int:
        """Return the last batch of the epoch, the only one to be seen."""
        return loop.batches - 1

    def on_batch_start(self, loop: Loop) -> None:
        """Before the last step of an epoch, remember the weights."""
        if loop.batch == loop.batches - 1:
            self._before = arrays_of({n: p for n, p in loop.model.named_parameters() if p.ndim >= 2})

    def on_batch_end(self, loop: Loop) -> None:
        """After the last step of an epoch, see how far the weights moved."""
        if loop.batch == loop.batches - 1:
            now = {n: p.detach().cpu()._array for n, p in loop.model.named_parameters() if n in self._before}
            tiny = np.finfo(np.float64).tiny
            self._ratios = {n: _norm(a - self._before[n]) / max(_norm(a), tiny) for n, a in now.items()}

    def on_epoch_end(self, loop: Loop) -> None:
        """Look at the network after an epoch."""
        self._look(loop, loop.epoch)

    def _look(self, loop: Loop, epoch: int) -> None:
        layers = look_through(loop.model, self.x, self.t, loop.objective)
        ratios = [self._ratios.get(f"{layer.name}.weight") if epoch else None for layer in layers]
        found = [_statistics(layer, ratio) for layer, ratio in zip(layers, ratios, strict=True)]
        self.rows.append({"epoch": epoch, "layers": found})
        self._values |= {layer.name: values for layer in layers if np.isfinite(values := layer.values).all()}
        if epoch == 0:
            self._count("first")

    @property
    def histograms(self) -> dict[str, Array]:
        """Counts and edges of the values of every layer at the first and at the last look that was finite."""
        self._count("last")
        self._values = {}
        return self._counted

    def _count(self, when: str) -> None:
        for name, values in self._values.items():
            counts, edges = np.histogram(values, bins=_BINS)
            self._counted[f"histogram_{when}/{name}"] = counts.astype(np.int64)
            self._counted[f"histogram_{when}_edges/{name}"] = edges.astype(np.float64)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resume needs."""
        return {"rows": text_of(self.rows), "histograms": self.histograms, "ratios": self._ratios}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict``."""
        self.rows, self._counted, self._values = rows_of(state["rows"]), state["histograms"], {}
        self._ratios = state["ratios"]
