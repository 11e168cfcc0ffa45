"""``load``: the one door to data. A name, a file or a folder in; a ``Source`` out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gyaku.base.errors import ArgumentError, DataError, UnknownNameError
from gyaku.data import synthetic
from gyaku.data.digits import DIGITS_FILE, DIGITS_SHA256, DIGITS_WHITE, digits
from gyaku.data.idx import read_idx
from gyaku.data.masks import is_segmentation, read_pairs
from gyaku.data.mnist import fashion_mnist, find_files, from_idx_folder, mnist
from gyaku.data.npz import read_npz
from gyaku.data.pictures import EXTENSIONS, class_folders, image_files, read_images, read_pictures
from gyaku.data.reading import digest, is_kind
from gyaku.data.scenes import load_scenes
from gyaku.data.source import Source, array_digest, from_arrays
from gyaku.data.table import DELIMITERS, read_parquet, read_table

_MADE: dict[str, Callable[..., Any]] = {
    "xor": synthetic.xor,
    "moons": synthetic.moons,
    "circles": synthetic.circles,
    "spirals": synthetic.spirals,
    "curve": synthetic.noisy_curve,
}
NAMES = ("digits", "mnist", "fashion-mnist", "scenes", *_MADE)
_X = ("x", "X", "x_train", "X_train", "train_images", "data", "images", "features", "inputs")
_T = ("t", "y", "Y", "t_train", "y_train", "train_labels", "label", "labels", "target", "targets")
_X_TEST, _T_TEST = ("x_test", "X_test", "test_images"), ("t_test", "y_test", "test_labels")


def load(
    what: str | Path,
    *,
    target: str | None = None,
    folder: str | Path | None = None,
    n: int | None = None,
    noise: float | None = None,
    seed: int = 0,
    encoding: str | None = None,
    delimiter: str | None = None,
    text: Sequence[str] = (),
    size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> Source:
    """Return the data that ``what`` names.

    Names: ``digits``, ``mnist``, ``fashion-mnist`` (``folder`` instead of a download), ``xor``, ``moons``, ``circles``,
    ``spirals``, ``curve`` (``n`` samples, ``noise``, ``seed``), ``scenes`` (``n``, ``size``, ``seed``, ``folder`` with
    MNIST): digits on a textured ground with the class of every pixel. Files: ``.csv``, ``.tsv``, ``.txt``
    (``encoding``, ``delimiter``, ``text`` columns), ``.parquet``, ``.npz``, one image, an IDX file of images. Folders:
    four IDX files, images by class, ``images`` and ``masks``, or images without classes (``size=(H, W)`` resizes;
    ``channels`` 1 makes grey, 3 RGB). ``target``
    names the column to predict. A file or folder of the same name as a data set needs ``./``.

    Raises ``UnknownNameError`` ("did you mean") for a name that is none of these, ``DataError`` for what a reader
    refuses, ``ArgumentError`` for an option that ``what`` does not take.

    >>> load("digits").images.shape
    (1797, 1, 8, 8)
    """
    options = {
        "folder": folder, "n": n, "noise": noise, "encoding": encoding, "delimiter": delimiter,
        "text": tuple(text) or None, "size": size, "channels": channels,
    }  # fmt: skip
    given = {key: value for key, value in options.items() if value is not None}
    return _find(what, given, seed).with_target(target)


def _find(what: str | Path, given: dict[str, Any], seed: int) -> Source:
    name = str(what)
    if name in _MADE:
        return _made(name, _only(name, given, "n", "noise"), seed)
    if name == "digits":
        _only(name, given)
        return _digits()
    if name == "scenes":
        return load_scenes(**_only(name, given, "n", "size", "folder"), seed=seed)
    if name in ("mnist", "fashion-mnist"):
        _only(name, given, "folder")
        return mnist(given.get("folder")) if name == "mnist" else fashion_mnist(given.get("folder"))
    path = Path(what)
    if is_kind(path, "dir"):
        return _folder(path, given)
    return _file(path, given)


def _only(name: str, given: dict[str, Any], *allowed: str) -> dict[str, Any]:
    for key in given:
        if key not in allowed:
            takes = ", ".join(allowed) or "no options"
            raise ArgumentError(f"load {name!r}", takes, key, hint=f"leave {key} out")
    return given


def _digits() -> Source:
    x, t = digits()
    names = tuple("0123456789")
    origin = f"{DIGITS_FILE.name} in the package (UCI, CC BY 4.0)"
    return Source("digits", origin, DIGITS_SHA256, images=x, labels=t, label_names=names, white=DIGITS_WHITE)


def _made(name: str, given: dict[str, Any], seed: int) -> Source:
    x, t = _MADE[name](**given, seed=seed)
    options = "".join(f", {key}={value}" for key, value in given.items())
    return from_arrays(x, t, name=name, origin=f"made: {name}(seed={seed}{options})", digest=array_digest(x, t))


def _folder(path: Path, given: dict[str, Any]) -> Source:
    where = f"load {str(path)!r}"
    try:
        if find_files(path):
            _only(str(path), given)
            return from_idx_folder(path)
        _only(str(path), given, "size", "channels")
        train, test = path / "train", path / "test"
        if is_segmentation(path):
            return _pairs(path, path, given, None)[0]
        if is_segmentation(train) and is_segmentation(test):
            whole, classes = _pairs(train, path, given, None)
            return replace(whole, test=_pairs(test, path, given, classes)[0])
        if is_kind(train, "dir") and is_kind(test, "dir") and class_folders(train) and class_folders(test):
            whole = _pictures(train, path, given, None)
            return replace(whole, test=_pictures(test, path, given, whole))
        if not class_folders(path) and (files := image_files(path)):
            return _plain_images(files, path, given)
        return _pictures(path, path, given, None)
    except OSError as error:
        raise DataError(where, "a readable folder", str(error.strerror or error)) from error


def _plain_images(files: Sequence[Path], path: Path, given: dict[str, Any]) -> Source:
    images = read_images(files, **given)
    sha, names = digest(files, f"load {str(path)!r}"), tuple(file.name for file in files)
    return Source(path.resolve().name, str(path), sha, images=images, row_names=names)


def _pictures(folder: Path, top: Path, given: dict[str, Any], like: Source | None) -> Source:
    found = read_pictures(folder, **given, label_names=like.label_names if like else None)
    images = found.images
    if like is not None and like.images is not None and like.images.shape[1:] != images.shape[1:]:
        got = str(images.shape[1:])
        raise DataError(f"read_pictures {str(folder)!r}", f"images of {like.images.shape[1:]}, as in training", got)
    sha = digest(found.files, f"read_pictures {str(folder)!r}")
    names = tuple(file.relative_to(folder).as_posix() for file in found.files)
    return Source(
        top.resolve().name, str(folder), sha, images=images, labels=found.labels, label_names=found.label_names,
        row_names=names,
    )  # fmt: skip


def _pairs(
    folder: Path, top: Path, given: dict[str, Any], classes: Mapping[str, int] | None
) -> tuple[Source, Mapping[str, int]]:
    found = read_pairs(folder, **given, classes=classes)
    sha, files = digest(found.files, f"read_pairs {str(folder)!r}"), found.files[: len(found.images)]
    source = Source(
        top.resolve().name, str(folder), sha, images=found.images, masks=found.masks, label_names=tuple(found.classes),
        row_names=tuple(file.name for file in files),
    )  # fmt: skip
    return source, found.classes


def _file(path: Path, given: dict[str, Any]) -> Source:
    suffix = path.suffix.lower()
    where = f"load {str(path)!r}"
    if not is_kind(path, "file"):
        raise _no_such(path, where)
    if suffix == ".npz":
        _only(str(path), given)
        return _npz(path)
    if suffix in EXTENSIONS:
        return _plain_images([path], path, _only(str(path), given, "size", "channels"))
    if path.name.removesuffix(".gz").endswith("-ubyte"):
        _only(str(path), given)
        return from_arrays(read_idx(path), name=path.name, origin=str(path), digest=digest([path], where))
    if suffix in (".parquet", ".pq"):
        _only(str(path), given)
        columns, notes = read_parquet(path)
    elif suffix in DELIMITERS:
        columns, notes = read_table(path, **_only(str(path), given, "encoding", "delimiter", "text"))
    else:
        known = "a file named .csv, .tsv, .txt, .parquet, .npz or an image, or a folder"
        raise DataError(where, known, repr(path.name), hint="rename the file by its format")
    return Source(path.name, str(path), digest([path], where), table=columns, notes=tuple(notes))


def _no_such(path: Path, where: str) -> Exception:
    name = str(path)
    if not path.suffix and len(path.parts) == 1:
        return UnknownNameError("load", name, NAMES, what="data set, file or folder")
    try:
        beside = [p.name for p in path.parent.iterdir()] if is_kind(path.parent, "dir") else []
    except OSError:
        beside = []
    near = difflib.get_close_matches(path.name, [name for name in beside if name != path.name], n=1)
    hint = f"did you mean {near[0]!r}?" if near else ""
    return DataError(where, "a file or folder", "none of that name", hint=hint)


def _npz(path: Path) -> Source:
    where = f"read_npz {str(path)!r}"
    arrays = read_npz(path)

    def pick(names: Sequence[str]) -> Any:
        return next((arrays[name] for name in names if name in arrays), None)

    x = pick(_X)
    if x is None:
        raise DataError(where, f"a member named {_X[0]!r} (or {', '.join(_X[1:5])}, ...)", ", ".join(list(arrays)[:10]))
    sha = digest([path], where)
    return from_arrays(
        x, pick(_T), x_test=pick(_X_TEST), t_test=pick(_T_TEST), name=path.name, origin=str(path), digest=sha
    )
