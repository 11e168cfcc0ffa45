"""The report: self-contained, no JavaScript needed, bilingual, safe against hostile names, clear about damage."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from gyaku.base.errors import DataError
from gyaku.base.png import png
from gyaku.report import write_report
from gyaku.report.axes import Scale, linear_ticks, number
from gyaku.report.charts import BOTTOM, HEIGHT, TOP, Series, line_chart
from gyaku.report.phrases import TABLE
from gyaku.report.pictures import diverging

sys.path.insert(0, str(Path(__file__).parent))
import fake_run


class Tags(HTMLParser):
    """Collects tags and the addresses they would fetch; fails on tags that do not close."""

    VOID = frozenset("meta img br path circle rect".split())

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "data", "action") and v]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def page(folder: Path, lang: str = "en") -> tuple[str, Tags]:
    text = write_report(folder, lang).read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    return text, tags


@pytest.mark.parametrize("task", ["multiclass", "regression"])
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_one_file_that_asks_nobody_and_needs_no_script(tmp_path: Path, task: str, lang: str) -> None:
    text, tags = page(fake_run.make(tmp_path / "run", task=task), lang)
    assert "script" not in tags.seen and "link" not in tags.seen and "iframe" not in tags.seen
    assert all(a.startswith("data:image/png;base64,") for a in tags.addresses)
    assert not re.search(r"url\(|@import", text)
    assert f'<html lang="{lang}">' in text and "prefers-color-scheme: dark" in text
    assert ("学習曲線" in text) == (lang == "ja")


def test_the_headline_sets_the_result_beside_the_baselines(tmp_path: Path) -> None:
    text, _ = page(fake_run.make(tmp_path / "run"))
    assert (
        "On 20 test samples never used in training, 95.0 % of the answers are right. Always giving the same answer "
        "reaches 33.0 %, a linear model 33.0 %." in text
    )


def test_regression_shows_rmse_r2_scatter_and_importance(tmp_path: Path) -> None:
    text, _ = page(fake_run.make(tmp_path / "run", task="regression"))
    assert "RMSE" in text and "R²" in text and text.count('class="dot"') == 40 and "体重" in text


def test_a_run_without_a_test_part_says_so(tmp_path: Path) -> None:
    for i, task in enumerate(("multiclass", "regression")):
        folder = fake_run.make(tmp_path / str(i), task=task)
        results = json.loads((folder / "results.json").read_text())
        del results["parts"]["test"]
        (folder / "results.json").write_text(json.dumps(results | {"wrong": []}))
        text, _ = page(folder)
        assert "No test part was kept" in text and "never used in training" not in text
        assert "Not one test sample" not in text and "linear model – Dev" in text


def test_bars_show_no_rounding_errors_and_curves_name_their_scale(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "run", task="regression")
    results = json.loads((folder / "results.json").read_text())
    results["importance"][1] |= {"mean": 4.44e-17, "std": 0.0}
    (folder / "results.json").write_text(json.dumps(results))
    text, _ = page(folder)
    assert "e-17" not in text and "RMSE (of the standardised target)" in text


def test_an_unfinished_run_gives_the_part_that_exists(tmp_path: Path) -> None:
    text, _ = page(fake_run.make(tmp_path / "run", finished=False))
    assert "has not finished (status: interrupted)" in text and "Learning curves" in text and "Confusion" not in text


def test_a_run_without_a_single_epoch(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "run", finished=False, epochs=0)
    text, _ = page(folder)
    assert "Learning curves" not in text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "run", labels=("<script>alert(1)</script>", "a&b", '"><img src=x>'))
    text, tags = page(folder)
    assert "script" not in tags.seen and "<script" not in text and "x" not in tags.addresses


def test_not_a_number_and_missing_values_are_shown_not_stumbled_over(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "run")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows[2]["train_loss"], rows[3]["dev_loss"] = float("nan"), None
    rows[-1]["train_loss"], rows[-1]["dev_loss"] = float("inf"), None  # a curve's name stands at its last number
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    page(folder)


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "arrays.safetensors", "results.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    folder = fake_run.make(tmp_path / "run")
    (folder / name).write_bytes(b'{"half": \n garbage')
    with pytest.raises(DataError, match=re.escape(name)):
        write_report(folder, "en")
    assert not (folder / "report.html").exists()


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run\.json"):
        write_report(tmp_path, "en")


def test_every_phrase_has_both_languages() -> None:
    for key, (en, ja) in TABLE.items():
        assert en and ja, key
        assert set(re.findall(r"{(\w+)}", en)) == set(re.findall(r"{(\w+)}", ja)), key


def test_png_is_read_back_by_pillow() -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    import io

    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    assert np.array_equal(np.asarray(image.open(io.BytesIO(png(pixels)))), pixels)
    assert diverging(np.full((2, 2), np.nan)).startswith("data:image/png")


def test_one_epoch_is_a_dot_and_not_an_empty_chart() -> None:
    assert line_chart([Series("train", [1], [0.5], "red")], "epoch", "loss").count("<circle") == 1
    gap = line_chart([Series("train", [1, 2, 3, 4], [0.5, None, 0.4, 0.3], "red")], "epoch", "loss")
    assert gap.count("<circle") == 1 and gap.count('class="curve"') == 1
    two = line_chart([Series("train", [1, 2], [0.5, 0.4], "red")], "epoch", "loss")
    assert "<circle" not in two and 'class="curve"' in two


def test_names_of_curves_keep_apart_and_stay_inside_the_chart() -> None:
    ends = {"affine": 1.0, "conv1": 0.0, "conv2": 0.0, "output": 0.0}
    chart = line_chart([Series(n, [0, 1], [0.5, v], "red") for n, v in ends.items()], "epoch", "units")
    places = [float(y) for y in re.findall(r'y="([0-9.]+)" class="name"', chart)]
    assert len(places) == 4 and all(b - a >= 13.9 for a, b in zip(places, places[1:], strict=False))
    assert (
        places[0] > TOP + 4 and places[-1] <= HEIGHT - BOTTOM + 4
    )  # the highest is not moved for the sake of the lowest


def test_only_a_name_too_long_is_squeezed() -> None:
    assert "textLength" not in line_chart([Series("layer 1 dev", [1, 2], [0.5, 0.4], "red")], "epoch", "loss")
    assert "textLength" in line_chart([Series("stage3.2.conv2.x", [1, 2], [0.5, 0.4], "red")], "epoch", "loss")


def test_scales_and_numbers() -> None:
    assert linear_ticks(0, 7) == [0, 2, 4, 6] and linear_ticks(3, 3) == [3]
    assert Scale(1e-4, 1, 0, 100, log=True)(1e-2) == pytest.approx(50)
    assert linear_ticks(0, 2e-15, 2) == [0, 1e-15, 2e-15]  # small, and still apart
    assert Scale(0, 1, 10, 0)(5) == 0  # outside: on the edge
    assert [number(v) for v in (0.0, 1.0, -0.00012345, 1e9, float("nan"))] == [
        "0",
        "1",
        "-0.0001234",
        "1,000,000,000",
        "nan",
    ]
