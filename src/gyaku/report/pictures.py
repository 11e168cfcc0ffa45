"""Arrays as small pictures: PNG data addresses for images and weights, no imaging library needed."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return the PNG file of grey (H, W) or colour (H, W, 3) pixels (ISO/IEC 15948)."""
    height, width = pixels.shape[:2]
    colour = 2 if pixels.ndim == 3 else 0
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()  # filter 0 before each row
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def address(pixels: NDArray[np.uint8]) -> str:
    """Return pixels as a ``data:`` address, so that the page asks nobody for anything."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def grey(image: Any) -> str:
    """Return the address of an image (C, H, W) with values in 0..1; one channel is grey, three are colour."""
    levels = np.clip(np.nan_to_num(np.asarray(image, dtype=np.float64)) * 255, 0, 255).astype(np.uint8)
    return address(levels[0] if levels.shape[0] != 3 else np.moveaxis(levels, 0, -1))


def diverging(values: Any, limit: float | None = None) -> str:
    """Return the address of signed values (H, W): blue below zero, white at zero, orange above."""
    v = np.nan_to_num(np.asarray(values, dtype=np.float64))
    scale = limit or float(np.abs(v).max()) or 1.0
    share = np.clip(v / scale, -1, 1)[..., None]
    white, blue, orange = (np.array(c, dtype=np.float64) for c in ((255, 255, 255), (0, 114, 178), (213, 94, 0)))
    mixed = white + np.abs(share) * (np.where(share < 0, blue, orange) - white)
    return address(mixed.round().astype(np.uint8))


def strip(values: Any, limit: float | None = None) -> str:
    """Return the address of a vector folded into a block of at most 32 columns, in the colours of ``diverging``."""
    v = np.asarray(values, dtype=np.float64).ravel()
    columns = min(32, max(1, v.size))
    rows = -(-v.size // columns)
    block = np.zeros(rows * columns)
    block[: v.size] = v
    return diverging(block.reshape(rows, columns), limit)
