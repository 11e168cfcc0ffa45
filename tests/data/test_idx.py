"""IDX files: round trips, and every way in which a stranger's file is not one."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gyaku.base.errors import DataError, DtypeError
from gyaku.data import read_idx, write_idx
from gyaku.data.idx import read_idx_pair
from gyaku.data.reading import room

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
TYPES = [np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64]


def header(shape: tuple[int, ...], code: int = 8) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def save(tmp_path: Path, content: bytes, name: str = "x.gz") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@given(
    array=hnp.arrays(st.sampled_from(TYPES), hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)),
    compress=st.booleans(),
)
def test_what_is_written_is_read(array: np.ndarray, compress: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("idx") / "a"
    write_idx(path, array, compress=compress)
    back = read_idx(path)
    assert back.dtype == array.dtype and back.shape == array.shape and back.flags.writeable
    np.testing.assert_array_equal(back, array)


def test_written_bytes_are_the_format_and_the_same_every_time(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.array([[1, -2]], dtype=np.int16))
    assert (tmp_path / "a").read_bytes() == bytes.fromhex("00000b02 00000001 00000002 0001 fffe")
    for name in "bc":
        write_idx(tmp_path / name, IMAGES, compress=True)
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.complex64, np.bool_])
def test_types_that_idx_lacks_are_refused(tmp_path: Path, dtype: type) -> None:
    with pytest.raises(DtypeError, match="write_idx"):
        write_idx(tmp_path / "a", np.zeros(3, dtype=dtype))


@pytest.mark.parametrize("name", ["x", "x.gz"])
@pytest.mark.parametrize("compress", [False, True])
def test_gzip_is_judged_by_content_not_by_name(tmp_path: Path, name: str, compress: bool) -> None:
    write_idx(tmp_path / name, IMAGES, compress=compress)
    np.testing.assert_array_equal(read_idx(tmp_path / name), IMAGES)


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html>", b"\n <html lang=en>404", b"\xef\xbb\xbf<HTML>", b"<?xml ?>"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_web_page_saved_as_data(tmp_path: Path, page: bytes, pack: type) -> None:
    assert "got a web page. Hint: the download gave an error page" in refusal(save(tmp_path, pack(page)))


def test_wrong_magic(tmp_path: Path) -> None:
    assert "magic number at byte 0" in refusal(save(tmp_path, b"\x93NUMPY\x01\x00 and more"))
    assert "got 00 00 07 03" in refusal(save(tmp_path, header((1, 1, 1), code=7) + b"1"))
    assert "got 00 00 08 00" in refusal(save(tmp_path, b"\0\0\x08\0"))
    assert "got 00 00 08 ff" in refusal(save(tmp_path, b"\0\0\x08\xff" + bytes(4 * 255)))


@pytest.mark.parametrize("keep", [0, 3, 4, 9, 15, 16, 39])
def test_truncated_anywhere(tmp_path: Path, keep: int) -> None:
    whole = header((2, 3, 4)) + IMAGES.tobytes()
    assert len(whole) == 40
    refusal(save(tmp_path, whole[:keep], "plain"))
    refusal(save(tmp_path, gzip.compress(whole[:keep]), "packed"))


@pytest.mark.parametrize("keep", [2, 10, 15, -9, -8, -1])
def test_truncated_gzip_stream(tmp_path: Path, keep: int) -> None:
    packed = gzip.compress(header((2, 3, 4)) + IMAGES.tobytes())
    assert "a damaged one" in refusal(save(tmp_path, packed[:keep]))


def test_damaged_gzip_stream_fails_its_checksum(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(header((2, 3, 4)) + IMAGES.tobytes()))
    packed[-6] ^= 1
    assert "CRC" in refusal(save(tmp_path, bytes(packed)))


def test_junk_after_the_data(tmp_path: Path) -> None:
    whole = header((2, 3, 4)) + IMAGES.tobytes()
    assert "something follows the data" in refusal(save(tmp_path, whole + b"x"))
    assert "something follows the data" in refusal(save(tmp_path, gzip.compress(whole + b"x")))
    assert "a damaged one" in refusal(save(tmp_path, gzip.compress(whole) + b"junk"))


def test_header_that_promises_more_than_the_file_holds(tmp_path: Path) -> None:
    false = header((2**32 - 1, 2**32 - 1, 2**32 - 1)) + b"1234"
    assert "truncated, or a false header" in refusal(save(tmp_path, false))
    assert "may be a bomb" in refusal(save(tmp_path, gzip.compress(false)))


@pytest.mark.parametrize("promised", [room(0) // 2, 2**28, 2**40])
def test_bomb_takes_no_more_memory_than_the_file_allows(tmp_path: Path, promised: int) -> None:
    """40 MB of zeros in 40 kB, under a header that promises less, more, and absurdly more."""
    path = save(tmp_path, gzip.compress(header((promised,) if promised < 2**32 else (2**20, 2**20)) + bytes(40 << 20)))
    assert path.stat().st_size < 50_000
    tracemalloc.start()
    refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.5 * room(path.stat().st_size)


@given(content=st.binary(max_size=80), pack=st.booleans(), start=st.booleans())
def test_no_bytes_do_anything_but_load_or_be_refused(
    content: bytes, pack: bool, start: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = (b"\0\0\x08\x01" if start else b"") + content
    path = tmp_path_factory.mktemp("idx") / "fuzz"
    path.write_bytes(gzip.compress(content) if pack else content)
    try:
        assert read_idx(path).nbytes <= len(content)
    except DataError as error:
        assert "fuzz" in str(error)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none")
    assert refusal(tmp_path)


def test_images_and_labels_must_fit(tmp_path: Path) -> None:
    write_idx(tmp_path / "i", IMAGES)
    write_idx(tmp_path / "t", np.zeros(3, dtype=np.uint8))
    write_idx(tmp_path / "f", IMAGES.astype(np.float32))
    with pytest.raises(DataError, match="expected 2 labels, one for each image, got 3"):
        read_idx_pair(tmp_path / "i", tmp_path / "t")
    with pytest.raises(DataError, match="magic 2051: uint8 with 3 dimensions, got uint8 with 1"):
        read_idx_pair(tmp_path / "t", tmp_path / "t")
    with pytest.raises(DataError, match="got float32 with 3"):
        read_idx_pair(tmp_path / "f", tmp_path / "t")
    with pytest.raises(DataError, match="magic 2049"):
        read_idx_pair(tmp_path / "i", tmp_path / "i")
