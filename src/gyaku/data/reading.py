"""Opening files that strangers made: one clear error for what the system refuses, and a bound on what may unfold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from gyaku.base.errors import DataError

CHUNK = 1 << 16
_FREE, _FACTOR = 16 << 20, 100


def room(size: int, factor: int = _FACTOR) -> int:
    """Return how many bytes a compressed file of ``size`` bytes may unfold to: 16 MiB + 100 × size.

    Deflate can unfold 1,032-fold; real images and tables unfold 2- to 20-fold, so what lies above is refused as a
    decompression bomb before memory is taken.

    >>> room(0) == 16 * 2**20
    True
    """
    return _FREE + factor * size


def open_file(path: str | Path, where: str) -> BinaryIO:
    """Open ``path`` for reading bytes. Raises ``DataError`` naming file and reason for whatever the system refuses."""
    try:
        return Path(path).open("rb")
    except IsADirectoryError as error:
        raise DataError(where, f"a file at {str(path)!r}", "a folder") from error
    except FileNotFoundError as error:
        raise DataError(where, f"a file at {str(path)!r}", "no such file", hint="check the path") from error
    except (OSError, ValueError) as error:
        raise DataError(where, f"a readable file at {str(path)!r}", reason(error)) from error


def read_bytes(path: str | Path, where: str) -> bytes:
    """Return the content of a file, as long as the system says it is. Raises ``DataError`` as ``open_file`` does."""
    with open_file(path, where) as file:
        try:
            return file.read(file_size(file))
        except OSError as error:
            raise DataError(where, f"a readable file at {str(path)!r}", reason(error)) from error


def file_size(file: BinaryIO) -> int:
    """Return the true size in bytes of an open file, and leave it at its start."""
    size = file.seek(0, 2)
    file.seek(0)
    return size


def digest(paths: Iterable[Path], where: str) -> str:
    """Return the SHA-256 (hex) of the files' raw bytes, one after the other."""
    total = hashlib.sha256()
    for path in paths:
        with open_file(path, where) as file:
            while block := file.read(CHUNK):
                total.update(block)
    return total.hexdigest()


def is_kind(path: Path, kind: str) -> bool:
    """Say whether ``path`` is a ``"file"`` or ``"dir"``; a name the system cannot even ask for is neither."""
    try:
        return path.is_file() if kind == "file" else path.is_dir()
    except (OSError, ValueError):
        return False


def reason(error: BaseException) -> str:
    """Return what an exception says, in one line without the path that the caller already names."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:200].strip().rstrip(".")


def looks_like_html(start: bytes) -> bool:
    """Say whether a file begins as a web page does (an error page saved under a data file's name)."""
    head = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return head.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<?xml"))
