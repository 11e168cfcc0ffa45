"""Convolutions in machine code against the formula, geometry by geometry, and networks of them against eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from compiler.compare import distance
from gyaku import nn
from gyaku.backend import convolution as formula
from gyaku.backend.convolution import Geometry
from gyaku.compiler import recompute
from gyaku.compiler.channels import channels_last
from gyaku.compiler.convolution import flops
from gyaku.compiler.emit import emitter_of
from gyaku.compiler.interpret import Executable as Interpreter
from gyaku.compiler.interpret import flops_of
from gyaku.compiler.primitives import infer
from gyaku.compiler.program import Equation, Program, Var

cpu = pytest.importorskip("gyaku.compiler.cpu")
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

# samples, channels in and out, size, kernel, stride, padding (before, after), dilation, groups
CASES = {
    "3x3, 16 to 16": (4, 16, 16, (9, 11), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "first layer": (3, 1, 16, (12, 9), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "3 channels to 5": (2, 3, 5, (7, 9), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "more channels than vectors": (3, 20, 37, (5, 4), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "stride 2": (4, 16, 32, (8, 8), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1),
    "stride 2, 1x1": (4, 16, 32, (8, 7), (1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 1),
    "stride 3 and 2, odd rest": (2, 4, 6, (11, 8), (2, 3), (3, 2), ((0, 1), (2, 0)), (1, 1), 1),
    "dilation": (2, 4, 6, (9, 10), (3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2), 1),
    "dilation and stride": (2, 3, 4, (13, 12), (3, 2), (2, 3), ((1, 0), (3, 2)), (3, 2), 1),
    "wide kernel": (2, 2, 3, (6, 14), (1, 7), (1, 1), ((0, 0), (3, 3)), (1, 1), 1),
    "kernel as large as x": (5, 6, 7, (4, 5), (4, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "more padding than kernel": (2, 3, 4, (3, 3), (2, 2), (1, 1), ((3, 2), (2, 4)), (1, 1), 1),
    "1x1": (3, 18, 9, (6, 5), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "one sample": (1, 4, 8, (6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "one channel out": (3, 8, 1, (6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "line": (3, 4, 6, (17,), (5,), (2,), ((2, 1),), (1,), 1),
    "groups": (2, 6, 4, (5, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 2),
}


def problem(name: str, dtype: str) -> tuple[Program, list[Any]]:
    """Return the three maps of a case as a program of x, w and g, and its inputs."""
    n, c, l, size, kernel, *rest = CASES[name]
    geometry = Geometry(*rest)
    shapes = [(n, c, *size), (l, c // geometry.groups, *kernel), (n, l, *geometry.out(size, kernel))]
    rng = np.random.default_rng(len(name))
    arrays = [rng.standard_normal(s).astype(dtype) for s in shapes]
    x, w, g = inputs = [Var(i, s, dtype) for i, s in enumerate(shapes)]
    maps = [("conv", (x, w), {}), ("conv_input", (g, w), {"size": size}), ("conv_weight", (x, g), {"kernel": kernel})]
    equations = []
    for op, given, more in maps:
        params = {"geometry": geometry} | more
        (kind,) = infer(op, params, given)
        equations.append(Equation(op, given, tuple(params.items()), (Var(9 + len(equations), *kind),)))
    return Program(inputs, equations, [e.output for e in equations], [None] * 3), arrays


def wanted(name: str, arrays: list[Any]) -> list[Any]:
    """Return the formula's values."""
    _, _, _, size, kernel, *rest = CASES[name]
    x, w, g = (a.astype(np.float64) for a in arrays)
    geometry = Geometry(*rest)
    return [
        formula.conv(np, x, w, geometry),
        formula.conv_input(np, g, w, geometry, size),
        formula.conv_weight(np, x, g, geometry, kernel),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_machine_code_agrees_with_the_formula_on_any_number_of_threads(name: str, dtype: str) -> None:
    program, arrays = problem(name, dtype)
    one, two = (cpu.Executable(program, threads).run(arrays) for threads in (1, 2))
    for a, b, right in zip(one, two, wanted(name, arrays), strict=True):
        assert distance(a, right) < TOLERANCE[dtype]
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CASES)
def test_the_turned_program_means_the_same(name: str) -> None:
    program, arrays = problem(name, "float64")
    turned = channels_last(program)
    assert CASES[name][-1] > 1 or not any(e.op.startswith("conv") for e in turned.equations)
    for a, right in zip(Interpreter(turned).run(arrays), wanted(name, arrays), strict=True):
        assert distance(a, right) < 1e-12


@pytest.mark.parametrize("name", ["3x3, 16 to 16", "stride 2", "dilation and stride", "line"])
def test_flops_are_those_of_the_definition_before_and_after_turning(name: str) -> None:
    program, _ = problem(name, "float32")
    n, c, l, size, kernel, *rest = CASES[name]
    places = np.prod(Geometry(*rest).out(size, kernel))
    counted = 2 * n * c * l * int(np.prod(kernel)) * int(places)
    assert [flops_of(e) for e in program.equations] == [counted] * 3
    turned = [flops(e) for e in channels_last(program).equations if e.op.startswith("correlate")]
    assert turned[0] == turned[2] == counted
    assert turned[1] >= counted, "the phases also walk over what the border cuts off"


def test_nan_and_infinity_reach_what_the_formula_lets_them_reach() -> None:
    program, arrays = problem("3x3, 16 to 16", "float32")
    arrays[0][0, 3, 4, 5], arrays[2][1, 2, 0, 0] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        right = wanted("3x3, 16 to 16", arrays)
    for a, b in zip(cpu.Executable(program, 1).run(arrays), right, strict=True):
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))


# --- networks ---------------------------------------------------------------------------------------------------------
class Block(nn.Module):
    """Two convolutions with batch norm beside a shortcut, the first with stride 2."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)])
        self.short = nn.Conv2d(inside, outside, 1, stride=2)

    def forward(self, x: Any) -> Any:
        y = self.norms[1](self.second(gy.relu(self.norms[0](self.first(x)))))
        return gy.relu(y + self.short(x))


class Halves(nn.Module):
    """The larger of each two neighbouring rows, then joined with both: slices and concatenation."""

    def forward(self, x: Any) -> Any:
        up, down = x[:, :, ::2], x[:, :, 1::2]
        return gy.cat([gy.maximum(up, down), up, down * 0.5], 1)


def residual() -> Any:
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), Block(8, 16), nn.Dropout(0.2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16 * 5 * 4, 10)), (9, 8)


def joined() -> Any:
    layers = [nn.Conv2d(1, 6, (3, 2), padding=(1, 0)), nn.Tanh(), Halves(), nn.Conv2d(18, 4, 1)]
    up = [nn.ConvTranspose2d(4, 3, 2, stride=2), nn.Sigmoid(), nn.Flatten()]
    return nn.Sequential(*layers, *up, nn.Linear(3 * 8 * 14, 10)), (8, 8)


def pooled() -> Any:
    """LeNet's kinds of layers, and all kinds of windows: tiles, overlapping ones with a frame, means."""
    first = [nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()]
    then = [nn.MaxPool2d(3, stride=2, padding=1), nn.AvgPool2d(2), nn.BatchNorm2d(8), nn.Flatten()]
    return nn.Sequential(*first, *then, nn.Linear(8 * 2, 10)), (8, 16)


class Skipping(nn.Module):
    """A U-Net's level: what goes down and what comes up again are joined, each computed in its half of the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(1, 5, 3, padding=1), nn.Conv2d(10, 4, 3, padding=1)
        self.down, self.up, self.pool = nn.Conv2d(5, 7, 3, padding=1), nn.ConvTranspose2d(7, 5, 2, 2), nn.MaxPool2d(2)

    def forward(self, x: Any) -> Any:
        kept = gy.relu(self.before(x))
        low = gy.relu(self.down(self.pool(kept)))
        return gy.relu(self.after(gy.cat([kept, gy.relu(self.up(low))], 1)))


def skipping() -> Any:
    return nn.Sequential(Skipping(), nn.Flatten(), nn.Linear(4 * 48, 10)), (6, 8)


class Framed(nn.Module):
    """Every other pixel, a part of the channels, a frame of zeros: slices whose gradients lie between zeros."""

    def forward(self, x: Any) -> Any:
        every, part = x[:, :, 1::2, ::2], x[:, 1:3, 2:-1, :-3]
        wide = nn.functional.pad(part, (0, 1, 1, 0, 0, 2))
        return gy.cat([(every * every).sum((2, 3)), (wide * 0.5).sum((2, 3)), wide.amax((2, 3))], 1)


def framed() -> Any:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), Framed(), nn.Linear(12, 10)), (8, 8)


def trained(make: Callable[[], Any], dtype: str, threads: int | None) -> dict[str, Any]:
    """Return losses, gradients, weights and buffers of two steps; eager without ``threads``."""
    gy.manual_seed(3)
    model, size = make()
    model.to(dtype)
    optimizer, criterion = gy.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), nn.CrossEntropyLoss()
    rng = np.random.default_rng(0)
    x, t = gy.tensor(rng.standard_normal((6, 1, *size)).astype(dtype)), gy.tensor(rng.integers(0, 10, 6))

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    run = step if threads is None else gy.compile(step, threads=threads, keep_gradients=True)
    losses = [run(x, t).item() for _ in range(2)]
    assert threads is None or run.fallback_reason is None or not run.fallback_reason
    found = {"losses": np.array(losses)} | {n: v.numpy().copy() for n, v in model.state_dict().items()}
    return found | {f"gradient of {n}": p.grad.numpy().copy() for n, p in model.named_parameters()}


@pytest.mark.parametrize("again", [False, True], ids=["", "computed again"])
@pytest.mark.parametrize("make", [residual, joined, pooled, skipping, framed])
def test_networks_train_as_eager_does(make: Callable[[], Any], again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute, "LARGE", 1 if again else recompute.LARGE)
    eager, one, two = (trained(make, "float64", threads) for threads in (None, 1, 2))
    assert one.keys() == eager.keys()
    for name, right in eager.items():
        assert distance(one[name], right, floor=1e-6) < 1e-9, name
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_a_skip_and_the_gradient_of_pooling_are_computed_where_they_are_joined() -> None:
    model, size = skipping()
    criterion = nn.CrossEntropyLoss()

    def step(x: Any, t: Any) -> Any:
        criterion(model(x), t).backward()

    x = gy.tensor(np.zeros((6, 1, *size), np.float32))
    program = gy.compile(step).program(x, gy.tensor(np.zeros(6, np.int64)))
    fusion = cpu.Fusion(channels_last(program))
    assert len(fusion.placed) == 6, "two halves of the skip, four of each window"
    copies = [k.shape for k in fusion.kernels if "copy" in k.extra]
    assert copies == [(6, 4, *size)], "only what is flattened changes its order"


@pytest.mark.parametrize("make", [residual, skipping])
def test_equal_networks_have_equal_code_so_that_the_cache_finds_it(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recompute, "LARGE", 1)

    def text() -> str:
        model, size = make()
        x, t = gy.tensor(np.zeros((6, 1, *size), np.float32)), gy.tensor(np.zeros(6, np.int64))
        step = gy.compile(lambda x, t: nn.functional.cross_entropy(model(x), t).backward())
        return emitter_of(channels_last(step.program(x, t)), 2, ()).text()

    assert len({text() for _ in range(4)}) == 1


def test_what_is_cheap_is_computed_again_instead_of_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    norm = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    step = gy.compile(lambda x: norm(x).sum().backward(), threads=1)
    program = channels_last(step.program(gy.tensor(np.zeros((6, 1, 9, 9), np.float32))))

    def large() -> int:
        fusion = cpu.Fusion(program)
        return sum(v.size == 6 * 4 * 49 for k in fusion.kernels for v in k.stores)

    kept = large()
    monkeypatch.setattr(recompute, "LARGE", 1)
    assert large() <= kept - 2, "neither x - mean nor the standardised x is stored"


def test_pictures_never_come_back_to_channels_first_between_convolutions() -> None:
    model, size = residual()
    x = gy.tensor(np.zeros((6, 1, *size), np.float32))
    head = model[:3]
    step = gy.compile(lambda x: head(x).sum(), threads=1)
    turned = channels_last(step.program(x))
    turns = [e for e in turned.equations if e.op == "transpose" and e.output.ndim == 4 and e.output.shape[0] == 6]
    assert [e.inputs[0] for e in turns] == [v for v in turned.inputs if v.shape == (6, 1, *size)]
