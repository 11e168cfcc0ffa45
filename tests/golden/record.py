"""Write ``values.npz``: what PyTorch 2.13.0 (CPU, float64) gives for every call of this folder.

    python tests/golden/record.py

It was made on x86-64 with one thread. The file holds one flat array of numbers and an index in JSON: name, shape,
type of numbers and place of each value.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from golden.calls import GROUPS, outcome  # noqa: E402
from golden.training import (  # noqa: E402
    LAYERS,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    layer_outcome,
    optimizer_outcome,
    schedule_outcome,
)

VERSION = "2.13.0"


def in_double(T: Any, function: Any, *args: Any) -> Any:
    """Call with float64 as the default: PyTorch's NAdam keeps one of its numbers in the default type."""
    before = T.get_default_dtype()
    T.set_default_dtype(T.float64)
    try:
        return function(T, *args)
    finally:
        T.set_default_dtype(before)


def outcomes(T: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, function that computes it) of everything recorded."""
    for group, calls in [*GROUPS.items(), ("losses", LOSSES)]:
        for name, call in calls.items():
            yield f"{group}/{name}", lambda call=call: outcome(T, call)
    for name, layer in LAYERS.items():
        yield f"layers/{name}", lambda layer=layer: layer_outcome(T, layer)
    for name, (cls, options) in OPTIMIZERS.items():
        yield f"optimizers/{name}", lambda cls=cls, options=options: in_double(T, optimizer_outcome, cls, options)
    for name, make in SCHEDULES.items():
        yield f"schedules/{name}", lambda make=make: schedule_outcome(T, make)


def record() -> None:
    """Compute everything with PyTorch and write the file."""
    import torch

    if torch.__version__.split("+")[0] != VERSION:
        raise SystemExit(f"golden values come from PyTorch {VERSION}, this is {torch.__version__}")
    torch.set_num_threads(1)
    index, numbers, place = [], [], 0
    for name, compute in outcomes(torch):
        for part, value in compute().items():
            index.append([f"{name}/{part}", list(value.shape), str(value.dtype), place])
            numbers.append(value.astype(np.float64).ravel())
            place += value.size
    np.savez_compressed(HERE / "values.npz", numbers=np.concatenate(numbers), index=np.array(json.dumps(index)))
    size = (HERE / "values.npz").stat().st_size
    print(f"{len(index)} values, {place} numbers, {size} bytes, from PyTorch {torch.__version__}")


def load() -> dict[str, np.ndarray]:
    """Return the recorded values by name."""
    with np.load(HERE / "values.npz", allow_pickle=False) as file:
        numbers, index = file["numbers"], json.loads(str(file["index"]))
    return {
        name: numbers[place : place + int(np.prod(shape, dtype=int))].reshape(shape).astype(dtype)
        for name, shape, dtype, place in index
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    record()
