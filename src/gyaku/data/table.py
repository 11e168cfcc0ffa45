"""Tables from CSV, TSV and Parquet files: columns by name, numbers, texts and missing values.

A column is float64 (NaN is missing), int64, or an object array of ``str`` and ``None`` (missing). Codes such as ``007``
and truth values stay the text they are. pandas parses; what it would pass over in silence (rows of another length,
double names, binary files) is refused first, with file and line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import DataError, UnknownNameError, require
from gyaku.data.reading import file_size, open_file, read_bytes, reason, room

Column = NDArray[Any]
Columns = dict[str, Column]
DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": ","}
_ENCODINGS = ("utf-8-sig", "cp932")
_NOT_JAPANESE = re.compile("[\x80\xa0\uf8f0-\uf8f3]")  # what cp932 makes of bytes that mean nothing in it
_LEADING_ZERO = re.compile(r'(?:^|[,;\t\n\r" ])[+-]?0\d')
_FOREIGN = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "save the sheet as CSV (UTF-8)"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV (UTF-8)"),
    b"PAR1": ("a Parquet file", "name it .parquet"),
    b"\x1f\x8b": ("a gzip file", "unpack it first"),
    b"\xff\xfe": ("UTF-16 text", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16 text", "save it as UTF-8"),
}


def read_table(
    path: str | Path, *, encoding: str | None = None, delimiter: str | None = None, text: Sequence[str] = ()
) -> tuple[Columns, list[str]]:
    """Return the columns of a CSV or TSV file in their order, and notes on what was decided on the way.

    ``encoding``: else UTF-8 (with or without BOM), then cp932; ``delimiter``: else from the extension (a header without
    it that has ``;`` or tabs is read by those); ``text``: columns kept as written even where all are numbers. Empty
    cells and pandas' usual words for them (``NA``, ``NaN``, ``null``, ``None``, ...) are missing.

    Raises ``DataError`` with file and line: empty, header only, binary, another encoding, a row of another length, a
    double or missing column name; ``MissingPackageError`` without pandas; ``UnknownNameError`` for names in ``text``.
    """
    where = f"read_table {str(path)!r}"
    content, used = _decode(read_bytes(path, where), where, encoding)
    sep, notes = _separator(content, Path(path).suffix.lower(), delimiter)
    if used == "cp932" and not encoding:
        notes.append("the text is not UTF-8 and was read as cp932 (Shift JIS)")
    names, rows = _checked_lines(content, where, sep)
    for name in text:
        if name not in names:
            raise UnknownNameError(where, name, names, what="column")
    columns = _parse(content, where, sep, names, text)
    if any(len(column) != rows for column in columns.values()):
        raise DataError(where, f"{rows} rows", f"{len(next(iter(columns.values())))} after parsing")
    return _without_index(columns, where, notes), notes


def _decode(raw: bytes, where: str, encoding: str | None) -> tuple[str, str]:
    """Return the text and the encoding it was in."""
    _check_text(raw, where, encoding)
    tried = (encoding,) if encoding else _ENCODINGS
    first: UnicodeError | None = None
    for name in tried:
        try:
            content = raw.decode(name).removeprefix("\ufeff")
            if name == "cp932" and not encoding and (odd := _NOT_JAPANESE.search(content)):
                raise UnicodeError(f"{odd[0]!r} is no Japanese text")
        except UnicodeError as error:
            first = first or error
        except LookupError:
            raise DataError(where, "a known encoding", repr(encoding), hint="use 'utf-8' or 'cp932'") from None
        else:
            _check_zero(content.find("\0"), where)
            return content, name
    expected = f"text in {' or '.join(name.removesuffix('-sig') for name in tried)}"
    raise DataError(where, expected, _place(raw, first), hint="save as UTF-8, or name the encoding") from first


def _place(raw: bytes, error: UnicodeError | None) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return "other bytes"
    line = raw.count(b"\n", 0, error.start) + 1
    return f"byte {raw[error.start]:#04x} in line {line}"


def _check_text(raw: bytes, where: str, encoding: str | None) -> None:
    if not raw.removeprefix(b"\xef\xbb\xbf").strip():
        raise DataError(where, "a line of column names", "an empty file")
    if encoding:
        return
    for start, (what, hint) in _FOREIGN.items():
        if raw.startswith(start):
            raise DataError(where, "a text table", what, hint=hint)
    _check_zero(raw.find(b"\0"), where)


def _check_zero(place: int, where: str) -> None:
    if place >= 0:
        raise DataError(where, "a text table", f"a binary file (a zero byte at byte {place})")


def _separator(content: str, suffix: str, delimiter: str | None) -> tuple[str, list[str]]:
    if delimiter:
        return delimiter, []
    sep = DELIMITERS.get(suffix, ",")
    header = content.lstrip().split("\n", 1)[0]
    other = next((mark for mark in (",", ";", "\t") if mark in header), sep)
    if sep in header or other == sep:
        return sep, []
    return other, [f"fields are separated by {other!r}, not by {sep!r} as the extension says"]


def _checked_lines(content: str, where: str, sep: str) -> tuple[list[str], int]:
    """Return the column names and the number of rows; every row must have as many fields as the header."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=sep, skipinitialspace=True, strict=True)
    names: list[str] = []
    rows = 0
    try:
        for fields in reader:
            if not fields:
                continue
            if not names:
                names = _checked_names(fields, where, reader.line_num)
            elif len(fields) != len(names):
                got = f"{len(fields)} in line {reader.line_num}"
                raise DataError(where, f"{len(names)} fields, as in the header", got, hint="mend or quote that line")
            else:
                rows += 1
    except csv.Error as error:
        raise DataError(where, "rows of quoted or plain fields", f"{error} in line {reader.line_num}") from error
    if not rows:
        raise DataError(where, "at least one row below the column names", "none")
    return names, rows


def _checked_names(fields: Sequence[str], where: str, line: int) -> list[str]:
    names: dict[str, int] = {}
    for position, name in enumerate((field.strip() for field in fields), 1):
        if name in names:
            got = f"{name!r} twice in line {line} (fields {names[name]} and {position})"
            raise DataError(where, "column names that differ", got, hint="rename one of them")
        if not name and position > 1:
            raise DataError(where, "a name for every column", f"none for field {position} in line {line}")
        names[name] = position
    return list(names)


def _parse(content: str, where: str, sep: str, names: list[str], text: Sequence[str]) -> Columns:
    pandas: Any = require("pandas", where=where, extra="tables")

    def read(**options: Any) -> Any:
        try:
            return pandas.read_csv(
                io.StringIO(content, newline=""), sep=sep, header=0, names=names, index_col=False,
                skipinitialspace=True, low_memory=False, **options,
            )  # fmt: skip
        except (ValueError, OverflowError, MemoryError, csv.Error) as error:
            raise DataError(where, "a table", reason(error)) from error

    frame = read(dtype=dict.fromkeys(text, str))
    doubtful = frame.select_dtypes("bool").columns.tolist()
    if _LEADING_ZERO.search(content):
        doubtful += [c for c in frame.columns if frame[c].dtype.kind in "iuf"]
    if not doubtful:
        return columns_of(frame, where)
    written = read(dtype=str, usecols=doubtful)
    codes = [c for c in doubtful if frame[c].dtype.kind == "b" or written[c].str.match(r"\s*[+-]?0\d+\s*$").any()]
    return columns_of(frame.assign(**{c: written[c] for c in codes}), where)


def columns_of(frame: Any, where: str = "columns_of") -> Columns:
    """Return the columns of a pandas table in this module's three kinds. Raises ``DataError`` for nested values."""
    return {str(name): _column(frame[name], f"{where}, column {str(name)!r}") for name in frame.columns}


def _column(series: Any, where: str) -> Column:
    dtype = series.dtype
    kind = getattr(dtype, "kind", "O")
    if kind in "iu" and not series.isna().any() and (not len(series) or int(series.max()) < 2**63):
        return np.asarray(series.to_numpy(dtype=np.int64))
    if kind in "iuf":
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    values, gone = series.to_numpy(dtype=object), series.isna().to_numpy()
    if any(isinstance(v, Decimal) for v in values.tolist()):
        return np.array([np.nan if g else float(v) for v, g in zip(values, gone, strict=True)], dtype=np.float64)
    return text_column(values, gone, where)


def text_column(values: NDArray[Any], missing: NDArray[Any], where: str) -> Column:
    """Return an object array of ``str``, ``None`` where ``missing``. Raises ``DataError`` for nested values."""
    out = np.empty(len(values), dtype=object)
    for row, (value, gone) in enumerate(zip(values.tolist(), missing.tolist(), strict=True)):
        if not gone and isinstance(value, (list, dict, tuple, set, bytes, np.ndarray)):
            raise DataError(where, "one number or text per cell", f"{type(value).__name__} in row {row + 1}")
        out[row] = None if gone else str(value)
    return out


def _without_index(columns: Columns, where: str, notes: list[str]) -> Columns:
    """Leave out a nameless first column that only counts the rows, as pandas and R write it."""
    if "" not in columns:
        return columns
    first = columns[""]
    if first.dtype.kind != "i" or not np.array_equal(first - first[0], np.arange(len(first))) or len(columns) == 1:
        raise DataError(where, "a name for every column", "none for field 1", hint="name it in the first line")
    notes.append("the first column has no name and counts the rows: left out")
    return {name: column for name, column in columns.items() if name}


def read_parquet(path: str | Path) -> tuple[Columns, list[str]]:
    """Return the columns of a Parquet file, and notes.

    Raises ``DataError`` for a damaged file or one that would unfold beyond its size; ``MissingPackageError`` without
    pyarrow and pandas (extra ``parquet``).
    """
    where = f"read_parquet {str(path)!r}"
    arrow: Any = require("pyarrow", where=where, extra="parquet")
    parquet: Any = require("pyarrow.parquet", where=where, extra="parquet")
    require("pandas", where=where, extra="parquet")
    with open_file(path, where) as file:
        size = file_size(file)
        try:
            reader = parquet.ParquetFile(file)
            _check_parquet(reader, where, size)
            frame = reader.read().to_pandas(ignore_metadata=True)
        except (arrow.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(where, "a Parquet file", f"a damaged one ({reason(error)})") from error
    _checked_names([str(name) for name in frame.columns], where, 1)
    if not len(frame):
        raise DataError(where, "at least one row", "none")
    return columns_of(frame.drop(columns=_index_columns(frame.columns)), where), []


def _check_parquet(reader: Any, where: str, size: int) -> None:
    meta = reader.metadata
    groups: Iterable[int] = range(meta.num_row_groups)
    promised = max(8 * meta.num_rows * meta.num_columns, sum(meta.row_group(g).total_byte_size for g in groups))
    if promised > room(size, factor=1000) or promised < 0:  # run lengths make Parquet far denser than gzip
        raise DataError(where, f"at most {room(size, factor=1000)} bytes of numbers", f"{promised} promised")


def _index_columns(names: Iterable[Any]) -> list[Any]:
    return [name for name in names if str(name).startswith("__index_level_")]
