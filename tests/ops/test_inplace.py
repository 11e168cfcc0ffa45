"""In-place forms write into the memory, are noticed by what was recorded before, and lose no gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import GyakuError
from gyaku.core.op import FUNCTIONS, METHODS

VALUES = np.array([0.25, 0.5, 0.75])
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys("add sub subtract mul multiply div divide pow remainder fmod floor_divide".split(), (2.0,)),
    **dict.fromkeys("eq ne lt le gt ge clamp_min clamp_max clamp clip".split(), (0.5,)),
    **dict.fromkeys("logical_and logical_or logical_xor".split(), (gy.tensor([1.0, 0.0, 2.0]),)),
    **dict.fromkeys("bitwise_and bitwise_or bitwise_xor".split(), (3,)),
    **dict.fromkeys("cumsum cumprod".split(), (0,)),
    "lerp": (gy.ones(3), 0.5),
    "addcmul": (gy.ones(3), gy.ones(3)),
    "addcdiv": (gy.ones(3), gy.ones(3)),
    "masked_fill": (gy.tensor([True, False, True]), 7.0),
}
FORMS = sorted(
    name[:-1]
    for name in METHODS
    if name.endswith("_")
    and not name.startswith("__")
    and name[:-1] in FUNCTIONS
    and FUNCTIONS[name[:-1]].__module__ not in ("gyaku.ops.index", "gyaku.ops.draw")
)


def message(call: Callable[[], Any]) -> str:
    with pytest.raises(GyakuError) as caught:
        call()
    return str(caught.value).partition(" [")[0]


@pytest.mark.parametrize("name", FORMS)
def test_each_form_writes_what_its_function_returns(name: str) -> None:
    start = (
        np.array([[5, 6], [1, 2]])
        if name.startswith("bitwise")
        else np.outer([1, 0.5], VALUES)
        if name in ("tril", "triu")
        else VALUES
    )
    x = gy.tensor(start)
    memory = x._array
    expected = FUNCTIONS[name](gy.tensor(start), *ARGUMENTS.get(name, ()))
    result = getattr(x, f"{name}_")(*ARGUMENTS.get(name, ()))
    assert result is x and x._array is memory
    np.testing.assert_array_equal(memory, expected._array.astype(memory.dtype))


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        (lambda x: x.__iadd__(1), [3, 5]),
        (lambda x: x.__isub__(1), [1, 3]),
        (lambda x: x.__imul__(3), [6, 12]),
        (lambda x: x.__ifloordiv__(3), [0, 1]),
        (lambda x: x.__imod__(3), [2, 1]),
        (lambda x: x.__ipow__(2), [4, 16]),
        (lambda x: x.__iand__(6), [2, 4]),
        (lambda x: x.__ior__(1), [3, 5]),
        (lambda x: x.__ixor__(6), [4, 2]),
    ],
)
def test_operators_write_in_place(symbol: Callable[[Any], Any], expected: list[int]) -> None:
    x = gy.tensor([2, 4])
    view = x[:]
    assert symbol(x) is x
    assert view.tolist() == expected


def test_in_a_graph_the_operator_makes_a_new_tensor() -> None:
    w = gy.tensor([1.0, 2.0], requires_grad=True)
    y = first = w * w
    y += 1
    total = zero = gy.zeros(2)
    total += w
    assert y is not first and total is not zero
    (y + total).sum().backward()
    assert w.grad.tolist() == [3.0, 5.0]


def test_a_leaf_is_refused_while_recording_and_written_without() -> None:
    w = gy.tensor([1.0, 2.0], requires_grad=True)
    assert message(lambda: w.__iadd__(1)) == (
        "add_: expected a tensor outside the graph, got a leaf that requires grad. Hint: write under gyaku.no_grad(), "
        "or make a new tensor (x = x + 1)."
    )
    with gy.no_grad():
        w += 1
    assert w.tolist() == [2.0, 3.0] and w.requires_grad and w.is_leaf


def test_an_operand_in_the_graph_is_refused_because_its_gradient_would_be_lost() -> None:
    w, x = gy.tensor([1.0, 2.0], requires_grad=True), gy.zeros(2)
    assert message(lambda: x.add_(w)).startswith("add_: expected operands outside the graph")
    assert message(lambda: x.copy_(w)).startswith("copy_: expected a source outside the graph")
    assert x.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.add_(1),
        lambda x: x.detach().zero_(),
        lambda x: x.data.view(2, 1).mul_(2),
        lambda x: x.split(1)[0].fill_(9),
    ],
)
def test_a_write_after_recording_is_noticed(write: Callable[[Any], Any]) -> None:
    x = gy.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    with gy.no_grad():
        write(x)
    assert message(y.backward).startswith("mul (backward): expected the value of the forward pass")


def test_results_that_do_not_fit_are_refused() -> None:
    assert message(lambda: gy.tensor([1, 2]).div_(2)) == (
        "div_: expected a result that fits into gyaku.int64, got gyaku.float32. "
        "Hint: convert the tensor first, as in x = x.float()."
    )
    assert message(lambda: gy.zeros(2).add_(gy.zeros(3, 2))) == (
        "add_: expected a result of its own shape (2,), got (3, 2)."
    )
    assert message(lambda: gy.zeros(2).copy_(gy.zeros(3))) == (
        "copy_: expected a source that broadcasts to (2,), got (3,)."
    )
    assert message(lambda: gy.zeros(2).expand(3, 2).add_(1)).startswith("in-place write: expected memory of its own")
    assert message(lambda: gy.tensor([1]).normal_()) == "normal_: expected a floating tensor, got gyaku.int64."


def test_drawn_values_come_from_the_generator() -> None:
    g = gy.Generator(3)
    x = gy.zeros(1000).uniform_(2, 4, generator=g)
    assert x.min() >= 2 and x.max() < 4 and g.counter > 0
    y = gy.zeros(1000).normal_(5, 0.1, generator=g)
    assert abs(y.mean().item() - 5) < 0.02 and abs(y.std().item() - 0.1) < 0.01
    b = gy.zeros(1000).bernoulli_(0.25, generator=g)
    assert set(b.tolist()) == {0.0, 1.0} and 0.2 < b.mean().item() < 0.3


def test_detach_in_place_leaves_the_graph() -> None:
    x = gy.ones(2, requires_grad=True) * 2
    assert x.detach_() is x and not x.requires_grad


def test_a_form_has_the_signature_of_its_function_and_is_one_itself_where_pytorch_says_so() -> None:
    x = gy.tensor([-2.0, 0.5, 3.0])
    assert gy.clamp_(x, min=-1.0, max=1.0) is x and x.tolist() == [-1.0, 0.5, 1.0]
    assert gy.relu_(x).tolist() == [0.0, 0.5, 1.0] and gy.zero_(x).tolist() == [0.0] * 3
    assert str(inspect.signature(gy.Tensor.add_)) == str(inspect.signature(gy.add))
