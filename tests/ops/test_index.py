"""Indexing, gathering, products, order, creation and drawing, beyond what the table of cases drives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import ArgumentError, DtypeError, GraphError, GyakuError, PositionError, ShapeError
from gyaku.ops.index import one_hot

X = np.arange(60.0).reshape(3, 4, 5)
B, A = np.array([True, False, True]), np.array([2, 0, 0])

# Keys by NumPy's reading, which is PyTorch's except where the next table says otherwise.
KEYS: list[Any] = [
    0, -1, slice(1, 3), (slice(None), 2), (..., 1), None, (0, None, ...), (..., None, 0), (slice(None, None, 2), 1),
    A, (slice(None), A), (A, A), [0, 2], ([0, 1], [1, 2]), np.array([[0, 1], [1, 1]]),
    B, (slice(None), np.array([True] * 4)),
    (B, 1), X > 20, (X > 20)[:, :, 0], (A, ..., A), (slice(None), None, A), (None, A), np.array(1), True, [],
    (np.array([0, 1]), slice(1, 3)), (..., np.array([0, 1]), np.array([1, 2])), (0, 1, 2), np.array([-1, -3]), range(2),
]  # fmt: skip


def named(key: Any) -> str:
    return str(key).replace("\n", "")[:40]


def as_key(key: Any, wrap: Callable[[Any], Any]) -> Any:
    parts = key if isinstance(key, tuple) else (key,)
    found = tuple(wrap(p) if isinstance(p, np.ndarray) else p for p in parts)
    return found if isinstance(key, tuple) else found[0]


@pytest.mark.parametrize("key", KEYS, ids=named)
@pytest.mark.parametrize("wrap", [gy.tensor, lambda a: a], ids=["tensor", "array"])
def test_reading_and_its_gradient(key: Any, wrap: Callable[[Any], Any]) -> None:
    x = gy.tensor(X, requires_grad=True)
    y = x[as_key(key, wrap)]
    numpy_key = [int(i) for i in key] if isinstance(key, (list, range)) and not key else key
    numpy_key = np.zeros(0, int) if isinstance(key, list) and not key else numpy_key
    expected = X[numpy_key]
    assert y.shape == expected.shape and np.array_equal(y.detach().numpy(), expected)
    w = np.random.default_rng(0).normal(size=expected.shape)
    (y * gy.tensor(w)).sum().backward()
    gx = np.zeros_like(X)
    np.add.at(gx, numpy_key, w)
    assert np.allclose(x.grad.numpy(), gx)


@pytest.mark.parametrize("key", KEYS, ids=named)
def test_writing(key: Any) -> None:
    x, expected = gy.tensor(X), X.copy()
    x[as_key(key, gy.tensor)] = 7.5
    expected[np.zeros(0, int) if isinstance(key, list) and not key else key] = 7.5
    assert np.array_equal(x.numpy(), expected)


def test_a_number_beside_an_array_is_applied_first_as_in_pytorch() -> None:
    x = gy.tensor(X)
    assert x[0, :, [1, 2]].shape == (4, 2)  # NumPy says (2, 4)
    assert np.array_equal(x[0, :, [1, 2]].numpy(), X[0][:, [1, 2]])
    assert np.array_equal(x[gy.tensor(0), :, gy.tensor([1, 2])].numpy(), X[0][:, [1, 2]])
    x[0, :, [1, 2]] = 5.0
    assert (x[0][:, 1:3] == 5.0).all() and (x[1:] == gy.tensor(X[1:])).all()


def test_basic_keys_give_views_and_arrays_copies() -> None:
    x = gy.tensor(X)
    for key in (0, (0, 0, 0), slice(1), (..., 1), None, gy.tensor(1)):
        assert np.shares_memory(x[key]._array, x._array)
    for key in (A, B, [0], (0, [1])):
        assert not np.shares_memory(x[key]._array, x._array)
    x[0][1][2] = -1.0
    assert x[0, 1, 2].item() == -1.0


def test_writing_values_that_broadcast_and_from_itself() -> None:
    x = gy.zeros(3, 2)
    x[1:] = gy.tensor([1.0, 2.0])
    x[gy.tensor([True, False, False])] = gy.tensor([[5, 6]])
    assert x.tolist() == [[5.0, 6.0], [1.0, 2.0], [1.0, 2.0]]
    y = gy.arange(4)
    y[1:] = y[:-1]
    assert y.tolist() == [0, 0, 1, 2]


def test_indexing_can_be_differentiated_three_times() -> None:
    x = gy.tensor([1.0, 2.0, 3.0], dtype=gy.float64, requires_grad=True)
    i = gy.tensor([0, 0, 2])
    assert gy.autograd.gradgradcheck(lambda x: x[i] ** 3 * x[1:].sum(), x)
    assert gy.autograd.gradgradcheck(lambda x: x.gather(0, i) ** 3, x)
    assert gy.autograd.gradgradcheck(lambda x: gy.zeros(4, dtype=gy.float64).scatter_add(0, i, x) ** 3, x)
    assert gy.autograd.gradgradcheck(lambda x: gy.einsum("i,i,j->j", x, x, x), x)
    w = gy.randn(3, 2, dtype=gy.float64, requires_grad=True)
    assert gy.autograd.gradgradcheck(lambda w: (gy.ones(2, 4, 3, dtype=gy.float64) @ w) @ w.T @ w, w)
    assert gy.autograd.gradgradcheck(lambda w: w.sort(0).values ** 3, w)


REFUSED: list[tuple[Callable[[], Any], type[GyakuError], str]] = [
    (
        lambda: gy.ones(2, 3)[5],
        PositionError,
        "index: expected positions inside shape (2, 3), got index 5 is out of bounds",
    ),
    (
        lambda: gy.ones(2, 3)[0, 0, 0],
        PositionError,
        "index: expected positions inside shape (2, 3), got too many indices",
    ),
    (
        lambda: gy.ones(2)[gy.tensor([0, 2])],
        PositionError,
        "index: expected positions inside shape (2,), got index 2 is out",
    ),
    (lambda: gy.ones(2)[gy.tensor([True] * 3)], PositionError, "a mask has the shape of what it selects from"),
    (
        lambda: gy.ones(2)[gy.tensor([0.5])],
        DtypeError,
        "index: expected a mask (bool) or whole numbers, got gyaku.float32",
    ),
    (lambda: gy.ones(2)["a"], DtypeError, "index: expected int, slice, None, ..., a mask or whole numbers, got str"),
    (lambda: gy.ones(2)[1.0], DtypeError, "got float"),
    (lambda: gy.ones(2).__setitem__(5, 1), PositionError, "index: expected positions inside shape (2,)"),
    (
        lambda: gy.ones(2).__setitem__(0, gy.ones(3)),
        ShapeError,
        "index write: expected a value that broadcasts to the place",
    ),
    (
        lambda: gy.ones(2).__setitem__(0, gy.ones((), requires_grad=True)),
        GraphError,
        "in-place write: expected a value outside the graph, got one that requires grad. Hint: build the tensor with",
    ),
    (lambda: gy.ones(2, requires_grad=True).__setitem__(0, 1.0), GraphError, "expected a tensor outside the graph"),
    (lambda: gy.ones(3).expand(2, 3).__setitem__(0, 1.0), GraphError, "memory"),
    (lambda: gy.ones(2, 3).gather(1, gy.tensor([[3]])), PositionError, "gather: expected indices from 0 to 2, got 3"),
    (lambda: gy.ones(2, 3).gather(1, gy.tensor([[-1]])), PositionError, "gather: expected indices from 0 to 2, got -1"),
    (lambda: gy.ones(2, 3).gather(1, gy.ones(2, 1)), DtypeError, "gather: expected an index of whole numbers"),
    (lambda: gy.ones(2, 3).gather(1, gy.tensor([0])), ShapeError, "gather: expected an index no larger than (2, 3)"),
    (lambda: gy.ones(2, 3).gather(2, gy.tensor([[0]])), PositionError, "-2..1"),
    (
        lambda: gy.zeros(3).scatter(0, gy.tensor([1, 1]), gy.ones(2)),
        ArgumentError,
        "scatter: expected each place named once, got a place named twice. Hint: scatter_add adds up.",
    ),
    (lambda: gy.ones(2, 3) @ gy.ones(2, 3), ShapeError, "got (2, 3) and (2, 3). Hint: transpose the second: @ B.T"),
    (
        lambda: gy.ones(2, 3) @ gy.ones(3).double(),
        DtypeError,
        "matmul: expected tensors of one dtype, got gyaku.float32 and",
    ),
    (lambda: gy.ones(()) @ gy.ones(3), ShapeError, "use * with numbers"),
    (lambda: gy.dot(gy.ones(2, 2), gy.ones(2)), ShapeError, "dot: expected 1-d and 1-d tensors, got (2, 2) and (2,)"),
    (lambda: gy.einsum("ij,jk", gy.ones(2, 2)), ArgumentError, "einsum: expected 2 operands for 'ij,jk', got 1"),
    (lambda: gy.einsum("ij->k", gy.ones(2, 2)), ArgumentError, "einsum: expected letters, commas, ... and ->"),
    (lambda: gy.einsum("ij,jk->ik", gy.ones(2, 3), gy.ones(2, 3)), ShapeError, "expected shapes that fit 'ij,jk->ik'"),
    (lambda: gy.topk(gy.ones(3), 4), ArgumentError, "topk: expected k from 0 to 3, got 4"),
    (lambda: one_hot(gy.tensor([0, 3]), 3), PositionError, "one_hot: expected indices from 0 to 2, got 3"),
    (lambda: one_hot(gy.tensor([0.0])), DtypeError, "one_hot: expected class numbers of dtype int64"),
    (lambda: gy.zeros(-1), ShapeError, "zeros: expected sizes of at least 0, got (-1,)"),
    (lambda: gy.zeros(2.5), DtypeError, "zeros: expected sizes that are whole numbers, got (2.5,)"),
    (lambda: gy.arange(0, 5, -1), ArgumentError, "arange: expected a step that leads from start to end"),
    (lambda: gy.from_numpy([1]), DtypeError, "from_numpy: expected a NumPy array, got list. Hint: use gyaku.tensor"),
    (lambda: gy.from_numpy(np.zeros(2, complex)), DtypeError, "complex128"),
    (lambda: gy.tensor([[1, 2], [3]]), ShapeError, "tensor: expected a rectangular nest of numbers"),
    (lambda: gy.tensor(["a"]), DtypeError, "tensor: expected numbers, got str_ (np.str_('a'))"),
    (lambda: gy.rand(2, dtype=gy.int64), DtypeError, "rand: expected a floating dtype"),
    (lambda: gy.rand(2, generator=3), DtypeError, "generator: expected a gyaku.Generator, got int"),
    (lambda: gy.bernoulli(gy.tensor([1.5])), ArgumentError, "bernoulli: expected probabilities from 0 to 1"),
    (lambda: gy.multinomial(gy.tensor([1.0, 0.0]), 2), ArgumentError, "multinomial: expected 1 to 1 samples"),
    (lambda: gy.multinomial(gy.tensor([-1.0, 2.0]), 1), ArgumentError, "multinomial: expected weights that are finite"),
    (lambda: gy.randint(5, 5, (2,)), ArgumentError, "integers: expected low < high"),
    (lambda: gy.normal(0.0, 1.0), ArgumentError, "normal: expected a size"),
    (lambda: gy.normal(0.0, -1.0, (2,)), ArgumentError, "normal: expected std of at least 0"),
    (lambda: gy.bincount(gy.tensor([-1])), ArgumentError, "bincount: expected numbers of at least 0"),
    (lambda: gy.meshgrid(gy.ones(2), indexing="ji"), ArgumentError, "meshgrid: expected indexing 'ij' or 'xy'"),
    (lambda: gy.tensordot(gy.ones(2, 3), gy.ones(2, 3), dims=1), ShapeError, "tensordot: expected axes of equal sizes"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED, ids=[r[2][:50] for r in REFUSED])
def test_misuse_gives_one_clear_message(call: Callable[[], Any], kind: type[GyakuError], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)


PRODUCTS = [
    ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((3, 4), (4, 2)), ((5, 3, 4), (4, 2)), ((5, 3, 4), (5, 4, 2)),
    ((5, 3, 4), (4,)), ((4,), (5, 4, 2)), ((2, 1, 3, 4), (5, 4, 2)), ((0, 4), (4, 2)),
    ((3, 0), (0, 2)), ((2, 3, 0), (0, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("one", "two"), PRODUCTS)
def test_products_of_all_dimensions(one: Any, two: Any) -> None:
    rng = np.random.default_rng(0)
    a, b = (gy.tensor(rng.normal(size=s), requires_grad=True) for s in (one, two))
    y = a @ b
    assert (
        np.allclose(y.detach().numpy(), np.matmul(a._array, b._array))
        and y.shape == np.matmul(a._array, b._array).shape
    )
    if y.numel():
        assert gy.autograd.gradcheck(gy.matmul, (a, b))
    else:
        y.sum().backward()
        assert a.grad.shape == one and b.grad.shape == two


EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 2)]), ("ij,jk", [(2, 3), (3, 2)]), ("ij->", [(2, 3)]), ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("ba", [(2, 3)]), ("...ij,jk->...ik", [(2, 2, 3), (3, 2)]), ("iij,jk->k", [(2, 2, 3), (3, 2)]),
    ("ij,ij->ij", [(1, 3), (2, 3)]),
    ("iii->i", [(2, 2, 2)]), ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 2)]), ("i...,i...->...", [(2, 3), (2, 3)]),
    ("Ba,aC", [(2, 3), (3, 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS, ids=[e[0] for e in EQUATIONS])
def test_einsum(equation: str, shapes: list[Any]) -> None:
    rng = np.random.default_rng(0)
    operands = [gy.tensor(rng.normal(size=s), requires_grad=True) for s in shapes]
    y = gy.einsum(equation, *operands)
    assert np.allclose(y.detach().numpy(), np.einsum(equation, *[o._array for o in operands]))
    assert gy.autograd.gradcheck(lambda *o: gy.einsum(equation, *o), operands)


def test_matmul_makes_no_copies_of_its_inputs() -> None:
    a, w = gy.randn(8, 6, requires_grad=True), gy.randn(4, 6, requires_grad=True)
    y = a @ w.T
    assert np.shares_memory(y.grad_fn.saved[0], a._array) and np.shares_memory(y.grad_fn.saved[1], w._array)


def test_only_the_wanted_product_is_computed_in_backward() -> None:
    x, w = gy.randn(8, 6), gy.randn(6, 4, requires_grad=True)
    node = (x @ w).grad_fn
    from gyaku.backend.namespace import numpy_namespace

    gx, gw = node.op.backward(numpy_namespace, tuple(node.saved), np.ones((8, 4), np.float32), node.parents)
    assert gx is None and gw.shape == (6, 4)


@pytest.mark.parametrize("descending", [False, True])
def test_sorting_is_stable_and_puts_nan_last_as_the_largest(descending: bool) -> None:
    x = gy.tensor([2.0, 1.0, float("nan"), 2.0, 1.0])
    values, indices = gy.sort(x, descending=descending)
    assert indices.tolist() == ([2, 0, 3, 1, 4] if descending else [1, 4, 0, 3, 2])
    assert values.isnan().tolist().index(True) == (0 if descending else 4)


def test_topk_of_equal_elements_takes_the_first() -> None:
    values, indices = gy.topk(gy.tensor([[1.0, 3.0, 3.0, 2.0]]), 2)
    assert values.tolist() == [[3.0, 3.0]] and indices.tolist() == [[1, 2]]
    x = gy.tensor([1.0, 3.0, 3.0], requires_grad=True)
    x.topk(1).values.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


# --- creation ---


def test_tensor_copies_and_from_numpy_shares() -> None:
    array = np.zeros(2, np.float32)
    copied, shared, same = gy.tensor(array), gy.from_numpy(array), gy.as_tensor(array)
    array[0] = 5
    assert copied.tolist() == [0.0, 0.0] and shared.tolist() == same.tolist() == [5.0, 0.0]
    t = gy.ones(2)
    assert gy.as_tensor(t) is t and gy.as_tensor(t, dtype=gy.float64).dtype is gy.float64


def test_types_of_new_tensors() -> None:
    kinds = {gy.tensor(1): gy.int64, gy.tensor(1.0): gy.float32, gy.tensor(True): gy.bool, gy.arange(3): gy.int64,
             gy.arange(3.0): gy.float32, gy.full((2,), 3): gy.int64, gy.full((2,), 3.0): gy.float32,
             gy.eye(2): gy.float32,
             gy.tensor(np.float64(1)): gy.float64, gy.tensor([1, 2.5]): gy.float32, gy.linspace(0, 1, 3): gy.float32,
             gy.randint(3, (2,)): gy.int64, gy.randperm(3): gy.int64,
             gy.rand(2, dtype=gy.float16): gy.float16}  # fmt: skip
    assert {k.dtype for k in kinds} and [k.dtype for k in kinds] == list(kinds.values())
    like = gy.ones(2, dtype=gy.float64)
    for make in (gy.zeros_like, gy.ones_like, gy.empty_like, gy.rand_like, gy.randn_like):
        assert make(like).dtype is gy.float64 and make(like, dtype=gy.float32).dtype is gy.float32
        assert make(like, requires_grad=True).requires_grad


# --- drawing ---


def test_the_same_seed_gives_the_same_draws() -> None:
    def draws(**options: Any) -> list[Any]:
        p = gy.full((5,), 0.5)
        return [
            gy.rand(3, **options), gy.randn(3, **options), gy.randint(9, (3,), **options), gy.randperm(5, **options),
            gy.bernoulli(p, **options), gy.multinomial(p, 3, **options), gy.normal(0.0, 1.0, (2,), **options),
            gy.rand_like(p, **options), gy.multinomial(p, 3, True, **options),
        ]  # fmt: skip

    before = gy.get_rng_state()
    try:
        gy.manual_seed(3)
        first = [t.tolist() for t in draws()]
        gy.manual_seed(3)
        assert first == [t.tolist() for t in draws()]
        state = gy.get_rng_state()
        assert [t.tolist() for t in draws(generator=gy.Generator().manual_seed(3))] == first
        assert gy.get_rng_state() == state
        more = gy.rand(2).tolist()
        gy.set_rng_state(state)
        assert gy.rand(2).tolist() == more
    finally:
        gy.set_rng_state(before)


def test_statistics_of_the_draws() -> None:
    g = gy.Generator(1)
    u, n = gy.rand(20000, generator=g).numpy(), gy.normal(gy.full((20000,), 2.0), 3.0, generator=g).numpy()
    assert (
        u.min() >= 0
        and u.max() < 1
        and abs(u.mean() - 0.5) < 0.01
        and abs(n.mean() - 2) < 0.1
        and abs(n.std() - 3) < 0.1
    )
    half = gy.rand(20000, generator=g, dtype=gy.float16).numpy()
    assert half.max() < 1 and abs(half.astype(float).mean() - 0.5) < 0.01
    w = gy.tensor([0.1, 0.0, 0.6, 0.3])
    share = gy.bincount(gy.multinomial(w, 20000, True, generator=g), minlength=4).numpy() / 20000
    assert np.abs(share - w.numpy()).max() < 0.02 and share[1] == 0
    rows = gy.multinomial(w.expand(5000, 4), 3, generator=g)
    assert all(sorted(r) == [0, 2, 3] for r in rows.tolist())
    assert np.abs(np.bincount(rows[:, 0].numpy(), minlength=4) / 5000 - w.numpy()).max() < 0.03
    assert abs(gy.bernoulli(gy.full((20000,), 0.3), generator=g).mean().item() - 0.3) < 0.02
    assert sorted(gy.randperm(100, generator=g).tolist()) == list(range(100))
    k = gy.randint(-2, 3, (5000,), generator=g)
    assert set(k.tolist()) == {-2, -1, 0, 1, 2}


def test_where_a_mask_is_true() -> None:
    x = gy.tensor([[0, 1], [2, 0]])
    assert x.nonzero().tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in x.nonzero(as_tuple=True)] == [[0, 1], [1, 0]]
    assert gy.nonzero(gy.tensor(3)).shape == (1, 0) and gy.nonzero(gy.tensor(0)).shape == (0, 0)
    assert one_hot(gy.tensor([[1], [0]]), 3).tolist() == [[[0, 1, 0]], [[1, 0, 0]]]
