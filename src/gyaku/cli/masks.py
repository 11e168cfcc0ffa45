"""``gyaku predict`` for a segmentation: a mask of every picture, as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import DataError
from gyaku.base.text import Phrases
from gyaku.cli.terminal import answer_json, tell

Masks = NDArray[np.uint8]


def predict_masks(
    trained: Any, source: Any, data: str, out: str | None, *, as_json: bool, quiet: bool, say: Phrases
) -> None:
    """Answer every picture of ``source``: masks into the folder ``out``, counts of pixels as JSON, and the score.

    A mask has the name of its picture, the size of its file and the classes' places as palette. Raises ``DataError``
    before any work when there is nowhere to write, or a file is in the way.
    """
    if out is None and not as_json:
        hint = "each picture gets a mask of its name there; or --json for counts of pixels"
        raise DataError("gyaku predict", "--out FOLDER for the masks", "none", hint=hint)
    names = _names(source)
    files = [] if out is None else _free_files(Path(out), names)
    masks = trained.predict(source).masks
    labels = trained.recipe.labels
    if as_json:
        answer_json({"classes": list(labels), "pictures": _counts(names, masks, labels), "out": out})
    _write(files, masks, _sizes(source, data), len(labels))
    if quiet:
        return
    if out is not None:
        tell(say("masks_written", n=len(files), path=out))
    if source.masks is not None and tuple(source.label_names) == tuple(labels):
        _score(masks, source.masks, len(labels), say)


def _names(source: Any) -> list[str]:
    """Return the name of every picture without its ending; numbers where they have none."""
    if not source.row_names:
        return [f"{i + 1:05d}" for i in range(len(source))]
    names = [Path(name).with_suffix("").as_posix().replace("/", "-") for name in source.row_names]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DataError("gyaku predict", "pictures whose names differ", f"two called {twice!r}", hint="rename one")
    return names


def _free_files(folder: Path, names: list[str]) -> list[Path]:
    """Return where the masks go; refuse a place that is no folder, and files that are already there."""
    if folder.exists() and not folder.is_dir():
        raise DataError("--out", "a folder for the masks", f"the file {folder}")
    if not folder.parent.is_dir():
        raise DataError("--out", "a folder in one that exists", str(folder), hint="make the folder above it first")
    files = [folder / f"{name}.png" for name in names]
    there = next((path for path in files if path.exists()), None)
    if there is not None:
        raise DataError("--out", "a folder without masks of these names", str(there), hint="choose another folder")
    return files


def _sizes(source: Any, data: str) -> list[tuple[int, int]] | None:
    """Return height and width of the pictures' files; None where the data is no files."""
    from gyaku.data.masks import is_segmentation
    from gyaku.data.pictures import picture_sizes

    path = Path(data)
    folder = path / "images" if path.is_dir() and is_segmentation(path) else path
    if not source.row_names or not folder.exists():
        return None
    return picture_sizes([folder if folder.is_file() else folder / name for name in source.row_names])


def _write(files: list[Path], masks: Masks, sizes: list[tuple[int, int]] | None, classes: int) -> None:
    from gyaku.base.files import write_bytes_atomic
    from gyaku.base.png import class_colours, png

    if files:
        files[0].parent.mkdir(exist_ok=True)
    for i, path in enumerate(files):
        mask = masks[i] if sizes is None else _nearest(masks[i], sizes[i])
        write_bytes_atomic(path, png(mask, class_colours(classes)))


def _nearest(mask: Masks, size: tuple[int, int]) -> Masks:
    """Return a mask in another size, every pixel from the nearest one."""
    rows, cols = ((np.arange(n) * 2 + 1) * old // (2 * n) for n, old in zip(size, mask.shape, strict=True))
    return mask[rows[:, None], cols]


def _counts(names: list[str], masks: Masks, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    found = []
    for name, mask in zip(names, masks, strict=True):
        counts = np.bincount(mask.ravel(), minlength=len(labels)).tolist()
        found.append({"name": name, "pixels": {label: n for label, n in zip(labels, counts, strict=True) if n}})
    return found


def _score(masks: Masks, true: Masks, classes: int, say: Phrases) -> None:
    from gyaku.train.metrics import confusion_matrix, hit_rate, mean_iou

    confusion = confusion_matrix(masks.ravel().astype(np.int64), true.ravel().astype(np.int64), classes)
    tell(say("scored_masks", n=len(masks), value=mean_iou(confusion), pixels=hit_rate(confusion)))
