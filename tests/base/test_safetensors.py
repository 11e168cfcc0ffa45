"""Arrays and trees come back exactly; whatever is wrong with a file is one DataError that names it."""

from __future__ import annotations

import gzip
import io
import json
import math
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gyaku.base.errors import DataError, DtypeError
from gyaku.base.files import TREE_KEY, load_arrays, load_tree, save_arrays, save_tree
from gyaku.base.header import DTYPES, HEADER_LIMIT, PIECE_LIMIT

Header = dict[str, Any]


def same(one: object, other: object) -> bool:
    """Equal in type, order and bits."""
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=True)  # type: ignore[attr-defined]
        return len(one) == len(other) and all(same(a, b) and same(x, y) for (a, x), (b, y) in pairs)  # type: ignore[arg-type]
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))  # type: ignore[arg-type]
    return repr(one) == repr(other)


def raw_file(path: Path, header: Header | str | bytes, data: bytes = b"", length: int | None = None) -> Path:
    text = json.dumps(header) if isinstance(header, dict) else header
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(struct.pack("<Q", len(content) if length is None else length) + content + data)
    return path


def row(dtype: str = "F32", shape: object = (1,), offsets: object = (0, 4), **more: object) -> Header:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


# --- arrays ---


@pytest.mark.parametrize("dtype", sorted(DTYPES.values()))
def test_every_type_of_number_comes_back(tmp_path: Path, dtype: str) -> None:
    given_arrays = {
        "a": np.arange(6).astype(dtype).reshape(2, 3),
        "scalar": np.ones((), dtype),
        "none": np.ones((0, 3), dtype),
    }
    save_arrays(tmp_path / "a", given_arrays, {"名": "値", "k": ""})
    found, metadata = load_arrays(tmp_path / "a")
    assert same(found, given_arrays) and metadata == {"名": "値", "k": ""}
    assert all(array.flags.writeable for array in found.values())


def test_views_and_foreign_byte_order(tmp_path: Path) -> None:
    base = np.arange(12.0).reshape(3, 4)
    base.flags.writeable = False
    save_arrays(
        tmp_path / "a", {"T": base.T, "step": base[::2, ::-1], "big": base.astype(">f8"), "F": np.asfortranarray(base)}
    )
    found, _ = load_arrays(tmp_path / "a")
    assert same(found["T"], base.T.copy()) and same(found["step"], base[::2, ::-1].copy())
    assert same(found["big"], base) and same(found["F"], base)


def test_the_safetensors_package_reads_ours_and_we_read_its(tmp_path: Path) -> None:
    given_arrays = {"byte": np.arange(3, dtype=np.uint8), "w": np.arange(4.0), "bool": np.array([True, False])}
    save_arrays(tmp_path / "ours", given_arrays, {"k": "v"})
    with safetensors.safe_open(tmp_path / "ours", "numpy") as file:
        assert file.metadata() == {"k": "v"}
    theirs = safetensors.numpy.load_file(tmp_path / "ours")
    assert all(same(theirs[name], given_arrays[name]) for name in given_arrays)
    safetensors.numpy.save_file(given_arrays, tmp_path / "theirs", {"k": "v"})
    found, metadata = load_arrays(tmp_path / "theirs")
    assert metadata == {"k": "v"} and all(same(found[name], given_arrays[name]) for name in given_arrays)


def test_each_array_starts_aligned(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a", {"x": np.ones(3, np.uint8), "y": np.ones(1), "z": np.ones(1, np.float16)})
    content = (tmp_path / "a").read_bytes()
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    assert [table[name]["data_offsets"][0] % size for name, size in (("x", 1), ("y", 8), ("z", 2))] == [0, 0, 0]


def test_the_same_content_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from gyaku.base.files import save_arrays, save_tree; "
        "save_arrays(sys.argv[1], {f'w{i}': np.ones(i) for i in range(9)}, {f'k{i}': 'v' for i in range(9)}); "
        "save_tree(sys.argv[2], {'a': [{'b': np.ones(2)}], 'c': 1.5})"
    )
    seen = set()
    for seed in ("0", "1", "2"):
        files = (tmp_path / f"a{seed}", tmp_path / f"b{seed}")
        subprocess.run([sys.executable, "-c", code, *files], env={"PYTHONHASHSEED": seed}, check=True, timeout=60)
        seen.add(files[0].read_bytes() + files[1].read_bytes())
    assert len(seen) == 1


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([1j]), np.zeros(1, "M8[s]"), [1.0], 1.0])
def test_what_is_no_array_of_numbers_is_refused_and_nothing_is_written(tmp_path: Path, array: Any) -> None:
    with pytest.raises(DtypeError, match="save .*a: expected .*, got w: "):
        save_arrays(tmp_path / "a", {"w": array})
    assert list(tmp_path.iterdir()) == []


def test_names_and_metadata_are_strings(tmp_path: Path) -> None:
    for names, metadata in (({1: np.ones(1)}, {}), ({"__metadata__": np.ones(1)}, {}), ({}, {"k": 1}), ({}, {1: "v"})):
        with pytest.raises(DtypeError):
            save_arrays(tmp_path / "a", names, metadata)  # type: ignore[arg-type]


# --- malformed files ---

BAD_HEADERS = {
    "not JSON": ("{", "header in JSON"),
    "no object": ("[]  ", "starts with '{'"),
    "not UTF-8": (b'{"\xff":1}', "header in JSON"),
    "UTF-16": (b"{\0}\0", "header in JSON"),
    "duplicate array": ('{"a":%s,"a":%s}' % ((json.dumps(row()),) * 2), "each key of the header once, got 'a' twice"),
    "duplicate inside": ('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "'dtype' twice"),
    "duplicate metadata": ('{"__metadata__":{"k":"1","k":"2"}}', "'k' twice"),
    "NaN": ('{"a":NaN}', "strict JSON, got NaN"),
    "deep": ('{"a":' + "[" * 200_000, "nested too deep"),
    "many digits": ('{"a":' + "9" * 5000 + "}", "header in JSON"),
    "metadata of numbers": ('{"__metadata__":{"k":1}}', "strings only"),
    "metadata a list": ('{"__metadata__":[]}', "strings only"),
    "entry no object": ('{"a":1}', "dtype, shape and data_offsets for 'a', got 1"),
    "entry with more": (json.dumps({"a": row(code="import os")}), "dtype, shape and data_offsets"),
    "entry with less": ('{"a":{"dtype":"F32"}}', "dtype, shape and data_offsets"),
    "unknown dtype": (json.dumps({"a": row("Q9")}), "dtype of 'a' among BOOL"),
    "dtype a list": (json.dumps({"a": row(["F32"])}), "dtype of 'a' among"),  # type: ignore[arg-type]
    "bfloat16": (json.dumps({"a": row("BF16", [2])}), "Hint: convert it to float32"),
    "shape a number": (json.dumps({"a": row(shape=1)}), "list of sizes"),
    "negative shape": (json.dumps({"a": row(shape=[-1, -1])}), "list of sizes"),
    "float shape": (json.dumps({"a": row(shape=[1.0])}), "list of sizes"),
    "bool shape": (json.dumps({"a": row(shape=[True])}), "list of sizes"),
    "huge shape": (json.dumps({"a": row(shape=[2**64])}), "list of sizes"),
    "overflowing shape": (json.dumps({"a": row(shape=[2**62, 4])}), "got 4 bytes"),
    "overflowing empty": (
        json.dumps({"a": row(shape=[0, 2**62, 2**62], offsets=[0, 0])}),
        "a shape that an array can have",
    ),
    "many dimensions": (json.dumps({"a": row(shape=[1] * 65)}), "list of sizes"),
    "offsets of one": (json.dumps({"a": row(offsets=[0])}), "inside the 4 bytes"),
    "offsets backward": (json.dumps({"a": row(offsets=[4, 0])}), "inside the 4 bytes"),
    "offsets outside": (json.dumps({"a": row(offsets=[0, 8])}), "inside the 4 bytes"),
    "negative offsets": (json.dumps({"a": row(offsets=[-4, 0])}), "inside the 4 bytes"),
    "too few bytes": (json.dumps({"a": row(shape=[2])}), "expected 8 bytes for 'a' of shape"),
    "hole at the end": (json.dumps({"a": row("U8", [1], [0, 1])}), "expected 1 bytes of data, got 4"),
    "hole at the start": (json.dumps({"a": row("U8", [1], [3, 4])}), "'a', which leaves a hole"),
    "overlap": (json.dumps({"a": row(), "b": row()}), "'b', which overlaps"),
    "hole between": (
        json.dumps({"a": row("U8", [1], [0, 1]), "b": row("U8", [1], [3, 4])}),
        "'b', which leaves a hole",
    ),
    "hidden bytes": ("{}", "expected 0 bytes of data, got 4"),
    "long name": (json.dumps({"n" * 10_000: 1}), r"for 'nnn.{0,80}\.\.\., got 1"),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_a_malformed_header_is_one_clear_error(tmp_path: Path, case: str) -> None:
    header, said = BAD_HEADERS[case]
    with pytest.raises(DataError, match=said) as caught:
        load_arrays(raw_file(tmp_path / "model.safetensors", header, b"\0\0\0\0"))
    text = str(caught.value)
    assert text.startswith(f"load {tmp_path / 'model.safetensors'}: ") and len(text) < 700 and "\n" not in text


def torch_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\n")


def npy_bytes() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


OTHER_FILES = {
    "empty": (lambda path: path.touch(), "got an empty file"),
    "short": (lambda path: path.write_bytes(b"\x02\0\0"), "got 3 bytes, which is shorter"),
    "torch": (torch_file, "got a zip archive .*Hint: files that can run code are never opened; .*save_file"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "got a pickle"),
    "old torch": (
        lambda path: path.write_bytes(pickle.dumps(119547037146038801333356, protocol=2)),
        "got a pickle .a PyTorch",
    ),
    "npy": (lambda path: path.write_bytes(npy_bytes()), "got a NumPy .npy file"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"x" * 100)), "got a gzip archive"),
    "HTML": (
        lambda path: path.write_text("\n<!DOCTYPE html><html>Not found</html>"),
        "got an HTML .*Hint: download it again",
    ),
    "HTML with BOM": (lambda path: path.write_text("\ufeff<html></html>", encoding="utf-8"), "got an HTML"),
    "LFS": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "Hint: fetch the real file"),
    "text": (lambda path: path.write_text("a,b,c\n1,2,3\n" * 10), "expected a whole safetensors file"),
    "huge header": (
        lambda path: path.write_bytes(struct.pack("<Q", 2**63) + b"{}"),
        "shorter than the header it announces",
    ),
}


@pytest.mark.parametrize("case", OTHER_FILES)
def test_another_kind_of_file_is_recognised(tmp_path: Path, case: str) -> None:
    write, said = OTHER_FILES[case]
    write(tmp_path / "a.pt")
    for load in (load_arrays, load_tree):
        with pytest.raises(DataError, match=said):
            load(tmp_path / "a.pt")


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    save_tree(tmp_path / "a", {"w": np.arange(3.0), "step": 7})
    whole = (tmp_path / "a").read_bytes()
    for end in range(len(whole)):
        (tmp_path / "b").write_bytes(whole[:end])
        with pytest.raises(DataError):
            load_tree(tmp_path / "b")
    (tmp_path / "b").write_bytes(whole + b"\0")
    with pytest.raises(DataError, match="has bytes added"):
        load_tree(tmp_path / "b")


def test_a_header_over_the_limit_is_neither_written_nor_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Hint: keep long lists of numbers as arrays"):
        save_arrays(tmp_path / "a", {}, {"k": "x" * HEADER_LIMIT})
    raw_file(tmp_path / "a", "{" + " " * HEADER_LIMIT + "}")
    with pytest.raises(
        DataError, match=f"at most {HEADER_LIMIT} bytes and {PIECE_LIMIT} values, got {HEADER_LIMIT + 2} b"
    ):
        load_arrays(tmp_path / "a")


def test_a_tree_of_too_many_numbers_is_not_written(tmp_path: Path) -> None:
    save_tree(tmp_path / "a", {"losses": [1] * (PIECE_LIMIT - 20)})
    assert len(load_tree(tmp_path / "a")["losses"]) == PIECE_LIMIT - 20
    with pytest.raises(DataError, match="values.*Hint: keep long lists of numbers as arrays"):
        save_tree(tmp_path / "a", {"losses": [1] * (PIECE_LIMIT + 1)})
    assert len(load_tree(tmp_path / "a")["losses"]) == PIECE_LIMIT - 20


@pytest.mark.parametrize("filling", [b"[],", b"{},", b"[[]],", b"1,", b'"":0,'])
def test_a_header_that_swells_when_parsed_is_not_parsed(tmp_path: Path, filling: bytes) -> None:
    text = b'{"a":[' + filling * (4 * 2**20 // len(filling)) + b"0]}"
    assert peak(raw_file(tmp_path / "a", text)) < 2.5 * len(text)


def test_a_boolean_is_zero_or_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"booleans \(0 or 1\) in 'a'"):
        load_arrays(raw_file(tmp_path / "a", {"a": row("BOOL", [4], [0, 4])}, b"\0\1\2\1"))


VALID = {
    "w": np.arange(12, dtype=np.float32).reshape(3, 4),
    "m": [np.array([True, False]), {"n": np.arange(3)}],
    "k": 1.5,
}


@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=8),
    early=st.booleans(),
)
def test_flipped_bits_raise_nothing_but_a_data_error(
    tmp_path_factory: Any, flips: list[tuple[float, int]], early: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    save_tree(folder / "valid", VALID)
    content = bytearray((folder / "valid").read_bytes())
    reach = 8 + int.from_bytes(content[:8], "little") if early else len(content)
    for place, bit in flips:
        content[int(place * reach)] ^= 1 << bit
    (folder / "flipped").write_bytes(content)
    for load in (load_tree, load_arrays):
        try:
            load(folder / "flipped")
        except DataError as error:
            assert "flipped" in str(error)


@given(content=st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_a_data_error(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random"
    for prefix in (b"", struct.pack("<Q", len(content)), struct.pack("<Q", len(content) + 1) + b"{"):
        path.write_bytes(prefix + content)
        with pytest.raises(DataError):
            load_arrays(path)


def test_memory_stays_near_twice_the_file(tmp_path: Path) -> None:
    size = 8 * 2**20
    save_arrays(tmp_path / "a", {"a": np.zeros(size // 8), "b": np.zeros(size, np.uint8)})
    assert peak(tmp_path / "a") < 2.2 * 2 * size
    announced = {"a": row("F64", [2**40], [0, 2**43])}  # eight terabytes
    with pytest.raises(DataError):
        load_arrays(raw_file(tmp_path / "b", announced, b"\0" * size))
    assert peak(tmp_path / "b") < 1.5 * size
    with (tmp_path / "c").open("wb") as file:  # announces a header of 2^62 bytes
        file.write(struct.pack("<Q", 2**62) + b"{" * size)
    assert peak(tmp_path / "c") < 1.5 * size


def peak(path: Path) -> int:
    tracemalloc.start()
    try:
        load_arrays(path)
    except DataError:
        pass
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most


def test_a_structure_that_hides_its_brackets_is_not_parsed(tmp_path: Path) -> None:
    hidden = ("[" + "[]," * (PIECE_LIMIT // 2) + "0]").replace("[", "\\u005b").replace(",", "\\u002c")
    raw_file(tmp_path / "a", '{"__metadata__":{"' + TREE_KEY + '":"' + hidden + '"}}')
    with pytest.raises(DataError, match="got 1000001 values"):
        load_tree(tmp_path / "a")


# --- trees ---

TREE = {
    "none": None,
    "yes": True,
    "one": 1,
    "one point": 1.0,
    "minus zero": -0.0,
    "big": 2**200,
    "tiny": 5e-324,
    "third": 1 / 3,
    "nan": math.nan,
    "inf": [math.inf, -math.inf],
    "text": "逆\n\0\ud800",
    "empty": [{}, [], "", np.zeros((0, 2))],
    "keys": {1: "a", "1": "b", None: "c", 2.5: "d", math.inf: "e", False: "f"},
    "$array": "no mark",
    "dollar": {"$float": "nan"},
    "array": np.float32([1, 2]),
    "zero": np.array(3),
    "a": {"b": np.ones(1)},
    "a.b": np.zeros(1),
    "__metadata__": np.ones(2),
    "adam": {"state": {0: {"m": np.ones((2, 2)), "step": 3}}, "groups": [{"lr": 0.1, "params": [0, 1]}]},
}


def test_a_tree_comes_back_exactly(tmp_path: Path) -> None:
    save_tree(tmp_path / "a", TREE)
    assert same(load_tree(tmp_path / "a"), TREE)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | arrays(st.sampled_from(sorted(DTYPES.values())), array_shapes(min_dims=0, min_side=0, max_side=3))
)
keys = (
    st.text() | st.integers() | st.floats(allow_nan=False) | st.none() | st.sampled_from(["$array", "$items", "$float"])
)
trees = st.recursive(
    leaves, lambda sub: st.lists(sub, max_size=4) | st.dictionaries(keys, sub, max_size=4), max_leaves=12
)


@given(tree=trees)
def test_any_tree_comes_back_exactly(tmp_path_factory: Any, tree: object) -> None:
    path = tmp_path_factory.getbasetemp() / "tree"
    save_tree(path, tree)
    assert same(load_tree(path), tree)


def test_what_changes_its_kind_is_as_documented(tmp_path: Path) -> None:
    save_tree(tmp_path / "a", {"t": (1, (2,)), "s": np.float32(1.5), "f": np.float64(2), "o": OrderedDict(a=1)})
    found = load_tree(tmp_path / "a")
    assert same(found, {"t": [1, [2]], "s": np.array(1.5, np.float32), "f": np.array(2.0), "o": {"a": 1}})


def test_names_of_arrays_are_their_paths(tmp_path: Path) -> None:
    save_tree(tmp_path / "a", {"0.weight": np.ones(1), "optimizer": [{"m": np.ones(1)}, {1: np.ones(1)}]})
    assert set(load_arrays(tmp_path / "a")[0]) == {"0.weight", "optimizer[0].m", "optimizer[1][1]"}
    save_tree(tmp_path / "a", np.ones(1))
    assert set(load_arrays(tmp_path / "a")[0]) == {"array"}


def test_the_structure_is_readable_json(tmp_path: Path) -> None:
    save_tree(tmp_path / "a", {"w": np.ones(1), "lr": [0.1, math.inf], "state": {0: None}})
    text = load_arrays(tmp_path / "a")[1][TREE_KEY]
    assert text == '{"w":{"$array":"w"},"lr":[0.1,{"$float":"inf"}],"state":{"$items":[[0,null]]}}'


def test_a_file_of_another_maker_is_a_flat_dict(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"0.weight": np.ones(2)}, tmp_path / "a", {"format": "pt"})
    assert same(load_tree(tmp_path / "a"), {"0.weight": np.ones(2)})


class Odd(int):
    pass


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (
            {"state": {"optimizer": [{"fn": test_a_tree_comes_back_exactly}]}},
            r"got state\.optimizer\[0\]\.fn: function",
        ),
        (object(), "got the object itself: object"),
        ([1, {2, 3}], r"got \[1\]: set"),
        ({"a": {(1, 2): 3}}, "got key of a: tuple"),
        ({"a": 1j}, "got a: complex"),
        ({"a": Odd(1)}, "got a: Odd"),
        ({"a": b"bytes"}, "got a: bytes"),
        ({"a": 10**5000}, "got a: an integer of too many digits"),
        ({"a": np.array(["x"])}, "got a: <U1"),
    ],
)
def test_anything_else_is_refused_with_its_path(tmp_path: Path, tree: object, said: str) -> None:
    with pytest.raises(DtypeError, match=said):
        save_tree(tmp_path / "a", tree)
    assert list(tmp_path.iterdir()) == []


def test_a_tree_inside_itself_is_refused(tmp_path: Path) -> None:
    tree: list[object] = []
    tree.append(tree)
    with pytest.raises(DataError, match="does it contain itself"):
        save_tree(tmp_path / "a", tree)


@pytest.mark.parametrize(
    ("structure", "said"),
    [
        ("{", "the structure in JSON"),
        ('{"a":1,"a":2}', "'a' twice"),
        ('{"$array":"other"}', "a structure written by Gyaku"),
        ('[{"$array":"w"},{"$array":"w"}]', "a structure written by Gyaku"),
        ('{"$array":1}', "a structure written by Gyaku"),
        ('{"$array":[]}', "a structure written by Gyaku"),
        ('{"$pickle":"w"}', "a structure written by Gyaku"),
        ('{"$pickle":"nan"}', "a structure written by Gyaku"),
        ('{"$pickle":[[1,2]]}', "a structure written by Gyaku"),
        ('{"$array":"w","b":1}', "a structure written by Gyaku"),
        ('{"$float":"1"}', "a structure written by Gyaku"),
        ('{"$items":[[[1],2]]}', "a structure written by Gyaku"),
        ('{"$items":[],"a":1}', "a structure written by Gyaku"),
        ('{"$items":1}', "a structure written by Gyaku"),
        ('{"$items":[1]}', "a structure written by Gyaku"),
        ('{"$items":[[1]]}', "a structure written by Gyaku"),
        ('{"$items":[[1,2,3]]}', "a structure written by Gyaku"),
        ('{"$items":[[{"a":1},2]]}', "a structure written by Gyaku"),
        ('{"$items":[[{"$array":"w"},2]]}', "a structure written by Gyaku"),
        ('{"$items":[[1,2],[1,3]]}', "a structure written by Gyaku"),
        ('{"$items":[[{"$float":1},3]]}', "a structure written by Gyaku"),
        ("[" * 300 + "]" * 300, "at most 100 levels"),
        ("[" * 100_000, "nested too deep"),
        ("1", "'w' without one"),
    ],
)
def test_a_structure_that_does_not_fit_its_arrays(tmp_path: Path, structure: str, said: str) -> None:
    save_arrays(tmp_path / "a", {"w": np.ones(2)}, {TREE_KEY: structure})
    with pytest.raises(DataError, match=said):
        load_tree(tmp_path / "a")
