"""A run folder in the agreed form, made of numbers: what the report reads, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from gyaku.base.files import append_line, save_arrays

LAYERS = ("0", "1", "2")


def make(
    folder: Path,
    *,
    task: str = "multiclass",
    finished: bool = True,
    labels: tuple[str, ...] = ("0", "1", "2"),
    epochs: int = 6,
) -> Path:
    """Write the folder and return it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    classifies = task != "regression"
    _json(folder / "run.json", _card(task, finished, labels))
    for e in range(1, epochs + 1):
        metric = {
            f"{p}_{'accuracy' if classifies else 'rmse'}": 1 - 0.5 / e - d for p, d in (("train", 0.0), ("dev", 0.01))
        }
        row = {"epoch": e, "step": 20 * e, "lr": 0.01 / e, "train_loss": 1 / e, "dev_loss": 1.1 / e, **metric}
        append_line(folder / "metrics.jsonl", json.dumps(row))
    for e in range(epochs + 1):
        append_line(
            folder / "stats.jsonl", json.dumps({"epoch": e, "layers": [_layer(n, i, e) for i, n in enumerate(LAYERS)]})
        )
    if finished:
        _json(folder / "results.json", _results(classifies, len(labels), epochs))
        save_arrays(folder / "arrays.safetensors", _arrays(rng, classifies))
    return folder


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _card(task: str, finished: bool, labels: tuple[str, ...]) -> dict[str, Any]:
    classifies = task != "regression"
    return {
        "format": "gyaku-run",
        "version": 1,
        "name": "fake",
        "command": "gyaku train fake",
        "config": {"epochs": 6},
        "seed": 0,
        "status": "finished" if finished else "interrupted",
        "message": "",
        "started": "2026-01-01T00:00:00",
        "finished": None,
        "wall_seconds": 12.3,
        "data": {
            "name": "fake",
            "origin": "made up",
            "digest": "0" * 64,
            "sizes": {"train": 60, "dev": 20, "test": 20},
            "task": task,
            "target": None if classifies else "価格",
            "label_names": list(labels) if classifies else None,
            "feature_names": ["身長", "体重"],
            "input_shape": [1, 8, 8] if classifies else [2],
            "image_shape": [1, 8, 8] if classifies else None,
            "official_test": False,
            "warnings": ["a warning"],
        },
        "model": {"text": "64-16-16-3", "architecture": {}, "parameters": 1347},
        "machine": {
            "python": "3.11",
            "numpy": "2.0",
            "gyaku": "0.1.0",
            "platform": "Linux",
            "processor": "x",
            "cores": 2,
            "threads": 1,
            "blas": "OpenBLAS",
            "device": "cpu",
        },
    }


def _layer(name: str, i: int, e: int) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "Linear",
        "units": 16,
        "activation": "relu",
        "mean": 0.1,
        "std": 0.5 + 0.1 * i + 0.02 * e,
        "delta_norm": 10.0 ** -(i + 1),
        "dead": 0.01 * i,
        "saturated": None,
        "weight_norm": 3.0,
        "update_ratio": None if e == 0 else 1e-3 / e,
    }


def _results(classifies: bool, k: int, epochs: int) -> dict[str, Any]:
    if classifies:
        confusion = (np.eye(k, dtype=int) * 6 + 1).tolist()
        part = {
            "n": 20,
            "loss": 0.1,
            "accuracy": 0.95,
            "confusion": confusion,
            "per_class": [{"label": str(i), "precision": 0.9, "recall": 0.9, "f1": 0.9, "n": 7} for i in range(k)],
        }
        other = {p: {"loss": 1.0, "accuracy": 0.33} for p in ("train", "dev", "test")}
        extra: dict[str, Any] = {"baselines": {"majority": other, "linear": other}, "importance": []}
    else:
        part = {"n": 20, "loss": 0.1, "rmse": 3.2, "mae": 2.5, "r2": 0.8}
        other = {p: {"loss": 1.0, "rmse": 9.9, "mae": 8.0, "r2": 0.0} for p in ("train", "dev", "test")}
        extra = {
            "baselines": {"mean": other, "linear": other},
            "importance": [{"column": "身長", "mean": 2.0, "std": 0.3}, {"column": "体重", "mean": -0.1, "std": 0.2}],
        }
    wrong = (
        [
            {
                "row": i,
                "true": 0,
                "predicted": 1,
                "probability": 0.9,
                "true_probability": 0.05,
                "probabilities": [0.05, 0.9, 0.05],
            }
            for i in range(4)
        ]
        if classifies
        else []
    )
    return {
        "task": "multiclass" if classifies else "regression",
        "metric": "accuracy" if classifies else "rmse",
        "best_epoch": 4,
        "epochs": epochs,
        "stopped": "epochs",
        "parts": dict.fromkeys(("train", "dev", "test"), part),
        "wrong": wrong,
        "seconds": {"train": 1.0, "examine": 0.1},
        **extra,
    }


def _arrays(rng: np.random.Generator, classifies: bool) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    if classifies:
        arrays["wrong_images"] = rng.random((4, 1, 8, 8)).astype(np.float32)
        arrays["first_weights"] = rng.standard_normal((16, 1, 8, 8)).astype(np.float32)
    else:
        arrays["test_true"] = rng.standard_normal(20) * 10
        arrays["test_predicted"] = arrays["test_true"] + rng.standard_normal(20)
    for name in LAYERS:
        for when in ("first", "last"):
            arrays[f"histogram_{when}/{name}"] = rng.integers(0, 50, 30)
            arrays[f"histogram_{when}_edges/{name}"] = np.linspace(-2, 2, 31)
        arrays[f"sample/{name}/value"] = np.maximum(rng.standard_normal(16), 0)
        arrays[f"sample/{name}/delta"] = rng.standard_normal(16) * 0.01
    arrays["sample/input"] = rng.random((1, 8, 8)) if classifies else rng.random(2)
    arrays["sample/true"], arrays["sample/output"] = np.array(1), np.array([0.1, 0.8, 0.1])
    return arrays
