"""Arrays as small pictures: PNG data addresses for images and weights, no imaging library needed."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.png import png


def address(pixels: NDArray[np.uint8]) -> str:
    """Return pixels as a ``data:`` address, so that the page asks nobody for anything."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def grey(image: Any) -> str:
    """Return the address of an image (C, H, W) with values in 0..1; one channel is grey, three are colour."""
    levels = np.clip(np.nan_to_num(np.asarray(image, dtype=np.float64)) * 255, 0, 255).astype(np.uint8)
    return address(levels[0] if levels.shape[0] != 3 else np.moveaxis(levels, 0, -1))


def diverging(values: Any, limit: float | None = None) -> str:
    """Return the address of signed values (H, W): blue below zero, white at zero, orange above."""
    return address(diverging_pixels(values, limit))


def diverging_pixels(values: Any, limit: float | None = None) -> NDArray[np.uint8]:
    """Return the pixels (H, W, 3) of ``diverging``."""
    v = np.nan_to_num(np.asarray(values, dtype=np.float64))
    scale = limit or float(np.abs(v).max()) or 1.0
    share = np.clip(v / scale, -1, 1)[..., None]
    white, blue, orange = (np.array(c, dtype=np.float64) for c in ((255, 255, 255), (0, 114, 178), (213, 94, 0)))
    mixed = white + np.abs(share) * (np.where(share < 0, blue, orange) - white)
    pixels: NDArray[np.uint8] = mixed.round().astype(np.uint8)
    return pixels


def strip(values: Any, limit: float | None = None) -> str:
    """Return the address of a vector folded into a block of at most 32 columns, in the colours of ``diverging``."""
    v = np.asarray(values, dtype=np.float64).ravel()
    columns = min(32, max(1, v.size))
    rows = -(-v.size // columns)
    block = np.zeros(rows * columns)
    block[: v.size] = v
    return diverging(block.reshape(rows, columns), limit)


MAX_MAPS = 32  # channels of a layer that are shown


def maps(values: Any) -> str:
    """Return the address of a layer's values: a vector as ``strip``, (C, H, W) as one map a channel, side by side."""
    v = np.nan_to_num(np.asarray(values, dtype=np.float64))
    if v.ndim != 3:
        return strip(v)
    shown = v[:MAX_MAPS]
    across = min(len(shown), 4 if len(shown) <= 16 else 8)
    rows, (_, high, wide) = -(-len(shown) // across), shown.shape
    limit = float(np.abs(v).max()) or 1.0
    sheet = np.full((rows * (high + 1) - 1, across * (wide + 1) - 1), np.nan)
    for k, one in enumerate(shown):
        top, left = k // across * (high + 1), k % across * (wide + 1)
        sheet[top : top + high, left : left + wide] = one
    pixels = diverging_pixels(np.nan_to_num(sheet), limit)
    pixels[np.isnan(sheet)] = 150
    return address(pixels)
