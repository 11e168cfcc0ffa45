"""The page: self-contained, safe, with steps that show each value and each derivative once and in order."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

import gyaku as gy
from gyaku.explain import draw
from gyaku.explain.build import explain
from gyaku.explain.model import Explanation

ALIVE: list[Any] = []


def network(fold: Any = "auto", name: str = "x") -> Explanation:
    gy.manual_seed(0)
    model = gy.nn.Sequential(gy.nn.Linear(3, 4), gy.nn.ReLU(), gy.nn.Linear(4, 1))
    ALIVE[:] = [model]  # records know their modules weakly
    x = gy.ones(2, 3)
    return explain(model(x).sum(), names={name: x}, fold=fold, scope={})


class Tags(HTMLParser):
    """Collects elements and whether each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r"^const data = (.*);$", page, re.MULTILINE)
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


def test_it_is_one_whole_file_that_asks_nobody() -> None:
    page = draw.html(network())
    tags = Tags(page)
    assert tags.open == [] and not re.search(r"\[\[[a-z_]+\]\]", page)
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)


@pytest.mark.parametrize("name", ["</script><b>", "<img src=x onerror=y>", "a\u2028b", "{{x}} [[title]]"])
def test_names_cannot_break_out(name: str) -> None:
    page = draw.html(network(name=name))
    assert Tags(page).open == [] and len(re.findall(r"</script>", page)) == 1
    assert not [a for tag, a in Tags(page).seen if tag in ("b", "img") or "onerror" in a]
    inserted = re.findall(r"<(\w+)", json.dumps(data_of(page)))  # what the player puts into the page as HTML
    assert inserted and set(inserted) <= {"i", "b", "sup", "sub", "span"}
    assert "<b>" not in json.dumps(data_of(page)["levels"][-1]["items"])


def test_steps_go_forward_then_backward_and_show_everything_once() -> None:
    explanation = network(fold=False)
    steps = data_of(draw.html(explanation, lang="en"))["levels"][-1]["steps"]
    ways = [s["way"] for s in steps]
    assert ways == sorted(ways, reverse=True) and set(ways) == {"f", "b"}
    forward = [k for s in steps if s["way"] == "f" for k in s["items"]]
    assert sorted(forward) == sorted(i.key for i in explanation.items if not i.inline)
    backward = [k for s in steps if s["way"] == "b" for k in s["items"]]
    assert backward == [i.key for i in reversed(explanation.items) if i.delta is not None]
    arrows = [n for s in steps if s["way"] == "f" for n in s["arrows"]]
    assert sorted(arrows) == list(range(len(explanation.arrows)))
    assert steps[-len(backward)]["text"].startswith("The way back starts")


def test_numbers_of_arrows_are_their_places_in_the_picture() -> None:
    explanation = network(fold=False)
    page = draw.html(explanation)
    level = page.split('<div class="level"')[-2]
    assert 'data-way="wide"' in level
    drawn = re.findall(r'class="gy-arrow" data-source="(\w+)" data-target="(\w+)"', level)
    assert drawn == [(a.source, a.target) for a in explanation.arrows]


def test_modules_fold_and_unfold() -> None:
    for fold in (False, True):
        data = data_of(draw.html(network(fold=fold)))
        sizes = [len(level["items"]) for level in data["levels"]]
        assert len(sizes) > 1 and sizes == sorted(sizes)
        assert sizes[data["start"]] == len([i for i in network(fold=fold).items if not i.inline])


def test_an_item_says_its_value_its_derivative_and_its_line() -> None:
    explanation = network(fold=False)
    about = data_of(draw.html(explanation, lang="en"))["levels"][-1]["items"]
    rows = dict(about[explanation.find("0.weight").key])  # type: ignore[union-attr]
    assert rows["shape"].startswith("4×3  float32") and rows["value"].startswith("[[")
    assert any(head.startswith("derivative") and "<i>" in head for head in rows)
    assert any("test_html.py:" in row[1] for rows in about.values() for row in rows)


def test_narrow_screens_have_the_picture_from_top_to_bottom() -> None:
    page = draw.html(network(fold=False))
    assert [page.count(f'data-way="{way}"') for way in ("wide", "narrow")] == [len(data_of(page)["levels"])] * 2
    wide, narrow = data_of(page)["levels"][-1]["widths"]
    assert narrow < wide
    assert 'data-way="narrow"' not in draw.html(network(fold=False), direction="down")


def test_an_item_lists_the_products_along_its_paths_and_their_sum() -> None:
    x = gy.tensor(2.0, dtype=gy.float64, requires_grad=True)
    u, v = x**2, 3 * x
    explanation = explain(u * v, names={"x": x, "u": u, "v": v}, scope={})
    about = dict(data_of(draw.html(explanation, lang="en"))["levels"][-1]["items"][explanation["x"].key])
    lines = about["paths: 2"].split("\n")
    assert sorted(lines[:2]) == ["u1 → u → x:  6·4 = 24", "u1 → v → x:  4·3 = 12"] and lines[2] == "Σ = 36"


def test_both_languages() -> None:
    assert "順伝播" in draw.html(network(), lang="ja") and '<html lang="ja">' in draw.html(network(), lang="ja")
    assert "Forward" in draw.html(network(), lang="en")


def test_a_notebook_gets_a_small_piece() -> None:
    piece = network()._repr_html_()
    assert Tags(piece).open == [] and "<script" not in piece and piece.startswith("<div") and "<svg" in piece


def test_it_respects_readers() -> None:
    page = draw.html(network())
    for wish in (
        "prefers-color-scheme: dark",
        "prefers-reduced-motion",
        "width=device-width",
        "aria-live",
        "ArrowRight",
    ):
        assert wish in page
