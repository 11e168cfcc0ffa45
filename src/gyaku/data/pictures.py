"""A folder of images by class: ``DIR/cat/1.png``, ``DIR/dog/7.jpg``; or ``DIR/train/cat`` beside ``DIR/test/cat``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError, DataError, require
from gyaku.data.reading import file_size, is_kind, open_file, reason, room

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".pbm", ".gif", ".tif", ".tiff", ".webp")
_FORMATS = ("PNG", "JPEG", "BMP", "PPM", "GIF", "TIFF", "WEBP")
_GREY = ("1", "L")
_COLOUR = ("RGB", "RGBA", "P", "LA", "CMYK", "YCbCr", "PA", "RGBX")


class Pictures(NamedTuple):
    """Images (N, C, H, W) uint8, labels (N,) int64, the class names, and the files in that order."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    files: tuple[Path, ...]


def read_pictures(
    folder: str | Path,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    label_names: tuple[str, ...] | None = None,
) -> Pictures:
    """Return the images below ``folder``, one subfolder a class, classes and files in the order of their names.

    Grey files give C = 1; if any has colour, all become RGB, C = 3; ``channels`` decides instead. ``size=(H, W)``
    resizes (bilinear); without it all must be of one size. ``label_names`` fixes the classes, as a test part needs.

    Raises ``DataError`` naming the file: no classes, no images, damaged, another size, a class that is not known;
    ``MissingPackageError`` without Pillow (extra ``images``).
    """
    where = f"read_pictures {str(folder)!r}"
    classes = class_folders(Path(folder))
    names = label_names or tuple(path.name for path in classes)
    unknown = [path.name for path in classes if path.name not in names]
    if unknown:
        raise DataError(where, f"the classes {', '.join(names)}", repr(unknown[0]))
    listed = [(path, names.index(sub.name)) for sub in classes for path in image_files(sub)]
    if not listed:
        hint = "put images in one subfolder per class"
        raise DataError(where, f"images ({', '.join(EXTENSIONS[:4])}, ...) in subfolders", "none", hint=hint)
    files = tuple(path for path, _ in listed)
    labels = np.array([label for _, label in listed], dtype=np.int64)
    return Pictures(read_images(files, size=size, channels=channels), labels, names, files)


def read_images(
    files: Sequence[Path], *, size: tuple[int, int] | None = None, channels: int | None = None
) -> NDArray[np.uint8]:
    """Return image files as one array (N, C, H, W) uint8. Raises as ``read_pictures``."""
    if channels not in (None, 1, 3):
        raise ArgumentError("read_images", "channels 1 (grey) or 3 (RGB)", str(channels))
    return _stack([_read_image(path, size, channels) for path in files], files)


def class_folders(folder: Path) -> list[Path]:
    """Return the subfolders that hold images, by name; folders that begin with a dot are passed over."""
    subs = sorted((p for p in folder.iterdir() if is_kind(p, "dir") and p.name[0] != "."), key=lambda p: p.name)
    return [sub for sub in subs if image_files(sub)]


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in ``folder``, by name."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and p.name[0] != ".")
    return sorted((p for p in found if is_kind(p, "file")), key=lambda p: p.name)


def read_image(
    path: str | Path, *, size: tuple[int, int] | None = None, channels: int | None = None
) -> NDArray[np.uint8]:
    """Return one image as (C, H, W) uint8: C is 1 for grey, 3 for colour. Raises as ``read_pictures``."""
    return read_images([Path(path)], size=size, channels=channels)[0]


def _read_image(path: Path, size: tuple[int, int] | None, channels: int | None) -> NDArray[np.uint8]:
    def read(image: Any, pillow: Any) -> NDArray[np.uint8]:
        grey = channels == 1 or (channels is None and image.mode in _GREY)
        image = image.convert("L" if grey else "RGB")
        if size is not None:
            image = image.resize((size[1], size[0]), pillow.Resampling.BILINEAR)
        return np.asarray(image, dtype=np.uint8)

    array = open_picture(path, f"read_image {str(path)!r}", read)
    return array.reshape(array.shape[0], array.shape[1], -1)


def open_picture(path: Path, where: str, read: Callable[[Any, Any], NDArray[Any]]) -> NDArray[Any]:
    """Return ``read(image, PIL.Image)`` of a picture of bounded size. Raises ``DataError`` for a damaged one."""
    pillow: Any = require("PIL.Image", where=where, extra="images")
    with open_file(path, where) as file:
        true_size = file_size(file)
        try:
            with pillow.open(file, formats=_FORMATS) as image:
                _check_image(image, where, true_size)
                return read(image, pillow)
        except DataError:
            raise
        except Exception as error:  # Pillow's decoders raise almost anything on damaged files
            raise DataError(where, "a whole image", f"{reason(error)}", hint="open it in a viewer to see") from error


def picture_sizes(files: Sequence[Path]) -> list[tuple[int, int]]:
    """Return height and width of image files, from their headers."""

    def read(image: Any, _: Any) -> NDArray[Any]:
        return np.array((image.size[1], image.size[0]))

    return [tuple(open_picture(path, f"read_image {str(path)!r}", read).tolist()) for path in files]


def _check_image(image: Any, where: str, true_size: int) -> None:
    pixels = image.size[0] * image.size[1]
    if 4 * pixels > room(true_size):
        raise DataError(where, f"at most {room(true_size) // 4} pixels in {true_size} bytes", f"{pixels}")
    if image.mode not in _GREY + _COLOUR:
        raise DataError(where, "8 bits per channel", f"mode {image.mode}", hint="convert it to 8 bits")


def _stack(arrays: list[NDArray[np.uint8]], files: Sequence[Path]) -> NDArray[np.uint8]:
    shape = arrays[0].shape[:2]
    channels = max(array.shape[2] for array in arrays)
    out = np.empty((len(arrays), channels, *shape), dtype=np.uint8)
    for row, array in enumerate(arrays):
        if array.shape[:2] != shape:
            where, got = f"read_image {str(files[row])!r}", f"{array.shape[:2]}"
            hint = "resize them with size=(H, W)"
            raise DataError(where, f"the size {shape} of {files[0].name}", got, hint=hint)
        out[row] = np.moveaxis(array, 2, 0)  # one grey channel is broadcast to three
    return out
