"""The one idea: a rule written once is read by arrays, by tensors (any order of derivative) and by a tracer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.backend.namespace import NAMESPACES, numpy_namespace, register_namespace
from gyaku.core.op import REGISTRY
from gyaku.core.tensor import new_tensor

X = np.array([0.5, -1.0, 2.0, 1.5])


# --- arrays ---


def test_arrays_read_a_rule_directly() -> None:
    tanh = REGISTRY["tanh"]()
    y = tanh.forward(numpy_namespace, X)
    gx = tanh.backward(numpy_namespace, (y,), np.ones(4), (True,))
    assert type(y) is type(gx) is np.ndarray
    assert np.array_equal(y, np.tanh(X)) and np.allclose(gx, 1 - np.tanh(X) ** 2)


# --- tensors ---


def derivatives(f: Any, order: int) -> list[np.ndarray]:
    x = gy.tensor(X, requires_grad=True)
    y, found = f(x), []
    for _ in range(order):
        (y,) = gy.autograd.grad(y, x, gy.ones_like(x), create_graph=True)
        found.append(y.detach().numpy().copy())
    return found


def test_three_derivatives_of_a_cube() -> None:
    first, second, third = derivatives(lambda x: x * x * x, 3)
    assert np.allclose(first, 3 * X**2) and np.allclose(second, 6 * X) and np.allclose(third, 6)


def test_derivatives_of_a_composition_against_differences() -> None:
    def f(x: Any) -> Any:
        return (x * x).tanh().exp()

    def value(x: np.ndarray) -> np.ndarray:
        return np.exp(np.tanh(x * x))

    e = 1e-4
    first, second = derivatives(f, 2)
    assert np.allclose(first, (value(X + e) - value(X - e)) / (2 * e), atol=1e-6)
    assert np.allclose(second, (value(X + e) - 2 * value(X) + value(X - e)) / e**2, atol=1e-5)


def test_the_gradient_with_a_graph_has_the_same_bits_as_without() -> None:
    x, w = gy.randn(5, 4, requires_grad=True), gy.randn(4, 3, requires_grad=True)

    def loss() -> Any:
        return ((x @ w).tanh() / (1 + w.sum(0).exp())).sort().values[:, :2].sum()

    plain = gy.autograd.grad(loss(), [x, w])
    graph = gy.autograd.grad(loss(), [x, w], create_graph=True)
    assert all(np.array_equal(p._array, g._array) for p, g in zip(plain, graph))


# --- a tracer: it has a shape and a type but no numbers, and writes down what is done to it ---


class Tracer:
    """The result of one equation of a program."""

    def __init__(self, program: list[Any], name: str, shape: tuple[int, ...], dtype: Any) -> None:
        self.program, self.name, self.shape, self.dtype = program, name, shape, np.dtype(dtype)

    __array_priority__ = 2000

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return self.name

    def __neg__(self) -> Tracer:
        return emit("neg", self)


def emit(name: str, *inputs: Any, **options: Any) -> Tracer:
    first = next(i for i in inputs if isinstance(i, Tracer))
    probes = [np.ones(i.shape, i.dtype) if isinstance(i, Tracer) else i for i in inputs]
    probe = CALLS[name](*probes, **options)
    out = Tracer(first.program, f"v{len(first.program)}", np.shape(probe), probe.dtype)
    first.program.append((out, name, inputs, options))
    return out


def _operator(name: str, swapped: bool) -> Any:
    return lambda self, other: emit(name, other, self) if swapped else emit(name, self, other)


OPERATORS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "matmul": "matmul"}
for _short, _full in OPERATORS.items():
    setattr(Tracer, f"__{_short}__", _operator(_full, False))
    setattr(Tracer, f"__r{_short}__", _operator(_full, True))
CALLS: dict[str, Any] = {"neg": np.negative, **{n: getattr(np, n) for n in OPERATORS.values()}}


class TracerNamespace:
    name = "tracer"

    def __getattr__(self, name: str) -> Any:
        CALLS[name] = getattr(numpy_namespace, name)
        return lambda *inputs, **options: emit(name, *inputs, **options)


@pytest.fixture
def _tracing() -> Iterator[None]:
    register_namespace(Tracer, TracerNamespace())
    yield
    del NAMESPACES[Tracer]


def run(program: list[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Interpret a program with NumPy."""
    for out, name, inputs, options in program:
        args = [values[i.name] if isinstance(i, Tracer) else i for i in inputs]
        values[out.name] = CALLS[name](*args, **options)
        assert np.shape(values[out.name]) == out.shape
    return values


@pytest.mark.usefixtures("_tracing")
def test_a_tracer_reads_forward_and_backward_into_a_program_with_the_same_numbers() -> None:
    program: list[Any] = []
    traced = {n: new_tensor(Tracer(program, n, s, "f8")) for n, s in {"x": (5, 4), "w": (4, 3), "gy": (5, 3)}.items()}
    for name in ("x", "w"):
        traced[name].requires_grad_()

    def f(x: Any, w: Any) -> Any:
        a = x @ w
        return (a * a).tanh().exp() / 2.0 - a

    f(traced["x"], traced["w"]).backward(traced["gy"])
    names = [name for _, name, _, _ in program]
    assert names[:4] == ["matmul", "multiply", "tanh", "exp"] and names.count("matmul") == 3

    rng = np.random.default_rng(0)
    values = {n: rng.normal(size=t._array.shape) for n, t in traced.items()}
    eager = [gy.tensor(values[n], requires_grad=True) for n in ("x", "w")]
    f(*eager).backward(gy.tensor(values["gy"]))
    result = run(program, dict(values))
    for name, t in zip(("x", "w"), eager):
        assert np.array_equal(result[traced[name].grad._array.name], t.grad._array)  # bit for bit


@pytest.mark.usefixtures("_tracing")
def test_a_tracer_and_an_array_meet_in_one_operation() -> None:
    program: list[Any] = []
    x = new_tensor(Tracer(program, "x", (3,), "f8"))
    y = x * gy.tensor([1.0, 2.0, 3.0], dtype=gy.float64)
    assert isinstance(y._array, Tracer) and [name for _, name, _, _ in program] == ["multiply"]
