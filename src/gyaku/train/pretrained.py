"""A pre-trained model in one file: its parameters, its description and the recipe that scaled its data."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError, DataError, ShapeError, UnknownNameError
from gyaku.base.files import load_arrays, save_arrays
from gyaku.core.tensor import new_tensor
from gyaku.energy import DBM, DBN
from gyaku.models import MLP, StackedAutoencoder
from gyaku.train.autoencoder import reconstruct
from gyaku.train.checkpoint import arrays_of
from gyaku.train.modelfile import KEY, MODEL_FILE, PRETRAINED

Array = NDArray[Any]
FORMAT, VERSION = PRETRAINED, 1
_CLASSES: dict[str, Any] = {"dbn": DBN, "dbm": DBM, "stacked_autoencoder": StackedAutoencoder}
_ENTRIES = {"format", "version", "model", "architecture", "recipe"}


@dataclass(frozen=True, eq=False)
class Pretrained:
    """``model`` (a ``DBN``, also for one RBM, a ``DBM`` or a ``StackedAutoencoder``), its ``kind`` and its recipe."""

    kind: str
    model: Any
    recipe: Any

    @property
    def is_autoencoder(self) -> bool:
        """Whether the model is no Boltzmann machine: it gives back inputs, but draws no samples."""
        return isinstance(self.model, StackedAutoencoder)

    def network(self, n_outputs: int, *, seed: int = 0) -> MLP:
        """Return the ``MLP`` to fine-tune: hidden layers as they were pre-trained, a fresh output layer."""
        if isinstance(self.model, StackedAutoencoder):
            return self.model.to_classifier(n_outputs, seed=seed)
        found: MLP = self.model.to_network(n_outputs, inputs=self.recipe.input_shape, seed=seed)
        return found

    def reconstruct(self, x: Array) -> Array:
        """Return the reconstructions of scaled inputs (N, ...), in their shape."""
        if isinstance(self.model, StackedAutoencoder):
            return reconstruct(self.model, x)
        parts = [self.model.reconstruct(x[i : i + 1000]) for i in range(0, len(x), 1000)]
        return np.concatenate(parts).reshape(x.shape)

    def arrays(self) -> dict[str, Array]:
        """Return the parameters by name."""
        if isinstance(self.model, StackedAutoencoder):
            return dict(arrays_of(self.model.state_dict()))
        return dict(self.model.arrays())

    def first_weights(self) -> Array:
        """Return what the units of the first hidden layer look for, (units, inputs)."""
        arrays = self.arrays()
        return arrays["layers.0.affine1.weight"] if self.is_autoencoder else arrays["W1"].T


def save_pretrained(path: str | os.PathLike[str], found: Pretrained) -> None:
    """Write a pre-trained model, atomically; the same model gives the same bytes."""
    head = {
        "format": FORMAT, "version": VERSION, "model": found.kind, "architecture": found.model.architecture(),
        "recipe": found.recipe.to_json(),
    }  # fmt: skip
    save_arrays(path, found.arrays(), {KEY: json.dumps(head, separators=(",", ":"))})


def load_pretrained(path: str | os.PathLike[str]) -> Pretrained:
    """Read a file of ``save_pretrained``, or that of a folder of ``gyaku pretrain``. Runs no code.

    Raises ``DataError`` naming the file and what is wrong with it.
    """
    from gyaku.data import Recipe

    file = Path(path) / MODEL_FILE if Path(path).is_dir() else Path(path)
    arrays, metadata = load_arrays(file)
    where = f"load {file}"
    head = _head(metadata, where)
    try:
        recipe = Recipe.from_json(head["recipe"])
        kind = _CLASSES.get(str(head["architecture"].get("kind")))
        if kind is None:
            raise DataError("architecture.kind", f"one of {', '.join(_CLASSES)}", str(head["architecture"].get("kind")))
        for name, shape in kind.weight_shapes(head["architecture"]).items():
            got = arrays[name].shape if name in arrays else "no such array"
            if got != shape:
                raise DataError("weights", f"{name} of shape {shape}", str(got))
        model = kind.from_architecture(head["architecture"])
        _fill(model, arrays)
    except (DataError, ArgumentError, ShapeError, UnknownNameError, ValueError, TypeError, AttributeError) as error:
        raise DataError(where, message=str(error)) from error
    found = Pretrained(str(head["model"]), model, recipe)
    _check_finite(found, where)
    return found


def is_pretrained(path: str | os.PathLike[str]) -> bool:
    """Return whether a file, or the model file of a folder, says that it is a pre-trained model."""
    file = Path(path) / MODEL_FILE if Path(path).is_dir() else Path(path)
    return file.is_file() and f'"format":"{FORMAT}"' in load_arrays(file)[1].get(KEY, "")


def _fill(model: Any, arrays: dict[str, Array]) -> None:
    if isinstance(model, StackedAutoencoder):
        model.load_state_dict({name: new_tensor(a) for name, a in arrays.items()})
        model.eval()
    else:
        model.load_arrays(arrays)


def _head(metadata: dict[str, str], where: str) -> dict[str, Any]:
    try:
        head = json.loads(metadata.get(KEY, "null"))
    except (ValueError, RecursionError) as error:
        raise DataError(where, "a description in JSON", "other text") from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise DataError(where, "a model written by gyaku pretrain", "another file")
    if head.get("version") != VERSION or set(head) != _ENTRIES or not isinstance(head["architecture"], dict):
        raise DataError(where, f"{FORMAT} version {VERSION}", f"version {str(head.get('version'))[:20]}")
    return head


def _check_finite(found: Pretrained, where: str) -> None:
    for name, array in found.arrays().items():
        if not np.isfinite(array).all():
            raise DataError(where, f"finite numbers in {name}", "NaN or infinity")
