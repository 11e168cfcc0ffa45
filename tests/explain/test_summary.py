"""``summary``: shapes, counts and statistics against numbers worked out by hand, and a model that stays as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.backend.random import get_rng_state
from gyaku.base.errors import DtypeError, ShapeError
from gyaku.core.op import REGISTRY
from gyaku.explain.derivation_text import width
from gyaku.explain.summary import Summary, bytes_text, count_text, summary
from gyaku.explain.summary_flops import flops_of


def model() -> Any:
    gy.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5),
        nn.Sequential(nn.Linear(3, 2, bias=False), nn.Tanh()),
    )  # fmt: skip


def run(**options: Any) -> Summary:
    return summary(model(), gy.randn(5, 4), lang="en", **options)


def test_shapes_parameters_and_work() -> None:
    found = run()
    assert [(r.path, r.kind, r.depth) for r in found.rows] == [
        ("", "Sequential", 0), ("0", "Linear", 1), ("1", "BatchNorm1d", 1), ("2", "ReLU", 1), ("3", "Dropout", 1),
        ("4", "Sequential", 1), ("4.0", "Linear", 2), ("4.1", "Tanh", 2),
    ]  # fmt: skip
    assert found["0"].inputs == ((5, 4),) and found["0"].output == ((5, 3),) and found[""].output == ((5, 2),)
    assert [r.parameters for r in found.rows] == [0, 15, 6, 0, 0, 0, 6, 0] and found.parameters == 27
    # 15 outputs of 4 multiply-adds and a bias; 7 an element; 1; 1; 10 outputs of 3 multiply-adds; 1
    assert [r.flops for r in found.rows] == [0, 15 * 9, 15 * 7, 15, 15, 0, 10 * 6, 10] and found.flops == 340
    assert found.parameter_bytes == found.gradient_bytes == 27 * 4


def test_memory_counts_each_array_once() -> None:
    x = gy.randn(5, 4)
    plain = summary(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Tanh()), x)
    # x for the weights of the first layer, then the output of each tanh; the weights are parameters
    assert [r.kept for r in plain.rows] == [0, 80, 60, 60] and plain.kept == 200
    shared = nn.Tanh()
    twice = summary(nn.Sequential(shared, nn.Linear(4, 4), shared), x)
    assert [(r.path, r.calls) for r in twice.rows] == [("", 1), ("0", 2), ("1", 1)] and "×2" in str(twice)


def test_statistics_are_those_of_numpy() -> None:
    linear = nn.Linear(4, 3).double()
    x, t = gy.randn(5, 4).double(), gy.randn(5, 3).double()
    net = nn.Sequential(linear, nn.Sigmoid())
    found = summary(net, x, loss=nn.MSELoss(), target=t)
    a = x.numpy() @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
    y = 1 / (1 + np.exp(-a))
    delta = 2 * (y - t.numpy()) / 15
    assert found["0"].mean == pytest.approx(a.mean()) and found["0"].std == pytest.approx(a.std())
    assert found["1"].delta_mean == pytest.approx(delta.mean()) and found["1"].delta_std == pytest.approx(delta.std())
    before = delta * y * (1 - y)
    assert found["0"].delta_mean == pytest.approx(before.mean()) and found["0"].delta_std == pytest.approx(before.std())
    assert summary(net, x, loss=lambda out: out.sum())["1"].delta_mean == 1.0
    assert summary(net, x)["0"].delta_mean is None


@pytest.mark.parametrize("training", [True, False])
def test_nothing_of_the_model_changes(training: bool) -> None:
    net = model().train(training)
    x = gy.randn(5, 4)
    net(x).sum().backward()
    buffers = {name: (t, t.numpy().copy()) for name, t in net.named_buffers()}
    grads = [p.grad.numpy().copy() for p in net.parameters()]
    state, seed = {k: v.numpy().copy() for k, v in net.state_dict().items()}, get_rng_state()
    keys = [sorted(m.__dict__) for m in net.modules()]
    summary(net, x, loss=lambda y: y.square().sum())
    assert all(net.get_buffer(n) is t and np.array_equal(t.numpy(), v) for n, (t, v) in buffers.items())
    assert all(np.array_equal(p.grad.numpy(), g) for p, g in zip(net.parameters(), grads, strict=True))
    assert all(np.array_equal(v.numpy(), state[k]) for k, v in net.state_dict().items())
    assert np.array_equal(get_rng_state(), seed) and net.training is training
    assert keys == [sorted(m.__dict__) for m in net.modules()]
    assert all(not m._forward_hooks and not m._hooked for m in net.modules())


def test_a_failing_model_is_put_back_as_well() -> None:
    net = model()
    buffer = net[1].running_mean
    with pytest.raises(ShapeError):
        summary(net, gy.randn(5, 7))
    assert net[1].running_mean is buffer and not net[0]._forward_hooks


def test_inside_no_grad_and_with_frozen_parameters() -> None:
    net = model()
    net[0].weight.requires_grad_(False)
    with gy.no_grad():
        found = summary(net, gy.randn(5, 4), lang="en")
    assert found.frozen == 12 and found.gradient_bytes == 60 and found.kept > 0 and "12 of them frozen" in str(found)


def test_a_model_of_several_inputs_and_a_skip() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3)

        def forward(self, x: Any, y: Any) -> Any:
            return {"sum": self.inner(x) + y}

    found = summary(Skip(), gy.ones(2, 3), gy.ones(2, 3))
    assert found[""].inputs == ((2, 3), (2, 3)) and found[""].output == ((2, 3),) and found[""].flops == 6


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_it_fits_a_terminal(lang: str) -> None:
    net, x = model(), gy.randn(5, 4)
    text = str(summary(net, x, loss=lambda y: y.sum(), lang=lang))
    assert all(width(line) <= 80 for line in text.splitlines())
    assert ("layer" in text and "δ mean" in text) if lang == "en" else ("層" in text and "標準偏差" in text)


def test_it_is_a_table_in_a_notebook() -> None:
    page = run()._repr_html_()
    assert page.count("<tr>") == 9 and page.count("<td") == 8 * 11 and "BatchNorm1d" in page


@pytest.mark.parametrize(
    ("name", "static", "shapes", "flops"),
    [
        ("matmul", (), [(2, 3), (3, 4)], 48),
        ("einsum", ("ij,jk->ik", 2), [(2, 3), (3, 4)], 48),
        ("linear", (), [(2, 3), (4, 3), (4,)], 56),
        ("sum", (None, False), [(2, 3)], 6),
        ("softmax", (1,), [(2, 3)], 30),
        ("exp", (), [(2, 3)], 6),
        ("reshape", ((6,),), [(2, 3)], 0),
    ],
)
def test_the_work_of_an_operation(name: str, static: Any, shapes: Any, flops: int) -> None:
    from gyaku.backend.namespace import numpy_namespace

    op, x = REGISTRY[name](*static), [np.ones(s) for s in shapes]
    assert flops_of(op, x, op.forward(numpy_namespace, *x)) == flops


def test_counts_as_text() -> None:
    assert [count_text(n) for n in (0, 999, 1000, 12345, 10**6, 10**9)] == [
        "0",
        "999",
        "1.00k",
        "12.3k",
        "1.00M",
        "1.00G",
    ]
    assert bytes_text(999) == "999 B" and bytes_text(10**6) == "1.00 MB"


def test_what_is_no_module() -> None:
    with pytest.raises(DtypeError, match="a module"):
        summary(lambda x: x, gy.ones(1))


def test_a_module_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    tn = torch.nn
    torch.manual_seed(0)
    net = tn.Sequential(tn.Linear(4, 3), tn.BatchNorm1d(3), tn.ReLU(), tn.Dropout(0.5),
                        tn.Sequential(tn.Linear(3, 2, bias=False), tn.Tanh()))  # fmt: skip
    before = {k: v.clone() for k, v in net.state_dict().items()}
    seed = torch.get_rng_state()
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    found = summary(net, x, loss=tn.MSELoss(), target=torch.zeros(5, 2), lang="en")
    ours = run(loss=nn.MSELoss(), target=gy.zeros(5, 2))
    assert [(r.path, r.kind, r.inputs, r.output, r.parameters, r.flops) for r in found.rows] == [
        (r.path, r.kind, r.inputs, r.output, r.parameters, r.flops) for r in ours.rows
    ]
    assert found["0"].kept == 80 and found["0"].delta_std and found["4.1"].std
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), seed) and all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    conv = tn.Sequential(tn.Conv2d(3, 8, 3, padding=1), tn.MaxPool2d(2), tn.Flatten(), tn.Linear(8 * 4 * 4, 2))
    wide = summary(conv, torch.randn(2, 3, 8, 8))
    assert wide["0"].flops == 2 * 8 * 64 * (2 * 27 + 1) and wide["2"].flops == 0 and wide["3"].parameters == 258


def test_a_shape_is_no_input() -> None:
    with pytest.raises(DtypeError, match=r"a shape, \(1, 4\)\. Hint: gyaku\.zeros\(1, 4\)"):
        summary(model(), (1, 4))
