"""Many steps in one call: the same numbers as one call after the other; whole epochs with means, schedules, Ctrl-C."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from compiler.compare import classifier_step, turn_everything
from compiler.models import build
from gyaku import nn, optim

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(70, 6)).astype(np.float32), RNG.integers(0, 3, 70)


def world(**options: Any) -> tuple[Any, Any, Any]:
    gy.manual_seed(2)
    own = gy.Generator(4)
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 5), nn.Dropout(0.2, generator=own),
        nn.Linear(5, 3),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        y = model(x)
        loss = nn.functional.cross_entropy(y, t)
        loss.backward()
        optimizer.step()
        return {"loss": loss, "right": (y.argmax(1) == t).float().mean(), "y": y}

    return model, optimizer, step


def arrays(model: Any) -> list[Any]:
    return [t._array.copy() for t in model.state_dict().values()]


@pytest.mark.parametrize("runner", ["interpret", "cpu"])
@pytest.mark.parametrize("features", [False, True])
def test_many_steps_are_one_after_the_other(runner: str, features: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if runner == "cpu":
        pytest.importorskip("llvmlite")
    if features:
        turn_everything(monkeypatch)
    rows, lr = RNG.integers(0, 70, (9, 16)), np.geomspace(0.01, 0.001, 9)
    model, optimizer, step = world()
    one = gy.compile(step, runner=runner)
    wanted = []
    for row, rate in zip(rows, lr):
        optimizer.param_groups[0]["lr"] = float(rate)
        wanted.append(one(gy.tensor(X[row]), gy.tensor(T[row])))
    after, left = gy.get_rng_state(), arrays(model)

    model, optimizer, step = world()
    many = gy.compile(step, runner=runner)
    found = many.steps(X, T, rows=rows, hyper={"lr": lr})
    assert np.array_equal(found["loss"]._array, [w["loss"].item() for w in wanted])
    assert found["y"].shape == (9, 16, 3) and np.array_equal(found["y"]._array[4], wanted[4]["y"]._array)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(model), left, strict=True))
    assert gy.get_rng_state() == after and optimizer.param_groups[0]["lr"] == lr[-1]
    assert optimizer.state_dict()["state"][0]["step"].item() == 9 and many.traces == 1


def test_random_states_by_step() -> None:
    rows = RNG.integers(0, 70, (5, 16))
    states = [gy.Generator(9).split(k).get_state() for k in range(5)]
    model, _, step = world()
    wanted = []
    for row, state in zip(rows, states):
        gy.set_rng_state(state)
        wanted.append(step(gy.tensor(X[row]), gy.tensor(T[row]))["loss"].item())
    after = gy.get_rng_state()
    model, _, step = world()
    rng = [[s["seed"], s["stream"], s["counter"]] for s in states]
    found = gy.compile(step, runner="interpret").steps(X, T, rows=rows, rng=np.array(rng, dtype=np.uint64))
    assert found["loss"].tolist() == pytest.approx(wanted, abs=0) and gy.get_rng_state() == after
    assert model.training


def test_epochs_are_the_loops_of_eager() -> None:
    model, optimizer, step = world()
    order, wanted = gy.Generator(3), []
    for epoch in range(3):
        rows, total = order.permutation(70), 0.0
        for i, at in enumerate(range(0, 70, 16)):
            batch = rows[at : at + 16]
            optimizer.param_groups[0]["lr"] = 0.01 * 0.9 ** (5 * epoch + i)
            total += step(gy.tensor(X[batch]), gy.tensor(T[batch]))["loss"].item() * len(batch)
        wanted.append(total / 70)
    left = arrays(model)
    model, optimizer, step = world()
    told: list[int] = []
    compiled = gy.compile(step, runner="interpret")
    found = compiled.epochs(
        X, T, batch_size=16, epochs=3, generator=gy.Generator(3), hyper=lambda k: {"lr": 0.01 * 0.9**k},
        on_epoch=lambda epoch, means: told.append(epoch),
    )  # fmt: skip
    assert [f["loss"] for f in found] == pytest.approx(wanted, rel=1e-12) and told == [1, 2, 3]
    assert all(np.array_equal(a, b) for a, b in zip(arrays(model), left, strict=True))
    assert compiled.traces == 2 and found[0]["y"] is None and 0 <= found[0]["right"] <= 1


def tiny(**options: Any) -> tuple[Any, Any, Any]:
    """A step that draws nothing, as short epochs in one call want it."""
    gy.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    return model, optimizer, classifier_step(model, optimizer)


@pytest.mark.parametrize("runner", ["interpret", "cpu"])
@pytest.mark.parametrize("batch", [10, 16])
def test_epochs_that_share_a_call_have_the_bits_of_epochs_one_by_one(runner: str, batch: int, monkeypatch: Any) -> None:
    if runner == "cpu":
        pytest.importorskip("llvmlite")
    ends = []
    for chunk, on_epoch in ((0.1, None), (0.1, lambda epoch, means: None), (0.0, None)):
        monkeypatch.setattr("gyaku.compiler.compiled.CHUNK", chunk)  # 0: no limit
        model, _, step = tiny()
        generator = gy.Generator(3, stream=1)
        compiled = gy.compile(step, runner=runner)
        found = compiled.epochs(X, T, batch_size=batch, epochs=7, generator=generator, on_epoch=on_epoch)
        ends.append((found, generator.get_state(), [a.tobytes() for a in arrays(model)]))
    assert ends[0] == ends[1] == ends[2] and len(ends[0][0]) == 7


def test_epochs_take_turns_at_a_generator_that_the_step_draws_from_too() -> None:
    ends = []
    for on_epoch in (None, lambda epoch, means: None):
        model, _, step = world()
        gy.manual_seed(8)
        gy.compile(step, runner="interpret").epochs(X, T, batch_size=10, epochs=4, on_epoch=on_epoch)
        ends.append((gy.get_rng_state(), [a.tobytes() for a in arrays(model)]))
    assert ends[0] == ends[1]


def test_an_interrupt_leaves_the_generator_behind_the_epoch_it_came_in(monkeypatch: Any) -> None:
    _, _, step = tiny()
    compiled = gy.compile(step, runner="interpret")
    compiled.epochs(X, T, batch_size=10)
    monkeypatch.setattr("gyaku.compiler.compiled.CHUNK", 1e-12)  # one step a call

    def hyper(k: int) -> dict[str, float]:
        if k == 17:  # the third epoch of seven steps
            raise KeyboardInterrupt
        return {"lr": 0.01}

    stopped, wanted = gy.Generator(5), gy.Generator(5)
    with pytest.raises(KeyboardInterrupt):
        compiled.epochs(X, T, batch_size=10, epochs=6, generator=stopped, hyper=hyper)
    for _ in range(3):
        wanted.permutation(70)
    assert stopped.get_state() == wanted.get_state()


@pytest.mark.parametrize("n", [1, 2, 7, 512, 4096, 4097, 70_000])
def test_orders_are_the_generators_permutations(n: int) -> None:
    pytest.importorskip("llvmlite")
    from gyaku.compiler.shuffle import permutations

    for counter in (2, 2**64 - 3, 2**70):  # beyond what machine code counts to as well
        a, b = gy.Generator(5, stream=3, counter=counter), gy.Generator(5, stream=3, counter=counter)
        assert np.array_equal(permutations(a, n, 3), [b.permutation(n) for _ in range(3)])
    assert a.get_state() == b.get_state() and np.array_equal(a.permutation(9), b.permutation(9))


def test_words_that_share_their_upper_bits_or_are_equal_keep_their_order() -> None:
    pytest.importorskip("llvmlite")
    from gyaku.compiler.shuffle import orders

    words = np.repeat(RNG.integers(0, 2**63, 40, dtype=np.uint64) >> np.uint64(60), 5) * np.uint64(3)
    words = RNG.permutation(np.concatenate([words, words << np.uint64(61)]))
    assert np.array_equal(orders(words, 400, 1)[0], np.argsort(words, kind="stable"))


def two_groups() -> tuple[Any, Any, Any]:
    gy.manual_seed(2)
    model = nn.Linear(6, 3)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.2}]
    optimizer = optim.Adam(groups, lr=0.05)

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return model, optimizer, step


@pytest.mark.parametrize("runner", ["interpret", "cpu"])
def test_pairs_and_single_groups_vary_by_step(runner: str) -> None:
    if runner == "cpu":
        pytest.importorskip("llvmlite")
    rows, lr = RNG.integers(0, 70, (6, 16)), np.geomspace(0.1, 0.01, 6)
    betas = np.stack([np.linspace(0.95, 0.85, 6), np.full(6, 0.99)], axis=1)
    model, optimizer, step = two_groups()
    one = gy.compile(step, runner=runner)
    for k, row in enumerate(rows):
        optimizer.param_groups[1]["lr"] = float(lr[k])
        for group in optimizer.param_groups:
            group["betas"] = tuple(betas[k].tolist())
        one(gy.tensor(X[row]), gy.tensor(T[row]))
    left, groups = arrays(model), [dict(g, params=None) for g in optimizer.param_groups]
    model, optimizer, step = two_groups()
    many = gy.compile(step, runner=runner)
    many.steps(X, T, rows=rows, hyper={(1, "lr"): lr, "betas": betas})
    assert all(np.array_equal(a, b) for a, b in zip(arrays(model), left, strict=True)) and many.traces == 1
    assert [dict(g, params=None) for g in optimizer.param_groups] == groups


def test_what_cannot_vary_by_step_is_refused() -> None:
    _, optimizer, step = two_groups()
    compiled = gy.compile(step, runner="interpret")
    for hyper, error in (
        ({"betas": [0.9, 0.9]}, ValueError),
        ({"lr": [[0.1, 0.1]] * 2}, ValueError),
        ({(2, "lr"): [0.1, 0.1]}, ValueError),
        ({(0, "momentum"): [0.1, 0.1]}, ValueError),
        ({"amsgrad": [1.0, 1.0]}, ValueError),
    ):
        with pytest.raises(error, match="steps"):
            compiled.steps(X, T, rows=[[0], [1]], hyper=hyper)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999) and not optimizer.param_groups[0]["amsgrad"]


def test_drop_last_order_and_stopping() -> None:
    _, _, step = world()
    seen: list[Any] = []

    def f(x: Any) -> Any:
        return x[:, 0].mean()

    compiled = gy.compile(f, runner="interpret")
    found = compiled.epochs(X, batch_size=32, epochs=5, drop_last=True, shuffle=False, on_epoch=lambda e, m: e == 2)
    assert len(found) == 2 and found[0] == pytest.approx(X[:64, 0].mean(), rel=1e-5) and seen == []


def test_ctrl_c_between_two_calls_leaves_whole_steps() -> None:
    model, optimizer, step = world()
    compiled = gy.compile(step, runner="interpret")

    def hyper(k: int) -> dict[str, float]:
        if k == 3:
            raise KeyboardInterrupt
        return {"lr": 0.01}

    with pytest.raises(KeyboardInterrupt):
        compiled.epochs(X, T, batch_size=16, hyper=hyper)
    assert optimizer.state_dict()["state"][0]["step"].item() <= 3


def test_what_python_must_carry_runs_step_by_step() -> None:
    p = nn.Parameter(gy.ones(1))
    o = optim.SGD([p], lr=1.0)

    def step(x: Any) -> Any:
        o.zero_grad()
        (p * x).sum().backward()
        o.step()
        o.param_groups[0]["lr"] = o.param_groups[0]["lr"] * 0.5
        return p.sum()

    x = np.ones((4, 1), np.float32)
    found = gy.compile(step, runner="interpret").steps(x, rows=[[0], [1], [2]])
    assert found.tolist() == [0.0, -0.5, -0.75] and o.param_groups[0]["lr"] == 0.125


def test_a_wrong_label_among_many_steps() -> None:
    _, _, step = world()
    t = T.copy()
    t[5] = 3
    compiled = gy.compile(step, runner="interpret")
    compiled.steps(X, t, rows=[[0, 1, 2], [3, 4, 6]])
    with pytest.raises(ValueError, match="class indices 0..2, got 3"):
        compiled.steps(X, t, rows=[[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("runner", ["interpret", "cpu"])
def test_rows_that_are_not_asked_for_may_be_anything(runner: str) -> None:
    if runner == "cpu":
        pytest.importorskip("llvmlite")
    _, _, step = world()
    x, t = X.copy(), T.copy()
    x[:30], t[:30] = np.nan, -100
    compiled, rows = gy.compile(step, runner=runner), RNG.integers(30, 70, (4, 16))
    found = [compiled.steps(x, t, rows=rows)["loss"].tolist() for _ in range(3)]
    _, _, step = world()
    eager = [step(gy.tensor(X[row]), gy.tensor(T[row]))["loss"].item() for row in [*rows, *rows, *rows]]
    assert np.ravel(found) == pytest.approx(eager, rel=1e-4) and compiled.traces == 1


def test_an_argument_that_is_returned_is_the_first_batch() -> None:
    compiled, rows = gy.compile(lambda x: (x, x.sum()), runner="interpret"), RNG.integers(0, 70, (3, 8))
    for _ in range(3):
        x, sums = compiled.steps(X, rows=rows)
        assert np.array_equal(x._array, X[rows[0]]) and np.allclose(sums._array, X[rows].sum(axis=(1, 2)), rtol=1e-4)


def test_batches_larger_than_the_data() -> None:
    compiled, rows = gy.compile(lambda x: x.sum(), runner="interpret"), RNG.integers(0, 70, (3, 200))
    for _ in range(3):
        assert np.allclose(compiled.steps(X, rows=rows)._array, X[rows].sum(axis=(1, 2)), rtol=1e-4)


def test_wrong_arguments() -> None:
    compiled = gy.compile(lambda x: x.sum(), runner="interpret")
    for bad in ([[70]], [0, 1], np.zeros((0, 3), int)):
        with pytest.raises(ValueError):
            compiled.steps(X, rows=bad)
    for rows in ([[0.5, 1.0]], [["a"]], [[True]]):
        with pytest.raises(TypeError, match="whole numbers"):
            compiled.steps(X, rows=rows)
    with pytest.raises(ValueError, match="one value a step"):
        compiled.steps(X, rows=[[0], [1]], hyper={"lr": [0.1]})
    with pytest.raises(ValueError, match="one length"):
        compiled.steps(X, T[:5], rows=[[0]])
    with pytest.raises(ValueError, match="batch_size"):
        compiled.epochs(X, batch_size=0)


@pytest.mark.parametrize("seed", range(0, 200, 25))
def test_many_steps_of_drawn_models(seed: int) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = build(seed), build(seed)
    sources = [np.concatenate([b[k]._array for b in first.batches]) for k in range(2)]
    rows = np.arange(len(sources[0])).reshape(len(first.batches), -1)
    gy.manual_seed(seed)
    wanted = [first.step(*b)[0].item() for b in first.batches]
    gy.manual_seed(seed)
    found = gy.compile(second.step, runner="interpret").steps(*sources, rows=rows)[0].tolist()
    assert found == wanted
    assert all(np.array_equal(v, second.arrays()[k]) for k, v in first.arrays().items() if k[:8] != "gradient")


def test_explain_is_a_table() -> None:
    _, _, step = world()
    compiled = gy.compile(step, runner="interpret")
    before = gy.get_rng_state()
    table = compiled.explain(gy.tensor(X[:8]), gy.tensor(T[:8]))
    text = str(table)
    assert "matmul" in text and len(table) > 50 and sum(r.flops for r in table) > 8 * 6 * 8 * 2
    assert gy.get_rng_state() == before
