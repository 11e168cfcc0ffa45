"""DOT text: nodes, edges, clusters of modules, quoted strings."""

from __future__ import annotations

import re

import pytest

import gyaku as gy
from gyaku.base.errors import ArgumentError
from gyaku.explain import draw
from gyaku.explain.build import explain
from gyaku.explain.dot import quoted
from gyaku.explain.model import Explanation


def graph() -> Explanation:
    a, x, y = (gy.tensor(v, dtype=gy.float64, requires_grad=True) for v in (2.0, 3.0, 1.0))
    t = a * x - y
    return explain(t**2, names={"a": a, "x": x, "y": y, "t": t}, scope={})


def network() -> Explanation:
    gy.manual_seed(0)
    inner = gy.nn.Sequential(gy.nn.Linear(3, 4), gy.nn.Tanh())
    model = gy.nn.Sequential(inner, gy.nn.Linear(4, 1))
    return explain(model(gy.ones(2, 3)).sum(), scope={})


def test_the_backward_graph_as_text() -> None:
    text = draw.dot(graph(), "backward")
    assert text.startswith("digraph explanation {\n  rankdir=LR;") and text.endswith("}\n")
    assert text.count("dir=back") == 5 and '"∂t/∂y = −1"' in text and "= 30" in text
    assert draw.dot(graph(), direction="down").count("rankdir=TB") == 1


def test_edges_join_nodes_and_braces_match() -> None:
    for view in ("forward", "backward", "both"):
        text = draw.dot(network(), view)
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', "Q", text)
        assert bare.count("{") == bare.count("}")
        nodes = set(re.findall(r'^\s*("\w+") \[label', text, re.MULTILINE))
        ends = set(re.findall(r'("\w+") -> ', text)) | set(re.findall(r'-> ("\w+")', text))
        assert ends and ends <= nodes


def test_modules_are_clusters_inside_one_another() -> None:
    text = draw.dot(network())
    assert text.count("subgraph") == 3 and text.index('"cluster 0#0"') < text.index('"cluster 0.0#0"')
    assert "subgraph" not in draw.dot(network(), frames=False)


def test_a_title_and_why_numbers_are_missing_are_its_label() -> None:
    x = gy.ones(2, requires_grad=True)
    text = draw.dot(explain(x * x, scope={}), title="A", lang="ja")
    assert 'label="A\\n結果が配列です' in text


def test_strings_are_quoted() -> None:
    assert quoted('a"b\\c\nd') == '"a\\"b\\\\c\\nd"'


def test_another_view_is_refused() -> None:
    with pytest.raises(ArgumentError, match="forward, backward, both"):
        draw.dot(graph(), "up")
