"""Nothing stale: what a function depends on is looked at in every call; another kind of call is traced, and counted."""

from __future__ import annotations

import collections
import itertools
import random
import threading
import time
import types
import warnings
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from compiler.compare import classifier_step
from gyaku import nn, optim
from gyaku.base.errors import GyakuError

scale = gy.tensor(2.0)
factor = 3.0
layers = {"first": nn.Linear(3, 3)}


def compiled(function: Any, **options: Any) -> Any:
    return gy.compile(function, runner="interpret", **options)


class Pair:
    """The same little network twice: one trained eagerly, one compiled."""

    def __init__(self, make: Any = None, optimizer: Any = None, **options: Any) -> None:
        self.worlds = []
        for _ in range(2):
            gy.manual_seed(1)
            model = (make or network)()
            self.worlds.append((model, (optimizer or (lambda p: optim.Adam(p, lr=0.01)))(model.parameters())))
        self.eager = self.step(*self.worlds[0])
        self.compiled = compiled(self.step(*self.worlds[1]), **options)
        self.x, self.t = gy.randn(8, 3), gy.tensor([0, 1] * 4)

    step = staticmethod(classifier_step)

    def agree(self, *batch: Any) -> None:
        """Run both and compare every bit."""
        batch = batch or (self.x, self.t)
        state = gy.get_rng_state()
        a = self.eager(*batch)
        gy.set_rng_state(state)
        b = self.compiled(*batch)
        assert a._array.tobytes() == b._array.tobytes()
        for p, q in zip(*[m.state_dict().values() for m, _ in self.worlds], strict=True):
            assert p._array.tobytes() == q._array.tobytes()

    def both(self, change: Any) -> None:
        for model, optimizer in self.worlds:
            change(model, optimizer)


def network() -> Any:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 2))


def test_values_shapes_and_types_of_arguments() -> None:
    pair = Pair()
    for _ in range(3):
        pair.agree()
    assert pair.compiled.traces == 1
    pair.agree(gy.randn(5, 3), gy.tensor([0, 1, 1, 0, 1]))
    assert pair.compiled.traces == 2
    pair.agree(gy.randn(8, 3), gy.tensor([1] * 8, dtype=gy.int32))
    assert pair.compiled.traces == 3
    pair.agree()
    assert pair.compiled.traces == 3 and "traces=3" in repr(pair.compiled)


def test_train_and_eval_are_two_programs() -> None:
    pair = Pair()
    for training in (True, False, True, False):
        pair.both(lambda m, o, on=training: m.train(on))
        pair.agree()
        pair.agree()
    assert pair.compiled.traces == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda m, o: m[3].__setattr__("p", 0.9),
        lambda m, o: m.__setitem__(2, nn.Tanh()),
        lambda m, o: m.append(nn.Sigmoid()),
        lambda m, o: m[1].__setattr__("eps", 0.1),
        lambda m, o: m[1].__setattr__("momentum", 0.5),
        lambda m, o: m[0].requires_grad_(False),
        lambda m, o: o.param_groups[0].update(amsgrad=True),
        lambda m, o: o.param_groups[0].update(weight_decay=0.1),
        lambda m, o: o.param_groups[0].update(maximize=True),
        lambda m, o: m[0].register_forward_hook(lambda module, args, y: y * 2),
        lambda m, o: m[2].__setattr__("forward", lambda x: x.sin()),
        lambda m, o: m[0].weight.register_hook(lambda g: g * 0.5),
    ],
)
def test_a_changed_graph_traces_again(change: Any) -> None:
    pair = Pair()
    pair.agree()
    pair.agree()
    pair.both(change)
    pair.agree()
    pair.agree()
    assert pair.compiled.traces == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda m, o: o.param_groups[0].update(lr=0.3),
        lambda m, o: o.param_groups[0].update(lr=0.0),
        lambda m, o: o.param_groups[0].update(betas=(0.5, 0.9), eps=1e-3),
        lambda m, o: setattr(m[0].weight, "data", gy.ones(4, 3)),
        lambda m, o: m.load_state_dict({k: v * 0.5 if v.is_floating_point() else v for k, v in m.state_dict().items()}),
        lambda m, o: o.load_state_dict(o.state_dict()),
        lambda m, o: m[1].reset_running_stats(),
        lambda m, o: [p.data.mul_(0.5) for p in m.parameters()],
    ],
)
def test_new_values_need_no_trace(change: Any) -> None:
    pair = Pair()
    pair.agree()
    pair.agree()
    pair.both(change)
    pair.agree()
    pair.agree()
    assert pair.compiled.traces == 1


def test_a_replaced_parameter_is_bound_anew() -> None:
    pair = Pair(optimizer=lambda p: optim.SGD(p, lr=0.1))
    pair.agree()

    def replace(m: Any, o: Any) -> None:
        m[0].weight = nn.Parameter(gy.ones(4, 3))
        o.param_groups[0]["params"][0] = m[0].weight

    pair.both(replace)
    pair.agree()
    pair.agree()
    assert pair.compiled.traces == 1


def test_a_new_group_and_another_type_trace_again() -> None:
    pair = Pair(make=lambda: nn.Sequential(nn.Linear(3, 2)))
    pair.agree()
    pair.both(lambda m, o: m.double())
    pair.x = pair.x.double()
    pair.agree()
    extra = [nn.Parameter(gy.ones(2)) for _ in range(2)]
    for (_, o), p in zip(pair.worlds, extra, strict=True):
        o.add_param_group({"params": [p], "lr": 1.0})
    pair.agree()
    assert pair.compiled.traces == 3


def test_eager_and_compiled_steps_may_alternate() -> None:
    pair = Pair()
    for k in range(6):
        if k % 2:
            state = gy.get_rng_state()
            pair.eager(pair.x, pair.t)
            gy.set_rng_state(state)
            pair.compiled.function(pair.x, pair.t)
        else:
            pair.agree()
    first, second = (o.state_dict()["state"] for _, o in pair.worlds)
    for p in first:
        assert all(np.array_equal(first[p][k]._array, second[p][k]._array) for k in first[p])


def test_globals_closures_and_containers_are_watched() -> None:
    global factor
    offset, table = 1.0, [10.0]

    def f(x: Any) -> Any:
        return layers["first"](x) * scale * factor + offset + table[0]

    step = compiled(f)
    x = gy.ones(2, 3)

    def agree() -> None:
        assert np.array_equal(step(x)._array, f(x)._array)

    agree()
    scale.fill_(5)
    agree()
    assert step.traces == 1
    for change in (lambda: table.__setitem__(0, 7.0), lambda: layers.update(first=nn.Linear(3, 3, bias=False))):
        change()
        agree()
    factor = 4.0
    agree()
    offset = 2.0
    agree()
    assert step.traces == 5
    scale.fill_(2)
    factor = 3.0


def test_attributes_of_objects_methods_and_lambdas_are_watched() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.model, self.gain = nn.Linear(2, 2), 2.0

        def predict(self, x: Any) -> Any:
            return self.scaled(self.model(x))

        def scaled(self, y: Any) -> Any:
            return y * self.gain

    trainer, x = Trainer(), gy.ones(1, 2)
    method, function = compiled(trainer.predict), compiled(lambda x: trainer.predict(x) + 1)
    for gain in (2.0, 3.0, 4.0):
        trainer.gain = gain
        assert np.array_equal(method(x)._array, trainer.predict(x)._array)
        assert np.array_equal(function(x)._array, (trainer.predict(x) + 1)._array)
    assert method.traces == 3


def test_a_method_is_compiled_by_the_decorator_for_each_object() -> None:
    class Scaled:
        def __init__(self, k: float) -> None:
            self.k = gy.tensor(k)

        @gy.compile(runner="interpret")
        def times(self, x: Any) -> Any:
            return x * self.k

    a, b = Scaled(2.0), Scaled(3.0)
    assert a.times(gy.tensor([1.0])).item() == 2 and b.times(gy.tensor([1.0])).item() == 3


def test_a_tensor_that_no_walk_finds_is_read_afresh() -> None:
    hidden = {"a": {"b": {"c": iter([gy.tensor([1.0, 2.0])])}}}
    kept = next(hidden["a"]["b"]["c"])

    class Opaque:
        def __getattribute__(self, name: str) -> Any:
            return kept if name == "value" else object.__getattribute__(self, name)

    opaque = Opaque()
    get = type(opaque).__getattribute__
    step = compiled(lambda x: x + opaque.value * 2)
    x = gy.zeros(2)
    assert step(x).tolist() == [2, 4]
    kept.fill_(5)
    assert step(x).tolist() == [10, 10] and get is not None


def test_floats_vary_and_whole_numbers_do_not() -> None:
    step = compiled(lambda x, a, n: x * a + n)
    x = gy.ones(2)
    assert [step(x, a, 1).tolist()[0] for a in (0.5, 2.0, 0.0)] == [1.5, 3.0, 1.0] and step.traces == 1
    assert step(x, 1.0, 5).tolist()[0] == 6 and step.traces == 2


def test_the_learning_rate_may_be_an_argument() -> None:
    p = nn.Parameter(gy.ones(2))
    o = optim.SGD([p], lr=1.0)

    @gy.compile(runner="interpret")
    def step(lr: float) -> Any:
        o.param_groups[0]["lr"] = lr
        o.zero_grad()
        (p * 2).sum().backward()
        o.step()

    for lr in (0.5, 0.25):
        before = p.detach().clone()
        step(lr)
        assert np.array_equal(p._array, before._array - np.float32(lr) * 2) and o.param_groups[0]["lr"] == lr
    assert step.traces == 1


def test_grad_mode_and_default_type_are_part_of_the_key() -> None:
    w = nn.Parameter(gy.ones(2))
    step = compiled(lambda x: (x * w).sum() + gy.ones(1))
    x = gy.ones(2)
    assert step(x).item() == 3
    with gy.no_grad():
        assert step(x).item() == 3
    assert step.traces == 2


def test_two_compiled_functions_share_a_model() -> None:
    pair = Pair()
    model = pair.worlds[1][0]

    @gy.compile(runner="interpret")
    @gy.no_grad()
    def predict(x: Any) -> Any:
        return model(x)

    pair.both(lambda m, o: m.__delitem__(3))
    for _ in range(3):
        pair.agree()
        pair.both(lambda m, o: m.eval())
        assert np.array_equal(predict(pair.x)._array, pair.worlds[0][0](pair.x)._array)
        pair.both(lambda m, o: m.train())
    assert predict.traces == 1 and pair.compiled.traces == 1


def test_two_compiled_steps_share_an_optimizer() -> None:
    pair = Pair()
    model, optimizer = pair.worlds[1]
    other = compiled(pair.step(model, optimizer))
    for _ in range(3):
        pair.agree()
        state = gy.get_rng_state()
        a = pair.eager(pair.x, pair.t)
        gy.set_rng_state(state)
        b = other(pair.x, pair.t)
        assert a._array.tobytes() == b._array.tobytes()
    assert other.traces == pair.compiled.traces == 1


def test_compiled_inside_compiled() -> None:
    inner = compiled(lambda x: x * scale)
    outer = compiled(lambda x: inner(x) + 1)
    assert outer(gy.ones(2)).tolist() == [3, 3] and inner.traces == 0


def test_labels_to_be_ignored_later_are_ignored() -> None:
    step = compiled(lambda x, t: nn.functional.cross_entropy(x, t, ignore_index=-1))
    x, t = gy.randn(4, 3), gy.tensor([0, 1, 2, 0])
    skipped = gy.tensor([0, -1, 2, -1])
    for labels in (t, skipped, t, skipped, skipped):
        assert step(x, labels).item() == nn.functional.cross_entropy(x, labels, ignore_index=-1).item()
    assert step.traces == 2


def test_a_wrong_label_gives_the_error_of_eager_and_changes_nothing() -> None:
    pair = Pair()
    pair.agree()
    before = pair.worlds[1][0].state_dict()["4.weight"]._array.copy()
    with pytest.raises(ValueError, match=r"class indices 0..1, got 7 at row 2"):
        pair.compiled(pair.x, gy.tensor([0, 1, 7, 0, 0, 0, 0, 0]))
    assert np.array_equal(before, pair.worlds[1][0].state_dict()["4.weight"]._array)


def test_a_wrong_word_gives_the_error_of_eager() -> None:
    table = nn.Embedding(4, 2)
    step = compiled(lambda i: table(i).sum())
    assert step(gy.tensor([0, 3])).item() == table(gy.tensor([0, 3])).sum().item()
    with pytest.raises(IndexError, match="0..3"):
        step(gy.tensor([0, 4]))


def test_threads_may_call_the_same_function() -> None:
    step = compiled(lambda x: (x * scale).sum())
    found: list[float] = []

    def work(k: int) -> None:
        for _ in range(30):
            found.append(step(gy.full((k,), float(k))).item() - 2 * k * k)

    threads = [threading.Thread(target=work, args=(k,)) for k in (1, 2, 3, 4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [0.0] * 120 and step.traces == 4


def test_many_kinds_of_calls_are_said_once() -> None:
    step = compiled(lambda x, n: x * n)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for n in range(12):
            assert step(gy.ones(1), n).item() == n
    assert len(told) == 1 and "8" in str(told[0].message)


def test_what_was_asked_of_numbers_is_asked_again() -> None:
    p = nn.Parameter(gy.zeros(1))
    o = optim.SGD([p], lr=1.0)

    @gy.compile(runner="interpret")
    def step(a: float) -> Any:
        rate = o.param_groups[0]["lr"]
        return p + (1 if a * 2 > 3 else 10) + (100 if rate > 0.5 else 200)

    for a, rate, wanted in ((1.0, 1.0, 110), (2.0, 0.7, 101), (5.0, 0.1, 201), (0.1, 0.2, 210), (0.5, 3.0, 110)):
        o.param_groups[0]["lr"] = rate
        assert step(a).item() == wanted
    assert step.traces == 4


def test_updates_in_pytorchs_style() -> None:
    class Plain(optim.Optimizer):
        def __init__(self, params: Any, lr: float, momentum: float) -> None:
            super().__init__(params, {"lr": lr, "momentum": momentum})

        @gy.no_grad()
        def step(self) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    if "buffer" not in state:
                        state["buffer"] = gy.zeros_like(p)
                    state["buffer"].mul_(group["momentum"]).add_(p.grad)
                    p.add_(state["buffer"], alpha=-group["lr"])

    pair = Pair(make=lambda: nn.Linear(3, 2), optimizer=lambda p: Plain(p, 0.1, 0.9))
    with pytest.warns(UserWarning, match="runs eagerly"):  # the first call makes the buffers
        pair.agree()
    for rate in (0.1, 0.1, 0.05):
        pair.both(lambda m, o, rate=rate: o.param_groups[0].update(lr=rate))
        pair.agree()
    assert pair.compiled.traces == 1 and not pair.compiled.fallback_reason


settings = types.SimpleNamespace(gain=2.0, parts=collections.deque([1.0]))
calls = 0


def test_settings_objects_are_watched() -> None:
    step = compiled(lambda x: x * settings.gain + settings.parts[0])
    for gain, part in ((2.0, 1.0), (3.0, 1.0), (3.0, 5.0)):
        settings.gain, settings.parts[0] = gain, part
        assert step(gy.ones(1)).item() == gain + part
    assert step.traces == 3


def _counting(x: Any) -> Any:
    global calls
    calls += 1
    return x * calls


numbers = itertools.count()
chance = random.Random(3)
numpy_chance = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_counting, "calls"),
        (lambda x: x + next(numbers), "numbers"),
        (lambda x: x + random.random(), "random"),
        (lambda x: x + chance.random(), "chance"),
        (lambda x: x + numpy_chance.random(), "chance"),
        (lambda x: x + float(np.random.rand()), "numpy"),
        (lambda x: x + time.perf_counter(), "time"),
    ],
)
def test_what_differs_at_each_use_runs_eagerly(function: Any, reason: str) -> None:
    step = compiled(function)
    x = gy.zeros(1, dtype=gy.float64) + 1
    with pytest.warns(UserWarning, match=f"runs eagerly.*{reason}"):
        first = step(x).item()
    assert len({first, step(x).item(), step(x).item()}) == 3


def test_methods_that_are_not_called_do_not_matter() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.model = nn.Linear(2, 1)

        def log(self) -> float:
            return time.time() + random.random()

        def predict(self, x: Any) -> Any:
            return self.helped(self.model(x))

        def helped(self, y: Any) -> Any:
            return y * settings.gain

    trainer, x = Trainer(), gy.ones(1, 2)
    step = compiled(trainer.predict)
    for gain in (2.0, 4.0):
        settings.gain = gain
        assert step(x).item() == trainer.predict(x).item()
    assert step.traces == 2 and not step.fallback_reason and trainer.log() > 0


def test_an_optimizer_that_has_forgotten_starts_anew() -> None:
    pair = Pair()
    pair.agree()
    pair.agree()
    pair.both(lambda model, optimizer: optimizer.state.clear())
    pair.agree()
    pair.agree()
    assert pair.compiled.traces == 1


@pytest.mark.parametrize("index", [[0, 9], np.array([0, -5])])
def test_an_index_that_does_not_exist_gives_an_error_also_where_it_is_fixed(index: Any) -> None:
    with pytest.raises(IndexError, match="index"):
        compiled(lambda x: x[index])(gy.ones(4, 2))


WRONG = {
    "inner sizes": lambda x, y: x @ y,
    "a layer": lambda x, y: layers["first"](x.T),
    "one after the other": lambda x, y: gy.cat([x, y], 1),
    "one upon the other": lambda x, y: gy.stack([x, y]),
    "a wider shape": lambda x, y: x.expand(3, 3),
    "a dimension": lambda x, y: x.sum(5),
    "a dimension twice": lambda x, y: x.sum((0, 0)),
    "the largest of none": lambda x, y: x[:0].amax(0),
    "elements": lambda x, y: x.reshape(4),
    "order": lambda x, y: x.permute(0, 0),
    "a row": lambda x, y: x[5],
    "too many": lambda x, y: x[0, 0, 0],
    "pairs": lambda x, y: x + y,
}


@pytest.mark.parametrize("function", WRONG.values(), ids=WRONG.keys())
def test_shapes_that_do_not_fit_give_the_error_of_eager(function: Any) -> None:
    x, y = gy.ones(2, 3), gy.ones(4, 3)
    said = []
    for call in (function, compiled(function)):
        with pytest.raises(GyakuError) as info:
            call(x, y)
        said.append((type(info.value), str(info.value).partition(" [")[0]))
    assert said[0] == said[1]


def test_a_function_whose_defaults_or_code_are_replaced_in_place() -> None:
    def helper(x: Any, k: float = 2.0) -> Any:
        return x * k

    f = compiled(lambda x: helper(x))
    assert f(gy.ones(1)).item() == 2
    helper.__defaults__ = (5.0,)
    assert f(gy.ones(1)).item() == 5
    helper.__code__ = (lambda x, k=0: x + k).__code__
    assert f(gy.ones(1)).item() == 6
