"""The answers of a model to many rows, some rows at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.core.mode import no_grad
from gyaku.core.tensor import new_tensor

Array = NDArray[Any]
_ROWS = 2048  # of a table, or of images for affine layers
_PIXELS = 2**18  # of images for convolutions, whose activations are many times as large


def rows_at_a_time(model: Any, x: Array) -> int:
    """Return how many rows are answered at once: fewer where convolutions keep many channels of every pixel."""
    if x.ndim < 4 or not any(p.ndim == 4 for p in model.parameters()):
        return _ROWS
    return max(1, min(_ROWS, _PIXELS // math.prod(x.shape[2:])))


@no_grad()
def outputs_of(model: Any, x: Array, *, on: Any = None) -> Array:
    """Return the raw outputs of ``model`` for all rows of ``x``, in eval mode; the mode is put back."""
    was_training, step = model.training, rows_at_a_time(model, x)
    model.eval()
    target = device_of_model(model) if on is None else on
    parts = [model(new_tensor(x[i : i + step]).to(target)).cpu()._array for i in range(0, len(x), step)]
    model.train(was_training)
    return np.concatenate(parts)


def device_of_model(model: Any) -> Any:
    """Return the device of the first parameter (the CPU for a model without any)."""
    from gyaku.backend.devices import CPU

    return next((p.device for p in model.parameters()), CPU)
