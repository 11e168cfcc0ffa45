"""CSV, TSV and Parquet: encodings, names, numbers, categories, missing cells; and what is refused, with its line."""

from __future__ import annotations

import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyaku.base.errors import DataError, MissingPackageError, UnknownNameError
from gyaku.data import load, read_parquet, read_table

pytest.importorskip("pandas")


def read(tmp_path: Path, content: str | bytes, name: str = "a.csv", **options: Any) -> tuple[dict[str, Any], list[str]]:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    columns, notes = read_table(path, **options)
    return {key: column.tolist() for key, column in columns.items()}, notes


def refusal(tmp_path: Path, text: str | bytes, name: str = "a.csv", **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text, name, **options)
    assert name in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


JAPANESE = "番号,都市,売上\n1,東京,1.5\n2,大阪,\n3,,2.5\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_japanese_names_in_three_encodings(tmp_path: Path, encoding: str, newline: str) -> None:
    columns, notes = read(tmp_path, JAPANESE.replace("\n", newline).encode(encoding))
    assert list(columns) == ["番号", "都市", "売上"]
    assert columns["番号"] == [1, 2, 3] and columns["都市"] == ["東京", "大阪", None]
    assert columns["売上"][0] == 1.5 and np.isnan(columns["売上"][1])
    assert bool(notes) == (encoding == "cp932")


def test_a_named_encoding_is_the_only_one_tried(tmp_path: Path) -> None:
    assert "text in utf-8, got byte 0x94 in line 1" in refusal(tmp_path, JAPANESE.encode("cp932"), encoding="utf-8")
    assert read(tmp_path, JAPANESE.encode("utf-16"), encoding="utf-16")[0]["番号"] == [1, 2, 3]
    assert read(tmp_path, JAPANESE.encode("utf-8-sig"), encoding="utf-8")[0]["番号"] == [1, 2, 3]
    assert "a known encoding, got 'utf8-jp'" in refusal(tmp_path, "a\n1\n", encoding="utf8-jp")


def test_bytes_in_no_known_encoding_name_their_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, b"a,b\n1,2\ncaf\xe9,3\n")
    assert "expected text in utf-8 or cp932, got byte 0xe9 in line 3. Hint: save as UTF-8" in message
    assert "line 2" in refusal(tmp_path, b"a,b\n\xff\xfe\xfd,2\n")


@pytest.mark.parametrize(("name", "sep"), [("a.csv", ","), ("a.tsv", "\t"), ("a.TAB", "\t"), ("a.txt", ",")])
def test_delimiter_from_the_extension(tmp_path: Path, name: str, sep: str) -> None:
    assert read(tmp_path, f"a{sep}b\n1{sep}x y\n", name) == ({"a": [1], "b": ["x y"]}, [])


def test_other_delimiters(tmp_path: Path) -> None:
    columns, notes = read(tmp_path, "a;b\n1;2,5\n")
    assert columns == {"a": [1], "b": ["2,5"]} and "';'" in notes[0]
    assert read(tmp_path, "a|b\n1|2\n", delimiter="|")[0] == {"a": [1], "b": [2]}
    assert read(tmp_path, "a\n1\n2\n")[0] == {"a": [1, 2]}


def test_kinds_of_columns(tmp_path: Path) -> None:
    text = "i,f,gap,s,code,flag,big,neg\n1,1.5,,x,007,TRUE,9007199254740993,-1e3\n2,2,3,NA,010,FALSE,1,+2\n"
    columns, _ = read(tmp_path, text)
    assert columns["i"] == [1, 2] and columns["f"] == [1.5, 2.0] and columns["s"] == ["x", None]
    assert np.isnan(columns["gap"][0]) and columns["gap"][1] == 3.0
    assert columns["code"] == ["007", "010"], "leading zeros are a code, not a number"
    assert columns["flag"] == ["TRUE", "FALSE"], "truth values stay as written"
    assert columns["big"] == [9007199254740993, 1] and columns["neg"] == [-1000.0, 2.0]


def test_a_few_numbers_with_a_zero_in_front_do_not_change_the_others(tmp_path: Path) -> None:
    columns, _ = read(tmp_path, "a,b,t\n0.5,01,09:30\n1.5,2,10:00\n")
    assert columns == {"a": [0.5, 1.5], "b": ["01", "2"], "t": ["09:30", "10:00"]}


def test_text_columns_stay_as_written(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n1.50,1\n2,2\n", text=["a"])[0] == {"a": ["1.50", "2"], "b": [1, 2]}
    with pytest.raises(UnknownNameError, match="did you mean 'alpha'"):
        read(tmp_path, "alpha\n1\n", text=["alpa"])


def test_quotes_blanks_and_empty_lines(tmp_path: Path) -> None:
    columns, _ = read(tmp_path, 'a, b\n"x, y",  1\n\n"line\nbreak",2\n"say ""hi""",3\n')
    assert columns == {"a": ["x, y", "line\nbreak", 'say "hi"'], "b": [1, 2, 3]}


def test_nameless_counter_is_left_out(tmp_path: Path) -> None:
    columns, notes = read(tmp_path, ",a\n0,5\n1,6\n")
    assert columns == {"a": [5, 6]} and "left out" in notes[0]
    assert "none for field 1" in refusal(tmp_path, ",a\n7,5\n1,6\n")
    assert "none for field 2 in line 1" in refusal(tmp_path, "a,,b\n7,5,1\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a line of column names, got an empty file"),
        ("\ufeff\n \n", "expected a line of column names, got an empty file"),
        ("a,b\n", "expected at least one row below the column names, got none"),
        ("a,b\n1,2\n1,2,3\n", "expected 2 fields, as in the header, got 3 in line 3"),
        ("a,b\n1,2\n\n1\n", "expected 2 fields, as in the header, got 1 in line 4"),
        ("a,b,a\n1,2,3\n", "got 'a' twice in line 1 (fields 1 and 3). Hint: rename one of them"),
        ("a, a\n1,2\n", "'a' twice"),
        ('a,b\n1,"2\n3,4\n', "unexpected end of data in line"),
        ('a,b\n1,"2"x\n', "',' expected after '\"' in line 2"),
        (b"a,b\n1,\x002\n", "a binary file (a zero byte at byte 6)"),
        (b"\xff\xfea\0,\0b\0", "got UTF-16 text. Hint: save it as UTF-8"),
        (b"PK\x03\x04\x14\0", "got a zip archive or an Excel workbook. Hint: save the sheet as CSV (UTF-8)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"\x1f\x8b\x08\0", "a gzip file. Hint: unpack it first"),
    ],
)
def test_refusals_name_file_and_place(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert message in refusal(tmp_path, content)


@given(content=st.one_of(st.binary(max_size=60), st.text(st.sampled_from('a1,\n\r"; \t0.é東'), max_size=40)))
def test_no_bytes_do_anything_but_load_or_be_refused(
    content: bytes | str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "fuzz.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        columns, _ = read_table(path)
    except DataError as error:
        assert "fuzz.csv" in str(error)
    else:
        assert len({len(column) for column in columns.values()}) == 1
        assert all(column.dtype.kind in "ifO" for column in columns.values())


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff", exclude_categories=["Cs", "Cc"]), max_size=5)


@given(rows=st.lists(st.tuples(CELL, st.integers(-(2**40), 2**40), st.floats(-1e30, 1e30)), min_size=1, max_size=8))
def test_tables_round_trip(rows: list[tuple[str, int, float]], tmp_path_factory: pytest.TempPathFactory) -> None:
    quoted = [f'"x{text.replace(chr(34), 2 * chr(34))}",{i},{f!r}' for text, i, f in rows]
    columns, _ = read(tmp_path_factory.mktemp("csv"), "\n".join(["文字,i,f", *quoted]))
    assert columns["文字"] == ["x" + text for text, _, _ in rows]
    assert columns["i"] == [i for _, i, _ in rows] and columns["f"] == [f for _, _, f in rows]


def test_without_pandas_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match=r"Hint: pip install 'gyaku\[tables\]'"):
        read(tmp_path, "a\n1\n")


def parquet(tmp_path: Path, columns: dict[str, Any]) -> Path:
    pyarrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    files.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def test_parquet(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"番号": [1, 2], "x": [1.5, None], "s": ["東", None], "b": [True, False], "n": [1, None]})
    columns, notes = read_parquet(path)
    found = {name: column.tolist() for name, column in columns.items()}
    assert found["番号"] == [1, 2] and found["s"] == ["東", None] and found["b"] == ["True", "False"] and notes == []
    assert found["x"][0] == 1.5 and np.isnan(found["x"][1]) and np.isnan(found["n"][1])
    assert load(path, target="s").target == "s"


def test_parquet_decimals_and_dates(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"d": [Decimal("1.50"), None], "t": [datetime(2026, 1, 31, 9), None]})
    columns = load(path).columns
    assert (
        columns["d"][0] == 1.5 and np.isnan(columns["d"][1]) and columns["t"].tolist() == ["2026-01-31 09:00:00", None]
    )


def test_parquet_refusals(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one number or text per cell, got ndarray in row 1"):
        read_parquet(parquet(tmp_path, {"x": [[1, 2]]}))
    with pytest.raises(DataError, match="at least one row"):
        read_parquet(parquet(tmp_path, {"x": []}))
    with pytest.raises(DataError, match="bytes of numbers, got .* promised"):
        read_parquet(parquet(tmp_path, {"x": np.zeros(20_000_000, dtype=np.int8)}))  # 160 MB as numbers, 10 kB stored
    path = parquet(tmp_path, {"x": [1, 2, 3]})
    whole = path.read_bytes()
    for content in (b"", whole[:-5], whole[8:], b"PAR1" + bytes(40) + b"PAR1", whole[:20] + bytes(9) + whole[29:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="a.parquet"):
            read_parquet(path)
