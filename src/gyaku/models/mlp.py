"""The multi-layer perceptron: affine layers with activations between them (``lectures.md`` 1.5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, UnknownNameError
from gyaku.nn import init as initial

ACTIVATIONS: dict[str, Callable[[], Any]] = {
    "relu": lambda: nn.ReLU(),
    "leaky_relu": lambda: nn.LeakyReLU(),
    "elu": lambda: nn.ELU(),
    "selu": lambda: nn.SELU(),
    "gelu": lambda: nn.GELU(),
    "silu": lambda: nn.SiLU(),
    "softplus": lambda: nn.Softplus(),
    "sigmoid": lambda: nn.Sigmoid(),
    "tanh": lambda: nn.Tanh(),
    "identity": lambda: nn.Identity(),
}
NORMS: dict[str, Callable[[int], Any] | None] = {
    "none": None,
    "batch": lambda units: nn.BatchNorm1d(units),
    "layer": lambda units: nn.LayerNorm(units),
}
SMALL = 0.01  # the lecture's fixed deviation of small initial weights
INITS: dict[str, Callable[[Any, Generator], Any] | None] = {
    "he": lambda w, g: initial.kaiming_normal_(w, nonlinearity="relu", generator=g),
    "glorot": lambda w, g: initial.xavier_normal_(w, generator=g),
    "lecun": lambda w, g: initial.lecun_normal_(w, generator=g),
    "small": lambda w, g: initial.normal_(w, std=SMALL, generator=g),
    "pytorch": None,
}
_FORMAT = "mlp"


class MLP(nn.Module):
    """Affine layers of ``hidden`` units, each with norm, activation and dropout behind it, then an affine output layer.

    Modules are named ``affine1``, ``norm1``, ``act1``, ``dropout1``, ``affine2``, ..., ``output``. Inputs of any shape
    (N, ...) are flattened. No hidden layer at all is a linear model.

    Parameters
        inputs: number of inputs, or the shape of one input.
        hidden: units of every hidden layer.
        outputs: units of the output layer; its values are logits, or values of a regression.
        activation: one of ``ACTIVATIONS``. norm: ``none``, ``batch`` or ``layer``, before the activation.
        dropout: probability of a zero in training. init: ``he`` (variance 2 / inputs), ``glorot``, ``lecun``, ``small``
            (deviation 0.01) with biases 0, or ``pytorch`` (that of ``nn.Linear``).
        seed: of the initial weights, or a generator.

    Raises ``UnknownNameError`` ("did you mean") or ``ArgumentError``.

    >>> MLP((1, 8, 8), [100], 10).parameter_count
    7510
    """

    def __init__(
        self,
        inputs: int | Sequence[int],
        hidden: Sequence[int],
        outputs: int,
        *,
        activation: str = "relu",
        norm: str = "none",
        dropout: float = 0.0,
        init: str = "he",
        seed: int | Generator = 0,
    ) -> None:
        super().__init__()
        shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        self._description = _checked(
            {"inputs": list(shape), "hidden": list(hidden), "outputs": outputs, "activation": activation, "norm": norm,
             "dropout": float(dropout)}
        )  # fmt: skip
        if init not in INITS:
            raise UnknownNameError("MLP", init, INITS, what="init")
        self._order: list[str] = []
        for name, module in _layers(self._description):
            self.add_module(name, module)
            self._order.append(name)
        self._initialise(init, seed if isinstance(seed, Generator) else Generator(seed).split("MLP"))

    def _initialise(self, init: str, generator: Generator) -> None:
        for name, module in self.named_children():
            if not isinstance(module, nn.Linear):
                continue
            rule, stream = INITS[init], generator.split(name)
            if rule is None:  # nn.Linear's own law, from our stream: both within 1 / sqrt(inputs)
                bound = 1.0 / math.sqrt(module.weight.shape[1])
                initial.uniform_(module.weight, -bound, bound, generator=stream)
                initial.uniform_(module.bias, -bound, bound, generator=stream)
            else:
                rule(module.weight, stream)
                initial.zeros_(module.bias)

    def forward(self, x: Any) -> Any:
        """Return the outputs (N, L) for inputs (N, ...)."""
        x = x.flatten(1) if x.ndim > 2 else x
        modules = self._modules
        for name in self._order:
            x = modules[name](x)
        return x

    @property
    def parameter_count(self) -> int:
        """The number of trained numbers."""
        return sum(p.numel() for p in self.parameters())

    def architecture(self) -> dict[str, Any]:
        """Return the description that ``from_architecture`` builds the same layers from, as plain JSON values."""
        return {"kind": _FORMAT, **self._description}

    @staticmethod
    def from_architecture(data: Any) -> MLP:
        """Build the network of a description, with fresh weights. Raises ``DataError`` for anything else.

        Use ``weight_shapes`` first on a file from a stranger: it costs no memory.
        """
        d = _description_of(data)
        return MLP(
            d["inputs"], d["hidden"], d["outputs"], activation=d["activation"], norm=d["norm"], dropout=d["dropout"]
        )

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the affine layers' weights that a description asks for, without making them."""
        d = _description_of(data)
        widths = [math.prod(d["inputs"]), *d["hidden"], d["outputs"]]
        names = [f"affine{i + 1}.weight" for i in range(len(d["hidden"]))] + ["output.weight"]
        return {name: (after, before) for name, before, after in zip(names, widths, widths[1:], strict=False)}


def _layers(d: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    before, norm = math.prod(d["inputs"]), NORMS[d["norm"]]
    for i, units in enumerate(d["hidden"], start=1):
        yield f"affine{i}", nn.Linear(before, units)
        if norm is not None:
            yield f"norm{i}", norm(units)
        yield f"act{i}", ACTIVATIONS[d["activation"]]()
        if d["dropout"]:
            yield f"dropout{i}", nn.Dropout(d["dropout"])
        before = units
    yield "output", nn.Linear(before, d["outputs"])


def _checked(d: dict[str, Any]) -> dict[str, Any]:
    for name in ("inputs", "hidden"):
        if not all(_is_size(n) for n in d[name]) or (name == "inputs" and not d[name]):
            raise ArgumentError("MLP", f"whole numbers of at least 1 in {name}", str(d[name]))
    if not _is_size(d["outputs"]):
        raise ArgumentError("MLP", "outputs >= 1", str(d["outputs"]))
    for name, known in (("activation", ACTIVATIONS), ("norm", NORMS)):
        if d[name] not in known:
            raise UnknownNameError("MLP", d[name], known, what=name)
    if not 0.0 <= d["dropout"] < 1.0:
        raise ArgumentError("MLP", "0 <= dropout < 1", str(d["dropout"]))
    return d


def _is_size(n: Any) -> bool:
    return type(n) is int and 1 <= n < 2**31


def _description_of(data: Any) -> dict[str, Any]:
    """Return a checked description from JSON of unknown origin."""
    kinds = {
        "kind": str,
        "inputs": list,
        "hidden": list,
        "outputs": int,
        "activation": str,
        "norm": str,
        "dropout": float,
    }
    if not isinstance(data, dict) or set(data) != set(kinds):
        raise DataError("architecture", f"the entries {', '.join(kinds)}", str(data)[:80])
    for name, kind in kinds.items():
        if type(data[name]) is not kind:
            raise DataError(f"architecture.{name}", f"a {kind.__name__}", str(data[name])[:40])
    if data["kind"] != _FORMAT:
        raise DataError("architecture.kind", repr(_FORMAT), repr(data["kind"])[:40])
    try:
        return _checked({name: data[name] for name in kinds if name != "kind"})
    except (ArgumentError, UnknownNameError) as error:
        raise DataError("architecture", message=str(error)) from error
