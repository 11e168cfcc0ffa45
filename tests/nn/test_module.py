"""Module: registration, walking, state, modes, hooks, copies, and what it says when it is misused."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
from gyaku.base.errors import DtypeError, GyakuError, UnknownNameError
from gyaku.core.mode import state


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.scale = nn.Parameter(gy.ones(1))
        self.register_buffer("seen", gy.zeros(2))
        self.register_buffer("cache", gy.zeros(2), persistent=False)
        self.head = nn.Linear(4, 2, bias=False)

    def forward(self, x: Any) -> Any:
        return self.head(self.encoder(x)) * self.scale


def test_names_come_in_order_of_registration() -> None:
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "encoder.0.weight", "encoder.0.bias", "head.weight"]
    assert [n for n, _ in net.named_buffers()] == ["seen", "cache"]
    assert list(net.state_dict()) == ["scale", "seen", "encoder.0.weight", "encoder.0.bias", "head.weight"]
    assert [n for n, _ in net.named_modules()] == ["", "encoder", "encoder.0", "encoder.1", "head"]
    assert [n for n, _ in net.named_children()] == ["encoder", "head"]


def test_a_shared_parameter_is_given_once_but_saved_under_each_name() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert len(list(net.parameters())) == 3
    assert "1.weight" in net.state_dict()


def test_assignment_registers_replaces_and_deletes() -> None:
    net = Net()
    net.scale = nn.Parameter(gy.zeros(1))
    assert net._parameters["scale"] is net.scale
    net.seen = gy.ones(2)
    assert net._buffers["seen"] is net.seen
    net.head = None
    assert "head.weight" not in net.state_dict()
    with pytest.raises(GyakuError, match=r"Net: expected a Parameter or None for 'scale', got Tensor"):
        net.scale = gy.zeros(1)
    del net.scale
    assert "scale" not in net._parameters
    assert not hasattr(net, "scale")


def test_a_typo_in_an_attribute_says_what_was_meant() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'weight'"):
        _ = nn.Linear(2, 2).wieght
    with pytest.raises(UnknownNameError, match="did you mean 'Linear'"):
        _ = nn.Liner
    with pytest.raises(UnknownNameError, match="did you mean 'cross_entropy'"):
        _ = nn.functional.cross_entropi


def test_forgetting_super_init_gives_one_clear_message() -> None:
    class Hasty(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 2)

    with pytest.raises(GyakuError, match=r"Hasty: expected super\(\).__init__\(\) before anything else"):
        Hasty()


def test_layers_in_a_plain_list_are_noticed_once() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = []
            self.layers.append(nn.Linear(2, 2))

    net = Hidden()
    with pytest.warns(
        UserWarning, match=r"plain list 'layers', which no optimizer will see. Hint: self.layers = nn.ModuleList"
    ):
        assert list(net.parameters()) == []
    assert list(net.parameters()) == []  # warned once
    with pytest.warns(UserWarning, match="ModuleDict"):
        net.by_name = {"a": nn.ReLU()}
    with pytest.warns(UserWarning, match="ParameterList"):
        net.loose = [nn.Parameter(gy.ones(1))]


def test_a_list_of_registered_layers_is_fine() -> None:
    net = Net()
    net.order = [net.encoder, net.head]
    assert len(list(net.parameters())) == 4


def test_load_state_dict_copies_and_lists_all_problems_at_once() -> None:
    net, other = Net(), Net()
    assert net.load_state_dict(other.state_dict()) == ([], [])
    np.testing.assert_array_equal(net.head.weight.detach().numpy(), other.head.weight.detach().numpy())
    assert net.head.weight is not other.head.weight
    given = other.state_dict()
    given["head.wieght"] = given.pop("head.weight")
    given["scale"] = gy.ones(3)
    given["encoder.0.bias"] = gy.full((4,), 9.0)
    before = net.encoder[0].bias.tolist()
    with pytest.raises(GyakuError) as error:
        net.load_state_dict(given)
    text = str(error.value)
    for part in (
        "missing 'head.weight'",
        "unexpected 'head.wieght' (did you mean 'head.weight'?)",
        "scale: expected shape (1,), got (3,)",
    ):
        assert part in text
    assert net.encoder[0].bias.tolist() == before  # all or nothing
    del given["scale"]
    assert net.load_state_dict(given, strict=False) == (["scale", "head.weight"], ["head.wieght"])


def test_train_and_eval_reach_every_module() -> None:
    net = Net()
    assert all(not m.training for m in net.eval().modules())
    assert all(m.training for m in net.train().modules())
    with pytest.raises(GyakuError, match="True or False"):
        net.train("yes")


def test_to_converts_floating_numbers_only_and_keeps_the_parameters() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    weight = net[0].weight
    net(gy.ones(3, 2)).sum().backward()
    net.double()
    assert net[0].weight is weight
    assert weight.dtype is gy.float64 and weight.grad.dtype is gy.float64
    assert net[1].running_mean.dtype is gy.float64 and net[1].num_batches_tracked.dtype is gy.int64
    net(gy.ones(3, 2, dtype=gy.float64)).sum().backward()
    with pytest.raises(GyakuError, match="floating dtype"):
        net.to(gy.int64)


def test_zero_grad_forgets_or_clears() -> None:
    layer = nn.Linear(2, 1)
    layer(gy.ones(1, 2)).sum().backward()
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.tolist() == [[0.0, 0.0]]
    layer.zero_grad()
    assert layer.weight.grad is None


def test_deepcopy_is_independent_and_knows_its_own_paths() -> None:
    net = Net()
    twin = copy.deepcopy(net)
    with gy.no_grad():
        twin.scale.zero_()
    assert net.scale.tolist() == [1.0]
    assert twin.encoder[0].path == "encoder.0"
    assert twin.encoder._parent[0]() is twin
    assert twin.scale.requires_grad
    assert twin._parameters["scale"] is twin.scale


def test_path_is_the_place_in_the_outermost_model() -> None:
    net = Net()
    layer = net.encoder[0]
    assert (net.path, layer.path) == ("", "encoder.0")
    outer = nn.ModuleList([net])
    assert layer.path == "0.encoder.0"
    del outer
    gc.collect()
    assert layer.path == "encoder.0"


def test_errors_name_the_layer_and_the_line() -> None:
    with pytest.raises(GyakuError) as error:
        Net()(gy.ones(5, 7))
    assert str(error.value).startswith("linear (forward): expected x of shape (N, 3), got (5, 7). [layer 'encoder.0', ")
    assert "test_module.py:" in str(error.value)


def test_the_module_at_work_is_known_while_it_runs_and_not_after() -> None:
    seen = []

    class Probe(nn.Module):
        def forward(self, x: Any) -> Any:
            seen.append(state.module())
            return x

    probe = Probe()
    probe(1)
    assert seen == [probe]
    assert state.module is None
    y = nn.Linear(2, 2)
    assert y(gy.ones(1, 2)).grad_fn.module() is y


def test_modules_are_freed_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        net = Net()
        gone = weakref.ref(net.encoder[0])
        net(gy.ones(2, 3)).sum().backward()
        del net
        assert gone() is None
    finally:
        gc.enable()


def test_forward_hooks_may_replace_arguments_and_output() -> None:
    layer = nn.Identity()
    with layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,)):
        assert layer(1) == 2
    handle = layer.register_forward_hook(lambda m, args, out: out * 10)
    first = layer.register_forward_hook(lambda m, args, out: out + 1, prepend=True)
    assert layer(1) == 20
    handle.remove(), first.remove()
    assert layer(1) == 1
    layer.register_forward_hook(lambda m, args, kwargs, out: kwargs, with_kwargs=True)
    assert layer(input=3) == {"input": 3}
    with pytest.raises(GyakuError, match="callable"):
        layer.register_forward_hook(3)


def test_full_backward_hook_sees_and_may_replace_gradients() -> None:
    layer, seen = nn.Linear(2, 1, bias=False), []

    def hook(module: Any, grad_input: Any, grad_output: Any) -> Any:
        seen.append((module, grad_input[0].tolist(), grad_output[0].tolist()))
        return (grad_input[0] * 2,)

    layer.register_full_backward_hook(hook)
    with gy.no_grad():
        layer.weight.copy_(gy.tensor([[3.0, 5.0]]))
    x = gy.ones(1, 2).requires_grad_()
    layer(x).sum().backward()
    assert seen == [(layer, [[3.0, 5.0]], [[1.0]])]
    assert x.grad.tolist() == [[6.0, 10.0]]
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]


def test_full_backward_hook_with_two_inputs_and_with_none_that_wants_a_gradient() -> None:
    seen = []
    layer = nn.Bilinear(2, 2, 1)
    layer.register_full_backward_hook(lambda m, gi, go: seen.append([None if g is None else g.shape for g in gi]))
    layer(gy.ones(3, 2).requires_grad_(), gy.ones(3, 2).requires_grad_()).sum().backward()
    layer(gy.ones(3, 2), gy.ones(3, 2)).sum().backward()
    layer(gy.ones(3, 2), gy.ones(3, 2).requires_grad_()).sum().backward()
    assert seen == [[(3, 2), (3, 2)], [None, None], [None, (3, 2)]]


@pytest.mark.parametrize(("wrong", "text"), [
    (lambda m: m.register_parameter("a.b", None), "a name without dots"),
    (lambda m: m.register_parameter("", None), "a name without dots, not empty"),
    (lambda m: m.register_parameter("forward", None), "a name that is free"),
    (lambda m: m.register_parameter("w", gy.ones(1)), "expected a Parameter or None for 'w', got Tensor"),
    (lambda m: m.register_buffer("w", 3), "expected a Tensor or None for 'w', got int"),
    (lambda m: m.add_module("w", 3), "expected a Module or None for 'w', got int"),
    (lambda m: m.get_submodule("encodre"), "did you mean 'encoder'"),
    (lambda m: m.get_parameter("head.wait"), "expected a known parameter"),
    (lambda m: m.get_buffer("head.mean"), "expected a known buffer"),
])  # fmt: skip
def test_wrong_registrations_are_refused(wrong: Any, text: str) -> None:
    with pytest.raises(GyakuError, match=text):
        wrong(Net())


def test_containers_follow_lists_and_dicts() -> None:
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    seq = nn.Sequential(a, b)
    assert seq.append(c)[-1] is c and len(seq[:2]) == 2 and list(seq.insert(0, c))[0] is c
    del seq[0]
    assert [n for n, _ in seq.named_children()] == ["0", "1", "2"]
    assert list(nn.Sequential({"x": a, "y": b})._modules) == ["x", "y"]
    with pytest.raises(GyakuError, match=r"Hint: use Sequential\(\*layers\)"):
        nn.Sequential([a, b])
    many = nn.ModuleList([a, b])
    many[1] = c
    assert list(many) == [a, c] and many.pop() is c and len(many + [b]) == 2
    with pytest.raises(IndexError, match=r"expected an index within -1..0, got 3"):
        many[3]
    named = nn.ModuleDict({"one": nn.Linear(1, 1)})
    assert "one" in named and list(named.keys()) == ["one"] and len(list(named.parameters())) == 2
    with pytest.raises(KeyError, match="did you mean 'one'"):
        named["onne"]
    params = nn.ParameterList([gy.ones(2), nn.Parameter(gy.ones(1))])
    assert [p.shape for p in params.parameters()] == [(2,), (1,)] and params[0].requires_grad


# -- what layers are given ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nn.Linear(2, 2)(), r"Linear: expected arguments that fit Linear\(input\), got \(none\)"),
        (lambda: nn.Embedding(2, 2)([1]), r"Embedding: expected arguments .* got \(\[1\]\). Hint: wrap arrays"),
        (lambda: nn.CrossEntropyLoss()(gy.zeros(2, 3), [0, 1]), "CrossEntropyLoss: expected arguments"),
        (lambda: nn.Softmax(0)([1.0, 2.0]), "Softmax: expected arguments"),
    ],
)
def test_a_layer_says_in_one_line_what_it_takes(call, words: str) -> None:
    with pytest.raises(DtypeError, match=words):
        call()


def test_an_error_of_the_users_own_forward_stays_as_it_is() -> None:
    class Mine(nn.Module):
        def forward(self, x):
            return x.nowhere + None.shape  # type: ignore[union-attr]

    with pytest.raises(AttributeError) as caught:
        nn.Sequential(Mine())(3)
    assert str(caught.value) == "'int' object has no attribute 'nowhere'"
