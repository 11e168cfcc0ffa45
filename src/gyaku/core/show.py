"""How a tensor looks in text and in a notebook."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from gyaku.backend.dtypes import bool_, get_default_dtype, int64


def tensor_text(t: Any) -> str:
    """Return PyTorch's style of text: values to four digits, then what is not the default."""
    array = t.detach().cpu()._array
    prefix = "Parameter containing:\n" if type(t).__name__ == "Parameter" else ""
    if type(array) is not np.ndarray:
        return f"tensor({array!r})"
    text = np.array2string(array, precision=4, separator=", ", prefix="tensor(", threshold=1000)
    return f"{prefix}tensor({text}{_suffix(t)})"


def _suffix(t: Any) -> str:
    parts = []
    if t.dtype not in (get_default_dtype(), int64, bool_):
        parts.append(f"dtype={t.dtype!r}")
    if t.is_cuda:
        parts.append(f"device='{t.device}'")
    if t.grad_fn is not None:
        parts.append(f"grad_fn=<{t.grad_fn.name}>")
    elif t.requires_grad:
        parts.append("requires_grad=True")
    return "".join(f", {p}" for p in parts)


def tensor_html(t: Any) -> str:
    """Return the text of a tensor for a notebook, with its shape and type above."""
    head = f"Tensor {tuple(t.shape)} {t.dtype!r} on {t.device}"
    return f"<div><small>{html.escape(head)}</small><pre>{html.escape(tensor_text(t))}</pre></div>"
