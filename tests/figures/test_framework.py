"""The frame around the experiments: jobs, statistics, pictures, tables, the gallery."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gyaku import figures
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DtypeError, UnknownNameError
from gyaku.figures import Claim, Experiment, jobs
from gyaku.figures.jobs import Runner, digest, plain
from gyaku.figures.output import file_names, finished, rendered, summary, table, write, write_gallery
from gyaku.figures.statistics import holm, interval, pairs, wilcoxon
from gyaku.figures.style import canvas, drawing, end_label, settle, spaced
from gyaku.figures.vanishing import sizes

pytest.importorskip("threadpoolctl")  # here, not inside a test: its import sets an environment variable
pytest.importorskip("matplotlib_fontja")

CALLS: list[int] = []
JOB = {"activation": "tanh", "depth": 3, "gain": 1.0}


def counted(seed: int) -> dict[str, Any]:
    """A job that notes that it ran."""
    CALLS.append(seed)
    return {"draws": Generator(seed).normal((4,)), "seed": seed, "pair": (1, 2.5)}


def failing(seed: int) -> float:
    """A job that fails for one seed."""
    if seed == 1:
        raise ArgumentError("job", "another seed", "1")
    return float(seed)


def equal(a: Any, b: Any) -> bool:
    """Whether two results are the same, bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(a == b)


@pytest.fixture
def outcome() -> figures.Outcome:
    return figures.make("momentum", "quick")


# Jobs


def test_jobs_come_back_in_order_with_progress() -> None:
    told: list[tuple[int, int]] = []
    found = Runner("t", progress=lambda done, total: told.append((done, total)))(counted, [{"seed": 3}, {"seed": 1}])
    assert [each["seed"] for each in found] == [3, 1] and told == [(0, 2), (1, 2), (2, 2)]


def test_finished_jobs_are_remembered_bit_for_bit(tmp_path: Path) -> None:
    CALLS.clear()
    first = Runner("t", store=tmp_path)(counted, [{"seed": 1}])
    again = Runner("t", store=tmp_path)(counted, [{"seed": 1}, {"seed": 2}])
    assert CALLS == [1, 2] and equal(first[0], again[0])


def test_a_stopped_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    CALLS.clear()

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    jobs_ = [{"seed": i} for i in range(4)]
    with pytest.raises(KeyboardInterrupt):
        Runner("t", store=tmp_path, progress=stop)(counted, jobs_)
    found = Runner("t", store=tmp_path)(counted, jobs_)
    assert CALLS == [0, 1, 2, 3] and equal(found, Runner("t")(counted, jobs_))


def test_a_damaged_result_is_computed_again(tmp_path: Path) -> None:
    first = Runner("t", store=tmp_path)(counted, [{"seed": 1}])
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    CALLS.clear()
    assert equal(first, Runner("t", store=tmp_path)(counted, [{"seed": 1}])) and CALLS == [1]


def test_changed_code_and_changed_arguments_are_not_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Runner("t", store=tmp_path)(counted, [{"seed": 1}])
    CALLS.clear()
    monkeypatch.setattr(jobs, "digest", lambda path: "another version of the code")
    Runner("t", store=tmp_path)(counted, [{"seed": 1}])
    assert CALLS == [1] and len(list(tmp_path.iterdir())) == 2


def test_the_digest_depends_on_the_file(tmp_path: Path) -> None:
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("x = 1")
    b.write_text("x = 2")
    assert digest(str(a)) != digest(str(b)) and len(digest(str(a))) == 64


def test_parallel_equals_serial_bit_for_bit(tmp_path: Path) -> None:
    arguments = [{**JOB, "seed": i} for i in range(3)]
    environment, main = dict(os.environ), dict(vars(sys.modules["__main__"]))
    parallel = Runner("t", workers=2, store=tmp_path)(sizes, arguments)
    assert equal(parallel, Runner("t")(sizes, arguments))
    assert equal(parallel, Runner("t", store=tmp_path)(sizes, arguments))
    assert dict(os.environ) == environment and vars(sys.modules["__main__"])["__name__"] == main["__name__"]


def test_workers_do_not_run_the_users_script_again(tmp_path: Path) -> None:
    script = tmp_path / "lesson.py"
    script.write_text(
        "print('once')\n"
        "from gyaku.figures.jobs import Runner\n"
        "from gyaku.figures.vanishing import sizes\n"
        f"jobs = [{{**{JOB}, 'seed': i}} for i in range(2)]\n"
        "def own(k):\n    return k + 1\n"
        "assert len(Runner('t', workers=2)(sizes, jobs)) == 2\n"
        "assert Runner('t', workers=2)(own, [{'k': 1}, {'k': 2}]) == [2, 3]\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "once\n"), done.stderr


def test_the_error_of_a_job_arrives_and_the_good_ones_stay(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="another seed"):
        Runner("t", store=tmp_path)(failing, [{"seed": 0}, {"seed": 1}, {"seed": 2}])
    assert len(list(tmp_path.iterdir())) == 1


def test_results_must_be_arrays_and_plain_values() -> None:
    assert plain({"a": (1, 2.0), "b": np.arange(2)})["a"] == [1, 2.0]
    with pytest.raises(DtypeError, match="the result of a job"):
        Runner("t")(lambda: {"f": print}, [{}])
    with pytest.raises(ArgumentError, match="at least 1 worker"):
        Runner("t", workers=0)


# Statistics


def test_intervals_against_known_values() -> None:
    low, high = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert math.isclose(low, 3 - 2.776 * math.sqrt(2.5 / 5)) and math.isclose(high, 3 + 2.776 * math.sqrt(0.5))
    assert interval([7.0]) == (7.0, 7.0)
    assert interval(np.ones((40, 3)))[0].shape == (3,)


def test_intervals_cover_the_mean_95_times_in_100() -> None:
    draws = Generator(0).normal((6, 4000))
    low, high = interval(draws)
    assert abs(((low <= 0) & (high >= 0)).mean() - 0.95) < 0.012


def test_wilcoxon_against_known_values() -> None:
    # R's wilcox.test(depression scores) of the textbook by Hollander and Wolfe: V = 40 or 5, p = 0.03906
    x = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    y = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    assert round(wilcoxon(x, y), 5) == 0.03906
    assert wilcoxon([1.0, 2.0], [1.0, 2.0]) == 1.0 and wilcoxon([1, 2, 3], [2, 1, 3]) == 1.0


def test_wilcoxon_exact_and_approximate_agree_and_are_symmetric() -> None:
    noise = Generator(3).normal((2, 30))
    a, b = noise[0], noise[1] + 0.5
    near = wilcoxon(a[:20].tolist(), b[:20].tolist()), wilcoxon(a.tolist(), b.tolist())
    assert all(0 < p < 1 for p in near) and wilcoxon(a.tolist(), b.tolist()) == wilcoxon(b.tolist(), a.tolist())


def test_holm_and_pairs() -> None:
    assert np.allclose(holm([0.04, 0.01, 0.5]), [0.08, 0.03, 0.5]) and holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0] and pairs("abc") == [("a", "b"), ("a", "c"), ("b", "c")]


# Pictures


def test_equal_numbers_give_equal_bytes(outcome: figures.Outcome) -> None:
    first, second = rendered(outcome.draw("en")), rendered(figures.make("momentum", "quick").draw("en"))
    assert first == second and {kind: content[:4] for kind, content in first.items()} == {
        "svg": b"<?xm", "pdf": b"%PDF", "png": b"\x89PNG",
    }  # fmt: skip
    assert b"<text" not in first["svg"]  # letters are shapes: the picture looks the same without the font


def test_no_glyph_is_missing(outcome: figures.Outcome, caplog: pytest.LogCaptureFixture) -> None:
    def small(text: str) -> None:
        with drawing("ja"):
            figure, axes = canvas()
            axes.set_title(text)
        rendered(figure, ["png"])

    with caplog.at_level(logging.WARNING):
        rendered(outcome.draw("ja"), ["png"])
        small("損失 é ² ≥ ∂ ŷ")
        small("損失 $\\lambda \\geq \\hat y$ ステップ")
    assert caplog.messages == []
    with caplog.at_level(logging.WARNING):
        small("≥ $x$")  # beside a formula all letters come from one font, and this one is not in it
    assert "does not have a glyph" in caplog.messages[0]


def test_drawing_leaves_matplotlib_as_it_was(outcome: figures.Outcome) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    outcome.draw("en")
    assert dict(matplotlib.rcParams) == before


def test_end_labels_do_not_cover_each_other() -> None:
    with drawing():
        figure, axes = canvas()
        for i, y in enumerate((0.5, 0.5, 0.505, 0.9)):
            axes.plot([0, 1], [0, y])
            end_label(axes, 1.0, y, f"curve {i}", "#000000")
        axes.set_ylim(0, 1)
        settle(figure)
        boxes = [t.get_window_extent() for t in axes.texts]
    assert not any(boxes[i].overlaps(boxes[j]) for i in range(4) for j in range(i))
    middle = np.mean([box.y0 + box.height / 2 for box in boxes[:3]])
    assert abs(middle - axes.transData.transform((1, 0.5017))[1]) < 2  # spread about where they belong


def test_spaced_keeps_order_and_what_is_free() -> None:
    assert spaced([], []) == [] and spaced([0.0, 5.0], [1.0, 1.0]) == [0.0, 5.0]
    found = spaced([3.0, 2.9, 2.8, 2.0], [1.0, 0.5, 1.0, 0.2])
    ends = sorted(zip(found, [1.0, 0.5, 1.0, 0.2], strict=True))
    assert all(a + n <= b + 1e-12 for (a, n), (b, _) in zip(ends, ends[1:], strict=False))


# Files


def test_the_table_has_data_as_columns(outcome: figures.Outcome) -> None:
    rows = list(csv.DictReader(table(outcome.data).splitlines()))
    assert list(rows[0]) == ["sgd[0]", "sgd[1]", "momentum[0]", "momentum[1]", "velocity[0]", "velocity[1]"]
    assert float(rows[30]["momentum[0]"]) == outcome.data["momentum"][30, 0]


def test_the_table_of_mixed_data() -> None:
    data = {"one": 0.5, "name": "x", "few": [1, 2], "deep": {"a": np.zeros((2, 3)), "b": [np.ones(2), np.ones(1)]}}
    rows = list(csv.reader(table({**data, "picture": np.zeros((200, 200))}).splitlines()))
    assert rows[0] == ["one", "name", "few", "deep.a[0]", "deep.a[1]", "deep.b[0]", "deep.b[1]"]
    assert rows[1] == ["0.5", "x", "1", "0.0", "0.0", "1.0", "1.0"] and rows[3] == ["", "", "", "0.0", "0.0", "", ""]


def test_files_and_what_counts_as_finished(outcome: figures.Outcome, tmp_path: Path) -> None:
    paths = write(outcome, tmp_path, ["en"])
    assert sorted(p.name for p in paths) == sorted(p.name for p in tmp_path.iterdir())
    assert [p.name for p in paths] == file_names("momentum", ["en"])
    assert json.loads((tmp_path / "momentum.json").read_text(encoding="utf-8")) == summary(outcome)
    assert finished(tmp_path, "momentum", "quick", 0, ["en"]) == summary(outcome)
    for level, seed, languages in (("full", 0, ["en"]), ("quick", 1, ["en"]), ("quick", 0, ["en", "ja"])):
        assert finished(tmp_path, "momentum", level, seed, languages) is None
    (tmp_path / "momentum.json").write_text("{")
    assert finished(tmp_path, "momentum", "quick", 0, ["en"]) is None


def test_the_gallery_shows_what_held_and_what_did_not(outcome: figures.Outcome, tmp_path: Path) -> None:
    shown = summary(outcome)
    shown["claims"].append({"held": False, "en": "water <b>burns</b>", "ja": "水は燃える"})
    page = write_gallery(tmp_path, [{**shown, "held": False}], ["en", "ja"]).read_text(encoding="utf-8")
    assert (
        "These are quick results" in page
        and "3 of their 4 claims held" in page
        and "water &lt;b&gt;burns&lt;/b&gt; — did not hold" in page
    )
    assert 'href="index.ja.html"' in page and "http" not in page
    assert "成り立たず" in (tmp_path / "index.ja.html").read_text(encoding="utf-8")


# The list


def test_every_name_has_its_file_and_title_page() -> None:
    assert len(set(figures.names())) == len(figures.names())
    for name in figures.names():
        experiment = figures.find(name)
        assert experiment.name == name and experiment.rows and all(map(len, (*experiment.title, *experiment.reading)))
        assert all(callable(getattr(experiment.load(), part)) for part in ("measure", "draw", "claims"))
        assert any(ord(c) > 0x3000 for c in experiment.title[1] + experiment.reading[1])


def test_unknown_names_and_levels() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'momentum'"):
        figures.find("momentm")
    with pytest.raises(UnknownNameError, match="a known level"):
        figures.make("momentum", "quik")


def test_a_claim_that_fails_is_reported() -> None:
    e = Experiment("momentum", ("1",), ("t", "題"), ("r", "文"))
    claims = [Claim(True, "yes", "はい"), Claim(False, "no", "いいえ")]
    found = figures.Outcome(e, "quick", 0, 0.0, {}, claims)
    assert not found.held and summary(found)["claims"][1] == {"held": False, "en": "no", "ja": "いいえ"}
    assert claims[1].text("ja") == "いいえ" and claims[1].text("en") == "no"
