"""Files that stay whole: atomic writes, bounded reads, logs line by line, a lock on a folder, arrays as safetensors.

Nothing read here can run code: there is no pickle and no second, weaker way of reading. Every failure of the disk is
one ``DataError`` that names the file. Calls that differ between operating systems live in this module alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import socket
import stat
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from gyaku.base.errors import DataError, DtypeError, require
from gyaku.base.header import DTYPES, METADATA, make_header, parse_header, short
from gyaku.base.tree import flatten, rebuild

Location = str | os.PathLike[str]

TREE_KEY = "gyaku.tree"  # in the metadata: the structure of a tree, as JSON
TEMPORARY = ".gyaku-tmp"  # ending of a file that is being written
LOCK_NAME = ".lock"
LINE_LIMIT = 2**20  # bytes of one line of a log


def _failed(action: str, path: Location, error: OSError) -> NoReturn:
    """Raise the one error for whatever the disk refused, in the words of the operating system."""
    reasons = {
        FileNotFoundError: "no such file or folder",
        PermissionError: "no permission",
        IsADirectoryError: "a folder",
    }
    reason = next((text for kind, text in reasons.items() if isinstance(error, kind)), error.strerror or str(error))
    raise DataError(f"{action} {os.fspath(path)}", message=reason) from error


# --- writing ---


@contextlib.contextmanager
def atomic_write(path: Location) -> Iterator[io.BufferedWriter]:
    """Open a binary file for writing that appears under its name whole or not at all.

    The bytes go to a temporary file in the same folder, are forced to the disk, then renamed over ``path``. When the
    block raises, the disk is full or the process dies, the old file is untouched. A file keeps its permissions, and one
    that is read-only is not replaced. Raises ``DataError`` naming the file when the disk refuses.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(f"{folder}/note.txt") as file:
    ...         _ = file.write(b"whole")
    ...     read_bounded(f"{folder}/note.txt", limit=100)
    b'whole'
    """
    target = Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
    if target.exists() and not target.is_file():
        raise DataError(f"write {os.fspath(path)}", "the name of a file", "a folder or device")
    temporary = target.with_name(f".{target.name[:60]}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with open(temporary, "xb") as file:
            _keep_permissions(target, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise  # the block's own trouble with another file
        _failed("write", path, error)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _keep_permissions(old: Path, new: Path) -> None:
    if old.exists():
        if not os.access(old, os.W_OK):
            raise PermissionError
        shutil.copymode(old, new)


def _sync_folder(folder: Path) -> None:
    """Force a rename to the disk. Windows cannot open a folder and does not need it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_bytes_atomic(path: Location, content: bytes) -> None:
    """Write a whole file, or leave the old one. Raises ``DataError``."""
    with atomic_write(path) as file:
        file.write(content)


def write_text_atomic(path: Location, text: str) -> None:
    """Write a whole text file in UTF-8 with the line ends as given, or leave the old one. Raises ``DataError``."""
    write_bytes_atomic(path, text.encode("utf-8"))


def make_folder(path: Location) -> Path:
    """Make a folder and those above it, where missing, and return it. Raises ``DataError``."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _failed("make folder", path, error)
    return Path(path)


# --- reading ---


@contextlib.contextmanager
def _reading(path: Location) -> Iterator[io.BufferedReader]:
    """Open a regular file; a pipe or a device, which may never end, is refused before it is opened."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataError(f"read {os.fspath(path)}", "a file", "a folder or device")
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        _failed("read", path, error)
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"read {short(os.fspath(path))}", "the name of a file", str(error)) from error


def read_bounded(path: Location, limit: int) -> bytes:
    """Return the bytes of a file. Raises ``DataError`` when there are more than ``limit`` or it cannot be read."""
    with _reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(limit + 1) if size <= limit else b""
    if size > limit or len(content) > limit:
        raise DataError(f"read {os.fspath(path)}", f"at most {limit} bytes", f"{max(size, len(content))}")
    return content


# --- logs: one JSON object a line ---


class Log(NamedTuple):
    """The rows of a log, and what stood behind the last whole line (empty, or the torn line of a killed process)."""

    rows: list[dict[str, Any]]
    torn: str


def append_line(path: Location, line: str) -> None:
    """Add one line to a log, in one write; a torn last line, left by a killed process, is cut off first.

    When the disk refuses, what was written of the line is taken back. Raises ``DataError`` naming the file.
    """
    content = line.encode("utf-8") + b"\n"
    if b"\n" in content[:-1] or len(content) > LINE_LIMIT:
        raise DataError(f"write {os.fspath(path)}", f"one line of less than {LINE_LIMIT} bytes", short(line))
    try:
        with open(path, "a+b", buffering=0) as file:
            end = _whole_end(file)
            try:
                if file.write(content) != len(content):
                    raise OSError(0, "the disk took only a part of the line")
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        _failed("write", path, error)


def _whole_end(file: io.FileIO) -> int:
    """Cut a torn last line off and return the size of the file."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - LINE_LIMIT)
    file.seek(start)
    tail = file.read(size - start)
    torn = len(tail) - (tail.rfind(b"\n") + 1)
    if torn:
        file.truncate(size - torn)
    return size - torn


def read_jsonl(path: Location, limit: int = 2**30) -> Log:
    """Read a log of one JSON object a line; a last line without its end is returned as ``torn``, not as a row.

    Raises ``DataError`` naming the line when any other line is no JSON object.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     append_line(f"{folder}/log.jsonl", '{"epoch": 1}')
    ...     read_jsonl(f"{folder}/log.jsonl")
    Log(rows=[{'epoch': 1}], torn='')
    """
    *lines, torn = read_bounded(path, limit).split(b"\n")
    rows = [_row(line, f"read {os.fspath(path)}, line {number}") for number, line in enumerate(lines, start=1)]
    return Log(rows, torn.decode("utf-8", errors="replace"))


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)  # NaN is allowed: a diverged loss is a number to log
    except (ValueError, RecursionError) as error:
        raise DataError(where, "a JSON object", short(line)) from error
    if not isinstance(row, dict):
        raise DataError(where, "a JSON object", short(row))
    return row


# --- one writer a folder ---


@contextlib.contextmanager
def lock_folder(path: Location) -> Iterator[None]:
    """Be the only process that writes a folder while the block runs; the lock ends with the process, however it ends.

    Temporary files that a killed writer left behind are removed. Raises ``DataError`` naming the other process.
    """
    folder = make_folder(path)
    try:
        descriptor = _take_lock(folder / LOCK_NAME)
    except OSError as error:
        _failed("lock", path, error)
    try:
        for leftover in folder.glob(f".*{TEMPORARY}"):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file; an empty lock file harms nobody
            (folder / LOCK_NAME).unlink(missing_ok=True)
        os.close(descriptor)


def _take_lock(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _system_lock(descriptor):
                owner = os.read(descriptor, 200).decode("utf-8", errors="replace")
                hint = "wait for it, or choose another name for this run"
                raise DataError(
                    f"lock {path.parent}", "nobody else writing here", owner or "another process", hint=hint
                )
            if _same_file(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last owner removed the file between our opening and our locking: once more


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _system_lock(descriptor: int) -> bool:
    """Ask the operating system for an exclusive lock, which it takes back when the process dies; False when taken."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(descriptor, 2**30, os.SEEK_SET)  # a byte far behind the text, which others may read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:  # some network file systems have no locks: say so and go on
        warnings.warn(f"this file system has no locks ({error.strerror}); start one run a folder", stacklevel=6)
    return True


# --- arrays ---


def save_arrays(path: Location, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays and strings as one safetensors file, atomically; the same content gives the same bytes.

    Raises ``DtypeError`` for arrays that are not of booleans or numbers, ``DataError`` when the disk refuses.
    """
    where = f"save {os.fspath(path)}"
    ready = {name: _portable(name, array, where) for name, array in arrays.items()}
    ordered = dict(sorted(ready.items(), key=lambda item: -item[1].itemsize))  # every array starts aligned
    plan = {name: (array.dtype.str, array.shape, array.nbytes) for name, array in ordered.items()}
    header = make_header(plan, _strings(metadata or {}, where), where)
    with atomic_write(path) as file:
        file.write(header)
        for array in ordered.values():
            file.write(array.reshape(-1).view(np.uint8).data)


def _portable(name: object, array: object, where: str) -> np.ndarray:
    if not isinstance(name, str) or name == METADATA:
        raise DtypeError(where, f"names that are strings other than {METADATA}", short(name))
    if not isinstance(array, np.ndarray):
        raise DtypeError(where, "NumPy arrays", f"{name}: {type(array).__name__}")
    little = array.dtype.newbyteorder("<")
    if little.str not in DTYPES.values():
        raise DtypeError(where, "arrays of booleans or numbers", f"{name}: {array.dtype}")
    return np.asarray(array, dtype=little, order="C")


def _strings(metadata: Mapping[str, str], where: str) -> dict[str, str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise DtypeError(where, "metadata of strings", f"{short(key)}: {type(value).__name__}")
    return dict(metadata)


def load_arrays(path: Location) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a safetensors file: its arrays, in the order of the file, and its metadata.

    The file is checked in full before any array is made, and takes at most about twice its size in memory. The arrays
    are writable. Raises ``DataError`` naming the file and what is wrong with it.
    """
    where = f"load {os.fspath(path)}"
    with _reading(path) as file:
        raw = file.read(os.fstat(file.fileno()).st_size)
    header = parse_header(raw, where)
    package: Any = require("safetensors.numpy", where=where, extra="all")
    try:
        found = package.load(raw)
    except Exception as error:  # the package has its own checks: whatever it refuses, we refuse
        raise DataError(where, "a safetensors file", short(str(error))) from error
    for name, entry in header.entries.items():
        if entry.dtype == "|b1" and found[name].size and found[name].view(np.uint8).max() > 1:
            raise DataError(where, f"booleans (0 or 1) in {short(name)}", "another byte")
    return {name: found[name] for name in header.entries}, header.metadata


def save_tree(path: Location, tree: object) -> None:
    """Write nested dicts and lists of arrays, numbers, strings, booleans and None as one safetensors file, atomically.

    Integers, floats (also NaN and infinities), empty containers, 0-d arrays and keys that are numbers, booleans or None
    come back exactly; tuples come back as lists and NumPy scalars as 0-d arrays. A flat dict of arrays is a file that
    any safetensors reader understands, under the same names.
    Raises ``DtypeError`` naming the path of anything else (``state.optimizer[0].fn: function``).
    """
    arrays, structure = flatten(tree, f"save {os.fspath(path)}")
    save_arrays(path, arrays, {TREE_KEY: structure})


def load_tree(path: Location) -> Any:
    """Read what ``save_tree`` wrote; from a safetensors file of another maker, its arrays as one flat dict.

    Raises ``DataError`` naming the file and what is wrong with it.
    """
    arrays, metadata = load_arrays(path)
    if TREE_KEY not in metadata:
        return arrays
    return rebuild(metadata[TREE_KEY], arrays, f"load {os.fspath(path)}")


# --- a folder that is this user's alone ---
def private_folder(path: Location) -> Path | None:
    """Return a folder that only this user may enter, made if need be; None where it belongs to others or cannot be."""
    folder = Path(path)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
        if hasattr(os, "getuid"):
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
                return None
            if stat.S_IMODE(about.st_mode) & 0o077:
                folder.chmod(0o700)
    except OSError:
        return None
    return folder


def user_cache() -> Path:
    """Return where this user's caches lie: ``GYAKU_CACHE``, else ``gyaku`` in the system's cache folder."""
    given = os.environ.get("GYAKU_CACHE")
    if given:
        return Path(given)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "gyaku" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gyaku"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gyaku"
