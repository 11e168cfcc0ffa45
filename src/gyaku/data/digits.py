"""The UCI handwritten digits that come with the package: 1,797 images of 8 × 8 pixels, CC BY 4.0.

E. Alpaydin, C. Kaynak (1998), https://doi.org/10.24432/C50P49; see ``embedded/DIGITS.md``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gyaku.data.idx import read_idx

DIGITS_FILE = Path(__file__).with_name("embedded") / "digits.idx.gz"
DIGITS_SHA256 = "4d7610695d526a6cd3b503f7da95f588a5e5b1ad1d50949910db7d01e9bba1db"
DIGITS_WHITE = 16.0


def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the embedded digits: images (1797, 1, 8, 8) uint8 with values 0..16, labels (1797,) int64 in 0..9.

    >>> x, t = digits()
    >>> x.shape, int(x.max()), t[:5].tolist()
    ((1797, 1, 8, 8), 16, [0, 1, 2, 3, 4])
    """
    table = read_idx(DIGITS_FILE)
    return np.ascontiguousarray(table[:, :64]).reshape(-1, 1, 8, 8), table[:, 64].astype(np.int64)
