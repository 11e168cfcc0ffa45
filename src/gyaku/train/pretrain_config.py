"""The settings of ``gyaku pretrain``, checked with their place; what is left out is chosen by the kind of model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gyaku.base.errors import ArgumentError, UnknownNameError
from gyaku.train.config import check_range, is_small, typed

MODELS = ("rbm", "dbn", "dbm", "sae")
_CHOICES: dict[str, tuple[str, ...]] = {
    "model": MODELS,
    "visible": ("bernoulli", "gaussian"),
    "rule": ("cd", "pcd", "pt"),
    "activation": ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus"),
    "corruption": ("none", "masking", "gaussian", "salt_and_pepper"),
    "penalty": ("none", "kl", "l1"),
}
_RANGES: dict[str, tuple[float, float, bool]] = {
    "dev": (0, 1, False), "test": (0, 1, False), "limit": (1, 10**12, True), "epochs": (1, 10**6, True),
    "joint": (0, 10**6, True), "batch": (1, 10**6, True), "lr": (0, math.inf, False), "joint_lr": (0, math.inf, False),
    "k": (1, 1000, True), "momentum": (0, 1, False), "weight_decay": (0, math.inf, False),
    "noise": (0, math.inf, False),
    "target_activation": (0, 1, False), "strength": (0, math.inf, False), "seed": (0, 2**63, False),
    "threads": (1, 1024, True),
}  # fmt: skip
_ABOVE_ZERO = ("lr", "joint_lr", "target_activation")
# Which settings only some models have.
_ONLY: dict[str, tuple[str, ...]] = {
    "rule": ("rbm", "dbn"), "k": ("rbm", "dbn", "dbm"), "momentum": ("rbm", "dbn", "dbm"),
    "weight_decay": ("rbm", "dbn", "dbm"), "joint": ("dbm", "dbn"), "joint_lr": ("dbm", "dbn"), "activation": ("sae",),
    "tied": ("sae",), "corruption": ("sae",), "noise": ("sae",), "penalty": ("sae",), "target_activation": ("sae",),
    "strength": ("sae",),
}  # fmt: skip
_DEFAULTS: dict[str, dict[str, Any]] = {
    "rbm": {"hidden": (256,), "lr": 0.05, "rule": "pcd", "k": 1, "momentum": 0.5, "weight_decay": 2e-4},
    "dbn": {
        "hidden": (256, 128), "lr": 0.05, "rule": "cd", "k": 1, "momentum": 0.5, "weight_decay": 2e-4, "joint": 0,
        "joint_lr": 0.01,
    },
    "dbm": {
        "hidden": (256, 128), "lr": 0.05, "k": 5, "momentum": 0.5, "weight_decay": 2e-4, "joint": 30, "joint_lr": 0.01,
    },
    "sae": {
        "hidden": (256, 128), "lr": 0.002, "activation": "sigmoid", "tied": False, "corruption": "none", "noise": 0.3,
        "penalty": "none", "target_activation": 0.05, "strength": 1.0,
    },
}  # fmt: skip
_STEPS = 4000  # epochs are chosen for about so many steps a layer


@dataclass(frozen=True)
class PretrainConfig:
    """Every setting of a pre-training. ``None`` means: chosen by the kind of model and the data (``completed``).

    Field names are those of the command's options and of the TOML file (there ``-`` and ``_`` are equal).
    """

    model: str = "rbm"
    data: str = ""
    target: str | None = None
    task: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    folder: str | None = None
    size: tuple[int, int] | None = None
    limit: int | None = None
    dev: float = 0.1
    test: float = 0.2
    visible: str = "bernoulli"
    hidden: tuple[int, ...] | None = None
    epochs: int | None = None
    batch: int | None = None
    lr: float | None = None
    rule: str | None = None
    k: int | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    joint: int | None = None
    joint_lr: float | None = None
    activation: str | None = None
    tied: bool | None = None
    corruption: str | None = None
    noise: float | None = None
    penalty: str | None = None
    target_activation: float | None = None
    strength: float | None = None
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))
        for name, models in _ONLY.items():
            if getattr(self, name) is not None and self.model not in models:
                raise ArgumentError(name.replace("_", "-"), f"one of the models {', '.join(models)}", self.model)
        if self.model == "dbm" and self.visible == "gaussian":
            raise ArgumentError("visible", "bernoulli units for a dbm", "gaussian", hint="choose dbn or rbm")
        if self.model == "rbm" and self.hidden is not None and len(self.hidden) > 1:
            raise ArgumentError(
                "hidden", "one hidden layer for an rbm", str(list(self.hidden)), hint="choose dbn or dbm"
            )

    def completed(self, data: Any) -> PretrainConfig:
        """Return the settings with every choice made, from a ``Prepared``; deterministic."""
        n = len(data.x_train)
        made = {k: v for k, v in _DEFAULTS[self.model].items() if getattr(self, k) is None}
        if self.visible == "gaussian" and "lr" in made and self.model != "sae":
            made["lr"] = 0.005  # unbounded units: ten times smaller steps
        batch = self.batch or (20 if n < 6400 else 100)
        epochs = self.epochs or min(100, max(10, round(_STEPS / math.ceil(n / batch))))
        return dataclasses.replace(self, **made, batch=batch, epochs=epochs)

    def blas_threads(self, data: Any) -> int | None:
        """Return the threads of NumPy's matrix products: the setting, else one where a step is small, else all."""
        widths = [math.prod(data.input_shape), *(self.hidden or ())]
        work = (self.batch or 100) * sum(a * b for a, b in zip(widths, widths[1:], strict=False))
        return 1 if self.threads is None and is_small(work) else self.threads

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}

    @staticmethod
    def from_mapping(values: Mapping[str, Any], where: str = "config") -> PretrainConfig:
        """Return settings from plain values; raises ``UnknownNameError`` ("did you mean") for an unknown name."""
        names = [field.name for field in dataclasses.fields(PretrainConfig)]
        for name in values:
            if name not in names:
                raise UnknownNameError(where, name, names, what="setting")
        return PretrainConfig(**values)


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    kind = str(field.type)
    if value is None and "None" in kind:
        return None
    value = typed(field.name, kind.removesuffix(" | None"), value)
    if field.name in _CHOICES and value not in _CHOICES[field.name]:
        raise UnknownNameError(field.name, value, _CHOICES[field.name], what=field.name)
    if field.name in _RANGES:
        check_range(field.name, value, _RANGES[field.name], above_zero=field.name in _ABOVE_ZERO)
    if field.name == "size" and (len(value) != 2 or not all(1 <= n <= 4096 for n in value)):
        raise ArgumentError("size", "height and width, each in 1..4096", str(list(value)))
    if field.name == "hidden" and not (value and all(1 <= n < 2**24 for n in value)):
        raise ArgumentError("hidden", "at least one layer, units in 1..16777215", str(list(value)))
    return value
