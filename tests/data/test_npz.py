"""NPZ archives: round trips, and no pickle, no bomb, no surprise."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gyaku.base.errors import DataError
from gyaku.data import load, read_npz
from gyaku.data.reading import room


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array)
    return buffer.getvalue()


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_npz(path)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@given(
    x=hnp.arrays(
        st.one_of(hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes(), st.just(np.dtype("U3"))),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    compress=st.booleans(),
    fortran=st.booleans(),
)
def test_what_numpy_writes_is_read(
    x: np.ndarray, compress: bool, fortran: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    x = np.asfortranarray(x) if fortran else x
    (np.savez_compressed if compress else np.savez)(path, x=x, 名=np.arange(3))
    found = read_npz(path)
    assert list(found) == ["x", "名"] and found["x"].dtype == x.dtype.newbyteorder("=") and found["x"].shape == x.shape
    np.testing.assert_array_equal(found["x"], x)


class Trap:
    """Unpickling this would touch a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_pickled_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    objects = np.array([Trap(tmp_path / "ran")], dtype=object)
    np.savez(tmp_path / "a.npz", x=objects)
    assert "numbers or texts, got Python objects. Hint: objects need pickle" in refusal(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()


def test_malformed_archives(tmp_path: Path) -> None:
    good = npy(np.arange(6.0))
    cases = {
        "not a .npy": archive(tmp_path / "a.npz", {"x.txt": b"1"}),
        "an empty archive": archive(tmp_path / "b.npz", {}),
        "a .npy header": archive(tmp_path / "c.npz", {"x.npy": b"nothing"}),
        "48 bytes for shape": archive(tmp_path / "d.npz", {"x.npy": good[:-1]}),
        "got 49 bytes": archive(tmp_path / "e.npz", {"x.npy": good + b"x"}),
        "npy format": archive(tmp_path / "f.npz", {"x.npy": b"\x93NUMPY\x09\x00" + good[8:]}),
        "numbers or texts, got complex128": archive(tmp_path / "g.npz", {"x.npy": npy(np.zeros(1, complex))}),
        "numbers or texts, got [('a'": archive(tmp_path / "h.npz", {"x.npy": npy(np.zeros(1, [("a", "f4")]))}),
        "lengths >= 0": archive(tmp_path / "i.npz", {"x.npy": good.replace(b"(6,), ", b"(-6,),")}),
    }
    for text, path in cases.items():
        assert text.removeprefix("not ") in refusal(path)
    (tmp_path / "j.npz").write_bytes(b"<html>gone</html>")
    assert "a web page" in refusal(tmp_path / "j.npz")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "k.npz", "w") as file:
        file.writestr("x.npy", good)
        file.writestr("x.npy", good)
    assert "'x' twice" in refusal(tmp_path / "k.npz")


def test_truncated_and_damaged(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", {"x.npy": npy(np.arange(60.0))}, zipfile.ZIP_STORED)
    whole = path.read_bytes()
    for content in (b"", whole[:10], whole[: len(whole) // 2], whole[:-1], whole[60:]):
        path.write_bytes(content)
        refusal(path)
    path.write_bytes(whole[:400] + bytes([whole[400] ^ 1]) + whole[401:])
    assert "CRC" in refusal(path)


@pytest.mark.parametrize("shape", [(60 << 17,), (2**40,)])
def test_bombs_take_no_more_memory_than_the_file_allows(tmp_path: Path, shape: tuple[int, ...]) -> None:
    head = npy(np.zeros(0)).replace(b"(0,), }", f"({shape[0]},), }}".encode())[:128]
    head = head[:-1].ljust(127) + b"\n" if len(head) < 128 else head
    path = archive(tmp_path / "a.npz", {"x.npy": head + bytes(60 << 20)})
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= room(path.stat().st_size)


@given(content=st.binary(max_size=80), where=st.integers(0, 400), inside=st.booleans())
def test_no_bytes_do_anything_but_load_or_be_refused(
    content: bytes, where: int, inside: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("npz") / "fuzz.npz"
    whole = archive(path, {"x.npy": npy(np.arange(9.0))}).read_bytes() if inside else b""
    path.write_bytes(whole[:where] + content + whole[where + len(content) :])
    try:
        read_npz(path)
    except DataError as error:
        assert "fuzz.npz" in str(error)


def test_load_finds_arrays_by_their_usual_names(tmp_path: Path) -> None:
    x, t = np.arange(12.0).reshape(6, 2), np.array(["い", "ろ"] * 3)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=t, x_test=x[:2], y_test=t[:2])
    source = load(tmp_path / "a.npz")
    assert list(source.columns) == ["x1", "x2", "t"] and source.target == "t" and source.columns["t"][0] == "い"
    assert source.test is not None and len(source.test) == 2
    np.savez(tmp_path / "b.npz", images=np.zeros((4, 5, 6), np.uint8), labels=[3, 1, 3, 1])
    images = load(tmp_path / "b.npz")
    assert images.images is not None and images.images.shape == (4, 1, 5, 6) and images.label_names == ("1", "3")
    np.savez(tmp_path / "c.npz", a=x)
    with pytest.raises(DataError, match="a member named 'x'.*got a"):
        load(tmp_path / "c.npz")
