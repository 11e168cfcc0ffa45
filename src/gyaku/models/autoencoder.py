"""The autoencoder: the identity through a bottleneck (``lectures.md`` 11.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, UnknownNameError
from gyaku.models.description import Described, Description, read_description
from gyaku.models.mlp import ACTIVATIONS, INITS, MLP
from gyaku.nn import functional as F
from gyaku.nn import init as initial
from gyaku.ops.activation import sigmoid

OUTPUTS = ("sigmoid", "identity")
FIELDS: dict[str, type] = {
    "inputs": list, "hidden": list, "activation": str, "code": str, "tied": bool, "output": str,
}  # fmt: skip


class Autoencoder(Described):
    """An encoder of affine layers down to a code, and its mirror image back to the input.

    code = f(W_n ... f(W_1 x + b_1) ... + b_n); the decoder runs through the same widths backwards. Its last layer is a
    sigmoid (x in [0, 1], cross-entropy) or the identity (any x, squared error). With ``tied`` the decoder uses the
    encoder's weights transposed, so each is used twice and its gradient is the sum of both uses.

    Encoder modules are named as in ``MLP`` (``affine1``, ``act1``, ...), the decoder's ``back1`` (to the input),
    ``back2``, ... Train it with ``gyaku.train.fit_autoencoder``, which also knows denoising and sparse codes.

    Parameters
        inputs: number of inputs, or the shape of one input.
        hidden: units of the encoder's layers; the last is the code.
        activation: of the layers between (``models.ACTIVATIONS``); code: that of the code, else the same.
        tied: one weight for encoder and decoder. output: ``sigmoid`` or ``identity``.
        init: as in ``MLP``. seed: of the initial weights, or a generator.

    Raises ``UnknownNameError`` ("did you mean") or ``ArgumentError``.

    >>> Autoencoder((1, 8, 8), [20], tied=True).parameter_count
    1364
    """

    kind = "autoencoder"

    def __init__(
        self,
        inputs: int | Sequence[int],
        hidden: Sequence[int],
        *,
        activation: str = "sigmoid",
        code: str | None = None,
        tied: bool = False,
        output: str = "sigmoid",
        init: str = "glorot",
        seed: int | Generator = 0,
    ) -> None:
        super().__init__()
        shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        self._description = checked(
            {"inputs": list(shape), "hidden": list(hidden), "activation": activation, "code": code or activation,
             "tied": bool(tied), "output": output}, "Autoencoder",
        )  # fmt: skip
        if init not in INITS:
            raise UnknownNameError("Autoencoder", init, INITS, what="init")
        self._depth, self._shape, self._tied = len(hidden), shape, bool(tied)
        self._build()
        initialise(self, init, seed if isinstance(seed, Generator) else Generator(seed).split("Autoencoder"))

    def _build(self) -> None:
        d = self._description
        widths = [math.prod(d["inputs"]), *d["hidden"]]
        for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False), start=1):
            self.add_module(f"affine{i}", nn.Linear(before, after))
            self.add_module(f"act{i}", ACTIVATIONS[d["activation"] if i < self._depth else d["code"]]())
        for i, (after, before) in enumerate(zip(widths, widths[1:], strict=False), start=1):
            if d["tied"]:
                self.register_parameter(f"back{i}_bias", nn.linear.fresh((after,)))
            else:
                self.add_module(f"back{i}", nn.Linear(before, after))
            if i > 1:
                self.add_module(f"back_act{i}", ACTIVATIONS[d["activation"]]())

    def encode(self, x: Any) -> Any:
        """Return the code (N, K) of inputs (N, ...)."""
        x, modules = x.flatten(1) if x.ndim > 2 else x, self._modules
        for i in range(1, self._depth + 1):
            x = modules[f"act{i}"](modules[f"affine{i}"](x))
        return x

    def decode_logits(self, code: Any) -> Any:
        """Return what the decoder says before its output function, as (N, D)."""
        modules = self._modules
        for i in range(self._depth, 0, -1):
            code = self._back(i, code)
            code = modules[f"back_act{i}"](code) if i > 1 else code
        return code

    def _back(self, i: int, h: Any) -> Any:
        if self._tied:
            return F.linear(h, self._modules[f"affine{i}"].weight.T, self._parameters[f"back{i}_bias"])
        return self._modules[f"back{i}"](h)

    def decode(self, code: Any) -> Any:
        """Return the reconstruction (N, ...) of a code (N, K), in the shape of the input."""
        return output_of(self.decode_logits(code), self.output).reshape(-1, *self._shape)

    def forward(self, x: Any) -> Any:
        """Return the reconstruction of inputs (N, ...), in their shape."""
        return self.decode(self.encode(x))

    @property
    def output(self) -> str:
        """The output function: ``sigmoid`` or ``identity``."""
        return str(self._description["output"])

    @property
    def code(self) -> str:
        """The activation of the code."""
        return str(self._description["code"])

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape of one input."""
        return self._shape

    def to_classifier(self, n_classes: int, *, seed: int | Generator = 0, init: str = "glorot") -> MLP:
        """Return an ``MLP`` whose hidden layers are copies of the encoder, with a new output layer on the code.

        Fine-tune it with ``gyaku.train.fit``. Raises ``ArgumentError`` where code and other layers have different
        activations, which an ``MLP`` has not.
        """
        d = self._description
        if d["code"] != d["activation"] and self._depth > 1:
            raise ArgumentError("to_classifier", "one activation for all layers", f"{d['activation']} and {d['code']}")
        model = MLP(d["inputs"], d["hidden"], n_classes, activation=d["code"], init=init, seed=seed)
        for i in range(1, self._depth + 1):
            copy_linear(self._modules[f"affine{i}"], model._modules[f"affine{i}"])
        return model

    @staticmethod
    def from_architecture(data: Any) -> Autoencoder:
        """Build the network of a description, with fresh weights. Raises ``DataError`` for anything else."""
        d = dict(description_of(data, Autoencoder.kind))
        return Autoencoder(d.pop("inputs"), d.pop("hidden"), **d)

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that a description asks for, without making them."""
        return shapes_of(description_of(data, Autoencoder.kind))


def output_of(logits: Any, output: str) -> Any:
    """Return the decoder's output function of its logits."""
    return sigmoid(logits) if output == "sigmoid" else logits


def initialise(model: nn.Module, init: str, generator: Generator) -> None:
    """Fill every affine layer inside ``model`` by the rule ``init``, each from a stream of its name; biases are 0."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            rule = INITS[init] or (lambda w, g: initial.kaiming_uniform_(w, a=math.sqrt(5), generator=g))
            rule(module.weight, generator.split(name))
            initial.zeros_(module.bias)


def copy_linear(source: Any, target: Any) -> None:
    """Copy weight and bias from one affine layer into another of the same shape."""
    target.load_state_dict({name: value.detach().clone() for name, value in source.state_dict().items()})


def shapes_of(d: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Return the weights' shapes of one encoder and its decoder."""
    widths = [math.prod(d["inputs"]), *d["hidden"]]
    found: dict[str, tuple[int, ...]] = {}
    for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False), start=1):
        found[f"{prefix}affine{i}.weight"] = (after, before)
        if not d["tied"]:
            found[f"{prefix}back{i}.weight"] = (before, after)
    return found


def checked(d: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a description whose sizes and names are right. Raises ``ArgumentError`` or ``UnknownNameError``."""
    for name in ("inputs", "hidden"):
        if not d[name] or not all(type(n) is int and 1 <= n < 2**31 for n in d[name]):
            raise ArgumentError(where, f"whole numbers of at least 1 in {name}", str(d[name]))
    for name, known in (("activation", ACTIVATIONS), ("code", ACTIVATIONS), ("output", OUTPUTS)):
        if d[name] not in known:
            raise UnknownNameError(where, d[name], known, what=name)
    return d


def description_of(data: Any, kind: str) -> Description:
    """Return a checked description from JSON of unknown origin, without its kind. Raises ``DataError``."""
    found: Description = read_description(data, kind, FIELDS, lambda d: checked(d, "architecture"))
    return found
