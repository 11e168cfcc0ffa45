"""A recipe as JSON and back. Reading is strict: what ``recipe_to_json`` did not write is refused, with its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gyaku.base.errors import DataError
from gyaku.data.columns import AnyColumn, CategoryColumn, NumberColumn
from gyaku.data.recipe import ImageRule, Recipe
from gyaku.data.target import SEGMENTATION, TASKS

FORMAT, VERSION = "gyaku-recipe", 1
_MAX_PIXELS = 2**31


def recipe_to_json(recipe: Recipe) -> dict[str, Any]:
    """Return plain JSON values; floats keep every bit."""
    image = recipe.image
    return {
        "format": FORMAT,
        "version": VERSION,
        "task": recipe.task,
        "target": recipe.target,
        "labels": list(recipe.labels),
        "target_mean": recipe.target_mean,
        "target_scale": recipe.target_scale,
        "image": image and {"shape": list(image.shape), "white": image.white, "mean": image.mean, "std": image.std},
        "columns": [_column_to_json(column) for column in recipe.columns],
    }


def _column_to_json(column: AnyColumn) -> dict[str, Any]:
    common = {"kind": column.kind, "name": column.name, "fill": column.fill, "indicator": column.indicator}
    if isinstance(column, NumberColumn):
        return common | {"mean": column.mean, "scale": column.scale}
    return common | {"categories": list(column.categories)}


def recipe_from_json(data: Any) -> Recipe:
    """Return the recipe. Raises ``DataError`` naming the place of a missing, unknown or wrong entry."""
    d = _object(
        data, "recipe",
        {"format", "version", "task", "target", "labels", "target_mean", "target_scale", "image", "columns"},
    )  # fmt: skip
    if d["format"] != FORMAT or _whole(d["version"], "recipe.version") != VERSION:
        got = f"{_shown(d['format'])} version {_shown(d['version'])}"
        raise DataError("recipe", f"{FORMAT} version {VERSION}", got, hint="use the gyaku that wrote it")
    columns = tuple(_column(c, f"recipe.columns[{i}]") for i, c in enumerate(_list(d["columns"], "recipe.columns")))
    recipe = Recipe(
        task=_text(d["task"], "recipe.task"),
        target=_text(d["target"], "recipe.target"),
        columns=columns,
        image=None if d["image"] is None else _image(d["image"]),
        labels=_texts(d["labels"], "recipe.labels"),
        target_mean=_number(d["target_mean"], "recipe.target_mean"),
        target_scale=_positive(d["target_scale"], "recipe.target_scale"),
    )
    _check_whole(recipe)
    return recipe


def _check_whole(recipe: Recipe) -> None:
    tasks = (*TASKS, SEGMENTATION)
    if recipe.task not in tasks:
        raise DataError("recipe.task", f"one of {', '.join(tasks)}", _shown(recipe.task))
    if recipe.task == SEGMENTATION and recipe.image is None:
        raise DataError("recipe", "an image for a segmentation", "columns")
    counts = {"regression": (0, 0), "binary": (2, 2), "multiclass": (2, math.inf), SEGMENTATION: (2, 256)}
    least, most = counts[recipe.task]
    if not least <= len(recipe.labels) <= most:
        raise DataError("recipe.labels", f"labels that fit {recipe.task}", str(len(recipe.labels)))
    if (recipe.image is None) == (not recipe.columns):
        raise DataError("recipe", "either columns or an image", "both or neither")
    _differ([column.name for column in recipe.columns], "recipe.columns")


def _column(data: Any, where: str) -> AnyColumn:
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind == "number":
        d = _object(data, where, {"kind", "name", "fill", "indicator", "mean", "scale"})
        return NumberColumn(
            _text(d["name"], f"{where}.name"), _number(d["fill"], f"{where}.fill"),
            _truth(d["indicator"], f"{where}.indicator"), _number(d["mean"], f"{where}.mean"),
            _positive(d["scale"], f"{where}.scale"),
        )  # fmt: skip
    if kind != "category":
        raise DataError(f"{where}.kind", "'number' or 'category'", _shown(kind))
    d = _object(data, where, {"kind", "name", "fill", "indicator", "categories"})
    categories, fill = _texts(d["categories"], f"{where}.categories"), _text(d["fill"], f"{where}.fill")
    if fill not in categories:
        raise DataError(f"{where}.fill", "one of the categories", _shown(fill))
    return CategoryColumn(
        _text(d["name"], f"{where}.name"), categories, fill, _truth(d["indicator"], f"{where}.indicator")
    )


def _image(data: Any) -> ImageRule:
    d = _object(data, "recipe.image", {"shape", "white", "mean", "std"})
    shape = [_whole(n, "recipe.image.shape") for n in _list(d["shape"], "recipe.image.shape")]
    if len(shape) != 3 or min(shape) < 1 or math.prod(shape) > _MAX_PIXELS:
        got = f"[{', '.join(_shown(n) for n in shape[:5])}]"
        raise DataError("recipe.image.shape", "[C, H, W], each at least 1", got)
    mean = _number(d["mean"], "recipe.image.mean")
    white, std = _positive(d["white"], "recipe.image.white"), _positive(d["std"], "recipe.image.std")
    return ImageRule((shape[0], shape[1], shape[2]), white, mean, std)


def _object(data: Any, where: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise DataError(where, "an object", type(data).__name__)
    if missing := sorted(keys - set(data)):
        raise DataError(where, f"the entry {missing[0]!r}", "none")
    if unknown := sorted(str(key) for key in data if key not in keys):
        raise DataError(where, f"the entries {', '.join(sorted(keys))}", _shown(unknown[0]))
    return data


def _of(kind: type, what: str) -> Callable[[Any, str], Any]:
    def check(value: Any, where: str) -> Any:
        if type(value) is not kind:  # `True` is an int for isinstance
            raise DataError(where, what, _shown(value))
        return value

    return check


_text = _of(str, "a text")
_truth = _of(bool, "true or false")
_list = _of(list, "a list")
_whole = _of(int, "a whole number")


def _number(value: Any, where: str) -> float:
    try:
        number = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(where, "a finite number", _shown(value))
    return number


def _positive(value: Any, where: str) -> float:
    number = _number(value, where)
    if number <= 0.0:
        raise DataError(where, "a number above 0", str(number))
    return number


def _shown(value: Any) -> str:
    """Return a value for a message: short, and never the digits of a number too long to print."""
    if isinstance(value, str | float | bool | None) or (isinstance(value, int) and abs(value) < 2**64):
        return repr(value)[:40]
    return f"a huge {type(value).__name__}" if isinstance(value, int) else f"a {type(value).__name__}"


def _texts(value: Any, where: str) -> tuple[str, ...]:
    texts = [_text(v, f"{where}[{i}]") for i, v in enumerate(_list(value, where))]
    _differ(texts, where)
    return tuple(texts)


def _differ(texts: list[str], where: str) -> None:
    if len(set(texts)) != len(texts):
        double = next(t for i, t in enumerate(texts) if t in texts[:i])
        raise DataError(where, "entries that differ", f"{_shown(double)} twice")
