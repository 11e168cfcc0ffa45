"""Reading the header of a safetensors file with suspicion: a file from a stranger is checked before it is used.

The format: eight bytes with the length of the header (little-endian), the header (JSON: name -> dtype, shape,
data_offsets; ``__metadata__`` -> strings), then the bytes of all arrays, one behind the other with no gap.
Source: the safetensors format description, https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, NoReturn

from gyaku.base.errors import DataError

DTYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
METADATA = "__metadata__"
HEADER_LIMIT = 32 * 2**20  # bytes
PIECE_LIMIT = 10**6  # brackets, commas and colons: parsed, each costs up to 100 bytes, whatever the size of the file
DIMENSION_LIMIT = 64  # NumPy's own

_OTHER_FORMATS = (
    (b"PK\x03\x04", "a zip archive (a PyTorch .pt file or an .npz?)", "torch"),
    (b"\x80\x02", "a pickle (a PyTorch .pt file?)", "torch"),
    (b"\x80\x03", "a pickle", "torch"),
    (b"\x80\x04", "a pickle", "torch"),
    (b"\x80\x05", "a pickle", "torch"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x93NUMPY", "a NumPy .npy file", "read it with numpy.load"),
    (b"\x89HDF", "an HDF5 file", "save it again as safetensors"),
    (b"GGUF", "a GGUF file", "save it again as safetensors"),
    (b"<", "an HTML or XML page", "download it again: the server sent a page instead of the file"),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the real file: git lfs pull"),
)
_TORCH_HINT = (
    "files that can run code are never opened; save it from PyTorch: "
    "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
)


class Entry(NamedTuple):
    """Place of one array: NumPy type, shape, and first and last byte behind the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """What a checked header says: arrays in the order written, the strings beside them, and where the bytes start."""

    entries: dict[str, Entry]
    metadata: dict[str, str]
    start: int


def short(value: object, limit: int = 60) -> str:
    """Return ``repr(value)``, cut: a hostile name must not fill the screen.

    >>> short("abc")
    "'abc'"
    """
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def bounded(text: bytes, where: str) -> bytes:
    """Return JSON neither too long nor too rich: parsed, it can take 27 times its size. Raises ``DataError``."""
    pieces = sum(map(text.count, (b"[", b"{", b",", b":"))) if len(text) <= HEADER_LIMIT else 0
    if len(text) > HEADER_LIMIT or pieces > PIECE_LIMIT:
        most = f"names and metadata of at most {HEADER_LIMIT} bytes and {PIECE_LIMIT} values"
        got = f"{pieces} values" if pieces else f"{len(text)} bytes"
        raise DataError(where, most, got, hint="keep long lists of numbers as arrays")
    return text


def strict_json(text: bytes, where: str, what: str) -> Any:
    """Parse JSON, refusing duplicate keys, NaN, nesting without end and what would swell. Raises ``DataError``."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise DataError(where, f"each key of {what} once", f"{short(key)} twice")
            found[key] = value
        return found

    def constant(name: str) -> NoReturn:
        raise DataError(where, f"{what} in strict JSON", name)

    try:
        return json.loads(bounded(text, where).decode("utf-8"), object_pairs_hook=unique, parse_constant=constant)
    except RecursionError as error:
        raise DataError(where, f"{what} in JSON", "brackets nested too deep") from error
    except json.JSONDecodeError as error:
        raise DataError(where, f"{what} in JSON", f"{error.msg} at character {error.pos}") from error
    except DataError:
        raise
    except ValueError as error:  # bytes that are no UTF-8, a number of more than 4300 digits
        raise DataError(where, f"{what} in JSON", str(error)) from error


def refuse_other_formats(first: bytes, where: str) -> None:
    """Raise ``DataError`` with the right hint when the first bytes are those of another well-known format."""
    seen = first.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, name, hint in _OTHER_FORMATS:
        if first.startswith(magic) or (magic == b"<" and seen.startswith(magic)):
            raise DataError(where, "a safetensors file", name, hint=_TORCH_HINT if hint == "torch" else hint)


def parse_header(raw: bytes, where: str) -> Header:
    """Check the whole of a safetensors file in memory and return its header. Raises ``DataError``.

    Every rule of the format is checked here, before any array is made: length, strict JSON, known dtypes, shapes that
    fit their bytes, offsets inside the file, no overlap and no hole.
    """
    start = 8 + _header_length(raw, where)
    if raw[8:9] != b"{":
        refuse_other_formats(raw[:32], where)
        raise DataError(where, "a safetensors header, which starts with '{'", short(raw[8:9]))
    table = strict_json(raw[8:start], where, "the header")
    metadata = _metadata(table.pop(METADATA, {}), where)
    entries = {name: _entry(name, row, len(raw) - start, where) for name, row in table.items()}
    _check_cover(entries, len(raw) - start, where)
    return Header(entries, metadata, start)


def _header_length(raw: bytes, where: str) -> int:
    length = int.from_bytes(raw[:8], "little")
    if length > len(raw) - 8:
        refuse_other_formats(raw[:32], where)
        got = "an empty file" if not raw else f"{len(raw)} bytes, which is shorter than the header it announces"
        raise DataError(
            where, "a whole safetensors file", got, hint="the file is cut off or something else; copy it again"
        )
    return length


def _metadata(table: object, where: str) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise DataError(where, f"{METADATA} to hold strings only", short(table))
    return table


def _entry(name: str, row: object, size: int, where: str) -> Entry:
    if not isinstance(row, dict) or set(row) != {"dtype", "shape", "data_offsets"}:
        raise DataError(where, f"dtype, shape and data_offsets for {short(name)}", short(row))
    dtype, shape, offsets = row["dtype"], row["shape"], row["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        hint = "convert it to float32 where it was made" if dtype in ("BF16", "F8_E4M3", "F8_E5M2") else ""
        raise DataError(where, f"dtype of {short(name)} among {', '.join(DTYPES)}", short(dtype), hint=hint)
    if not _sizes(shape) or len(shape) > DIMENSION_LIMIT:
        raise DataError(where, f"shape of {short(name)} as a list of sizes", short(shape))
    if not _sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= size:
        raise DataError(where, f"data_offsets of {short(name)} inside the {size} bytes of data", short(offsets))
    return _fitting(name, Entry(DTYPES[dtype], tuple(shape), *offsets), where)


def _sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _fitting(name: str, entry: Entry, where: str) -> Entry:
    itemsize = int(entry.dtype[2:])
    needed = math.prod(entry.shape) * itemsize
    if needed != entry.end - entry.begin:
        got = f"{entry.end - entry.begin} bytes"
        raise DataError(where, f"{needed} bytes for {short(name)} of shape {short(entry.shape)}", got)
    if math.prod(size for size in entry.shape if size) * itemsize >= 2**63:  # empty, but too big for NumPy's strides
        raise DataError(where, f"a shape that an array can have for {short(name)}", short(entry.shape))
    return entry


def _check_cover(entries: dict[str, Entry], size: int, where: str) -> None:
    reached = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != reached:
            fault = "overlaps the array before it" if entry.begin < reached else "leaves a hole before it"
            raise DataError(where, "arrays one behind the other", f"{short(name)}, which {fault}")
        reached = entry.end
    if reached != size:
        raise DataError(where, f"{reached} bytes of data", f"{size}", hint="the file is cut off or has bytes added")


def make_header(arrays: dict[str, tuple[str, tuple[int, ...], int]], metadata: dict[str, str], where: str) -> bytes:
    """Return length and JSON for arrays given as ``name -> (NumPy type, shape, number of bytes)``, in that order.

    Written here and not by the safetensors package, whose order of the metadata changes from process to process:
    the same content must give the same bytes.
    """
    names = {numpy: name for name, numpy in DTYPES.items()}
    table: dict[str, Any] = {METADATA: metadata} if metadata else {}
    reached = 0
    for name, (dtype, shape, size) in arrays.items():
        table[name] = {"dtype": names[dtype], "shape": list(shape), "data_offsets": [reached, reached + size]}
        reached += size
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # arrays start on a multiple of eight, as readers that map the file expect
    return len(text).to_bytes(8, "little") + bounded(text, where)
