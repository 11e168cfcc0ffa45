"""IDX files, the format of MNIST: a big-endian header (type, dimensions), then the numbers; plain or gzip.

Gzip is recognised by content, not by name. Nothing is allocated that the header does not promise and the file's true
size cannot hold. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import DataError, DtypeError
from gyaku.data.reading import CHUNK, file_size, looks_like_html, open_file, reason, room

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(code).newbyteorder("="): number for number, code in _TYPES.items()}
_MAX_DIMS = 8


def read_idx(path: str | Path) -> NDArray[Any]:
    """Return the array in an IDX file (uint8, int8, int16, int32, float32 or float64, native byte order).

    Raises ``DataError`` naming file and place: not IDX (a web page, another magic number), truncated, more data than
    the header promises, a damaged gzip stream, or a header that promises more than the file can hold (a bomb).
    """
    where = f"read_idx {str(path)!r}"
    with open_file(path, where) as file:
        size = file_size(file)
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            return _read(file, where, size, exact=True)
        with gzip.GzipFile(fileobj=file) as stream:
            return _read(stream, where, size, exact=False)


def _read(stream: Any, where: str, size: int, *, exact: bool) -> NDArray[Any]:
    try:
        dtype, shape = _header(stream, where)
        promised = math.prod(shape) * dtype.itemsize
        _check_promise(where, promised, size - (4 + 4 * len(shape)) if exact else room(size), exact, shape)
        body = _body(stream, where, promised)
    except (EOFError, zlib.error, OSError) as error:
        hint = "download the file again"
        raise DataError(where, "a whole gzip stream", f"a damaged one ({reason(error)})", hint=hint) from error
    return np.frombuffer(body, dtype=dtype).astype(dtype.newbyteorder("=")).reshape(shape)


def _header(stream: Any, where: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if looks_like_html(stream.peek(64)):
        raise DataError(where, "an IDX file", "a web page", hint="the download gave an error page; download it again")
    magic = stream.read(4)
    if len(magic) < 4:
        raise DataError(where, "a header of at least 4 bytes", f"{len(magic)} bytes")
    if magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= _MAX_DIMS:
        known = "00 00, a type 08..0e, 1 to 8 dimensions"
        raise DataError(where, f"an IDX magic number at byte 0 ({known})", magic.hex(" "))
    dims = stream.read(4 * magic[3])
    if len(dims) < 4 * magic[3]:
        raise DataError(where, f"{magic[3]} dimensions of 4 bytes from byte 4", f"{len(dims)} bytes: truncated")
    return np.dtype(_TYPES[magic[2]]), tuple(int(n) for n in np.frombuffer(dims, dtype=">u4"))


def _check_promise(where: str, promised: int, held: int, exact: bool, shape: tuple[int, ...]) -> None:
    text = f"{promised} bytes for the shape {shape} that the header promises"
    if promised > held and exact:
        raise DataError(where, text, f"{held} bytes: truncated, or a false header")
    if promised > held:
        raise DataError(where, f"data that unfolds to at most {held} bytes", text, hint="the file may be a bomb")
    if promised < held and exact:
        raise DataError(where, text, f"{held} bytes: something follows the data")


def _body(stream: BinaryIO, where: str, promised: int) -> bytearray:
    body = bytearray()
    while len(body) <= promised:  # one byte too many is asked for, to see what follows the data
        block = stream.read(min(CHUNK, promised + 1 - len(body)))
        if not block:
            break
        body += block
    if len(body) < promised:
        raise DataError(where, f"{promised} bytes of data", f"{len(body)}: truncated", hint="download the file again")
    if len(body) > promised:
        raise DataError(where, f"{promised} bytes of data", "more: something follows the data")
    return body


def write_idx(path: str | Path, array: NDArray[Any], *, compress: bool = False) -> None:
    """Write an array as an IDX file, with ``compress`` as gzip (the same bytes every time).

    Raises ``DtypeError`` for a type that IDX lacks (it has uint8, int8, int16, int32, float32, float64).
    """
    x = np.ascontiguousarray(array)
    code = _CODES.get(x.dtype.newbyteorder("="))
    if code is None or not 1 <= x.ndim <= _MAX_DIMS:
        raise DtypeError("write_idx", "1 to 8 dimensions of an IDX type", f"{x.dtype} with {x.ndim} dimensions")
    head = bytes([0, 0, code, x.ndim]) + np.array(x.shape, dtype=">u4").tobytes()
    data = head + x.astype(_TYPES[code]).tobytes()
    Path(path).write_bytes(gzip.compress(data, mtime=0) if compress else data)


def read_idx_pair(images: str | Path, labels: str | Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images (N, H, W) and labels (N,), both uint8.

    Raises ``DataError`` when a file is not what its place says (magic 2051 and 2049) or the counts differ.
    """
    x, t = read_idx(images), read_idx(labels)
    for path, array, dims, magic in ((images, x, 3, 2051), (labels, t, 1, 2049)):
        if array.ndim != dims or array.dtype != np.uint8:
            got = f"{array.dtype} with {array.ndim} dimensions"
            raise DataError(f"read_idx {str(path)!r}", f"magic {magic}: uint8 with {dims} dimensions", got)
    if len(x) != len(t):
        hint = "the two files belong to different parts"
        raise DataError(f"read_idx {str(labels)!r}", f"{len(x)} labels, one for each image", str(len(t)), hint=hint)
    return x, t
