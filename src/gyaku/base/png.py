"""PNG files of arrays, written without an imaging library (ISO/IEC 15948), and the colours of classes."""

from __future__ import annotations

import colorsys
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
# Class 0, mostly the ground, is dark; neighbours in the list differ in lightness as well as in hue.
_FIRST: tuple[Colour, ...] = (
    (38, 42, 48), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (221, 143, 190), (148, 96, 214), (170, 220, 120), (190, 30, 45),
)  # fmt: skip
_GOLDEN = 0.618033988749895


def png(pixels: NDArray[np.uint8], palette: Sequence[Colour] | None = None) -> bytes:
    """Return the PNG file of grey (H, W) or colour (H, W, 3) pixels; with a palette, (H, W) are places in it.

    >>> png(np.zeros((2, 3), np.uint8))[1:4]
    b'PNG'
    """
    height, width = pixels.shape[:2]
    kind = 3 if palette is not None else 2 if pixels.ndim == 3 else 0
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()  # filter 0 before each row
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    if palette is not None:
        chunks.append((b"PLTE", b"".join(bytes(colour) for colour in palette)))
    chunks += [(b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def class_colours(n: int) -> list[Colour]:
    """Return the colours of n classes (at most 256): eleven that stay apart for most eyes, then hues at golden steps.

    >>> class_colours(2)
    [(38, 42, 48), (230, 159, 0)]
    """
    return [_FIRST[k] if k < len(_FIRST) else _hue(k) for k in range(n)]


def _hue(k: int) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(k * _GOLDEN % 1.0, 0.4 + 0.15 * (k % 3), 0.7)
    return round(255 * red), round(255 * green), round(255 * blue)


def painted(classes: NDArray[Any], n: int) -> NDArray[np.uint8]:
    """Return class numbers (H, W) as colour pixels (H, W, 3)."""
    return np.array(class_colours(n), dtype=np.uint8)[classes]
