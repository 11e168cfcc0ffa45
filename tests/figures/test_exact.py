"""The figures whose numbers are exact: every claim holds, at any seed, and both pictures can be drawn."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from gyaku import figures
from gyaku.figures import graph, optimizers_contours

pytest.importorskip("threadpoolctl")  # here, not inside a test: its import sets an environment variable
pytest.importorskip("matplotlib_fontja")
from matplotlib.text import Text

NAMES = (
    "activations", "linear_collapse", "information", "loss_surfaces", "chain_rule", "cross_entropy_graph", "momentum",
    "optimizers_contours", "adam_over_time", "local_linear", "standardising", "l1_l2_contours",
)  # fmt: skip
# What each figure is about, as arrays: name -> {key: shape}.
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "activations": {"x": (801,), "sigmoid": (2, 801), "softmax": (2, 801), "jacobian": (3, 3)},
    "linear_collapse": {"two": (121, 2), "one": (121, 2), "bent": (121, 2)},
    "information": {"coin": (199,), "entropy": (300,), "crossed": (300,)},
    "loss_surfaces": {"s": (401,)},
    "momentum": {"sgd": (121, 2), "momentum": (121, 2), "velocity": (121, 2)},
    "optimizers_contours": dict.fromkeys(optimizers_contours.NAMES, (31, 2)),
    "adam_over_time": {"p": (200, 2), "s": (200, 2), "r": (200, 2), "step": (200, 2)},
    "local_linear": {"f": (300,), "plane": (300,), "minimisers": (3, 2)},
    "standardising": {"x": (1000,), "moved": (1000,), "layer": (1000,)},
    "l1_l2_contours": {"l1": (121, 2), "l2": (121, 2), "proximal": (121, 2)},
}


def numbers_of(value: Any) -> list[np.ndarray]:
    """All numbers of nested dicts."""
    if isinstance(value, dict):
        return [n for inner in value.values() for n in numbers_of(inner)]
    return [np.asarray(value, dtype=np.float64)]


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_holds_and_the_numbers_are_sound(name: str) -> None:
    outcome = figures.make(name, "quick")
    assert [c.en for c in outcome.claims if not c.held] == [] and len(outcome.claims) >= 3
    assert all(np.isfinite(n).all() for n in numbers_of(outcome.data))
    assert {key: outcome.data[key].shape for key in SHAPES.get(name, {})} == SHAPES.get(name, {})
    assert outcome.claims == figures.make(name, "quick").claims


@pytest.mark.parametrize("name", ["linear_collapse", "information", "standardising"])
def test_the_claims_do_not_hang_on_the_seed(name: str) -> None:
    first, other = figures.make(name, "quick"), figures.make(name, "quick", seed=12345)
    assert other.held and [c.en for c in first.claims] != [c.en for c in other.claims]


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_in_both_languages(name: str, caplog: pytest.LogCaptureFixture) -> None:
    outcome = figures.make(name, "quick")
    with caplog.at_level(logging.WARNING):  # drawing lays out every text, and so looks up every glyph
        pictures = {lang: outcome.draw(lang) for lang in ("en", "ja")}
    texts = {lang: [t.get_text() for t in figure.findobj(Text)] for lang, figure in pictures.items()}
    assert caplog.messages == [] and texts["en"] != texts["ja"]


def test_a_wrong_number_is_not_claimed() -> None:
    """Each exact claim can fail: the data of every figure, a little off, loses at least one."""
    module = figures.find("momentum").load()
    data = module.measure("quick", None)
    data["momentum"] = data["momentum"] * 1.0001
    assert [c.held for c in module.claims(data)] == [True, False, True]
    contours = optimizers_contours.measure("quick", None)  # type: ignore[arg-type]
    contours["adam"] = contours["adam"] + 1e-5
    assert not optimizers_contours.claims(contours)[3].held


def test_paths_of_a_graph() -> None:
    g = graph.Graph(
        {"x": (0, 0, "x", 2.0), "u": (1, 0, "u", lambda n: n["x"] ** 2), "z": (2, 0, "z", lambda n: n["u"] * n["x"])},
        {("x", "u"): "2x", ("u", "z"): "x", ("x", "z"): "u"},
    )
    assert len(g.paths("x")) == 2 and g.paths("z") == [[]]
    assert graph.written(-0.5) == "(-0.5)" and graph.written(12.0) == "12"
    branch = figures.make("chain_rule").data["branch"]
    total, text = graph.sum_of_products(figures.find("chain_rule").load().GRAPHS["branch"], branch, "x")
    assert (total, text) == (36.0, "6·4 + 4·3")
