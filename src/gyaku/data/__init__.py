"""Data: sets that come with the package, readers, splits, scaling fitted on train only, and augmentation.

Everything here is NumPy; pandas, PyArrow, Pillow and pooch are imported where a reader needs them. The submodules
``augment``, ``corrupt`` and ``synthetic`` hold the batch functions and the made-up sets.

>>> from gyaku.data import load, prepare
>>> prepare(load("moons", n=100)).sizes
{'train': 70, 'dev': 10, 'test': 20}
"""

from __future__ import annotations

from gyaku.data import augment, corrupt, synthetic
from gyaku.data.augment import class_weights
from gyaku.data.catalogue import NAMES, load
from gyaku.data.describe import describe
from gyaku.data.digits import digits
from gyaku.data.idx import read_idx, write_idx
from gyaku.data.masks import read_pairs
from gyaku.data.mnist import fashion_mnist, mnist
from gyaku.data.npz import read_npz
from gyaku.data.pictures import read_image, read_pictures
from gyaku.data.prepare import Prepared, prepare
from gyaku.data.recipe import Answers, Recipe
from gyaku.data.scenes import scenes
from gyaku.data.source import Source, from_arrays
from gyaku.data.table import read_parquet, read_table

__all__ = [
    "NAMES",
    "Answers",
    "Prepared",
    "Recipe",
    "Source",
    "augment",
    "class_weights",
    "corrupt",
    "describe",
    "digits",
    "fashion_mnist",
    "from_arrays",
    "load",
    "mnist",
    "prepare",
    "read_idx",
    "read_image",
    "read_npz",
    "read_pairs",
    "read_parquet",
    "read_pictures",
    "read_table",
    "scenes",
    "synthetic",
    "write_idx",
]
