"""``--init-from``: a network begins with the hidden layers of another run, its data scaled as they were there."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError, DataError
from gyaku.core.tensor import new_tensor
from gyaku.models import MLP
from gyaku.train.checkpoint import arrays_of

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Initial:
    """The hidden layers of a run (``kind``: rbm, dbn, dbm, sae or train) and the recipe of its data.

    ``architecture`` is that of an ``MLP``; ``arrays`` are its parameters and buffers by name, without the output layer.
    """

    where: str
    kind: str
    recipe: Any
    architecture: Mapping[str, Any]
    arrays: Mapping[str, Array]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a run that follow from the layers."""
        return {
            "hidden": tuple(self.architecture["hidden"]),
            **{k: self.architecture[k] for k in ("activation", "norm")},
        }

    def check(self, given: Mapping[str, Any]) -> None:
        """Raise ``ArgumentError`` for a setting that the layers decide otherwise; None settings are left open."""
        for name, own in self.settings.items():
            if given[name] is not None and given[name] != own:
                hint = f"leave --{name} out: it follows from the run"
                raise ArgumentError(name, f"{_shown(own)}, as in {self.where}", _shown(given[name]), hint=hint)

    def begin(self, model: Any) -> None:
        """Put the hidden layers into a network of the same widths; the output layer keeps its own first values.

        Raises ``ArgumentError`` for a network of another kind than the layers.
        """
        if not isinstance(model, MLP):
            hint = "leave --model out: the layers of the run are affine"
            raise ArgumentError("model", f"mlp, as in {self.where}", model.architecture()["kind"], hint=hint)
        state = {name: new_tensor(a.copy()) for name, a in self.arrays.items()}
        state |= {name: value for name, value in model.state_dict().items() if name.startswith("output.")}
        model.load_state_dict(state)


def read_initial(run: str | os.PathLike[str]) -> Initial:
    """Read the hidden layers of a run of ``gyaku pretrain`` or ``gyaku train``, or of its model file.

    Raises ``DataError`` naming the file: no run, damaged, or a network without such layers.
    """
    from gyaku.train.modelfile import MODEL_FILE, load_model
    from gyaku.train.pretrained import is_pretrained, load_pretrained

    where = f"--init-from {os.fspath(run)}"
    file = Path(run) / MODEL_FILE if Path(run).is_dir() else Path(run)
    if not file.is_file():
        hint = "a run that was interrupted has no model; gyaku pretrain or gyaku train makes one"
        raise DataError(where, f"a run folder with {MODEL_FILE}", "none", hint=hint)
    if is_pretrained(file):
        found = load_pretrained(file)
        return _initial(where, found.kind, found.recipe, found.network(1))
    trained = load_model(file)
    if not isinstance(trained.model, MLP) or not trained.model.architecture()["hidden"]:
        raise DataError(where, "a network of affine hidden layers (mlp)", trained.model.architecture()["kind"])
    return _initial(where, "train", trained.recipe, trained.model)


def noted(data: Any, config: Any) -> Any:
    """Return the data with a note where rows that are dev or test now were seen by the run, although without labels."""
    from gyaku.train.run import CARD, read_json

    card = Path(config.init_from) / CARD
    if not card.is_file() or data.official_test:
        return data
    before = read_json(card)
    then = before.get("config") or {}
    same = all(then.get(name) == getattr(config, name) for name in ("seed", "dev", "test", "limit"))
    if same or (before.get("data") or {}).get("digest") != data.digest:
        return data
    note = "the run of --init-from was split otherwise, so it has seen rows that are dev or test here"
    return dataclasses.replace(data, warnings=(*data.warnings, note))


def _initial(where: str, kind: str, recipe: Any, model: MLP) -> Initial:
    arrays = {n: a for n, a in arrays_of(model.state_dict()).items() if not n.startswith("output.")}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise DataError(where, f"finite numbers in {name}", "NaN or infinity")
    return Initial(where, kind, recipe, model.architecture(), arrays)


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
