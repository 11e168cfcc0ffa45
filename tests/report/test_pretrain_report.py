"""The report of a pre-training, from folders made by hand: what it shows, in both languages, and half-done runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gyaku.base.errors import DataError
from gyaku.base.files import save_arrays
from gyaku.report import write_pretrain_report
from gyaku.report.pretrain_phrases import TABLE

PART = {"train": 0.011, "dev": 0.012, "test": 0.0123}


def card(**more: Any) -> dict[str, Any]:
    machine = {"python": "3", "numpy": "2", "gyaku": "0", "blas": "b", "threads": 1}
    data = {"name": "digits", "origin": "here", "digest": "d", "sizes": {"train": 9}, "label_names": ["0", "1"]}
    return {
        "format": "gyaku-pretrain", "version": 1, "name": "layers <b>", "command": "gyaku pretrain", "seed": 0,
        "config": {"data": "digits", "visible": "bernoulli"}, "status": "finished", "message": "", "wall_seconds": 1.5,
        "data": data | {"warnings": []}, "machine": machine,
        "model": {"kind": "dbm", "text": "4-3-2", "widths": [4, 3, 2], "parameters": 27},
    } | more  # fmt: skip


def folder(path: Path, *, finished: bool = True, arrays: dict[str, Any] | None = None, **more: Any) -> Path:
    rows = [
        {"epoch": e, "stage": stage, "stage_epoch": e, "lr": 0.1, "error": 0.1 / e, "dev_error": None,
         "pseudo_likelihood": None, "bound": -20.0 + e if stage == "joint" else None}
        for e, stage in enumerate(["layer1", "layer1", "layer2", "joint", "joint"], start=1)
    ]  # fmt: skip
    (path / "run.json").write_text(json.dumps(card(**more)), encoding="utf-8")
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if finished:
        results = {
            "kind": "dbm", "code": 2, "parts": {p: {"n": 3, "error": v} for p, v in PART.items()},
            "baselines": {"mean": dict.fromkeys(PART, 0.5), "pca": dict.fromkeys(PART, 0.25)},
            "likelihood": {
                "kind": "bound", "log_z": 9.75, "error": 0.125, "chains": 9, "parts": dict.fromkeys(PART, -7.5),
            },
            "deltas": [{"name": "affine1", "random": 0.5, "pretrained": 1.0}],
        }  # fmt: skip
        (path / "results.json").write_text(json.dumps(results), encoding="utf-8")
        images = np.zeros((3, 1, 2, 2), dtype=np.float32)
        names = ("inputs", "reconstructions", "damaged", "repaired", "halves", "completions", "samples", "filters")
        save_arrays(path / "arrays.safetensors", dict.fromkeys(names, images) if arrays is None else arrays)
    return path


def text_of(path: Path, lang: str) -> str:
    return write_pretrain_report(path, lang).read_text(encoding="utf-8")


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_everything_is_there_in_one_file_that_asks_nobody(tmp_path: Path, lang: str) -> None:
    html = text_of(folder(tmp_path), lang)
    column = ("en", "ja").index(lang)
    for key in ("curves", "filters", "reconstructions", "repaired", "completions", "samples", "deltas", "likelihood"):
        assert TABLE[key][column] in html, key
    assert html.count("<img") == 8 * 3 + 3  # eight kinds of three, the originals twice
    assert html.count("<svg") == 2 and "0.0123" in html and "-7.50" in html and "9.75" in html
    assert "&lt;b&gt;" in html and "<b>layers" not in html and "layers <b>" not in html
    assert not re.search(r'(src|href)="(?!data:)', html) and "<script" not in html
    assert html.startswith(f'<!DOCTYPE html>\n<html lang="{lang}">')


def test_an_interrupted_run_shows_what_it_wrote(tmp_path: Path) -> None:
    html = text_of(folder(tmp_path, finished=False, status="interrupted", message="by hand"), "en")
    assert "This pre-training is interrupted" in html and "by hand" in html and "<svg" in html and "<img" not in html


def test_tables_are_blocks_and_two_units_are_a_map(tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    arrays = {name: g.normal(size=(3, 5)).astype(np.float32) for name in ("inputs", "reconstructions", "filters")}
    arrays |= {"codes": g.normal(size=(3, 2)).astype(np.float32), "code_labels": np.array([0, 1, 1])}
    html = text_of(folder(tmp_path, arrays=arrays), "en")
    assert (
        html.count("<img") == 9
        and TABLE["codes"][0] in html
        and html.count('class="small" text-anchor="middle" style') == 3
    )
    assert TABLE["samples"][0] not in html


def test_a_folder_that_is_none_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a run folder with run.json, got none"):
        write_pretrain_report(tmp_path)
    folder(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(DataError, match=r"results.json: expected JSON"):
        write_pretrain_report(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(card(format="gyaku-run")))
    with pytest.raises(DataError, match="gyaku-pretrain version 1, got another file"):
        write_pretrain_report(tmp_path)


def test_every_phrase_has_both_languages() -> None:
    assert all(len(pair) == 2 and all(pair) for pair in TABLE.values())
    fields = [[re.findall(r"\{(\w+)", text) for text in pair] for pair in TABLE.values()]
    assert all(set(en) == set(ja) for en, ja in fields)
