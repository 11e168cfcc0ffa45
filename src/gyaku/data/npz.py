"""NPZ archives of plain arrays: never pickle, and never more memory than the archive can truly hold."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import DataError
from gyaku.data.reading import file_size, looks_like_html, open_file, reason, room

_KINDS = "biufU"


def read_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an NPZ archive by name, in its order.

    Each member's header (shape × item size) is checked against its stored size, and that against the file's true size,
    before anything is allocated. Raises ``DataError`` naming file and member: not a zip, damaged, truncated, objects
    (which would need pickle), double names, or a bomb.
    """
    where = f"read_npz {str(path)!r}"
    with open_file(path, where) as file:
        size = file_size(file)
        start = file.read(16)
        if looks_like_html(start):
            raise DataError(where, "an NPZ archive", "a web page")
        file.seek(0)
        try:
            with zipfile.ZipFile(file) as archive:
                return _members(archive, where, size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(where, "an NPZ archive (a zip of .npy files)", reason(error)) from error
        except (ValueError, MemoryError, OverflowError, UnicodeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(where, "an NPZ archive", f"a damaged one ({reason(error)})") from error


def _members(archive: zipfile.ZipFile, where: str, size: int) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    infos = archive.infolist()
    promised = sum(info.file_size for info in infos)
    if promised > room(size):
        raise DataError(where, f"members of at most {room(size)} bytes", f"{promised}", hint="the file may be a bomb")
    for info in infos:
        name = info.filename.removesuffix(".npy")
        if name in arrays:
            raise DataError(where, "members with different names", f"{name!r} twice")
        arrays[name] = _member(archive, info, f"{where}, member {name!r}")
    if not arrays:
        raise DataError(where, "at least one array", "an empty archive")
    return arrays


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> NDArray[Any]:
    if not info.filename.endswith(".npy"):
        raise DataError(where, "a .npy member", repr(info.filename))
    with archive.open(info) as stream:
        shape, fortran, dtype, header = _header(stream, where)
        _check_dtype(dtype, where)
        promised = math.prod(shape) * dtype.itemsize
        held = info.file_size - header
        if promised != held:
            raise DataError(where, f"{promised} bytes for shape {shape} of {dtype}", f"{held} bytes")
        body = stream.read(promised + 1)
        if len(body) != promised:
            raise DataError(where, f"{promised} bytes", f"{len(body)}")
    flat = np.frombuffer(body, dtype=dtype, count=math.prod(shape)) if promised else np.empty(shape, dtype).ravel()
    array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return np.ascontiguousarray(array.astype(dtype.newbyteorder("="))).reshape(shape)


def _header(stream: Any, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise DataError(where, "npy format 1.0 or 2.0", f"{version[0]}.{version[1]}")
    except (ValueError, SyntaxError, TypeError, RecursionError, UnicodeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(where, "a .npy header", f"a damaged one ({reason(error)})") from error
    if any(n < 0 for n in shape) or len(shape) > 32:
        raise DataError(where, "a shape of at most 32 lengths >= 0", str(shape))
    return shape, fortran, dtype, stream.tell()


def _check_dtype(dtype: np.dtype[Any], where: str) -> None:
    if dtype.hasobject:
        hint = "objects need pickle, which can run code; save numbers or texts"
        raise DataError(where, "numbers or texts", "Python objects", hint=hint)
    if dtype.kind not in _KINDS or dtype.itemsize == 0 and dtype.kind != "U":
        raise DataError(where, "numbers or texts", str(dtype))
