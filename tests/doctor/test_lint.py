"""The lint of hand-written loops: nothing is said of right ones, the right thing and line of wrong ones."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from doctor import loops
from doctor.loops import RIGHT, WRONG
from gyaku.base.errors import DtypeError
from gyaku.doctor import LoopWarning, watch
from gyaku.doctor.lint import Remark


def remarks(loop: Callable[[Any], None]) -> list[Remark]:
    seen: list[Any] = []

    def watching(*objects: Any) -> Any:
        seen.append(watch(*objects, lang="en"))
        return seen[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        loop(watching)
    return list(seen[0].remarks)


def test_there_are_forty_right_loops() -> None:
    assert len(RIGHT) >= 40


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_said_of_a_right_loop(name: str) -> None:
    assert remarks(RIGHT[name]) == []


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_loop_is_told_once_with_its_line(name: str) -> None:
    key, loop = WRONG[name]
    said = remarks(loop)
    assert [r.key for r in said] == [key]
    lines, first = inspect.getsourcelines(loop)
    marked = next(i for i, line in enumerate(lines, start=first) if line.rstrip().endswith("# here"))
    assert said[0].place == f"{loops.__file__}:{marked}"


def test_the_warning_is_a_real_one_at_the_line_of_the_loop() -> None:
    with pytest.warns(LoopWarning, match="zero_grad") as caught:
        WRONG["zero_grad_forgotten"][1](watch)
    (one,) = [w for w in caught if w.category is LoopWarning]
    assert Path(one.filename).name == "loops.py"


def test_words_in_japanese() -> None:
    with pytest.warns(LoopWarning, match="前のステップの勾配"):
        WRONG["zero_grad_forgotten"][1](lambda *objects: watch(*objects, lang="ja"))


def trained(watched: bool) -> list[Any]:
    model = loops.net(gy.nn.Dropout(0.3), gy.nn.BatchNorm1d(8))
    optimizer = gy.optim.Adam(model.parameters())
    block: Any = watch(model, optimizer) if watched else warnings.catch_warnings()
    gy.manual_seed(3)
    with block:
        for x, t in loops.batches() * 4:
            optimizer.zero_grad()
            gy.nn.functional.cross_entropy(model(x), t).backward()
            optimizer.step()
    return [v._array for v in model.state_dict().values()]


def test_what_is_trained_has_the_same_bits() -> None:
    assert all(np.array_equal(a, b) for a, b in zip(trained(True), trained(False), strict=True))


def test_everything_is_put_back_behind_the_block() -> None:
    model = loops.net()
    optimizer = loops.sgd(model)
    model.register_forward_hook(lambda *_: None).remove()  # from now on the module has its mark of hooks
    before = set(model.__dict__), set(optimizer.__dict__)
    with pytest.raises(ZeroDivisionError), watch(model, optimizer):
        raise ZeroDivisionError
    assert (set(model.__dict__), set(optimizer.__dict__)) == before
    assert not model._forward_hooks and not model._forward_pre_hooks


def test_what_is_no_model_or_optimizer_is_refused() -> None:
    with pytest.raises(DtypeError, match="a model, then its optimizers"):
        watch(3)
    with pytest.raises(DtypeError, match="optimizers behind the model"):
        watch(loops.net(), loops.net())


def test_printing_what_was_watched_tells_the_remarks() -> None:
    net = gy.nn.Linear(2, 1)
    optimizer = gy.optim.SGD(net.parameters(), lr=0.1)
    with watch(net, optimizer, lang="en") as seen, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert repr(seen) == "watch: nothing to remark"
        for _ in range(3):
            net(gy.ones(4, 2)).square().mean().backward()
            optimizer.step()
    assert "test_lint.py:" in repr(seen) and "zero_grad()" in repr(seen)
