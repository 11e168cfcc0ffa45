"""What a user may do with parameters, gradients and optimizers between two steps."""

from __future__ import annotations

import copy

import pytest

import gyaku as gy
from gyaku.base.errors import ArgumentError

MAKERS = [
    lambda p: gy.optim.SGD(p, 0.1, momentum=0.9),
    lambda p: gy.optim.Adam(p, 0.1),
    lambda p: gy.optim.RMSprop(p, 0.1),
]


@pytest.mark.parametrize("make", MAKERS)
def test_parameters_that_overlap_step_one_after_the_other(make) -> None:
    def trained(together: bool) -> list[float]:
        memory = gy.tensor([1.0, 2.0, 3.0])
        p, q = gy.nn.Parameter(memory[:2]), gy.nn.Parameter(memory[1:])
        optimizers = [make([p, q])] if together else [make([p]), make([q])]
        for _ in range(3):
            p.grad = q.grad = None
            ((p**2).sum() + q.sin().sum()).backward()
            for optimizer in optimizers:
                optimizer.step()
        return memory.tolist()

    assert trained(together=True) == trained(together=False)


@pytest.mark.parametrize("make", MAKERS)
def test_a_deep_copy_of_model_and_optimizer_goes_its_own_way(make) -> None:
    def step(model: gy.nn.Module, optimizer: gy.optim.Optimizer) -> list[float]:
        optimizer.zero_grad()
        (model(gy.ones(1, 3)) ** 2).sum().backward()
        optimizer.step()
        return model.weight.reshape(-1).tolist()

    model = gy.nn.Linear(3, 2)
    optimizer = make(model.parameters())
    step(model, optimizer)
    twin, its = copy.deepcopy((model, optimizer))
    assert its.param_groups[0]["params"][0] is twin.weight
    before = model.weight.tolist()
    there = [step(twin, its) for _ in range(2)]
    assert model.weight.tolist() == before
    assert [step(model, optimizer) for _ in range(2)] == there


def test_zero_grad_to_zero_writes_into_the_gradient_that_others_hold() -> None:
    layer = gy.nn.Linear(2, 1)
    optimizer = gy.optim.SGD(layer.parameters(), 0.1)
    for clear in (optimizer.zero_grad, layer.zero_grad):
        layer(gy.ones(1, 2)).sum().backward()
        held = layer.weight.grad
        clear(set_to_none=False)
        assert layer.weight.grad is held and held.tolist() == [[0, 0]]
    layer.weight.grad = None
    (layer(gy.ones(1, 2)) ** 2).sum().backward(create_graph=True)
    optimizer.zero_grad(set_to_none=False)
    assert layer.weight.grad.tolist() == [[0, 0]] and not layer.weight.grad.requires_grad


@pytest.mark.parametrize("state", [{7: {"exp_avg": 1.0}}, {0: 3}, 3])
def test_a_state_that_is_none_is_refused(state: object) -> None:
    optimizer = gy.optim.Adam(gy.nn.Linear(2, 2).parameters())
    with pytest.raises(ArgumentError, match="^Adam.load_state_dict: expected"):
        optimizer.load_state_dict({"state": state, "param_groups": [{"params": [0, 1]}]})
