"""What an optimizer refuses, each with the whole message it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku.optim as optim
from gyaku.core.tensor import Parameter, Tensor, new_tensor
from optim_cases import give_gradients, parameters


def _tensor(values: Any, dtype: Any = np.float64) -> Tensor:
    return new_tensor(np.array(values, dtype=dtype))


MISUSES: list[tuple[str, Any, type[Exception], str]] = [
    (
        "no parameters",
        lambda: optim.SGD([]),
        ValueError,
        "SGD: expected at least one parameter, got none. Hint: keep layers in nn.Sequential or nn.ModuleList (a plain "
        "list hides them), and pass model.parameters() again, because an iterator is empty after one use.",
    ),
    (
        "a bare tensor",
        lambda: optim.Adam(parameters()[0]),
        TypeError,
        "Adam: expected a list of parameters or of groups, got one Parameter. "
        "Hint: pass model.parameters(), or [tensor].",
    ),
    (
        "a number",
        lambda: optim.Adam(3),
        TypeError,  # type: ignore[arg-type]
        "Adam: expected a list of parameters or of groups, got int. Hint: pass model.parameters().",
    ),
    (
        "a method",
        lambda: optim.Adam(parameters),
        TypeError,  # type: ignore[arg-type]
        "Adam: expected a list of parameters or of groups, got function. Hint: pass model.parameters().",
    ),
    ("a negative rate", lambda: optim.SGD(parameters(), lr=-1.0), ValueError, "SGD: expected 0 <= lr, got lr=-1.0."),
    ("a NaN rate", lambda: optim.SGD(parameters(), lr=float("nan")), ValueError, "SGD: expected 0 <= lr, got lr=nan."),
    (
        "a rate in words",
        lambda: optim.SGD(parameters(), lr="fast"),
        ValueError,  # type: ignore[arg-type]
        "SGD: expected 0 <= lr, got lr='fast'.",
    ),
    (
        "a beta of one",
        lambda: optim.Adam(parameters(), betas=(1.0, 0.9)),
        ValueError,
        "Adam: expected 0 <= betas < 1, got betas=(1.0, 0.9).",
    ),
    (
        "one beta",
        lambda: optim.Adam(parameters(), betas=(0.9,)),
        ValueError,  # type: ignore[arg-type]
        "Adam: expected two betas, got betas=(0.9,).",
    ),
    (
        "nesterov alone",
        lambda: optim.SGD(parameters(), nesterov=True),
        ValueError,
        "SGD: expected momentum > 0 and dampening = 0 with nesterov, got momentum=0, dampening=0.",
    ),
    (
        "a typo in an option",
        lambda: optim.SGD(parameters(), momentun=0.9),
        AttributeError,
        "SGD: expected a known option (dampening, l1, l1_proximal, l2, lr, maximize, momentum, nesterov, weight_decay),"
        " got 'momentun'. Hint: did you mean 'momentum'?",
    ),
    (
        "a typo in a group",
        lambda: optim.SGD([{"params": parameters(), "weigth_decay": 0.1}]),
        AttributeError,
        "SGD: expected a known option of a group (dampening, l1, l1_proximal, l2, lr, maximize, momentum, nesterov, "
        "params, weight_decay), got 'weigth_decay'. Hint: did you mean 'weight_decay'?",
    ),
    (
        "a typo in eps_mode",
        lambda: optim.Adam(parameters(), eps_mode="insides"),
        AttributeError,
        "Adam: expected a known eps_mode (inside, outside, rewritten), got 'insides'. Hint: did you mean 'inside'?",
    ),
    (
        "one twice",
        lambda: optim.SGD([p := parameters()[0], p]),
        ValueError,
        "SGD: expected each parameter once, got parameter 1 (shape (3, 2)) twice.",
    ),
    (
        "one in two groups",
        lambda: optim.SGD([{"params": [p := parameters()[0]]}, {"params": [p]}]),
        ValueError,
        "SGD: expected each parameter once, got parameter 0 (shape (3, 2)) twice.",
    ),
    (
        "integers",
        lambda: optim.SGD([_tensor([1, 2], np.int64)]),
        TypeError,
        "SGD: expected floating parameters, got gyaku.int64 as parameter 0. Hint: convert it with .float().",
    ),
    (
        "an array",
        lambda: optim.SGD([np.zeros(3)]),
        TypeError,
        "SGD: expected tensors to optimize, got ndarray as parameter 0.",
    ),
    (
        "a set",
        lambda: optim.SGD([{"params": {1, 2}}]),
        TypeError,
        "SGD: expected parameters in an order, got a set. Hint: use a list.",
    ),
    (
        "an empty group",
        lambda: optim.SGD([{"params": []}]),
        ValueError,
        "SGD: expected at least one parameter in each group, got an empty group.",
    ),
    (
        "a group that is none",
        lambda: optim.SGD(parameters()).add_param_group([1]),
        TypeError,  # type: ignore[arg-type]
        "SGD.add_param_group: expected a dictionary with 'params', got list.",
    ),
    (
        "differentiable",
        lambda: optim.SGD(parameters(), differentiable=True),
        ValueError,
        "SGD: expected differentiable=False, got True. Hint: write the update as an expression instead.",
    ),
    (
        "state of other groups",
        lambda: optim.SGD(parameters()).load_state_dict(optim.SGD(parameters()[:2]).state_dict()),
        ValueError,
        "SGD.load_state_dict: expected groups of [5] parameters, got groups of [2]. "
        "Hint: build the optimizer with the groups it was saved with.",
    ),
    (
        "no state",
        lambda: optim.SGD(parameters()).load_state_dict({"a": 1}),
        ValueError,
        "SGD.load_state_dict: expected a dictionary with 'state' and 'param_groups', got {'a': 1}.",
    ),
]


@pytest.mark.parametrize(("build", "kind", "message"), [m[1:] for m in MISUSES], ids=[m[0] for m in MISUSES])
def test_misuse_gives_one_clear_message(build: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        build()
    assert str(caught.value) == message


def test_a_result_is_not_a_parameter() -> None:
    from gyaku.ops.arithmetic import mul

    y = mul(parameters()[0], 2.0)
    with pytest.raises(RuntimeError, match="SGD: expected leaf tensors, got the result of an operation as parameter 0"):
        optim.SGD([y])


def test_state_of_another_shape_is_refused_and_nothing_changes() -> None:
    params = parameters(shapes=[(2,)])
    other = parameters(shapes=[(3,)])
    source, target = optim.Adam(other), optim.Adam(params)
    give_gradients(other, 0)
    source.step()
    with pytest.raises(ValueError, match=r"Adam.load_state_dict: expected 'exp_avg' of shape \(2,\), got \(3,\)"):
        target.load_state_dict(source.state_dict())
    assert not target.state_dict()["state"]


def test_parameter_of_another_shape_is_refused_at_the_step() -> None:
    params = parameters(shapes=[(2,)])
    optimizer = optim.Adam(params)
    give_gradients(params, 0)
    optimizer.step()
    params[0].data = new_tensor(np.zeros(3))
    give_gradients(params, 0)
    with pytest.raises(ValueError, match=r"of shape \(2,\), as its state 'exp_avg' has, got \(3,\)"):
        optimizer.step()


def test_an_expanded_view_is_no_memory_to_write_to() -> None:
    p = Parameter(new_tensor(np.zeros(3)))
    p.data = new_tensor(np.broadcast_to(np.float64(1.0), (3,)))
    p.grad = new_tensor(np.ones(3))
    with pytest.raises(RuntimeError, match="expected a parameter with memory of its own"):
        optim.SGD([p]).step()
