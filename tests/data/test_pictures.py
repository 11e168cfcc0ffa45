"""Folders of images by class."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from gyaku.base.errors import ArgumentError, DataError
from gyaku.data import load, prepare, read_image, read_pictures

Image = pytest.importorskip("PIL.Image")
GREY = np.arange(20, dtype=np.uint8).reshape(4, 5)
COLOUR = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, value in (("犬/2.png", 2), ("犬/1.bmp", 1), ("cat/a.pgm", 3), ("cat/b.PNG", 4), (".hidden/x.png", 9)):
        save(tmp_path / "pets" / name, GREY + np.uint8(value))
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "pets" / "empty").mkdir()
    return tmp_path / "pets"


def test_classes_and_files_in_the_order_of_their_names(folder: Path) -> None:
    found = read_pictures(folder)
    assert found.label_names == ("cat", "犬") and found.labels.tolist() == [0, 0, 1, 1]
    assert [path.name for path in found.files] == ["a.pgm", "b.PNG", "1.bmp", "2.png"]
    assert found.images.shape == (4, 1, 4, 5) and found.images[:, 0, 0, 0].tolist() == [3, 4, 1, 2]


def test_a_folder_loads_as_a_source(folder: Path) -> None:
    source = load(folder)
    assert (source.name, len(source), source.white, source.test) == ("pets", 4, 255.0, None)
    assert source.row_names == ("cat/a.pgm", "cat/b.PNG", "犬/1.bmp", "犬/2.png")
    again = load(folder)
    assert source.digest == again.digest and len(source.digest) == 64
    save(folder / "cat" / "a.pgm", GREY)
    assert load(folder).digest != source.digest


def test_one_colour_image_makes_all_rgb(folder: Path) -> None:
    save(folder / "cat" / "c.png", COLOUR)
    images = read_pictures(folder).images
    assert images.shape == (5, 3, 4, 5)
    np.testing.assert_array_equal(images[2], np.moveaxis(COLOUR, 2, 0))
    np.testing.assert_array_equal(images[0], np.stack([GREY + 3] * 3))


def test_train_beside_test_is_an_official_test_part(folder: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    folder.rename(top / "train")
    save(top / "test" / "犬" / "x.png", GREY)
    source = load(top)
    assert len(source) == 4 and source.test is not None and source.test.labels is not None
    assert source.test.labels.tolist() == [1] and source.test.label_names == ("cat", "犬")
    assert prepare(source, dev=0.25).sizes == {"train": 3, "dev": 1, "test": 1}
    save(top / "test" / "bird" / "x.png", GREY)
    with pytest.raises(DataError, match="the classes cat, 犬, got 'bird'"):
        load(top)


def test_sizes_must_agree_or_be_given(folder: Path) -> None:
    save(folder / "犬" / "3.png", GREY[:, :4])
    with pytest.raises(DataError, match=r"3.png': expected the size \(4, 5\) of a.pgm, got \(4, 4\). Hint: resize"):
        load(folder)
    images = load(folder, size=(8, 9)).images
    assert images is not None and images.shape == (5, 1, 8, 9)


def test_images_without_classes(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        save(tmp_path / name, COLOUR)
    source = load(tmp_path, channels=1, size=(8, 8))
    assert source.images is not None and source.images.shape == (2, 1, 8, 8) and source.labels is None
    assert source.row_names == ("a.png", "b.png")
    one = load(tmp_path / "a.png")
    assert one.images is not None and one.images.shape == (1, 3, 4, 5) and one.row_names == ("a.png",)
    with pytest.raises(DataError, match="images with labels or masks, got images only"):
        prepare(source)
    with pytest.raises(ArgumentError, match="channels 1 .grey. or 3 .RGB., got 2"):
        load(tmp_path, channels=2)


def test_transparent_and_palette_images_become_rgb(tmp_path: Path) -> None:
    rgba = np.dstack([COLOUR, np.full((4, 5), 255, np.uint8)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", rgba)), np.moveaxis(COLOUR, 2, 0))
    Image.fromarray(COLOUR).quantize(60).save(tmp_path / "p.gif")
    assert read_image(tmp_path / "p.gif").shape == (3, 4, 5)
    assert read_image(save(tmp_path / "l.png", GREY), size=(2, 2)).shape == (1, 2, 2)


def png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a whole image"),
        (b"<html>no</html>", "a whole image"),
        (png(4, 4, bytes(20))[:-30], "a whole image"),
        (png(4, 4, bytes(7)), "a whole image"),
        (png(9000, 9000, bytes(4)), "at most .* pixels"),
    ],
)
def test_damaged_images_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x" / "a.png"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path)
    assert "a.png" in str(caught.value) and "\n" not in str(caught.value)


def test_sixteen_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="8 bits per channel, got mode I;16"):
        read_image(save(tmp_path / "a.png", GREY.astype(np.uint16) * 256))


def test_folders_without_images_or_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Hint: put images in one subfolder per class"):
        load(tmp_path)
    save(tmp_path / "only" / "a.png", GREY)
    with pytest.raises(DataError, match="at least two classes, got 'only' only"):
        prepare(load(tmp_path))
