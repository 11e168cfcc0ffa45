"""Calls that are only glanced at: any change in the world is seen, and the numbers are those of eager code."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import gyaku as gy
from gyaku import nn, optim

RNG = np.random.default_rng(3)
X = RNG.normal(size=(24, 6)).astype(np.float32)
T = RNG.integers(0, 3, 24)
GLOBAL = 1.0
TABLE = {"weight": 1.0}


class Block(nn.Module):
    factor = 1.0  # of the class

    def __init__(self) -> None:
        super().__init__()
        self.affine, self.drop, self.scale, self.shift = nn.Linear(6, 5), nn.Dropout(0.25), 1.0, 0.0

    def forward(self, x: Any) -> Any:
        return self.drop(self.affine(x)).relu() * (self.scale * self.factor) + self.shift


class Other(Block):
    def forward(self, x: Any) -> Any:
        return self.affine(x).tanh()


class Settings:
    __slots__ = ("smoothing",)


def world() -> SimpleNamespace:
    """Return a step with everything that guards look at; one call of it is ``w.step(x, t)``."""
    gy.manual_seed(5)
    w = SimpleNamespace(block=Block(), extra=[0.5, 0.25], settings=Settings())
    w.settings.smoothing = 0.1
    w.model = nn.Sequential(w.block, nn.BatchNorm1d(5), nn.Linear(5, 3))
    w.optimizer = optim.Adam([{"params": w.model.parameters()}], lr=0.02)
    power = 1.0

    def rebind(value: float) -> None:
        nonlocal power
        power = value

    w.rebind = rebind
    w.step = _step(w.model, w.optimizer, w.extra, w.settings, lambda: power)
    return w


def _step(model: Any, optimizer: Any, extra: Any, settings: Any, power: Any) -> Any:
    def step(x: Any, t: Any, *, weight: float = 1.0) -> Any:
        optimizer.zero_grad()
        y = model(x)
        loss = nn.functional.cross_entropy(y, t, label_smoothing=settings.smoothing) * (GLOBAL * power() * weight)
        loss = loss * TABLE["weight"] + sum(extra)
        loss.backward()
        optimizer.step()
        return loss

    return step


def calls(w: Any, call: Any, count: int) -> list[float]:
    return [call(gy.tensor(X[8 * (k % 3) :][:8]), gy.tensor(T[8 * (k % 3) :][:8])).item() for k in range(count)]


def left(w: Any) -> list[Any]:
    return [t._array.copy() for t in w.model.state_dict().values()]


def replaced_memory(w: Any) -> None:
    w.block.affine.weight.data = gy.tensor(np.full((5, 6), 0.1, np.float32))


def in_place(w: Any) -> None:
    with gy.no_grad():
        w.block.affine.weight.mul_(0.5)


def states(w: Any) -> None:
    other = world()
    calls(other, other.step, 3)
    w.model.load_state_dict(other.model.state_dict())
    w.optimizer.load_state_dict(other.optimizer.state_dict())


def other_dictionary(w: Any) -> None:
    w.block.__dict__ = {**w.block.__dict__, "scale": 2.0}


def other_class(w: Any) -> None:
    w.block.__class__ = Other


def renamed_key(w: Any) -> None:
    vars(w.block)["scale"], vars(w.block)["shift"] = vars(w.block)["shift"], vars(w.block)["scale"]


def one_group_more(w: Any) -> None:
    w.block.bonus = nn.Parameter(gy.ones(1))
    w.optimizer.add_param_group({"params": [w.block.bonus], "lr": 0.1})
    w.block.forward = lambda x: Block.forward(w.block, x) * w.block.bonus


def hooked(w: Any) -> None:
    w.block.register_forward_hook(lambda module, args, y: y * 0.5)


def hooked_gradient(w: Any) -> None:
    w.block.affine.weight.register_hook(lambda g: g * 3.0)


def patched(w: Any) -> None:
    w.block.forward = lambda x: w.block.affine(x).sigmoid()


def betas(w: Any) -> None:
    w.optimizer.param_groups[0]["betas"] = (0.5, 0.9)


def gradients_there(w: Any) -> None:
    for p in w.model.parameters():
        p.grad = gy.ones(*p.shape)


def without_drop(w: Any) -> None:
    w.block.drop = nn.Identity()


CHANGES = {
    "memory": replaced_memory, "in place": in_place, "states": states, "dictionary": other_dictionary,
    "class": other_class, "swapped": renamed_key, "group": one_group_more, "forward hook": hooked,
    "gradient hook": hooked_gradient, "forward": patched, "betas": betas, "gradients": gradients_there,
    "module": without_drop,
    "attribute": lambda w: setattr(w.block, "scale", 2.0),
    "equal value of another type": lambda w: setattr(w.block, "shift", gy.tensor(0.0, dtype=gy.float32) + 1.0),
    "by vars": lambda w: vars(w.block).update(scale=0.25),
    "slot": lambda w: setattr(w.settings, "smoothing", 0.3),
    "eval": lambda w: w.model.eval(),
    "rate": lambda w: w.optimizer.param_groups[0].update(lr=0.5),
    "flag": lambda w: w.optimizer.param_groups[0].update(amsgrad=True),
    "item": lambda w: w.extra.__setitem__(0, 7.0),
    "longer": lambda w: w.extra.append(3.0),
    "closure": lambda w: w.rebind(2.0),
    "frozen": lambda w: w.block.affine.weight.requires_grad_(False),
    "seed": lambda w: gy.manual_seed(77),
    "parameters by name": lambda w: w.block.affine.register_parameter("bias", None),
}  # fmt: skip


def glancing(compiled: Any) -> bool:
    return compiled._last is not None and compiled._last.quick is not None


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_after_calls_that_were_glanced_at_is_seen(name: str) -> None:
    found = []
    for compile in (True, False):
        w = world()
        call = gy.compile(w.step) if compile else w.step
        losses = calls(w, call, 6)
        assert not compile or glancing(call)
        CHANGES[name](w)
        found.append((losses + calls(w, call, 7), left(w)))
    assert found[0][0] == pytest.approx(found[1][0], rel=2e-4)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


def test_globals_classes_defaults_and_modes_are_seen(monkeypatch: Any) -> None:
    changes: list[Any] = [
        lambda w: monkeypatch.setitem(globals(), "GLOBAL", 3.0),
        lambda w: monkeypatch.setitem(TABLE, "weight", 2.0),
        lambda w: monkeypatch.setattr(Block, "factor", 0.5),
        lambda w: monkeypatch.setattr(Block, "forward", Other.forward),
        lambda w: setattr(w.step, "__kwdefaults__", {"weight": 4.0}),
    ]
    for change in changes:
        found = []
        for compile in (True, False):
            w = world()
            call = gy.compile(w.step) if compile else w.step
            losses = calls(w, call, 6)
            assert not compile or glancing(call)
            change(w)
            found.append(losses + calls(w, call, 5))
            monkeypatch.undo()
        assert found[0] == pytest.approx(found[1], rel=2e-4)


def settled() -> tuple[Any, Any, Any]:
    w = world()
    call = gy.compile(w.step)
    calls(w, call, 6)
    assert glancing(call)
    x, t = gy.tensor(X[:8]), gy.tensor(T[:8])
    return w, call, (x, t)


def both(call: Any, w: Any, *args: Any) -> tuple[Any, Any]:
    """Return the loss of a glanced call and of eager code from the same state."""
    model, optimizer, random = left(w), w.optimizer.state_dict(), gy.get_rng_state()
    moments = [{k: v.clone() for k, v in s.items()} for s in optimizer["state"].values()]
    mine = call(*args).item()
    for t, array in zip(w.model.state_dict().values(), model, strict=True):
        t._array[...] = array
    for s, old in zip(w.optimizer.state.values(), moments, strict=True):
        for k, v in old.items():
            s[k]._array[...] = v._array
    gy.set_rng_state(random)
    return mine, w.step(*map(gy.as_tensor, args)).item()


def test_other_arguments_are_seen() -> None:
    w, call, (x, t) = settled()
    strided = gy.tensor(np.repeat(X[:8], 2, axis=1))[:, ::2]
    for args in ((gy.tensor(X[:4]), gy.tensor(T[:4])), (strided, t), (x, t.int()), (X[8:16], T[8:16])):
        assert glancing(call) or calls(w, call, 40)
        mine, wanted = both(call, w, *args)
        assert mine == pytest.approx(wanted, rel=1e-4)
    for label in (3, -1):
        bad = T[:8].copy()
        bad[5] = label
        with pytest.raises(ValueError, match="class indices"):
            call(x, gy.tensor(bad))
    with pytest.raises(TypeError, match="float64"):
        call(gy.tensor(X[:8].astype(np.float64)), t)
    with pytest.raises(TypeError):
        call(x)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        call("x", t)


def test_one_tensor_twice_and_a_parameter_as_argument() -> None:
    p = nn.Parameter(gy.ones(3))
    o = optim.SGD([p], lr=0.1)

    def step(a: Any, b: Any) -> Any:
        o.zero_grad()
        loss = (p * a).sum() + (b * b).sum()
        loss.backward()
        o.step()
        return loss

    call = gy.compile(step)
    a, b = gy.ones(3), gy.full((3,), 2.0)
    assert [call(a, b).item() for _ in range(5)] == pytest.approx([15.0, 14.7, 14.4, 14.1, 13.8], rel=1e-5)
    assert glancing(call) and call(b, b).item() == pytest.approx(12.0 + 2 * 1.5, rel=1e-5)
    now = p.detach().numpy().copy()
    with pytest.warns(UserWarning, match="shares memory"):
        assert call(a, p.detach()).item() == pytest.approx(now.sum() + (now**2).sum(), rel=1e-4)
    wanted = gy.ones(3, requires_grad=True)
    call(wanted, b)
    assert wanted.grad is not None and call(a, b).item() < 14


def test_programs_that_share_code_or_run_many_steps_in_between_do_not_mix_memory() -> None:
    worlds = [world(), world()]
    worlds[1].block.affine.weight.data = gy.tensor(RNG.normal(size=(5, 6)).astype(np.float32))
    shared = [gy.compile(w.step) for w in worlds]
    eager = [world(), world()]
    eager[1].block.affine.weight.data = worlds[1].block.affine.weight.data.clone()
    for w in (*worlds, *eager):
        w.model.eval()
    for k in range(8):
        args = gy.tensor(X[k : k + 8]), gy.tensor(T[k : k + 8])
        for call, w in zip(shared, eager, strict=True):
            assert call(*args).item() == pytest.approx(w.step(*args).item(), rel=1e-4)
        if k == 5:
            assert glancing(shared[0])
            rows = np.arange(8)[None]
            for call, w in zip(shared, eager, strict=True):
                call.steps(X, T, rows=rows)
                w.step(gy.tensor(X[:8]), gy.tensor(T[:8]))
            shared[0].explain(*args)


def test_a_look_that_gives_up_half_way_leaves_no_address_behind() -> None:
    call = gy.compile(lambda x, t: x * 2.0 + t, threads=1)
    x, t = gy.tensor(np.full((4, 4), 1, np.float32)), gy.tensor(np.full((4, 4), 10, np.float32))
    for _ in range(8):
        assert call(x, t)._array[0, 0] == 12
    assert glancing(call)
    other = gy.tensor(np.full((4, 4), 2, np.float32))
    assert call(other, gy.tensor(np.full((4, 4), 10.0))).tolist()[0][0] == 14  # its second argument is another dtype
    assert call(x, t)._array[0, 0] == 12


def test_a_key_that_is_renamed_is_seen() -> None:
    table, value = {"a": 2.0, "c": 1.0}, gy.ones(3)
    call = gy.compile(lambda x: (x * table.get("a", 5.0)).sum())
    assert [call(value).item() for _ in range(5)] == [6.0] * 5 and glancing(call)
    table["b"], table["c"] = table.pop("a"), table.pop("c")  # the same values in the same order, under other names
    assert list(table.values()) == [2.0, 1.0] and call(value).item() == 15.0


def test_arguments_that_die_between_calls_leave_no_address_behind() -> None:
    w, call, _ = settled()
    for k in range(30):
        x, t = gy.tensor(X[k % 8 :][:8].copy()), gy.tensor(T[k % 8 :][:8].copy())
        if k % 7 == 6:  # thoroughly, with the same arrays as in the call before
            call._last.stir()
        mine, wanted = both(call, w, x, t)
        assert mine == pytest.approx(wanted, rel=1e-4)
        del x, t


def test_results_are_fresh_and_threads_may_call() -> None:
    w, call, args = settled()
    found = [call(*args) for _ in range(5)]
    assert len({id(y._array) for y in found}) == 5 and len({y.item() for y in found}) == 5
    before = w.optimizer.state_dict()["state"][0]["step"].item()
    threads = [threading.Thread(target=lambda: [call(*args) for _ in range(50)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.optimizer.state_dict()["state"][0]["step"].item() == before + 150


def test_references_are_neither_lost_nor_kept() -> None:
    import sys

    w, call, args = settled()
    watched = [w.block, w.block.affine.weight, w.block.affine.weight._array, w.block.__dict__, *args, args[0]._array]
    before = [sys.getrefcount(o) for o in watched]
    for _ in range(200):
        call(*args)
    assert glancing(call) and [sys.getrefcount(o) for o in watched] == before


def test_a_schedule_that_moves_at_each_step_is_followed() -> None:
    ends = []
    for compile in (True, False):
        w = world()
        call = gy.compile(w.step) if compile else w.step
        losses = []
        for k in range(40):
            w.optimizer.param_groups[0]["lr"] = 0.05 / (1 + k // (1 + k // 9))
            losses += calls(w, call, 1)
        ends.append(losses)
        assert not compile or call.traces == 1
    assert ends[0] == pytest.approx(ends[1], rel=1e-3)
