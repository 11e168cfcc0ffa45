"""``Recipe``: from a raw table or raw images to the network's input, and from its output to answers.

A model file carries its recipe as JSON, so that a prediction scales, fills and names exactly as training did.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError, DataError, ShapeError
from gyaku.data.columns import AnyColumn
from gyaku.data.source import Source, from_arrays, plain_column
from gyaku.data.target import SEGMENTATION, as_numbers, encode_classes, refuse_missing

Features = NDArray[np.float32]


@dataclass(frozen=True)
class ImageRule:
    """Images of ``shape`` (C, H, W): pixels / white lie in [0, 1]; then (x - mean) / std, one pair from train."""

    shape: tuple[int, int, int]
    white: float
    mean: float
    std: float

    def features(self, images: NDArray[Any], white: float | None = None) -> Features:
        """Return (N, C, H, W) float32. Raises ``DataError`` for another shape or a pixel that is not finite."""
        if images.ndim != 4 or images.shape[1:] != self.shape:
            hint = f"resize to {self.shape[1]} x {self.shape[2]} pixels, {self.shape[0]} channel(s)"
            raise DataError("images", f"shape (N, {', '.join(map(str, self.shape))})", str(images.shape), hint=hint)
        if images.dtype.kind == "f" and not np.isfinite(images).all():
            row = int((~np.isfinite(images)).reshape(len(images), -1).any(axis=1).argmax())
            raise DataError("images", "finite pixels", f"NaN or infinity in image {row + 1}")
        x = images.astype(np.float32)
        x *= np.float32(1.0 / ((white or self.white) * self.std))
        x -= np.float32(self.mean / self.std)
        return x


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says: for classes ``labels`` (N,) texts and ``probabilities`` (N, K); else ``values`` (N,).

    For a segmentation ``masks`` (N, H, W), the place of every pixel's class.
    """

    labels: NDArray[Any] | None = None
    probabilities: NDArray[np.float64] | None = None
    values: NDArray[np.float64] | None = None
    masks: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything a prediction needs beside the weights; fitted on train only, by ``prepare``.

    ``columns`` (tables) or ``image`` (images) make the input; ``labels`` name the classes of a ``binary`` or
    ``multiclass`` task or of the pixels of a ``segmentation``; a ``regression`` has
    t = (value - target_mean) / target_scale.
    """

    task: str
    target: str
    columns: tuple[AnyColumn, ...] = ()
    image: ImageRule | None = None
    labels: tuple[str, ...] = ()
    target_mean: float = 0.0
    target_scale: float = 1.0

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the input's columns; empty for images."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns of categories: ``load(file, text=...)`` keeps their cells as written, codes such as ``1.50`` too."""
        return tuple(column.name for column in self.columns if column.kind == "category")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (D,) or (C, H, W)."""
        return self.image.shape if self.image else (len(self.feature_names),)

    @property
    def n_outputs(self) -> int:
        """Units of the output layer (of every pixel, for a segmentation): 1 for two classes or a value, else K."""
        return len(self.labels) if self.task in ("multiclass", SEGMENTATION) else 1

    @property
    def black(self) -> float:
        """The value of a black pixel after scaling; what ``augment`` fills with."""
        return -self.image.mean / self.image.std if self.image else 0.0

    def groups(self) -> dict[str, slice]:
        """Return which features each raw column became: name -> slice of the input's columns."""
        found, start = {}, 0
        for column in self.columns:
            found[column.name] = slice(start, start := start + len(column.feature_names))
        return found

    def transform(
        self, source: Source | Mapping[str, Any] | NDArray[Any], *, on_unknown: str = "error",
        rows: NDArray[Any] | None = None,
    ) -> Features:  # fmt: skip
        """Return the network's input: (N, D) from a table by column name, (N, C, H, W) from images; float32.

        Columns may come in any order; others are ignored. A plain array
        of images must be in the units of training. ``on_unknown='ignore'``: an unknown category gives zeros, a
        missing cell where train had none is filled. ``rows`` are the row numbers that messages name.

        Raises ``DataError`` naming column, row and value: a missing column, an unknown category, text in a column of
        numbers, NaN or infinity where train had none, images of another shape.
        """
        if on_unknown not in ("error", "ignore"):
            raise ArgumentError("transform", "on_unknown 'error' or 'ignore'", repr(on_unknown))
        if self.image:
            images, white = _images(source)
            return self.image.features(images, white)
        table = source.columns if isinstance(source, Source) else source
        if not isinstance(table, Mapping) or (isinstance(source, Source) and source.kind == "images"):
            raise DataError("transform", "a table with named columns", "images" if table is not source else "an array")
        parts = [c.features(_named(table, c.name), on_unknown, rows) for c in self.columns]
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def encode(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return a raw target column as the loss wants it: int64 (N,) classes, or float32 (N, 1) scaled values.

        Of a segmentation, the places of the pixels' classes as int64 (N, H, W). Raises ``DataError`` naming row and
        value of a missing, unknown or non-numeric cell.
        """
        if self.task == SEGMENTATION:
            return self._encode_masks(np.asarray(target))
        column, where = plain_column(np.asarray(target)), f"target {self.target!r}"
        refuse_missing(column, where)
        if self.task != "regression":
            return encode_classes(column, self.labels, where)
        values = as_numbers(column)
        if values is None:
            raise DataError(where, "numbers", "text")
        return ((values - self.target_mean) / self.target_scale).astype(np.float32)[:, None]

    def _encode_masks(self, masks: NDArray[Any]) -> NDArray[np.int64]:
        size = self.input_shape[1:]
        if masks.shape[1:] != size or masks.dtype.kind not in "iu":
            got = f"{masks.dtype} {masks.shape}"
            raise ShapeError("encode", f"masks (N, {', '.join(map(str, size))}) of whole numbers", got)
        if masks.size and not 0 <= int(masks.min()) <= int(masks.max()) < len(self.labels):
            raise DataError("encode", f"classes 0..{len(self.labels) - 1}", f"{masks.min()} to {masks.max()}")
        return masks.astype(np.int64)

    def decode(self, outputs: NDArray[Any]) -> Answers:
        """Return answers from probabilities, (N, K) or for two classes also (N,) or (N, 1), or from scaled values.

        Labels are those of the largest probability (the first of equals); of a segmentation, from (N, K, H, W), the
        masks. Raises ``ShapeError`` for another shape.
        """
        y = np.asarray(outputs, dtype=np.float64)
        if self.task == SEGMENTATION:
            if y.ndim != 4 or y.shape[1] != len(self.labels):
                raise ShapeError("decode", f"probabilities of shape (N, {len(self.labels)}, H, W)", str(y.shape))
            return Answers(masks=y.argmax(axis=1).astype(np.uint8))
        if self.task == "regression" or self.task == "binary" and (y.ndim == 1 or y.shape[1:] == (1,)):
            if y.ndim not in (1, 2) or y.shape[1:] not in ((), (1,)):
                raise ShapeError("decode", "outputs of shape (N,) or (N, 1)", str(y.shape))
            y = y.reshape(-1)
            if self.task == "regression":
                return Answers(values=y * self.target_scale + self.target_mean)
            y = np.stack([1.0 - y, y], axis=1)
        if y.ndim != 2 or y.shape[1] != len(self.labels):
            raise ShapeError("decode", f"probabilities of shape (N, {len(self.labels)})", str(y.shape))
        names = np.array(self.labels, dtype=object)
        return Answers(labels=names[y.argmax(axis=1)], probabilities=y)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain dictionaries, lists, texts and numbers; ``from_json`` gives it back exactly."""
        from gyaku.data.recipe_json import recipe_to_json

        return recipe_to_json(self)

    @staticmethod
    def from_json(data: Any) -> Recipe:
        """Return the recipe that ``to_json`` wrote. Raises ``DataError`` naming the place of anything else."""
        from gyaku.data.recipe_json import recipe_from_json

        return recipe_from_json(data)


def _images(source: Any) -> tuple[NDArray[Any], float | None]:
    if isinstance(source, np.ndarray):
        made = from_arrays(source)
        source = made if made.kind == "images" else source
        if not isinstance(source, Source):
            raise DataError("transform", "images (N, H, W) or (N, C, H, W)", f"an array of shape {source.shape}")
        return np.asarray(source.images), None
    if not isinstance(source, Source) or source.images is None:
        raise DataError("transform", "images", "a table", hint="give a folder of images, IDX files or an NPZ file")
    return source.images, source.white


def _named(table: Mapping[str, Any], name: str) -> NDArray[Any]:
    if name not in table:
        near = difflib.get_close_matches(name, [str(key) for key in table], n=1)
        hint = f"the table has {near[0]!r}: rename it" if near else "add it; empty cells count as missing"
        has = ", ".join(str(key) for key in list(table)[:10])
        raise DataError("transform", f"the column {name!r}", f"the columns {has}", hint=hint)
    return plain_column(np.asarray(table[name]))
