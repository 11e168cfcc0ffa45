"""``save`` and ``load``: trees that cannot be written, and names that no file can have."""

from __future__ import annotations

from pathlib import Path

import pytest

import gyaku as gy
from gyaku.base.errors import DataError, DtypeError


def test_a_list_that_holds_itself_or_is_very_deep_is_refused(tmp_path: Path) -> None:
    loop: list[object] = []
    loop.append(loop)
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    for tree in (loop, deep):
        with pytest.raises(DtypeError, match="^save: expected dicts and lists that end"):
            gy.save(tree, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_name_with_the_character_zero_is_refused() -> None:
    for call in (lambda: gy.save({}, "a\0b"), lambda: gy.load("a\0b")):
        with pytest.raises(DataError, match="expected a name without the character 0"):
            call()
