"""``Doctor`` as a callback: the same bits, few rows, a verdict; and the verdict on a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import ArgumentError, DataError, DivergedError, DtypeError
from gyaku.base.text import Phrases
from gyaku.doctor import Doctor, Finding, Verdict
from gyaku.doctor.draw import chart_svg, verdict_html
from gyaku.doctor.phrases import WORDS
from gyaku.doctor.runs import examine_run, read_verdict, write_verdict
from gyaku.doctor.verdict import Chart, Curve, chart_json, ranked
from gyaku.report import write_report
from gyaku.train import Config, fit, train_run

X = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
T = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int64)
DEV = X[:60], T[:60]


@pytest.fixture(autouse=True)
def no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen must not depend on how busy the machine is."""
    monkeypatch.setattr("gyaku.doctor.callback._SHARE", float("inf"))


def trained(doctor: Doctor | None, **options: Any) -> tuple[Any, Any]:
    model = gy.models.MLP(6, options.pop("hidden", [16, 16]), 2, norm="batch", dropout=0.2, activation="relu")
    callbacks = [doctor] if doctor is not None else []
    given = {"epochs": 12, "dev": DEV, "lr": 0.01} | options
    return model, fit(model, (X[60:], T[60:]), callbacks=callbacks, **given)


def test_with_and_without_it_the_bits_are_equal() -> None:
    model, history = trained(None)
    for every in (1, 7, 50):
        twin, again = trained(Doctor(every=every))
        assert again.rows == history.rows
        for name, value in model.state_dict().items():
            assert np.array_equal(value._array, twin.state_dict()[name]._array), name


def test_it_looks_every_so_many_steps_and_finds_nothing_in_a_healthy_run() -> None:
    doctor = Doctor(every=20, lang="en")
    trained(doctor)
    assert [k for k, _ in doctor.trace.looks] == [0, 1, 20, 40]
    assert doctor.verdict.healthy and str(doctor.verdict) == "healthy: nothing found in 48 steps"
    assert all(layer.update_ratio for layer in doctor.trace.looks[-1][1])


def test_where_looking_is_dear_it_looks_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyaku.doctor.callback._SHARE", 0.0)
    doctor = Doctor(every=1)
    trained(doctor)
    assert len(doctor.trace.looks) == 4 and len(doctor.trace.losses) == 48 and doctor.verdict.healthy


def test_it_keeps_few_looks_however_long_training_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyaku.doctor.callback._MOST", 8)
    doctor = Doctor(every=1)
    trained(doctor)
    assert len(doctor.trace.looks) <= 8 and doctor.every > 1 and doctor.trace.looks[0][0] == 0


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("lr_low", {"lr": 1e-7}),
        ("vanishing", {"hidden": [16] * 8, "plain": True}),
        ("imbalance", {"rare": True}),
        ("label_noise", {"noise": 0.4}),
    ],
)
def test_it_finds_diseases_without_running_anything_twice(key: str, options: dict[str, Any]) -> None:
    doctor, rng = Doctor(every=5), np.random.default_rng(1)
    hidden = options.pop("hidden", [16, 16])
    x, t = X, T
    if options.pop("rare", False):
        rows = np.concatenate([np.flatnonzero(T == 0), np.flatnonzero(T == 1)[:6]])
        x, t = X[rows], T[rows]
    if noise := options.pop("noise", 0.0):
        t = np.where(rng.random(len(T)) < noise, 1 - (X[:, 0] > 0), X[:, 0] > 0).astype(np.int64)
    activation = "sigmoid" if options.pop("plain", False) else "relu"
    model = gy.models.MLP(6, hidden, 2, activation=activation, init="glorot")
    fit(model, (x, t), epochs=10, callbacks=[doctor], **options)
    assert key in doctor.verdict.keys
    assert doctor.verdict[key].proof is None and doctor.verdict.seen["trials"] == 0


def test_it_knows_why_a_training_broke_off() -> None:
    doctor = Doctor(every=5, lang="en")
    model = gy.models.MLP(6, [16], 1, init="he")
    values = X[:, :1].copy()
    with pytest.raises(DivergedError):
        fit(model, (X, values), optimizer="sgd", lr=50.0, epochs=20, callbacks=[doctor])
    assert doctor.verdict.keys[0] == "lr_high" and "not_finite" in doctor.verdict.keys


def test_before_fit_there_is_no_verdict_and_a_wrong_interval_is_refused() -> None:
    with pytest.raises(ArgumentError, match="a training that was watched"):
        _ = Doctor().verdict
    with pytest.raises(ArgumentError, match="every >= 1"):
        Doctor(every=0)


# -- run folders ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain network too deep to learn, trained for a moment."""
    folder = tmp_path_factory.mktemp("runs") / "deep"
    config = Config(data="digits", limit=400, plain=True, hidden=(24,) * 6, epochs=4, threads=1)
    train_run(config, folder)
    return folder


def test_a_run_is_examined_and_its_report_begins_with_the_verdict(run: Path) -> None:
    verdict = examine_run(run, steps=60)
    assert "vanishing" in verdict.keys and verdict["vanishing"].where == "affine1" and verdict.seen["rerun"]
    write_verdict(run, verdict)
    for lang, word in (("en", "vanishing gradients"), ("ja", "勾配消失")):
        page = write_report(run, lang).read_text(encoding="utf-8")
        assert page.index('id="verdict"') < page.index(word) < page.index('class="pairs"')


def test_without_the_data_the_logs_are_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(config: Any) -> Any:
        raise DataError("load", "a file", "none")

    monkeypatch.setattr("gyaku.doctor.runs.prepare_data", gone)
    verdict = examine_run(run)
    assert not verdict.seen["rerun"] and "vanishing" in verdict.keys and verdict["vanishing"].proof is None


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a run folder"):
        examine_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"healthy": false}', "[" * 10000])
def test_a_damaged_verdict_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "doctor.json").write_text(text)
    with pytest.raises(DataError, match=r"doctor\.json"):
        read_verdict(tmp_path)


@pytest.mark.parametrize(
    "broken",
    [{"findings": [{}]}, {"findings": [3]}, {"findings": [{"key": 1, "name": "x"}]}, {"seen": 3, "healthy": True}],
)
def test_an_edited_verdict_is_refused_by_the_report(broken: dict[str, Any], run: Path) -> None:
    good = {"healthy": False, "findings": [], "seen": {}}
    (run / "doctor.json").write_text(json.dumps(good | broken))
    try:
        with pytest.raises(DataError, match=r"doctor\.json"):
            write_report(run, "en")
    finally:
        (run / "doctor.json").unlink()


# -- pictures and words ---------------------------------------------------------------------------------------------


def test_strangers_words_are_escaped() -> None:
    curve = Curve("<script>", [0, 1], [1.0, 2.0], "x;}<script>")
    finding = Finding(
        "lr_high", 1.0, "<b>", {"first": 1.0, "last": 2.0, "ratio": 0.5}, "<i>", Chart("step", "loss", (curve,))
    )
    for lang in ("en", "ja"):
        page = verdict_html(Verdict((finding,)).to_json(), lang)
        assert "<script>" not in page and "<i>" not in page and "<b><" not in page


@pytest.mark.parametrize(
    "curves",
    [
        (),
        (Curve("train", [], []),),
        (Curve("train", [1], [float("nan")]),),
        (Curve("train", [1, 2, 3], [1e-12, 1.0, 1e9]), Curve("dev", [1, 2, 3], [1.0, 1.0, 1e9])),
        (Curve("train", [1, 2], [0.0, 0.0]), Curve("dev", [1, 2], [0.0, 0.0]), Curve("loss", [1, 2], [0.0, 0.0])),
        (Curve("train", [5], [-3.0]),),
    ],
)
def test_odd_curves_are_drawn(curves: tuple[Curve, ...]) -> None:
    from xml.etree import ElementTree

    for log in (False, True):
        for labels in ((), tuple(str(x) for x in curves[0].xs) if curves and curves[0].xs else ()):
            chart = chart_json(Chart("step", "loss", curves, log=log, labels=labels, mark=0.5))
            ElementTree.fromstring(chart_svg(chart or {}, Phrases(WORDS, "ja")))


def test_symptoms_stand_behind_their_causes() -> None:
    found = [Finding(key, 1.0) for key in ("underfitting", "vanishing", "overfitting", "bad_init")]
    assert [f.key for f in ranked(found)] == ["bad_init", "overfitting", "vanishing", "underfitting"]


def test_remedies_say_what_is_beside_the_code_in_japanese() -> None:
    remedy = "nn.ReLU()  # for nn.Sigmoid(), with He's values"
    finding = Finding("vanishing", 1.0, "affine1", {"first": 1e-4, "last": 0.3}, remedy)
    verdict = Verdict((finding,), lang="ja")
    for text in (repr(verdict), verdict.html("ja")):
        assert "He の初期値" in text and "with He" not in text
    assert "with He" in verdict.text("en")


@pytest.mark.parametrize("name", ["loss", "step", "validate"])
def test_what_cannot_be_called_is_refused(name: str) -> None:
    model = gy.nn.Linear(2, 2)
    with pytest.raises(DtypeError, match=f"{name}: a function or module, got str"):
        gy.doctor(model, (np.zeros((8, 2), np.float32), np.zeros(8, np.int64)), **{name: "nope"})


@pytest.mark.parametrize(("epochs", "remedy"), [(2, "epochs="), (30, "more units")])
def test_underfitting_seen_on_the_way_names_no_number_it_has_not(epochs: int, remedy: str) -> None:
    data = gy.data.prepare(gy.data.load("digits"), standardize=False, limit=300)
    doctor = Doctor(every=5, lang="en")
    model = gy.models.MLP((1, 8, 8), [8], 10, activation="sigmoid")
    fit(model, data, epochs=epochs, lr=1e-3, batch_size=32, callbacks=[doctor])
    assert doctor.verdict is not None
    finding = next(f for f in doctor.verdict.findings if f.key == "underfitting")
    assert remedy in finding.remedy and "nan" not in doctor.verdict.text("en")
