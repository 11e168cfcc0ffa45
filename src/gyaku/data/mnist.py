"""MNIST and Fashion-MNIST: from a folder of IDX files, or from mirrors through pooch with pinned SHA-256.

MNIST: Y. LeCun, C. Cortes, C. Burges. Fashion-MNIST: H. Xiao, K. Rasul, R. Vollgraf (2017), MIT licence.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gyaku.base.errors import DataError, require
from gyaku.data.idx import read_idx_pair
from gyaku.data.reading import digest, is_kind, reason
from gyaku.data.source import Source

_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
_DIMS = (3, 1, 3, 1)


@dataclass(frozen=True)
class Collection:
    """One data set of the MNIST family: where it can be had, what its bytes are, what its classes are called."""

    name: str
    mirrors: tuple[str, ...]
    sha256: tuple[str, str, str, str]
    label_names: tuple[str, ...]


MNIST = Collection(
    "mnist",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    tuple("0123456789"),
)
FASHION = Collection(
    "fashion-mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # no https there; the hash guards the content
    ),
    (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def mnist(folder: str | Path | None = None) -> Source:
    """Return MNIST: images (N, 1, 28, 28) uint8, classes 0..9, the official 10,000 test digits as ``test``.

    From ``folder`` (four IDX files, plain or gzip, ``train-images-idx3-ubyte`` or ``train-images.idx3-ubyte``), else
    from the folder named by ``GYAKU_DATA`` or its subfolder ``mnist``, else from the mirrors (60,000 training digits,
    kept in the user's cache). Raises ``DataError`` for a missing or damaged file, and when no mirror answers.
    """
    return _collect(MNIST, folder, ("mnist", "MNIST", "."))


def fashion_mnist(folder: str | Path | None = None) -> Source:
    """Return Fashion-MNIST (ten kinds of clothing) as ``mnist`` does.

    Its files are named as MNIST's, so of ``GYAKU_DATA`` only the subfolder ``fashion-mnist`` is read.
    """
    return _collect(FASHION, folder, ("fashion-mnist", "FashionMNIST"))


def from_idx_folder(folder: str | Path, name: str | None = None, label_names: tuple[str, ...] = ()) -> Source:
    """Return a folder with the four files of the MNIST family as a ``Source``; the classes are ``label_names``.

    Raises ``DataError`` naming the missing file.
    """
    paths = find_files(Path(folder))
    missing = [part for part in _PARTS if part not in paths]
    if missing:
        expected = f"the file {missing[0]}-idx{_DIMS[_PARTS.index(missing[0])]}-ubyte (or .gz)"
        raise DataError(f"read_idx folder {str(folder)!r}", expected, "none", hint="the folder needs four IDX files")
    return _source(name or Path(folder).name or "idx", str(folder), [paths[part] for part in _PARTS], label_names)


def find_files(folder: Path) -> dict[str, Path]:
    """Return which of the four files are in ``folder``: part name (``train-images``, ...) -> path."""
    found: dict[str, Path] = {}
    for part, dims in zip(_PARTS, _DIMS, strict=True):
        names = [f"{part}{mark}idx{dims}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
        paths = (folder / name for name in names)
        path = next((p for p in paths if is_kind(p, "file")), None)
        if path is not None:
            found[part] = path
    return found


def _collect(which: Collection, folder: str | Path | None, places: tuple[str, ...]) -> Source:
    if folder is not None:
        return from_idx_folder(folder, which.name, which.label_names)
    base = os.environ.get("GYAKU_DATA")
    for place in places if base else ():
        if len(find_files(Path(str(base)) / place)) == len(_PARTS):
            return from_idx_folder(Path(str(base)) / place, which.name, which.label_names)
    paths = [_download(which, i) for i in range(len(_PARTS))]
    return _source(which.name, which.mirrors[0], paths, which.label_names)


def _source(name: str, origin: str, paths: list[Path], label_names: tuple[str, ...]) -> Source:
    where = f"data {name!r}"
    x, t = read_idx_pair(paths[0], paths[1])
    x_test, t_test = read_idx_pair(paths[2], paths[3])
    if x.shape[1:] != x_test.shape[1:]:
        raise DataError(where, f"test images of {x.shape[1:]}, as in training", str(x_test.shape[1:]))
    names = label_names or tuple(str(k) for k in range(1 + int(max(t.max(initial=0), t_test.max(initial=0)))))
    sha = digest(paths, where)

    def source(title: str, images: NDArray[Any], labels: NDArray[Any], path: Path, test: Source | None) -> Source:
        _check_labels(labels, len(names), path)
        labels = labels.astype("int64")
        return Source(title, origin, sha, images=images[:, None], labels=labels, label_names=names, test=test)

    return source(name, x, t, paths[1], source(f"{name}, test", x_test, t_test, paths[3], None))


def _check_labels(labels: NDArray[Any], n_classes: int, path: Path) -> None:
    if labels.size and int(labels.max()) >= n_classes:
        row = int((labels >= n_classes).argmax())
        got = f"{labels[row]} in row {row + 1}"
        raise DataError(f"read_idx {str(path)!r}", f"labels in 0..{n_classes - 1}", got)


def cache_folder() -> Path:
    """Return where downloads are kept: ``GYAKU_CACHE``, else the user's cache folder for ``gyaku``."""
    pooch: Any = require("pooch", where="download", extra="downloads")
    return Path(os.environ.get("GYAKU_CACHE") or pooch.os_cache("gyaku"))


def _download(which: Collection, part: int) -> Path:
    where = f"data {which.name!r}"
    pooch: Any = require("pooch", where=where, extra="downloads")
    pooch.get_logger().setLevel("ERROR")
    name = f"{_PARTS[part]}-idx{_DIMS[part]}-ubyte.gz"
    problems = []
    for mirror in which.mirrors:
        fetch = pooch.HTTPDownloader(progressbar=_shows_progress(), timeout=30)
        try:
            found = pooch.retrieve(
                mirror + name, known_hash=which.sha256[part], fname=name, path=cache_folder() / which.name,
                downloader=fetch,
            )  # fmt: skip
            return Path(found)
        except (OSError, ValueError) as error:  # no network (requests' errors are OSErrors), or another hash
            problems.append(f"{mirror.split('/')[2]}: {_short(error)}")
    hint = f"pass a folder that holds {name} and its three sisters (folder=..., or GYAKU_DATA)"
    raise DataError(where, f"{name} from a mirror or the cache", "; ".join(problems), hint=hint)


def _short(error: Exception) -> str:
    text = reason(error)
    return "another SHA-256 than the data set's" if "hash" in text.lower() else f"no answer ({type(error).__name__})"


def _shows_progress() -> bool:
    try:
        import tqdm  # noqa: F401
    except ImportError:
        return False
    return bool(sys.stderr and sys.stderr.isatty())
