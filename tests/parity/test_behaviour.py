"""Where a number does not say it all: random draws, indexing, loaders, hooks, refusals; live against PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import GyakuError

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make parity` installs it")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

# -- initial values: the same distribution ---------------------------------------------------------------------------
INITIAL: dict[str, Callable[[Any], Any]] = {
    "Linear weight": lambda T: T.nn.Linear(200, 300).weight,
    "Linear bias": lambda T: T.nn.Linear(50, 20000).bias,
    "Bilinear": lambda T: T.nn.Bilinear(40, 30, 50).weight,
    "Embedding": lambda T: T.nn.Embedding(300, 200).weight,
    "PReLU": lambda T: T.nn.PReLU(30000).weight,
    "BatchNorm1d": lambda T: T.nn.BatchNorm1d(30000).weight,
    "uniform_": lambda T: T.nn.init.uniform_(T.empty(200, 300), -1.0, 3.0),
    "normal_": lambda T: T.nn.init.normal_(T.empty(200, 300), 2.0, 0.5),
    "constant_": lambda T: T.nn.init.constant_(T.empty(200, 300), 0.3),
    "xavier_uniform_": lambda T: T.nn.init.xavier_uniform_(T.empty(200, 300), gain=2.0),
    "xavier_normal_": lambda T: T.nn.init.xavier_normal_(T.empty(200, 300)),
    "kaiming_uniform_": lambda T: T.nn.init.kaiming_uniform_(T.empty(200, 300), a=math.sqrt(5)),
    "kaiming_normal_": lambda T: T.nn.init.kaiming_normal_(T.empty(200, 300), mode="fan_out", nonlinearity="relu"),
    "trunc_normal_": lambda T: T.nn.init.trunc_normal_(T.empty(200, 300), mean=0.5, std=1.0, a=-1.0, b=1.0),
    "orthogonal_": lambda T: T.nn.init.orthogonal_(T.empty(200, 300)),
    "rand": lambda T: T.rand(200, 300),
    "randn": lambda T: T.randn(200, 300),
    "randint": lambda T: T.randint(3, 50, (200, 300)).double(),
    "bernoulli": lambda T: T.bernoulli(T.full((200, 300), 0.3)),
    "normal": lambda T: T.normal(1.0, 2.0, (200, 300)),
    "dropout": lambda T: T.nn.functional.dropout(T.ones(200, 300), 0.3),
    "x.normal_": lambda T: T.empty(200, 300).normal_(1.0, 2.0),
    "x.uniform_": lambda T: T.empty(200, 300).uniform_(-2, 5),
}


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest distance of the two empirical distribution functions (Kolmogorov and Smirnov)."""
    points = np.concatenate([a, b])
    points.sort()
    fa, fb = (np.searchsorted(np.sort(v), points, side="right") / len(v) for v in (a, b))
    return float(np.abs(fa - fb).max())


@pytest.mark.parametrize("name", INITIAL)
def test_initial_values_have_the_same_distribution(name: str) -> None:
    gy.manual_seed(1)
    torch.manual_seed(1)
    ours, theirs = (np.asarray(INITIAL[name](T).detach().numpy(), np.float64).ravel() for T in (gy, torch))
    n = ours.size
    assert n == theirs.size
    spread = theirs.std()
    assert abs(ours.mean() - theirs.mean()) <= 5 * spread * math.sqrt(2 / n)
    assert abs(ours.std() - spread) <= 0.02 * spread
    assert abs(ours.min() - theirs.min()) <= 0.05 * spread + 1e-7 or "normal" in name or name in ("randn", "Embedding")
    assert _distance(ours, theirs) <= 2.2 * math.sqrt(2 / n) or name == "orthogonal_"


def test_orthogonal_rows_are_orthonormal() -> None:
    W = gy.nn.init.orthogonal_(gy.empty(20, 50), gain=2.0).numpy()
    np.testing.assert_allclose(W @ W.T, 4 * np.eye(20), atol=1e-5)


@pytest.mark.parametrize(
    "nonlinearity", ["linear", "sigmoid", "tanh", "relu", "selu", ("leaky_relu", 0.3), ("leaky_relu",)]
)
def test_gains(nonlinearity: Any) -> None:
    given = nonlinearity if isinstance(nonlinearity, tuple) else (nonlinearity,)
    assert gy.nn.init.calculate_gain(*given) == pytest.approx(torch.nn.init.calculate_gain(*given))


# -- types of numbers ------------------------------------------------------------------------------------------------
TYPES = ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"]
JOINED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda T, a, b: a + b,
    "mul": lambda T, a, b: a * b,
    "div": lambda T, a, b: a / b,
    "maximum": lambda T, a, b: T.maximum(a, b),
    "where": lambda T, a, b: T.where(T.tensor([True, False]), a, b),
    "eq": lambda T, a, b: a == b,
    "cat": lambda T, a, b: T.cat([a.reshape(-1), b.reshape(-1)]),
    "pow": lambda T, a, b: a**b,
}


@pytest.mark.parametrize("name", JOINED)
def test_two_types_become_the_same_third(name: str) -> None:
    """Every pair of types, with and without dimensions: 7 x 7 x 3 results."""
    for a in TYPES:
        for b in TYPES:
            if name == "pow" and (a, b) == ("bool", "bool"):
                continue  # PyTorch has no power of truth values
            for shapes in (((2,), (2,)), ((2,), ()), ((), (2,))):
                made = [
                    JOINED[name](T, *[T.ones(s, dtype=getattr(T, k)) for s, k in zip(shapes, (a, b))])
                    for T in (gy, torch)
                ]
                assert str(made[0].dtype).split(".")[1] == str(made[1].dtype).split(".")[1], (a, b, shapes)


@pytest.mark.parametrize("number", [2, 1.5, True], ids=repr)
def test_numbers_widen_like_pytorch(number: Any) -> None:
    for a in TYPES:
        for compute in (lambda x: x + number, lambda x: number * x, lambda x: x / number, lambda x: x > number):
            found = [str(compute(T.ones(2, dtype=getattr(T, a))).dtype).split(".")[1] for T in (gy, torch)]
            assert found[0] == found[1], (a, number)


REDUCED: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda T, x: x.sum(),
    "prod": lambda T, x: x.prod(),
    "cumsum": lambda T, x: x.cumsum(0),
    "amax": lambda T, x: x.amax(),
    "argmax": lambda T, x: x.long().argmax(),
    "sqrt": lambda T, x: x.sqrt(),
    "exp": lambda T, x: x.exp(),
    "sigmoid": lambda T, x: x.sigmoid(),
    "abs": lambda T, x: x.int().abs(),
    "any": lambda T, x: x.bool().any(),  # PyTorch alone keeps uint8 as a truth value
    "isnan": lambda T, x: x.isnan(),
}


@pytest.mark.parametrize("name", REDUCED)
def test_functions_of_every_type(name: str) -> None:
    for a in TYPES:
        found = [str(REDUCED[name](T, T.ones(2, dtype=getattr(T, a))).dtype).split(".")[1] for T in (gy, torch)]
        assert found[0] == found[1], a


# -- indexing: a thousand random keys ----------------------------------------------------------------------------------
def _random_key(rng: np.random.Generator, shape: tuple[int, ...]) -> Callable[[Any], Any]:
    """Return a function that builds one key for either package."""
    parts: list[Callable[[Any], Any]] = []
    length = int(rng.integers(1, 4))
    for n in shape:
        kind = rng.integers(6)
        if kind == 0:
            k = int(rng.integers(-n, n))
            parts.append(lambda T, k=k: k)
        elif kind == 1:
            a, b, s = int(rng.integers(-n, n)), int(rng.integers(-n, n + 1)), int(rng.integers(1, 3))
            parts.append(lambda T, a=a, b=b, s=s: slice(a, b, s))
        elif kind == 2:
            rows = rng.integers(-n, n, size=length)
            parts.append(lambda T, rows=rows: T.tensor(rows))
        elif kind == 3:
            rows = [int(r) for r in rng.integers(0, n, size=length)]
            parts.append(lambda T, rows=rows: rows)
        else:
            parts.append(lambda T: slice(None))
    if rng.random() < 0.3:
        parts.insert(int(rng.integers(0, len(parts) + 1)), lambda T: None)
    if rng.random() < 0.3:
        at = int(rng.integers(0, len(parts)))
        parts[at : at + int(rng.integers(0, 3))] = [lambda T: Ellipsis]
    return lambda T: tuple(p(T) for p in parts)


@pytest.mark.parametrize("seed", range(20))
def test_random_indices_read_and_write(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(50):
        shape = tuple(int(n) for n in rng.integers(1, 5, size=rng.integers(1, 5)))
        key, a = _random_key(rng, shape), rng.normal(size=shape)
        x, y = gy.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
        ours, theirs = x[key(gy)], y[key(torch)]
        np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())
        if theirs.numel():
            w = rng.normal(size=tuple(theirs.shape))
            (ours * gy.tensor(w)).sum().backward()
            (theirs * torch.tensor(w)).sum().backward()
            np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-12, atol=1e-14)
        p, q = gy.tensor(a), torch.tensor(a)
        p[key(gy)] = 7.5
        q[key(torch)] = 7.5
        np.testing.assert_array_equal(p.numpy(), q.numpy())


# -- data -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 7, 8, 10])
@pytest.mark.parametrize("batch_size", [1, 3, 8, 20])
@pytest.mark.parametrize("drop_last", [False, True])
def test_loaders_cut_the_same_batches(n: int, batch_size: int, drop_last: bool) -> None:
    from gyaku.utils import data as ours

    theirs = torch.utils.data
    results = []
    for T, D in ((gy, ours), (torch, theirs)):
        dataset = D.TensorDataset(T.arange(n * 2).reshape(n, 2), T.arange(n))
        loader = D.DataLoader(dataset, batch_size=batch_size, drop_last=drop_last)
        results.append((len(loader), [(x.tolist(), t.tolist()) for x, t in loader]))
        shuffled = D.DataLoader(dataset, batch_size=batch_size, drop_last=drop_last, shuffle=True)
        assert [len(t) for _, t in shuffled] == [len(t) for _, t in loader]
    assert results[0] == results[1]


def test_subsets_and_concatenation() -> None:
    from gyaku.utils import data as ours

    theirs = torch.utils.data
    for T, D in ((gy, ours), (torch, theirs)):
        dataset = D.TensorDataset(T.arange(10))
        assert [int(x[0]) for x in D.Subset(dataset, [3, 1])] == [3, 1]
        joined = D.ConcatDataset([dataset, D.Subset(dataset, [5])])
        assert len(joined) == 11 and int(joined[10][0]) == 5 and int(joined[-1][0]) == 5
        assert [len(p) for p in D.random_split(dataset, [0.5, 0.3, 0.2])] == [5, 3, 2]
        assert [len(p) for p in D.random_split(dataset, [6, 4])] == [6, 4]
        parts = D.random_split(dataset, [6, 4])
        assert sorted(int(x[0]) for p in parts for x in p) == list(range(10))


# -- gradients through utilities --------------------------------------------------------------------------------------
@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping(norm_type: float, limit: float) -> None:
    found = []
    for T in (gy, torch):
        ps = [T.tensor([3.0, -4.0], requires_grad=True), T.tensor([[1.0]], requires_grad=True)]
        (ps[0].sum() * 2 + (ps[1] ** 2).sum()).backward()
        total = T.nn.utils.clip_grad_norm_(ps, limit, norm_type)
        found.append([float(total), *[p.grad.tolist() for p in ps]])
        T.nn.utils.clip_grad_value_(ps, 0.1)
        found[-1] += [p.grad.tolist() for p in ps]
    assert str(found[0]) == str(found[1]) or np.allclose(found[0][0], found[1][0], rtol=1e-6)
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_functional_derivatives() -> None:
    def f(T: Any) -> Any:
        return lambda x, y: (T.exp(x) * y).sum(0) * x

    for name in ("jacobian", "hessian", "jvp", "vjp"):
        found = []
        for T in (gy, torch):
            x, y, v = (T.tensor(np.cos(np.arange(3) + k)) for k in range(3))
            F = T.autograd.functional
            if name == "jacobian":
                found.append([j.tolist() for j in F.jacobian(f(T), (x, y))])
            elif name == "hessian":
                found.append([h.tolist() for row in F.hessian(lambda a, b, T=T: f(T)(a, b).sum(), (x, y)) for h in row])
            elif name == "jvp":
                found.append([a.tolist() for a in F.jvp(f(T), (x, y), (v, v))])
            else:
                out, grads = F.vjp(f(T), (x, y), v)
                found.append([out.tolist(), *[g.tolist() for g in grads]])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_hooks_see_and_change_the_same() -> None:
    found = []
    for T in (gy, torch):
        x = T.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3
        seen: list[Any] = []
        y.register_hook(lambda g, seen=seen: seen.append(g.tolist()) or 2 * g)
        y.retain_grad()
        (y**2).sum().backward()
        layer = T.nn.Linear(2, 1)
        with T.no_grad():
            layer.weight.fill_(0.5)
            layer.bias.zero_()
        layer.register_forward_hook(lambda m, i, o, seen=seen: seen.append(o.tolist()))
        layer.register_full_backward_hook(lambda m, gi, go, seen=seen: seen.append([g.tolist() for g in go]))
        layer(T.ones(1, 2, requires_grad=True)).sum().backward()
        found.append([seen, x.grad.tolist(), y.grad.tolist(), layer.weight.grad.tolist()])
    assert found[0] == found[1]


# -- what PyTorch refuses, we refuse -----------------------------------------------------------------------------------
REFUSED: dict[str, Callable[[Any], Any]] = {
    "add of shapes": lambda T: T.ones(2, 3) + T.ones(4),
    "matmul of shapes": lambda T: T.ones(2, 3) @ T.ones(2, 3),
    "matmul of dtypes": lambda T: T.ones(2, 2) @ T.ones(2, 2).double(),
    "view of another size": lambda T: T.ones(2, 3).view(5),
    "cat of shapes": lambda T: T.cat([T.ones(2, 3), T.ones(2, 4)]),
    "stack of shapes": lambda T: T.stack([T.ones(2), T.ones(3)]),
    "index outside": lambda T: T.ones(3)[3],
    "too many indices": lambda T: T.ones(3)[0, 0],
    "dim outside": lambda T: T.ones(3).sum(1),
    "backward of a vector": lambda T: T.ones(3, requires_grad=True).mul(2).backward(),
    "backward without graph": lambda T: T.ones(3).sum().backward(),
    "backward twice": lambda T: (lambda y: (y.backward(), y.backward()))((T.ones(3, requires_grad=True) ** 2).sum()),
    "gradient of integers": lambda T: T.tensor([1, 2], requires_grad=True),
    "in-place on a leaf": lambda T: T.ones(2, requires_grad=True).add_(1),
    "numpy of a leaf": lambda T: T.ones(2, requires_grad=True).numpy(),
    "item of two": lambda T: T.ones(2).item(),
    "bool of two": lambda T: bool(T.ones(2)),
    "mean of integers": lambda T: T.arange(3).mean(),
    "saved value overwritten": lambda T: _overwrite(T),
    "optimizer of nothing": lambda T: T.optim.SGD([], lr=0.1),
    "optimizer of a result": lambda T: T.optim.SGD([T.ones(1, requires_grad=True) * 2], lr=0.1),
    "negative learning rate": lambda T: T.optim.SGD([T.ones(1, requires_grad=True)], lr=-1.0),
    "nesterov without momentum": lambda T: T.optim.SGD([T.ones(1, requires_grad=True)], lr=0.1, nesterov=True),
    "betas outside": lambda T: T.optim.Adam([T.ones(1, requires_grad=True)], betas=(1.0, 0.9)),
    "linear of another width": lambda T: T.nn.Linear(3, 2)(T.ones(4, 5)),
    "batch norm of one sample": lambda T: T.nn.BatchNorm1d(3)(T.ones(1, 3)),
    "group norm": lambda T: T.nn.GroupNorm(2, 3),
    "embedding outside": lambda T: T.nn.Embedding(3, 2)(T.tensor([3])),
    "labels outside": lambda T: T.nn.functional.cross_entropy(T.ones(2, 3), T.tensor([0, 3])),
    "labels of another batch": lambda T: T.nn.functional.cross_entropy(T.ones(2, 3), T.tensor([0, 1, 2])),
    "probabilities outside": lambda T: T.nn.functional.binary_cross_entropy(T.full((2,), 1.5), T.ones(2)),
    "unknown reduction": lambda T: T.nn.MSELoss(reduction="avg")(T.ones(2), T.ones(2)),
    "dropout outside": lambda T: T.nn.Dropout(1.5),
    "missing state": lambda T: T.nn.Linear(2, 2).load_state_dict({}),
    "state of another shape": lambda T: T.nn.Linear(2, 2).load_state_dict({"weight": T.ones(3, 2), "bias": T.ones(2)}),
    "where of numbers": lambda T: T.ones(2).masked_fill(T.ones(2), 0.0),
    "topk outside": lambda T: T.ones(3).topk(4),
    "gather of floats": lambda T: T.ones(3).gather(0, T.ones(3)),
    "einsum of sizes": lambda T: T.einsum("ij,jk->ik", T.ones(2, 3), T.ones(4, 5)),
    "expand of a size": lambda T: T.ones(2).expand(3),
    "permute twice": lambda T: T.ones(2, 3).permute(0, 0),
    "squeeze outside": lambda T: T.ones(2).squeeze(2),
    "split of sizes": lambda T: T.split(T.ones(5), [2, 2]),
    "amax of nothing": lambda T: T.zeros(0, 2).amax(0),
    "int power": lambda T: T.tensor([2]) ** -1,
    "in-place to a narrower type": lambda T: T.tensor([1]).add_(1.5),
    "grad of another shape": lambda T: setattr(T.ones(2, requires_grad=True), "grad", T.ones(3)),
    "module attribute": lambda T: T.nn.Linear(2, 2).wieght,
}


def _overwrite(T: Any) -> None:
    x = T.ones(2, requires_grad=True)
    y = T.exp(x)
    z = (y * y).sum()
    with T.no_grad():
        y.mul_(2)
    z.backward()


# A label outside its range is a wrong value whatever looks it up; a reduction of nothing has a wrong shape; a parameter
# with a graph is a matter of the graph.
OTHERWISE = {"labels outside": ValueError, "amax of nothing": ValueError, "optimizer of a result": RuntimeError}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_both(name: str) -> None:
    with pytest.raises(Exception) as theirs:
        REFUSED[name](torch)
    with pytest.raises(GyakuError) as ours:
        REFUSED[name](gy)
    kinds = (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError, NotImplementedError)
    expected = OTHERWISE.get(name) or next(kind for kind in kinds if isinstance(theirs.value, kind))
    assert isinstance(ours.value, expected), f"PyTorch raises {type(theirs.value).__mro__}"
