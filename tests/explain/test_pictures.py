"""The pictures of the lectures: what is written where, sums over paths, marks of failures, nothing covers anything."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import ArgumentError
from gyaku.explain.build import explain
from gyaku.explain.draw_boxes import Writer, wrapped
from gyaku.explain.draw_frames import frames_of
from gyaku.explain.draw_parts import array_part, cells
from gyaku.explain.draw_picture import STYLES, Panel, picture
from gyaku.explain.draw_scene import Group, Heat, Paint, Rect, Scene, Write
from gyaku.explain.draw_text import formula, measure, number, plain, shape_text, with_text
from gyaku.explain.model import Arrow, Explanation, Item
from gyaku.explain.recorder import record


def leaf(value: Any) -> Any:
    return gy.tensor(value, dtype=gy.float64, requires_grad=True)


def square() -> Explanation:
    """z = (ax - y)² (lecture row 3.3)."""
    a, x, y = leaf(2.0), leaf(3.0), leaf(1.0)
    s = a * x
    t = s - y
    return explain(t**2, names={"a": a, "x": x, "y": y, "s": s, "t": t}, scope={})


def cross_entropy() -> Explanation:
    """The binary cross-entropy of a sigmoid in the lecture's nodes (3.4)."""
    x, y = leaf(0.5), leaf(0.8)
    s = gy.exp(-x)
    yhat = 1 / (1 + s)
    z1, z2 = y * gy.log(yhat), (1 - y) * gy.log(1 - yhat)
    names = {"x": x, "y": y, "s": s, "yhat": yhat, "z1": z1, "z2": z2, "h": -z1 - z2}
    return explain(names["h"], names=names, fold="names", scope={})


def matrices() -> Explanation:
    """E = ½ Σ (XW - T)² with the numbers of 3.6."""
    X, W = leaf([[2.0, -1.0, 1.0]]), leaf([[2.0, 0.0], [1.0, 1.0], [0.0, 4.0]])
    T = gy.tensor([[1.0, 2.0]], dtype=gy.float64)
    Y = X @ W
    E = ((Y - T) ** 2).sum() / 2
    return explain(E, names={"X": X, "W": W, "T": T, "Y": Y, "E": E}, scope={})


class Block(gy.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = gy.nn.Linear(8, 8), gy.nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        return gy.relu(x + self.second(gy.tanh(self.first(x))))


def residual() -> Explanation:
    """Two residual blocks (10.3)."""
    gy.manual_seed(0)
    model = gy.nn.Sequential(Block(), Block())
    x = gy.randn(30, 8)
    return explain((model(x) ** 2).mean(), names={"x": x}, scope={})


def texts(scene: Scene | Group, kind: str = "") -> list[str]:
    root = scene.root if isinstance(scene, Scene) else scene
    groups = list(root.groups(kind)) if kind else [root]
    return [with_text(w.line) for g in groups for w in g.flat() if isinstance(w, Write)]


def item_texts(scene: Scene, symbol: str) -> list[str]:
    return next(
        texts(g)
        for kind in ("item leaf", "item op", "item group", "item constant")
        for g in scene.root.groups(kind)
        if g.data["symbol"] == symbol
    )


# --- what is written ---


def test_the_forward_picture_has_formulas_and_values_and_no_derivatives() -> None:
    scene = picture(square(), "forward")
    assert item_texts(scene, "s") == ["s = a x", "6"] and item_texts(scene, "y") == ["y", "1"]
    assert not list(scene.root.groups("backward")) and len(list(scene.root.groups("forward"))) == 5
    assert not any("∂" in t for t in texts(scene))


def test_the_backward_picture_has_local_derivatives_on_reversed_arrows_and_products() -> None:
    scene = picture(square(), "backward")
    assert item_texts(scene, "a") == ["a", "2", "∂z/∂a = 10·1·3 = 30".replace("z", "u₁")]
    found = texts(scene, "label")
    assert {"∂s/∂a = x", "= 3", "∂t/∂s = 1", "∂t/∂y = −1", "= 10"} <= set(found)
    assert not list(scene.root.groups("forward")) and len(list(scene.root.groups("backward"))) == 5


def test_products_of_paths_are_added_where_arrows_join() -> None:
    x = leaf(2.0)
    u, v = x**2, 3 * x
    scene = picture(explain(u * v, names={"x": x, "u": u, "v": v}, scope={}), "backward")
    assert item_texts(scene, "x")[-1] in ("∂u₁/∂x = 6·4 + 4·3 = 36", "∂u₁/∂x = 4·3 + 6·4 = 36")


def test_a_long_sum_stands_term_by_term() -> None:
    found = item_texts(picture(cross_entropy(), "backward"), "y")
    assert found[2:] == ["∂h/∂y = (−1)·0.9741", "+ (−1)·(−0.4741) = −0.5"]


def test_the_lectures_cross_entropy_has_its_named_nodes_and_rules() -> None:
    scene = picture(cross_entropy(), "backward")
    assert item_texts(scene, "z2")[0] == "z₂ = (1 − y) log(1 − ŷ)"
    assert {"∂z₁/∂ŷ = y/ŷ", "= 1.285", "∂h/∂z₁ = −1"} <= set(texts(scene, "label"))


def test_small_arrays_are_written_out_and_rules_of_matrices_stand_on_arrows() -> None:
    scene = picture(matrices(), "backward")
    assert item_texts(scene, "W") == ["W", "∂E/∂W = ", "4", "2", "−2", "−1", "2", "1"]
    assert {"∂E/∂Y W^(T)", "X^(T) ∂E/∂Y"} <= set(texts(scene, "label"))
    assert item_texts(picture(matrices(), "forward"), "Y") == ["Y = X W", "3", "3"]


def test_large_arrays_are_shape_and_colours() -> None:
    part = array_part(np.arange(600.0).reshape(20, 30) - 300, 16, "forward")
    heat = next(s for s in part.shapes if isinstance(s, Heat))
    assert heat.cells.shape == (20, 24) and heat.cells.min() == -1 and heat.cells.max() < 1
    assert texts(Group("part", part.shapes)) == ["20×30"]


@pytest.mark.parametrize("shape", [(100,), (3, 500), (2, 3, 9, 9), (0, 4), (5, 1, 1, 7, 2)])
def test_any_shape_becomes_at_most_24_rows_and_columns(shape: tuple[int, ...]) -> None:
    grid = cells(np.ones(shape))
    assert grid.ndim == 2 and max(grid.shape, default=0) <= 24 and np.all(np.abs(grid) <= 1)


def test_values_that_are_no_numbers_are_drawn() -> None:
    grid = cells(np.array([np.nan, np.inf, -4.0, 2.0] * 6))
    assert np.isnan(grid[0, :2]).all() and grid[0, 2:4].tolist() == [-1.0, 0.5]
    assert cells(np.full((5, 5), 3j + 4)).tolist() == np.ones((5, 5)).tolist()
    assert texts(Group("part", array_part(np.array([np.nan, -np.inf]), 16, "ink").shapes)) == ["NaN", "−∞"]


def test_both_views_in_one_picture() -> None:
    scene = picture(square(), "both", lang="ja")
    assert {"順伝播: 値", "逆伝播: 微分"} <= set(texts(scene))
    assert list(scene.root.groups("forward")) and list(scene.root.groups("backward"))


def test_a_failing_operation_is_marked_with_its_message() -> None:
    a, b = gy.ones(2, 3, requires_grad=True), gy.ones(2, 3, requires_grad=True)
    with pytest.raises(ValueError), record() as tape:
        gy.relu(a) @ b
    scene = picture(explain(tape, names={"a": a, "b": b}, scope={}))
    red = [s for s in scene.root.flat() if isinstance(s, Rect) and s.paint.stroke == "wrong"]
    assert len(red) == 1 and any("expected" in t for t in texts(scene))


def test_a_graph_without_numbers_says_why() -> None:
    a = leaf(2.0)
    z = (a * a).exp()
    z.backward()
    scene = picture(explain(z, scope={}), "backward", lang="en")
    assert any("spent" in t for t in texts(scene))


def test_the_view_follows_from_what_is_known() -> None:
    assert len(list(picture(square()).root.groups("backward"))) == 5
    a, b = gy.ones(2, 3, requires_grad=True), gy.ones(2, 3, requires_grad=True)
    assert not list(picture(explain(a * b, scope={})).root.groups("backward"))


def test_wrong_words_are_refused() -> None:
    with pytest.raises(ArgumentError, match="forward, backward, both"):
        picture(square(), "sideways")
    with pytest.raises(ArgumentError, match="right, down"):
        picture(square(), direction="up")


# --- modules ---


def test_modules_are_framed_and_their_parameters_have_short_names() -> None:
    scene = picture(residual())
    assert {"0 · Block", "0.first · Linear", "1 · Block"} <= set(texts(scene, "frame"))
    assert "W" in texts(scene) and not any("weight" in t for t in texts(scene))
    assert not list(picture(residual(), frames=False).root.groups("frame"))


@pytest.mark.parametrize(("between", "frames"), [(lambda h: h * 2, 2), (lambda h: h, 1)])
def test_each_call_of_a_module_has_its_frame(between: Any, frames: int) -> None:
    gy.manual_seed(0)
    model = gy.nn.Sequential(gy.nn.Sequential(gy.nn.Linear(2, 2), gy.nn.Tanh()))
    h = gy.ones(1, 2)
    found = explain(model[0](between(model[0](h))).sum(), names={"h": h}, model=model, scope={})
    around, known = frames_of(found)
    insides = [{key for key, path in around.items() if name in path} for name in known]
    assert [frame.path for frame in known.values()] == ["0"] * frames
    assert not any(leaves_and_returns(found, inside) for inside in insides)
    shared = {item.key for item in found.leaves}
    assert all((not inside & shared) == (frames == 2) for inside in insides)


def test_a_call_that_comes_back_has_no_frame() -> None:
    class Outside(gy.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = gy.nn.Linear(2, 2), gy.nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            h = self.a(x)
            return self.b(h) + h + HELD[0](h)

    gy.manual_seed(0)
    HELD[:] = [gy.nn.Linear(2, 2)]
    model = gy.nn.Sequential(Outside())
    found = explain(model(gy.ones(1, 2)).sum(), scope={})
    around, known = frames_of(found)
    assert {frame.path for frame in known.values()} == {"0.a", "0.b"}
    for name in known:
        assert not leaves_and_returns(found, {key for key, path in around.items() if name in path})


HELD: list[Any] = []


def leaves_and_returns(explanation: Explanation, inside: set[str]) -> bool:
    """Whether an item outside depends on one inside and is used by one inside."""
    after: set[str] = set()
    for item in explanation.items:
        sources = {a.source for a in item.arrows}
        if item.key in inside:
            if sources & after:
                return True
        elif sources & (inside | after):
            after.add(item.key)
    return False


# --- nothing covers anything ---


def spaces(panel: Panel) -> dict[str, tuple[float, float, float, float]]:
    """Boxes, and what is written on arrows, as drawn."""
    found = {}
    for group in panel.part().shapes:
        for own in [group, *group.groups("label")]:
            if own.kind.startswith("item"):
                box = own.shapes[0]
                found[own.data["key"]] = (box.x, box.y, box.x + box.width, box.y + box.height)
            elif own.kind == "label":
                for line in own.flat():
                    width = measure(line.line, line.size)
                    left, top = line.x - width / 2, line.y - line.size * 0.9
                    found[f"{id(line)}"] = (left, top, left + width, line.y + line.size * 0.25)
    return found


@pytest.mark.parametrize("direction", ["right", "down"])
@pytest.mark.parametrize("view", ["forward", "backward", "page"])
@pytest.mark.parametrize("make", [square, cross_entropy, matrices, residual])
def test_labels_and_boxes_of_the_lectures_pictures_are_apart(make: Any, view: str, direction: str) -> None:
    found = list(spaces(Panel(make(), STYLES[view], direction, True)).values())
    for a, b in itertools.combinations(found, 2):
        assert not (a[0] < b[2] - 0.5 and b[0] < a[2] - 0.5 and a[1] < b[3] - 0.5 and b[1] < a[3] - 0.5)


def test_what_stands_in_a_box_fits_into_it() -> None:
    scene = picture(cross_entropy(), "backward")
    for group in scene.root.groups("item group"):
        box = group.shapes[0]
        for line in (s for s in group.flat() if isinstance(s, Write)):
            half = measure(line.line, line.size) / 2
            assert box.x < line.x - half and line.x + half < box.x + box.width and box.y < line.y < box.y + box.height


# --- writing ---


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0000000001, "1"), (-0.0, "0"), (0.1 + 0.2, "0.3"), (7.5625, "7.5625"), (2 / 3, "0.6667"), (-8.25, "−8.25"),
        (123456.0, "1.235×10⁵"), (1e-7, "1×10⁻⁷"), (12345, "12345"), (True, "1"), (np.float32(0.1), "0.1"),
        (float("nan"), "NaN"), (-float("inf"), "−∞"), (1 - 2j, "1 − 2i"), (99999.6, "1×10⁵"), (0.00012, "0.00012"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_a_lecturer_writes_them(value: Any, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("x1", [("x", "italic", 0), ("1", "sans", -1)]),
        ("w_ij", [("w", "italic", 0), ("ij", "italic", -1)]),
        ("e^(-x)", [("e", "italic", 0), ("−", "sans", 1), ("x", "italic", 1)]),
        ("log(yhat)", [("log(", "sans", 0), ("ŷ", "italic", 0), (")", "sans", 0)]),
        ("∂E/∂W", [("∂", "math", 0), ("E", "italic", 0), ("/", "sans", 0), ("∂", "math", 0), ("W", "italic", 0)]),
        ("Xᵀ", [("X", "italic", 0), ("T", "italic", 1)]),
        ("theta", [("θ", "italic", 0)]),
        ("beta_1 + ybar", [("β", "italic", 0), ("1", "sans", -1), (" + ", "sans", 0), ("ȳ", "italic", 0)]),
        ("sigma(x)", [("sigma(", "sans", 0), ("x", "italic", 0), (")", "sans", 0)]),
        ("損失", [("損失", "sans", 0)]),
        ("encoder.0.weight", [("encoder.0.weight", "sans", 0)]),
    ],
)
def test_variables_are_slanted_and_functions_upright(text: str, runs: list[tuple[str, str, int]]) -> None:
    assert [(r.text, r.face, r.level) for r in formula(text)] == runs


def test_japanese_is_twice_as_wide_and_control_characters_vanish() -> None:
    assert measure(plain("損失"), 10) == 20 and plain("a\x00b\nc")[0].text == "ab c"
    assert (
        shape_text((2, 3)) == "2×3" and shape_text((4,)) == "(4)" and wrapped("a bb ccc", 1, 10) == ["a", "bb", "ccc"]
    )


def test_an_explanation_made_by_hand_is_drawn() -> None:
    into = Arrow("x", "y", 0, local=2.0, flow=np.array(2.0))
    x = Item("x", "leaf", "x", "x", value=np.array(3.0), delta=np.array(2.0), dtype=np.dtype(float))
    y = Item("y", "op", "y", "y", "2 {0}", "2 x", value=np.array(6.0), delta=np.array(1.0), arrows=(into,))
    made = Explanation([x, y], [into], "y")
    writer = Writer(made)
    assert with_text(writer.delta_lines(x)[0]) == "∂y/∂x = 2"
    assert item_texts(picture(made), "y") == ["y = 2 x", "6"]
    assert Paint("ink").width == 1.5


def test_four_ways_that_join_are_written_one_by_one() -> None:
    x = leaf(2.0)
    u, v = x * x, x + 1.0
    z = u * v + gy.sin(x)
    lines = item_texts(picture(explain(z), "backward"), "x")
    assert [line.replace(" ", "") for line in lines[-4:]] == ["∂z/∂x=3·2", "+3·2", "+4·1", "+1·(−0.4161)=15.58"]


def test_the_rule_of_the_last_operation_has_no_factor_one() -> None:
    x = leaf([[1.0, 2.0]])
    z = (x**2).sum()
    assert "∂z/∂z ones(1×2)" not in texts(picture(explain(z), "backward"))
