"""A network as the lectures build it: an ordered list of layers, and ordered dictionaries of arrays (S1 §5)."""

from __future__ import annotations

from collections.abc import Sequence

from gyaku.base.errors import DtypeError, GraphError
from gyaku.layers.base import Array, Layer, LossLayer


class Network:
    """Layers in order, and a loss layer at the end.

    ``params`` and ``grads`` are dictionaries in the layers' order (``W1``, ``b1``, ``gamma1``, ``beta1``, ``W2``, ...):
    the number counts the layers of a kind. ``params`` holds the layers' own arrays, so an optimizer's
    ``update(network.params, network.gradient(x, t))`` changes the network.

    >>> import numpy as np
    >>> from gyaku.layers import Affine, Network, ReLU, RegressionLoss
    >>> net = Network([Affine([[0.1]], [0.4]), ReLU(), Affine([[0.5]], [0.9])], RegressionLoss())
    >>> list(net.params), net.predict(np.array([[3.0]])).round(2).tolist()
    (['W1', 'b1', 'W2', 'b2'], [[1.25]])
    """

    def __init__(self, layers: Sequence[Layer], loss: LossLayer | None = None) -> None:
        for layer in layers:
            _check_layer(layer)
        self.layers, self.last = list(layers), loss
        self._names: list[tuple[str, Layer, str]] = []
        counts: dict[type, int] = {}
        for layer in self.layers:
            counts[type(layer)] = counts.get(type(layer), 0) + 1
            self._names += [(f"{name}{counts[type(layer)]}", layer, name) for name in layer.params]

    @property
    def params(self) -> dict[str, Array]:
        """The arrays learned, by name, in order."""
        return {key: getattr(layer, name) for key, layer, name in self._names}

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients that the last backward left, under the same names."""
        return {key: getattr(layer, f"d{name}") for key, layer, name in self._names}

    def forward(self, x: Array, train: bool = True) -> Array:
        """Return the output of the last layer for ``x``."""
        for layer in self.layers:
            x = layer.forward(x, train) if layer.has_modes else layer.forward(x)  # type: ignore[call-arg]
        return x

    def predict(self, x: Array) -> Array:
        """Return the output in prediction: running averages, nothing dropped."""
        return self.forward(x, train=False)

    def loss(self, x: Array, t: Array, train: bool = True) -> float:
        """Return the loss of the network's output for targets ``t``."""
        return self._loss_layer().forward(self.forward(x, train), t)

    def backward(self, dout: Array = 1) -> Array:
        """Run backward through the loss and all layers in reverse; return dE/dx."""
        g = self._loss_layer().backward(dout)
        for layer in reversed(self.layers):
            g = layer.backward(g)
        return g

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients of the training loss by all parameters."""
        self.loss(x, t)
        self.backward()
        return self.grads

    def accuracy(self, x: Array, t: Array) -> float:
        """Return the share of rows whose class is predicted right; ``t`` is class numbers or one-hot.

        One output column counts as a logit: positive means class 1 (``t`` is then 0 or 1).
        """
        y = self.predict(x)
        if y.ndim == 1 or y.shape[1] == 1:
            return float(((y > 0).reshape(-1) == t.reshape(-1)).mean())
        classes = t.argmax(axis=1) if t.ndim == 2 else t
        return float((y.argmax(axis=1) == classes).mean())

    def _loss_layer(self) -> LossLayer:
        if self.last is None:
            raise GraphError("Network.loss", "a loss layer", "none", hint="Network(layers, SoftmaxWithLoss())")
        return self.last


def _check_layer(layer: object) -> None:
    """Refuse what cannot stand in the list: a loss layer, a class in place of an instance, anything else."""
    if isinstance(layer, LossLayer):
        got, hint = type(layer).__name__, "give the loss layer as loss="
    elif isinstance(layer, type):
        got, hint = f"the class {layer.__name__}", "make an instance of it, as in ReLU()"
    elif isinstance(layer, Layer):
        return
    else:
        got, hint = type(layer).__name__, ""
    raise DtypeError("Network", "a list of layers", got, hint=hint)
