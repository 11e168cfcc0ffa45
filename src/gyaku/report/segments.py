"""A segmentation in the report: input, truth, prediction and errors side by side; IoU of every class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.png import class_colours, painted
from gyaku.base.text import Phrases
from gyaku.report import pictures
from gyaku.report.axes import percent
from gyaku.report.charts import bar_chart
from gyaku.report.reading import Run

_WRONG = np.array((232, 36, 52), dtype=np.float64)
_MOST = 40  # classes in the chart


def samples(run: Run) -> list[dict[str, Any]]:
    """Return the test pictures: input, true and predicted classes, errors in red, and their figures."""
    names = ("segments/input", "segments/true", "segments/predicted")
    if not all(name in run.arrays for name in names):
        return []
    count = len(run.card["data"]["label_names"])
    rows = []
    for row, image, true, predicted in zip(run.results["wrong"], *(run.arrays[n] for n in names), strict=True):
        rows.append(
            {
                "row": row["row"] + 1,
                "worst": row["worst"],
                "iou": percent(row["iou"]),
                "accuracy": percent(row["accuracy"]),
                "input": pictures.grey(image),
                "true": pictures.address(painted(true, count)),
                "predicted": pictures.address(painted(predicted, count)),
                "errors": pictures.address(_errors(image, true != predicted)),
            }
        )
    return rows


def _errors(image: NDArray[Any], wrong: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the picture, faint, with its wrong pixels in red."""
    level = 90.0 + 0.55 * 255.0 * image.mean(axis=0, dtype=np.float64)
    faint = np.repeat(level[..., None], 3, axis=2)
    return np.where(wrong[..., None], _WRONG, np.minimum(faint, 235.0)).astype(np.uint8)


def legend(run: Run) -> list[tuple[str, str]]:
    """Return the classes with their colours, as CSS has them."""
    labels = [str(label) for label in run.card["data"].get("label_names") or []]
    return [
        (label, "#{:02x}{:02x}{:02x}".format(*c)) for label, c in zip(labels, class_colours(len(labels)), strict=True)
    ]


def iou_chart(run: Run, say: Phrases) -> str:
    """Return the bars of the intersection over union of every class; those that never occur are left out."""
    rows = [r for r in run.results["parts"][run.last_part]["per_class"] if _finite(r["iou"])][:_MOST]
    values = [r["iou"] for r in rows]
    return bar_chart([str(r["label"]) for r in rows], values, [0.0] * len(rows), say("iou_class")) if rows else ""


def _finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
