"""Folders for semantic segmentation: ``DIR/images/a.jpg`` with ``DIR/masks/a.png``, whose values are the classes.

``DIR/classes.txt`` names the classes: one name a line, the first line for value 0; or ``VALUE NAME`` on every line.
Without it the values that occur are the classes, named by their numbers (0 and 255 alone: ``ground``, ``object``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import DataError
from gyaku.base.files import read_bounded
from gyaku.data.pictures import image_files, open_picture, read_images
from gyaku.data.reading import is_kind

EXACT = (".png", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".pbm")  # formats that keep every value
CLASSES = "classes.txt"
_GREY = ("1", "L", "P")
_VALUES = 256
_LIMIT = 2**16
Masks = NDArray[np.uint8]


class Pairs(NamedTuple):
    """Images (N, C, H, W), places of the pixels' classes (N, H, W), the value of each class by name, and all files."""

    images: NDArray[np.uint8]
    masks: Masks
    classes: Mapping[str, int]
    files: tuple[Path, ...]


def is_segmentation(folder: Path) -> bool:
    """Return whether a folder has the two subfolders ``images`` and ``masks``."""
    return is_kind(folder / "images", "dir") and is_kind(folder / "masks", "dir")


def read_pairs(
    folder: str | Path,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    classes: Mapping[str, int] | None = None,
) -> Pairs:
    """Return the images of ``folder/images`` in the order of their names with their masks of the same names.

    ``size`` resizes images (bilinear) and masks (nearest pixel). Masks are grey or palette pictures. ``classes`` fixes
    name and value of each class, as a test part needs; else ``classes.txt`` does, else the values that occur.

    Raises ``DataError`` naming the file: no images, an image without a mask or the reverse, sizes that differ, colours
    instead of values, a value that is no class.
    """
    top = Path(folder)
    where = f"read_pairs {str(folder)!r}"
    pictures = image_files(top / "images")
    if not pictures:
        raise DataError(where, "images in its subfolder 'images'", "none")
    drawn = _partners(pictures, top / "masks", where)
    images = read_images(pictures, size=size, channels=channels)
    masks = np.empty((len(images), *images.shape[2:]), dtype=np.uint8)
    for row, (picture, path) in enumerate(zip(pictures, drawn, strict=True)):
        mask = _read_mask(path, size)
        if mask.shape != masks.shape[1:]:
            expected, got = f"{masks.shape[1:]}, the size of {picture.name}", str(mask.shape)
            raise DataError(f"read_mask {str(path)!r}", expected, got, hint="resize neither, or both with size=(H, W)")
        masks[row] = mask
    known = classes or _named(top / CLASSES) or _found(masks)
    names = (top / CLASSES,) if is_kind(top / CLASSES, "file") else ()
    return Pairs(images, _places(masks, known, drawn), known, (*pictures, *drawn, *names))


def _partners(pictures: Sequence[Path], folder: Path, where: str) -> list[Path]:
    """Return the mask of every picture: the same name, in a format that keeps values."""
    masks = {path.stem: path for path in image_files(folder)}
    for path in masks.values():
        if path.suffix.lower() not in EXACT:
            hint = "its values are blurred: save masks as PNG"
            raise DataError(f"read_mask {str(path)!r}", f"one of {', '.join(EXACT[:5])}", path.suffix, hint=hint)
    lonely = [path for path in pictures if path.stem not in masks]
    if lonely:
        hint = "every image needs a mask of its name"
        raise DataError(where, f"masks/{lonely[0].stem}.png for images/{lonely[0].name}", "none", hint=hint)
    stems = {path.stem for path in pictures}
    spare = [path for stem, path in masks.items() if stem not in stems]
    if spare:
        raise DataError(where, f"an image for masks/{spare[0].name}", "none", hint="remove the mask, or add the image")
    return [masks[path.stem] for path in pictures]


def _read_mask(path: Path, size: tuple[int, int] | None) -> Masks:
    def read(image: Any, pillow: Any) -> Masks:
        if image.mode not in _GREY:
            hint = "save one number a pixel: a grey or a palette picture"
            raise DataError(f"read_mask {str(path)!r}", "values 0..255", f"colours (mode {image.mode})", hint=hint)
        image = image.convert("L") if image.mode == "1" else image
        if size is not None:
            image = image.resize((size[1], size[0]), pillow.Resampling.NEAREST)
        return np.array(image, dtype=np.uint8)

    return open_picture(path, f"read_mask {str(path)!r}", read)


def _found(masks: Masks) -> dict[str, int]:
    """Return the values that occur as classes."""
    values = np.flatnonzero(np.bincount(masks.ravel(), minlength=_VALUES)).tolist()
    if values == [0, 255]:
        return {"ground": 0, "object": 255}
    return {str(value): value for value in values}


def _named(path: Path) -> dict[str, int]:
    """Return the classes that a file names; empty when there is none."""
    if not is_kind(path, "file"):
        return {}
    where = f"read {str(path)!r}"
    try:
        lines = [line.strip() for line in read_bounded(path, _LIMIT).decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(where, "names in UTF-8", str(error)) from error
    lines = [line for line in lines if line]
    numbered = [re.fullmatch(r"(\d{1,3})[\s,:=]+(\S.*)", line) for line in lines]
    if all(numbered):
        pairs = [(match[2], int(match[1])) for match in numbered if match]
    else:
        pairs = [(line, value) for value, line in enumerate(lines)]
    _check_names(pairs, where)
    return dict(pairs)


def _check_names(pairs: Sequence[tuple[str, int]], where: str) -> None:
    for what, column in (("names", [name for name, _ in pairs]), ("values", [value for _, value in pairs])):
        if len(set(column)) < len(column):
            double = next(v for i, v in enumerate(column) if v in column[:i])
            raise DataError(where, f"{what} that differ", f"{double!r} twice")
    if len(pairs) < 2 or max((value for _, value in pairs), default=0) >= _VALUES:
        raise DataError(where, f"two to {_VALUES} classes with values below {_VALUES}", f"{len(pairs)} lines")


def _places(masks: Masks, classes: Mapping[str, int], files: Sequence[Path]) -> Masks:
    """Return the place of every value among the classes."""
    if len(classes) < 2:
        raise DataError(f"masks of {files[0].parent}", "at least two classes", f"the value {[*classes.values()]} only")
    table = np.zeros(_VALUES, dtype=np.uint8)
    known = np.zeros(_VALUES, dtype=bool)
    for place, value in enumerate(classes.values()):
        table[value], known[value] = place, True
    for mask, path in zip(masks, files, strict=True):
        if not known[mask].all():
            at = np.argwhere(~known[mask])[0].tolist()
            expected = f"the values {', '.join(map(str, [*classes.values()][:12]))}"
            got = f"{int(mask[tuple(at)])} in row {at[0] + 1}, column {at[1] + 1}"
            hint = f"name its class in {CLASSES}"
            raise DataError(f"read_mask {str(path)!r}", expected, got, hint=hint)
    return table[masks]
