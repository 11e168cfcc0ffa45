"""A trained model in one file: weights, architecture and recipe. Loading it runs no code."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gyaku.backend.devices import device
from gyaku.base.errors import DataError
from gyaku.base.files import load_arrays, save_arrays
from gyaku.core.tensor import new_tensor
from gyaku.train.checkpoint import arrays_of
from gyaku.train.objective import Objective
from gyaku.train.outputs import outputs_of

KEY = "gyaku.model"
FORMAT, VERSION = "gyaku-model", 1
MODEL_FILE = "model.safetensors"
PRETRAINED = "gyaku-pretrained"  # the format that pretrained.py writes


@dataclass(frozen=True, eq=False)
class Trained:
    """A model with the recipe that feeds it; what ``gyaku predict`` uses."""

    model: Any
    recipe: Any

    def probabilities(self, source: Any, *, on_unknown: str = "error") -> Any:
        """Return probabilities (N, K) or (N, K, H, W), or scaled values (N,), of a source, a table or images."""
        x = self.recipe.transform(source, on_unknown=on_unknown)
        with np.errstate(all="ignore"):
            return Objective(self.recipe.task).probabilities(outputs_of(self.model, x))

    def predict(self, source: Any, *, on_unknown: str = "error") -> Any:
        """Return ``Answers``: labels with probabilities, values in the target's own units, or the pixels' classes.

        Raises ``DataError`` naming column, row and value of what the recipe refuses.
        """
        if self.recipe.task == "segmentation":
            from gyaku.data import Answers
            from gyaku.train.segmentation import classes_of

            return Answers(masks=classes_of(self.model, self.recipe.transform(source)))
        return self.recipe.decode(self.probabilities(source, on_unknown=on_unknown))


def save_model(path: str | os.PathLike[str], model: Any, recipe: Any) -> None:
    """Write a model of ``gyaku.models`` and its recipe, atomically; the same model gives the same bytes."""
    head = {"format": FORMAT, "version": VERSION, "architecture": model.architecture(), "recipe": recipe.to_json()}
    save_arrays(path, arrays_of(model.state_dict()), {KEY: json.dumps(head, separators=(",", ":"))})


def load_model(path: str | os.PathLike[str], *, on: str = "cpu") -> Trained:
    """Read a model file, or that of a run folder.

    Raises ``DataError`` naming the file and what is wrong: not a model, weights that do not fit the description, ...
    """
    from gyaku import models
    from gyaku.data import Recipe

    file = Path(path) / MODEL_FILE if Path(path).is_dir() else Path(path)
    arrays, metadata = load_arrays(file)
    where = f"load {file}"
    head = _head(metadata, where)
    try:
        recipe = Recipe.from_json(head["recipe"])
        _check_shapes(models.weight_shapes(head["architecture"]), arrays)
        model = models.build(head["architecture"])
        model.load_state_dict({name: new_tensor(a) for name, a in arrays.items()})
    except (DataError, ValueError, TypeError) as error:
        raise DataError(where, message=str(error)) from error
    _check_match(recipe, head["architecture"], where)
    model.eval()
    return Trained(model.to(device(on)), recipe)


def _head(metadata: dict[str, str], where: str) -> dict[str, Any]:
    try:
        head = json.loads(metadata.get(KEY, "null"))
    except (ValueError, RecursionError) as error:
        raise DataError(where, "a description in JSON", "other text") from error
    if isinstance(head, dict) and head.get("format") == PRETRAINED:
        hint = "it answers nothing yet: gyaku train DATA --init-from it, or gyaku.train.load_pretrained"
        raise DataError(where, "a model written by gyaku train", f"a pre-trained {head.get('model')}", hint=hint)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        hint = "a model that `gyaku train` wrote carries its recipe; bare weights are read with gyaku.load"
        raise DataError(where, "a model written by gyaku train", "other arrays", hint=hint)
    if head.get("version") != VERSION or set(head) != {"format", "version", "architecture", "recipe"}:
        raise DataError(where, f"{FORMAT} version {VERSION}", f"version {str(head.get('version'))[:20]}")
    return head


def _check_shapes(expected: dict[str, tuple[int, ...]], arrays: dict[str, Any]) -> None:
    """Refuse a description that the arrays do not bear out, before a network of its size is made."""
    for name, shape in expected.items():
        got = arrays[name].shape if name in arrays else "no such array"
        if got != shape:
            raise DataError("weights", f"{name} of shape {shape}", str(got))


def _check_match(recipe: Any, architecture: dict[str, Any], where: str) -> None:
    wanted = [list(recipe.input_shape), recipe.n_outputs]
    if wanted != [architecture["inputs"], architecture.get("outputs")]:
        got = f"{architecture['inputs']} and {architecture.get('outputs')}"
        raise DataError(where, f"inputs {wanted[0]} and {wanted[1]} outputs, as the recipe says", got)
    if (recipe.task == "segmentation") != (architecture["kind"] == "unet"):
        raise DataError(where, f"a network for the recipe's task, {recipe.task}", architecture["kind"])
