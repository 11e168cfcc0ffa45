"""A run folder as the report reads it: JSON, logs and arrays, each bounded and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gyaku.base.errors import DataError
from gyaku.base.files import load_arrays, read_bounded, read_jsonl

LIMIT = 64 * 2**20  # bytes of one JSON file of a run


@dataclass(frozen=True)
class Run:
    """What a run folder holds; ``results`` and ``arrays`` are empty when training did not end."""

    folder: Path
    card: dict[str, Any]
    metrics: list[dict[str, Any]]
    stats: list[dict[str, Any]]
    results: dict[str, Any]
    arrays: dict[str, Any]

    @property
    def classifies(self) -> bool:
        """Whether the answers are classes."""
        return bool(self.card["data"]["task"] != "regression")

    @property
    def segments(self) -> bool:
        """Whether every pixel has a class."""
        return bool(self.card["data"]["task"] == "segmentation")

    @property
    def metric(self) -> str:
        """The figure that judges: ``accuracy``, ``iou`` or ``rmse``."""
        return "iou" if self.segments else "accuracy" if self.classifies else "rmse"

    @property
    def last_part(self) -> str:
        """The part that judges best: test; without one dev, else train."""
        return next(part for part in ("test", "dev", "train") if part in self.results["parts"])


def read_run(folder: Path) -> Run:
    """Read a run folder. Raises ``DataError`` naming the file that is missing or damaged."""
    card = _json(folder / "run.json", required=True)
    if card.get("format") != "gyaku-run":
        raise DataError(str(folder / "run.json"), "a run card of Gyaku", "another JSON file")
    arrays = folder / "arrays.safetensors"
    return Run(
        folder,
        card,
        _rows(folder / "metrics.jsonl"),
        _rows(folder / "stats.jsonl"),
        _json(folder / "results.json"),
        load_arrays(arrays)[0] if arrays.exists() else {},
    )


def _json(path: Path, *, required: bool = False) -> dict[str, Any]:
    if not required and not path.exists():
        return {}
    try:
        found = json.loads(read_bounded(path, LIMIT))  # NaN is allowed: a diverged result is one
    except (ValueError, RecursionError) as error:
        raise DataError(str(path), "JSON", str(error)) from error
    if not isinstance(found, dict):
        raise DataError(str(path), "a JSON object", type(found).__name__)
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(path).rows) if path.exists() else []
