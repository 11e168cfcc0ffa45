"""``prepare``: a source in; train, dev and test arrays out, with the recipe that made them, fitted on train only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError
from gyaku.data.fit import check_names, fit_column, fit_image, mean_and_scale
from gyaku.data.recipe import Recipe
from gyaku.data.source import Source, take_columns
from gyaku.data.split import (
    Split,
    part_sizes,
    split_groups,
    split_random,
    split_stratified,
    split_time,
    stratified_order,
)
from gyaku.data.target import SEGMENTATION, as_numbers, decide, encode_classes

Features = NDArray[np.float32]
Rows = NDArray[np.int64]
_TINY = 5


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data ready for a network, and how it came about.

    ``x_*`` float32: tables (N, D), images (N, C, H, W). ``t_*``: int64 (N,) for ``kind`` ``"binary"`` (0, 1) and
    ``"multiclass"``, int64 (N, H, W) for ``"segmentation"``; float32 (N, 1), standardised by train, for
    ``"regression"``. ``n_classes`` is 0 for a regression.
    ``rows_*`` are row numbers of the source (of its official test part for ``rows_test`` when it has one).
    """

    x_train: Features
    t_train: NDArray[Any]
    x_dev: Features
    t_dev: NDArray[Any]
    x_test: Features
    t_test: NDArray[Any]
    kind: str
    n_classes: int
    recipe: Recipe
    feature_names: tuple[str, ...]
    label_names: tuple[str, ...]
    image_shape: tuple[int, int, int] | None
    name: str
    origin: str
    digest: str
    rows_train: Rows
    rows_dev: Rows
    rows_test: Rows
    official_test: bool
    warnings: tuple[str, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Number of rows of each part."""
        return {"train": len(self.x_train), "dev": len(self.x_dev), "test": len(self.x_test)}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (D,) or (C, H, W)."""
        return self.x_train.shape[1:]


def prepare(
    source: Source,
    *,
    target: str | None = None,
    task: str | None = None,
    dev: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    time: str | None = None,
    group: str | None = None,
    stratify: bool = True,
    standardize: bool = True,
    limit: int | None = None,
    categories: Sequence[str] = (),
    scaling: Recipe | None = None,
) -> Prepared:
    """Split, encode and scale a source; everything is fitted on the training rows.

    The kind of task follows from the target (``decide``), or is ``task``. ``dev`` and ``test`` are shares of all rows;
    an official test part is kept, and then only dev is cut. Classes are stratified; ``time`` puts the last rows by that
    column into test; ``group`` keeps every group in one part (neither column is a feature). ``limit`` draws that many
    rows first. ``categories`` are columns of numbers that are codes. ``scaling`` is the recipe of another training:
    inputs are scaled, filled and ordered as there (the target is this source's own). Same source, options and
    seed: same bits.

    Raises ``DataError`` (a missing target cell, no usable column, too few rows, ...), ``UnknownNameError`` for a column
    or task that is not there, ``ArgumentError`` for options that exclude each other.

    >>> from gyaku.data import load
    >>> data = prepare(load("digits"))
    >>> data.sizes, data.kind, data.n_classes, data.x_train.shape[1:]
    ({'train': 1258, 'dev': 180, 'test': 359}, 'multiclass', 10, (1, 8, 8))
    """
    source = _with_known_target(source.with_target(target))
    _check_options(source, time, group, limit, categories)
    notes = list(source.notes)
    streams = Generator(seed).split("prepare")
    column, kind, labels = _target(source, task)
    t = encode_classes(column, labels, f"target {source.target!r}") if kind in ("binary", "multiclass") else None
    official = source.test is not None
    rows = _limited(len(source), t if stratify else None, limit, streams.split("limit"))
    shares = (dev, 0.0 if official else test)
    split = _split(source, rows, t if stratify else None, shares, time, group, streams.split("split"))
    recipe = _fit(source, column, kind, labels, split.train, {time, group}, set(categories), standardize, notes)
    recipe = recipe if scaling is None else _scaled_like(scaling, recipe, source)
    parts = {"train": (source, split.train), "dev": (source, split.dev), "test": (source, split.test)}
    if source.test is not None:
        parts["test"] = (source.test, np.arange(len(source.test)))
    x_train, t_train = _arrays(recipe, *parts["train"], "train", notes)
    x_dev, t_dev = _arrays(recipe, *parts["dev"], "dev", notes)
    x_test, t_test = _arrays(recipe, *parts["test"], "test", notes)
    _note_classes(t_train, labels, notes)
    _note_doubles(x_train, {"dev": x_dev, "test": x_test}, notes)
    return Prepared(
        x_train, t_train, x_dev, t_dev, x_test, t_test,
        kind=kind, n_classes=len(labels), recipe=recipe, feature_names=recipe.feature_names, label_names=labels,
        image_shape=recipe.image.shape if recipe.image else None, name=source.name, origin=source.origin,
        digest=source.digest, rows_train=split.train, rows_dev=split.dev, rows_test=parts["test"][1],
        official_test=official, warnings=tuple(notes),
    )  # fmt: skip


def _with_known_target(source: Source) -> Source:
    if source.kind == "table" and source.target is None:
        hint = "name the column to predict: target=... (--target COLUMN)"
        shown = ", ".join(list(source.columns)[:20])
        raise DataError(f"prepare {source.name!r}", f"a target, one of {shown}", "none", hint=hint)
    if source.kind == "images" and source.labels is None and source.masks is None:
        raise DataError(f"prepare {source.name!r}", "images with labels or masks", "images only")
    return source


def _check_options(
    source: Source, time: str | None, group: str | None, limit: int | None, categories: Sequence[str]
) -> None:
    named = [name for name in (time, group, *categories) if name is not None]
    if named and source.kind == "images":
        raise ArgumentError("prepare", "time, group and categories for tables only", f"{named[0]!r} for images")
    if time and group:
        raise ArgumentError("prepare", "time or group", "both", hint="choose what must not be torn apart")
    if limit is not None and limit < 1:
        raise ArgumentError("prepare", "limit >= 1", str(limit))
    for what, names in (("time", [time]), ("group", [group]), ("categories", categories)):
        check_names([name for name in names if name], source.columns, what)
    if source.target in named:
        raise ArgumentError("prepare", "time, group and categories beside the target", repr(source.target))


def _target(source: Source, task: str | None) -> tuple[NDArray[Any], str, tuple[str, ...]]:
    """Return the raw target column, the task and the labels; the official test part does not decide, but must fit."""
    where = f"target {source.target or 'label'!r}"
    if source.masks is not None:
        if task not in (None, SEGMENTATION):
            raise ArgumentError("prepare", f"the task {SEGMENTATION!r} for images with masks", repr(task))
        return source.masks, SEGMENTATION, source.label_names
    if task == SEGMENTATION:
        hint = "a folder with the subfolders images and masks, or scenes"
        raise ArgumentError("prepare", f"images with masks for the task {SEGMENTATION!r}", "none", hint=hint)
    if source.labels is None:
        column = source.columns[str(source.target)]
        return column, *decide(column, task, where)
    if not source.label_names:
        return source.labels, *decide(source.labels, task, where)
    column = np.array(source.label_names, dtype=object)[source.labels]
    kind = "binary" if len(source.label_names) == 2 else "multiclass"
    if task not in (None, kind) and not (task == "multiclass" and kind == "binary"):
        return column, *decide(column, task, where)
    if len(source.label_names) < 2:
        raise DataError(where, "at least two classes", f"{source.label_names[0]!r} only")
    return column, task or kind, source.label_names


def _limited(n: int, t: NDArray[np.int64] | None, limit: int | None, generator: Generator) -> Rows:
    if limit is None or limit >= n:
        return np.arange(n)
    order = generator.permutation(n) if t is None else stratified_order(t, generator)
    return np.sort(order[-limit:])  # from the end of the order, where each class has a row


def _split(
    source: Source, rows: Rows, t: NDArray[np.int64] | None, shares: tuple[float, float],
    time: str | None, group: str | None, generator: Generator,
) -> Split:  # fmt: skip
    part_sizes(len(rows), *shares)
    if time:
        split = split_time(source.columns[time][rows], *shares, f"column {time!r}")
    elif group:
        split = split_groups(source.columns[group][rows], *shares, generator, f"column {group!r}")
    elif t is not None:
        split = split_stratified(t[rows], *shares, generator)
    else:
        split = split_random(len(rows), *shares, generator)
    return Split(*(rows[part] for part in split))


def _fit(
    source: Source, target: NDArray[Any], kind: str, labels: tuple[str, ...], train: Rows,
    aside: set[str | None], categories: set[str], standardize: bool, notes: list[str],
) -> Recipe:  # fmt: skip
    name = source.target or ("mask" if kind == SEGMENTATION else "label")
    mean, scale = _target_scale(target, train, name) if kind == "regression" and standardize else (0.0, 1.0)
    if source.images is not None:
        image = fit_image(source.images, train, source.white, standardize)
        return Recipe(kind, name, (), image, labels, mean, scale)
    rules = [
        fit_column(key, column, train, notes, as_category=key in categories, standardize=standardize)
        for key, column in source.columns.items()
        if key != name and key not in aside
    ]
    columns = tuple(rule for rule in rules if rule is not None)
    if not columns:
        why = "; ".join(note for note in notes if note.startswith("column "))[:300]
        raise DataError(f"prepare {source.name!r}", "at least one usable column beside the target", why or "none")
    return Recipe(kind, name, columns, None, labels, mean, scale)


def _scaled_like(scaling: Recipe, recipe: Recipe, source: Source) -> Recipe:
    """Return ``recipe`` with the inputs of ``scaling``. Raises ``DataError`` where the source has not these inputs."""
    where, names = f"prepare {source.name!r} (scaling)", [column.name for column in scaling.columns]
    if (scaling.image is None) != (source.images is None):
        raise DataError(where, "images" if scaling.image else "a table", source.kind)
    if scaling.image is not None and recipe.image is not None and recipe.image.shape != scaling.image.shape:
        wanted, got = ("x".join(map(str, rule.shape)) for rule in (scaling.image, recipe.image))
        hint = f"resize them to {scaling.image.shape[1]}x{scaling.image.shape[2]}"
        raise DataError(where, f"images of {wanted} (channels, height, width)", got, hint=hint)
    missing = [name for name in names if name not in source.columns and scaling.image is None]
    if missing:
        raise DataError(where, f"the columns {', '.join(names[:10])}", f"none named {', '.join(missing[:5])}")
    if source.target in names:
        raise DataError(where, "a target that is none of the inputs", repr(source.target))
    return replace(recipe, columns=scaling.columns, image=scaling.image)


def _target_scale(target: NDArray[Any], train: Rows, name: str) -> tuple[float, float]:
    values = as_numbers(target)
    assert values is not None  # `decide` has refused texts
    if values.min() == values.max():
        raise DataError(f"target {name!r}", "values that differ", f"{values[0]:g} in every row")
    return mean_and_scale(values[train], f"target {name!r}")


def _arrays(recipe: Recipe, source: Source, rows: Rows, part: str, notes: list[str]) -> tuple[Features, NDArray[Any]]:
    if source.images is not None:
        assert recipe.image is not None
        x = recipe.image.features(source.images[rows], source.white)
        if source.masks is not None:
            return x, recipe.encode(source.masks[rows])
        assert source.labels is not None
        names = np.array(source.label_names, dtype=object)
        labels = names[source.labels[rows]] if source.label_names else source.labels[rows]
        return x, recipe.encode(labels)
    table = take_columns(source.columns, rows)
    if recipe.target not in table:
        raise DataError(f"prepare {source.name!r}", f"the target {recipe.target!r} in the {part} part", "none")
    try:
        x = recipe.transform(table, rows=rows)
    except DataError as error:  # what train never had is no reason to stop here: a note, and the gentle way
        x = recipe.transform(table, rows=rows, on_unknown="ignore")
        notes.append(f"{part}: {error.where}: expected {error.expected}, got {error.got}; counted as unknown")
    return x, recipe.encode(table[recipe.target])


def _note_classes(t: NDArray[Any], labels: tuple[str, ...], notes: list[str]) -> None:
    if not labels:
        return
    counts = np.bincount(t.ravel(), minlength=len(labels))
    if t.ndim > 1:
        gone = [label for label, n in zip(labels, counts.tolist(), strict=True) if not n]
        notes += [f"classes without a pixel in the training part: {', '.join(gone[:10])}"] if gone else []
        return
    tiny = [f"{label!r} ({n})" for label, n in zip(labels, counts.tolist(), strict=True) if n < _TINY]
    if tiny:
        shown = ", ".join(tiny[:10]) + (", ..." if len(tiny) > 10 else "")
        notes.append(f"classes with fewer than {_TINY} training rows: {shown}")


def _note_doubles(x_train: Features, others: dict[str, Features], notes: list[str]) -> None:
    """Note how many dev and test rows have the same features as a training row: a score there is partly memory."""
    seen = {_key(row) for row in x_train}
    for part, x in others.items():
        doubles = sum(_key(row) in seen for row in x)
        if doubles:
            notes.append(f"{doubles} of {len(x)} {part} rows have the same features as a training row")


def _key(row: Features) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
