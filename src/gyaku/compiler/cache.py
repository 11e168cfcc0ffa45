"""Machine code kept between processes: private to the user, checked, bounded, rebuilt when damaged.

A file holds a SHA-256 of the code and the code. Its name is the SHA-256 of the assembly text, the versions and the
processor, so that a change of any makes another file. Files appear by renaming: two processes may write the same one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from gyaku.base.errors import DataError
from gyaku.base.files import atomic_write, private_folder, read_bounded, user_cache

LIMIT = 256 * 2**20  # bytes of all files together
_HEAD = b"gyaku machine code 1\n"
_DIGEST = 32


def folder() -> Path | None:
    """Return the folder of the cache, or None where there is no private one. ``GYAKU_CODE_CACHE=0`` turns it off."""
    if os.environ.get("GYAKU_CODE_CACHE") == "0":
        return None
    return private_folder(user_cache() / "code")


def load(key: str) -> bytes | None:
    """Return the code kept under ``key``; None for none, or for a file that is not whole (which is removed)."""
    place = folder()
    if place is None or not (place / key).is_file():
        return None
    path = place / key
    try:
        content = read_bounded(path, LIMIT)
    except DataError:
        return None
    start = len(_HEAD) + _DIGEST
    code = content[start:]
    if content[: len(_HEAD)] != _HEAD or hashlib.sha256(code).digest() != content[len(_HEAD) : start]:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the oldest go first
    return code


def save(key: str, code: bytes) -> None:
    """Keep ``code`` under ``key``, and forget the longest unused beyond ``LIMIT``. A full disk is no error here."""
    place = folder()
    if place is None:
        return
    with contextlib.suppress(DataError, OSError):
        with atomic_write(place / key) as file:
            file.write(_HEAD + hashlib.sha256(code).digest() + code)
        _prune(place)


def _prune(place: Path) -> None:
    files = []
    for path in place.iterdir():
        with contextlib.suppress(OSError):  # another process may remove it first
            about = path.stat()
            files.append((about.st_mtime, about.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files, key=lambda f: f[0]):
        if total <= LIMIT:
            break
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size
