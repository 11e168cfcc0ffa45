"""The stacked autoencoder: trained layer by layer, each on the hidden layer before it (``lectures.md`` 11.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError
from gyaku.models.autoencoder import Autoencoder, checked, copy_linear, description_of, initialise
from gyaku.models.description import Described
from gyaku.models.mlp import MLP

_INTO_01 = ("sigmoid",)  # activations whose values the next layer can reconstruct by a sigmoid


class StackedAutoencoder(Described):
    """Autoencoders of one hidden layer each (``layers.0``, ``layers.1``, ...), each one's input the last one's code.

    ``gyaku.train.fit_layers`` trains them one after the other, ``to_classifier`` adds an output layer for the
    fine-tuning of the whole. ``output`` is that of the first layer; those above use a sigmoid where ``activation`` is
    one, else the identity. Parameters as in ``Autoencoder``.

    >>> stack = StackedAutoencoder((1, 8, 8), [32, 16])
    >>> [layer.inputs for layer in stack.layers], stack.to_classifier(10).parameter_count
    ([(1, 8, 8), (32,)], 2778)
    """

    kind = "stacked_autoencoder"
    layers: Any

    def __init__(
        self,
        inputs: int | Sequence[int],
        hidden: Sequence[int],
        *,
        activation: str = "sigmoid",
        tied: bool = False,
        output: str = "sigmoid",
        init: str = "glorot",
        seed: int | Generator = 0,
    ) -> None:
        super().__init__()
        shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        self._description = checked(
            {"inputs": list(shape), "hidden": list(hidden), "activation": activation, "code": activation,
             "tied": bool(tied), "output": output}, "StackedAutoencoder",
        )  # fmt: skip
        between = "sigmoid" if activation in _INTO_01 else "identity"
        before: list[tuple[int, ...]] = [shape, *((n,) for n in hidden)]
        self.layers = nn.ModuleList(
            Autoencoder(width, [units], activation=activation, tied=tied, output=output if i == 0 else between)
            for i, (width, units) in enumerate(zip(before, hidden, strict=False))
        )
        initialise(self, init, seed if isinstance(seed, Generator) else Generator(seed).split("StackedAutoencoder"))

    def encode(self, x: Any) -> Any:
        """Return the code (N, K) of the last layer for inputs (N, ...)."""
        for layer in self.layers:
            x = layer.encode(x)
        return x

    def decode(self, code: Any) -> Any:
        """Return the reconstruction (N, ...) of a code (N, K), down through all layers."""
        for layer in reversed(list(self.layers)):
            code = layer.decode(code)
        return code

    def forward(self, x: Any) -> Any:
        """Return the reconstruction of inputs (N, ...), in their shape."""
        return self.decode(self.encode(x))

    def to_classifier(self, n_classes: int, *, seed: int | Generator = 0, init: str = "glorot") -> MLP:
        """Return an ``MLP`` whose hidden layers are copies of all encoders, with a new output layer on the last code.

        Fine-tune it with ``gyaku.train.fit``; for a regression ``n_classes`` is the number of values.
        """
        if n_classes < 1:
            raise ArgumentError("to_classifier", "n_classes >= 1", str(n_classes))
        d = self._description
        model = MLP(d["inputs"], d["hidden"], n_classes, activation=d["activation"], init=init, seed=seed)
        for i, layer in enumerate(self.layers, start=1):
            copy_linear(layer.affine1, model._modules[f"affine{i}"])
        return model

    @staticmethod
    def from_architecture(data: Any) -> StackedAutoencoder:
        """Build the network of a description, with fresh weights. Raises ``DataError`` for anything else."""
        d = dict(description_of(data, StackedAutoencoder.kind))
        d.pop("code")
        return StackedAutoencoder(d.pop("inputs"), d.pop("hidden"), **d)

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that a description asks for, without making them."""
        d = description_of(data, StackedAutoencoder.kind)
        widths = [math.prod(d["inputs"]), *d["hidden"]]
        found: dict[str, tuple[int, ...]] = {}
        for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
            found[f"layers.{i}.affine1.weight"] = (after, before)
            if not d["tied"]:
                found[f"layers.{i}.back1.weight"] = (before, after)
        return found
