"""What a notebook shows below a tensor."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import gyaku as gy
from gyaku.explain import model, notebook


def test_the_picture_of_a_result_uses_the_notebooks_names(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = gy.tensor(2.0, requires_grad=True)
    seen: list[Any] = []
    monkeypatch.setattr(sys.modules["__main__"], "weight", weight, raising=False)
    monkeypatch.setattr(model.Explanation, "html", lambda self, **options: seen.append(self) or str(options))
    assert notebook.picture_of(weight * 3) == "{'notebook': True}" and seen[0].items[0].name == "weight"
    assert notebook.picture_of(weight) == notebook.picture_of(gy.tensor(1.0)) == ""
