"""The settings of a run: what the command, a TOML file and ``train_run`` understand, checked with their place."""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gyaku.base.errors import ArgumentError, DataError, DtypeError, UnknownNameError
from gyaku.base.files import read_bounded
from gyaku.models.dispatch import check_name, split_name
from gyaku.train import networks
from gyaku.train.machine import can_limit_threads, memory

_LIMIT = 2**20
# Multiplications in one forward pass. On 2 cores, 3e6 took half the time on one thread and 3e7 a third more; but
# beside other work, two spinning threads of OpenBLAS took fifty times as long as one.
_SMALL = 10**8
_STEPS = 4000  # epochs are chosen for about so many steps


@dataclass(frozen=True)
class Config:
    """Every setting of a run. ``None`` means: chosen from the data (``completed``).

    Field names are those of the command's options and of the TOML file (there ``-`` and ``_`` are equal).
    """

    data: str = ""
    target: str | None = None
    task: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    categories: tuple[str, ...] = ()
    folder: str | None = None
    size: tuple[int, int] | None = None
    limit: int | None = None
    dev: float = 0.1
    test: float = 0.2
    time: str | None = None
    group: str | None = None
    plain: bool = False
    model: str | None = None
    width: int | None = None
    depth: int | None = None
    block: str | None = None
    skips: bool | None = None
    init_from: str | None = None
    hidden: tuple[int, ...] | None = None
    activation: str | None = None
    norm: str | None = None
    dropout: float | None = None
    init: str | None = None
    optimizer: str | None = None
    lr: float | None = None
    momentum: float | None = None
    schedule: str | None = None
    weight_decay: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    label_smoothing: float | None = None
    clip: float | None = None
    balanced: bool = False
    augment: bool | None = None
    shift: int | None = None
    flip: bool | None = None
    rotate: float | None = None
    zoom: float | None = None
    cutout: int | None = None
    epochs: int | None = None
    batch: int | None = None
    patience: int | None = None
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    compile: bool | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))
        if self.model is not None:
            check_name(self.model, self.block or "basic")

    def completed(self, data: Any) -> Config:
        """Return the settings with every choice made, from a ``Prepared``; deterministic.

        The default is a modern net (ReLU, He, batch norm, dropout, AdamW, cosine, label smoothing), ``plain`` the
        lecture's (sigmoid, small random weights, SGD; S1 §4, §5), a U-Net for masks. All were chosen by measurement
        (docs).
        """
        named = self if self.model is not None else dataclasses.replace(self, model=networks.default_model(data))
        networks.refuse_foreign_settings(named, data)
        return named._completed(data)

    def _completed(self, data: Any) -> Config:
        chosen = self._chosen(data)
        shape = data.image_shape
        chosen["augment"] = shape is not None and not self.plain and min(shape[1:]) >= 16
        chosen |= {"shift": 2, "flip": data.name == "fashion-mnist"}  # clothes have no left and right
        if any(getattr(self, name) for name in ("flip", "rotate", "zoom", "cutout", "shift")):
            chosen["augment"] = True
        if self.init_from is not None:
            chosen |= self._as_there(self.init_from)
        made = {name: value for name, value in chosen.items() if getattr(self, name) is None}
        if self.optimizer is not None and self.lr is None:
            made["lr"] = _optimizers()[self.optimizer][0]
        config = dataclasses.replace(self, **made)
        config._refuse_what_does_not_go_together(data)
        config._refuse_what_no_memory_holds(data)
        return config if config.epochs is not None else dataclasses.replace(config, epochs=config.epochs_for(data))

    def _chosen(self, data: Any) -> dict[str, Any]:
        """Return the settings of network and training that belong to the model."""
        n = len(data.x_train)
        if self.model != "mlp":
            if self.plain:
                raise ArgumentError("plain", "the model mlp, the lecture's net", str(self.model))
            chosen = networks.TRAINED | {"batch": _batch(n)} | networks.defaults_of(str(self.model))
            if data.kind == "segmentation":
                chosen |= {"batch": 8 if n < 640 else 16, "label_smoothing": 0.0}
            return chosen | ({"label_smoothing": 0.0} if data.kind == "regression" else {})
        chosen = (_PLAIN if self.plain else _MODERN) | {"batch": 100 if self.plain else _batch(n)}
        if data.kind == "regression":
            chosen |= _PLAIN_VALUES if self.plain else _MODERN_VALUES
        return chosen

    def _as_there(self, run: str) -> dict[str, Any]:
        """Return the choices that follow from the layers of another run. Raises ``ArgumentError`` against a setting."""
        from gyaku.train.initial import read_initial

        initial = read_initial(run)
        initial.check({name: getattr(self, name) for name in initial.settings})
        return {**initial.settings, "dropout": initial.architecture["dropout"]}

    def _refuse_what_does_not_go_together(self, data: Any) -> None:
        takes_momentum = _optimizers()[str(self.optimizer)][1]
        wrong = {
            ("augment", "images", "a table"): self.augment and data.image_shape is None,
            ("momentum", "an optimizer that has it", str(self.optimizer)): self.momentum is not None
            and not takes_momentum,
            ("patience", "a dev part", "dev = 0"): self.patience is not None and not len(data.x_dev),
            ("batch", "at least 2 with batch norm", "1"): self.batch == 1
            and self.norm == "batch"
            and not networks.convolves(self),
            ("flip, rotate, zoom, cutout", "augmentation", "--no-augment"): self.augment is False
            and bool(self.flip or self.rotate or self.zoom or self.cutout),
            ("label_smoothing", "classes", "a regression"): data.kind == "regression" and bool(self.label_smoothing),
            ("balanced", "classes", "a regression"): data.kind == "regression" and self.balanced,
        }
        for (where, expected, got), is_wrong in wrong.items():
            if is_wrong:
                raise ArgumentError(where, expected, got)

    def blas_threads(self, data: Any) -> int | None:
        """Return the threads of NumPy's matrix products: the setting, else one where a step is small, else all."""
        return 1 if self.threads is None and self.is_small(data) else self.threads

    def is_small(self, data: Any) -> bool:
        """Return whether a step is so small that a second thread costs more than it brings (and can be held back)."""
        if networks.convolves(self):  # every weight works at every pixel
            return False
        return is_small((self.batch or 64) * networks.weights(self, data))

    def _refuse_what_no_memory_holds(self, data: Any) -> None:
        """Say so before the system kills the process: weights, gradients and two moments are float32."""
        wanted, there = 16 * networks.weights(self, data), memory()
        if wanted > there:
            got = f"{wanted / 1e9:.1f} GB for weights, gradients and the optimizer's state"
            raise ArgumentError(
                "hidden" if self.hidden else "model", f"a network that fits into {there / 1e9:.1f} GB of memory", got
            )

    def epochs_for(self, data: Any) -> int:
        """Return the epochs that give about 4000 steps, within 20 (plain: 40) and 200 (a regression: 400).

        Convolutions need fewer: about 2500 steps, within 5 and 100 epochs.
        """
        steps, most = math.ceil(len(data.x_train) / (self.batch or 64)), 400 if data.kind == "regression" else 200
        if networks.convolves(self):
            return min(networks.MOST, max(networks.FEWEST, round(networks.STEPS / steps)))
        return min(most, max(40 if self.plain else 20, round(_STEPS / steps)))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}

    @staticmethod
    def from_mapping(values: Mapping[str, Any], where: str = "config") -> Config:
        """Return settings from plain values; raises ``UnknownNameError`` ("did you mean") for an unknown name."""
        names = [field.name for field in dataclasses.fields(Config)]
        for name in values:
            if name not in names:
                raise UnknownNameError(where, name, names, what="setting")
        return Config(**values)


_MODERN: dict[str, Any] = {
    "hidden": (256, 128), "activation": "relu", "norm": "batch", "dropout": 0.2, "init": "he", "optimizer": "adamw",
    "lr": 0.002, "schedule": "cosine", "weight_decay": 0.01, "label_smoothing": 0.1,
}  # fmt: skip
_PLAIN: dict[str, Any] = {
    "hidden": (200,), "activation": "sigmoid", "norm": "none", "dropout": 0.0, "init": "small", "optimizer": "sgd",
    "lr": 0.5, "schedule": "constant", "weight_decay": 0.0, "label_smoothing": 0.0,
}  # fmt: skip
# Batch norm and dropout blur values: on curves and tables less of both gave half the error.
_MODERN_VALUES: dict[str, Any] = {"norm": "none", "dropout": 0.05, "lr": 0.005, "label_smoothing": 0.0}
_PLAIN_VALUES: dict[str, Any] = {"lr": 0.05}


def _batch(n: int) -> int:
    """Return 32 for a few hundred samples, 64 for a few thousand, else 128."""
    return 32 if n < 640 else 64 if n < 6400 else 128


def _optimizers() -> dict[str, tuple[float, bool]]:
    from gyaku.train.schedule import OPTIMIZERS

    return OPTIMIZERS


def _one_of(kind: str) -> list[str]:
    from gyaku.models import ACTIVATIONS, BLOCKS, INITS, NORMS
    from gyaku.train.objective import TASKS
    from gyaku.train.schedule import OPTIMIZERS, SCHEDULES

    known: dict[str, Any] = {
        "activation": ACTIVATIONS, "norm": NORMS, "init": INITS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES,
        "task": TASKS, "block": BLOCKS,
    }  # fmt: skip
    return list(known[kind])


_CHOICES = ("activation", "norm", "init", "optimizer", "schedule", "task", "block")
# Setting: (lowest, highest allowed, whether the highest itself is allowed).
_RANGES: dict[str, tuple[float, float, bool]] = {
    "dev": (0, 1, False), "test": (0, 1, False), "dropout": (0, 1, False), "label_smoothing": (0, 1, False),
    "momentum": (0, 1, False), "weight_decay": (0, math.inf, False), "l1": (0, math.inf, False),
    "l2": (0, math.inf, False), "lr": (0, math.inf, False), "clip": (0, math.inf, False), "epochs": (1, 10**6, True),
    "batch": (1, 10**6, True), "patience": (1, 10**6, True), "threads": (1, 1024, True), "shift": (1, 8, True),
    "width": (1, 4096, True), "depth": (1, 8, True), "rotate": (0, 180, True), "zoom": (0, 1, False),
    "cutout": (1, 4096, True), "limit": (1, 10**12, True), "seed": (0, 2**63, False),
}  # fmt: skip
_ABOVE_ZERO = ("lr", "clip")


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    """Return a value in its field's type. Raises ``DtypeError``, ``ArgumentError`` or ``UnknownNameError``."""
    kind = str(field.type)
    if value is None and "None" in kind:
        return None
    value = typed(field.name, kind.removesuffix(" | None"), value)
    if field.name in _CHOICES and value not in _one_of(field.name):
        raise UnknownNameError(field.name, value, _one_of(field.name), what=field.name)
    if field.name == "model":
        split_name(value)
    if field.name in _RANGES:
        check_range(field.name, value, _RANGES[field.name], above_zero=field.name in _ABOVE_ZERO)
    if field.name == "size" and (len(value) != 2 or not all(1 <= n <= 4096 for n in value)):
        raise ArgumentError("size", "height and width, each in 1..4096", str(list(value)))
    if field.name == "hidden" and not all(1 <= n < 2**24 for n in value):
        raise ArgumentError("hidden", "units in 1..16777215", str(list(value)))
    return value


def is_small(work: float) -> bool:
    """Return whether so many multiplications go better on one thread of BLAS, and it can be held to one."""
    return work < _SMALL and can_limit_threads()


def check_range(name: str, value: float, bounds: tuple[float, float, bool], *, above_zero: bool = False) -> None:
    """Raise ``ArgumentError`` for a value outside (lowest, highest, whether the highest itself is allowed)."""
    low, high, closed = bounds
    if not (low <= value <= high) or (value == high and not closed) or (above_zero and value == 0):
        edge = f" and {'<=' if closed else '<'} {high:g}" if high < math.inf else ""
        edge = edge if math.isfinite(value) else " and finite"
        raise ArgumentError(name, f"{'>' if above_zero else '>='} {low:g}{edge}", str(value))


def typed(name: str, kind: str, value: Any) -> Any:
    """Return a setting in the type ``kind`` of its field. Raises ``DtypeError``."""
    if kind == "float" and type(value) in (int, float):
        return float(value)
    if kind.startswith("tuple") and isinstance(value, (list, tuple)):
        inner = int if "int" in kind else str
        if all(type(item) is inner for item in value):
            return tuple(value)
    elif {"str": str, "int": int, "bool": bool}.get(kind) is type(value):
        return value
    wanted = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a text"}
    a_list = "a list of whole numbers" if "int" in kind else "a list of texts"
    raise DtypeError(name, wanted.get(kind, a_list), repr(value)[:60])


def read_config(path: Path, kind: Any = None) -> dict[str, Any]:
    """Return the settings of a TOML file by field name, each checked by ``kind`` (else ``Config``).

    Raises ``DataError`` naming file, line and what is wrong: broken TOML, an unknown name ("did you mean"), a value of
    the wrong type or out of its range.
    """
    raw = read_bounded(path, _LIMIT)
    try:
        text = raw.decode("utf-8-sig")
        found = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"config {path}", "TOML in UTF-8", str(error)) from error
    settings: dict[str, Any] = {}
    for key, value in found.items():
        name = key.replace("-", "_")
        where = f"config {path}, line {_line_of(text, key)}"
        if name in settings:
            raise DataError(where, f"{name} once", "twice")
        try:
            settings[name] = getattr((kind or Config).from_mapping({name: value}, where), name)
        except UnknownNameError as error:
            raise error if error.where == where else DataError(where, message=str(error)) from error
        except (DtypeError, ArgumentError) as error:
            raise DataError(where, message=str(error)) from error
    return settings


def _line_of(text: str, key: str) -> int:
    """Return the line of a key (or of its table) in a TOML file; 1 when it is written in an unusual way."""
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    return next((number for number, line in enumerate(text.splitlines(), start=1) if pattern.match(line)), 1)
