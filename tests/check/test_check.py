"""The check: right layers pass, wrong ones are caught, and the mistake is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from check.wrong_layers import RIGHT, WRONG, Affine, BatchNorm, Mean, Sigmoid, SoftmaxWithLoss, WritesDout
from gyaku import check, layers, nn
from gyaku.autograd import Function
from gyaku.base.errors import ArgumentError, DtypeError, UnknownNameError
from gyaku.check.causes import CAUSES

DRAW = np.random.RandomState(0)
X, ONE_HOT, NUMBERS = DRAW.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]], np.array([0, 2, 1, 1])


# --- right ones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RIGHT, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_a_right_layer_of_a_student_passes(kind: Any, seed: int) -> None:
    result = check.layer(kind, seed=seed)
    assert result.ok and result.cause is None, result.text("en")


LECTURE: list[tuple[Any, ...]] = [
    (layers.Affine(DRAW.normal(size=(3, 5)), DRAW.normal(size=5)), X),
    (layers.Sigmoid(), X),
    (layers.Tanh(), X),
    (layers.ReLU(), np.round(X)),  # at kinks: the points are moved
    (layers.LeakyReLU(), X),
    (layers.Dropout(0.4), X),
    (layers.BatchNorm(np.ones(3), np.zeros(3)), X),
    (layers.RegressionLoss(), X, DRAW.normal(size=(4, 3))),
    (layers.SigmoidWithLoss(), X, ONE_HOT),
    (layers.SoftmaxWithLoss(), X, ONE_HOT),
    (layers.SoftmaxWithLoss(), X, NUMBERS),
]
MODULES: list[tuple[Any, ...]] = [
    (nn.Linear(3, 5), X),
    (nn.BatchNorm1d(3), X),
    (nn.LayerNorm(3), X),
    (nn.Softmax(1), X),
    (nn.Dropout(0.3), X),
    (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.2), nn.Linear(4, 2)), X),
    (nn.MSELoss(), X, DRAW.normal(size=(4, 3))),
    (nn.CrossEntropyLoss(), X, NUMBERS),
    (nn.MultiClassHingeLoss(), X, NUMBERS),
    (nn.Embedding(5, 3), np.array([1, 4, 4, 0])),
]


@pytest.mark.parametrize("given", [*LECTURE, *MODULES], ids=lambda g: type(g[0]).__name__)
def test_the_layers_of_the_package_pass(given: tuple[Any, ...]) -> None:
    result = check.layer(*given)
    assert result.ok and result.findings == [], result.text("en")


@pytest.mark.parametrize("kind", [layers.Affine, layers.BatchNorm, layers.SoftmaxWithLoss, nn.Linear, nn.ReLU])
def test_a_class_is_made_by_the_names_of_its_arguments(kind: Any) -> None:
    result = check.layer(kind)
    assert result.ok and len(result.cases) >= 5


def test_modes_batches_and_sizes_are_tried() -> None:
    cases = check.layer(BatchNorm).cases
    assert {c.split(", ")[-1] for c in cases} == {"train", "eval"}
    assert any(c.startswith("x (1, ") for c in cases) and len({c.split(")")[0] for c in cases}) >= 4


# --- wrong ones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "cause"), WRONG.items(), ids=[k.__name__ for k in WRONG])
def test_a_wrong_layer_is_caught_and_the_mistake_named(kind: Any, cause: str) -> None:
    result = check.layer(kind)
    assert not result.ok and result.cause == cause, result.text("en")


def test_a_finding_names_array_element_and_both_values() -> None:
    found = check.layer(Mean(np.ones((3, 2)), np.zeros(2)), X).findings[0]
    assert found.name == "W" and found.place is not None and len(found.place) == 2
    assert found.analytic is not None and found.numeric == pytest.approx(4 * found.analytic, rel=1e-6)
    text = found.text("en")
    assert f"{found.analytic:.6g}" in text and f"{found.numeric:.6g}" in text and "self.db = dout.sum(axis=0)" in text


def test_a_mistake_inside_is_shown_as_a_change_of_its_line() -> None:
    found = check.layer(next(k for k in WRONG if k.__name__ == "SkipNoDerivative")).findings[0]
    assert found.edit is not None and "da = dout * 1.0  →  da = " in found.edit and "self.h ** 2" in found.edit


class Net:
    """Two layers and a loss; the derivative of tanh is forgotten."""

    def __init__(self, W1: Any, b1: Any, W2: Any, b2: Any) -> None:
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2

    def forward(self, x: Any, t: Any) -> Any:
        self.x, self.h = x, np.tanh(x @ self.W1 + self.b1)
        self.d = self.h @ self.W2 + self.b2 - t
        return 0.5 * (self.d**2).sum() / len(x)

    def backward(self, dout: Any = 1) -> Any:
        dy = dout * self.d / len(self.d)
        self.dW2, self.db2 = self.h.T @ dy, dy.sum(axis=0)
        dz = dy @ self.W2.T
        self.dW1, self.db1 = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W1.T


def test_one_mistake_that_spoils_several_gradients_is_explained_once() -> None:
    result = check.layer(Net)
    assert result.cause == "activation_derivative_missing" and {f.name for f in result.findings} == {"x", "W1", "b1"}
    text = result.text("en")
    assert text.count("dz = dy @ self.W2.T * (1 - self.h ** 2)") == 1 and text.count("backward gives") == 3


def test_two_mistakes_are_both_named() -> None:
    class Both(Affine):
        def backward(self, dout: Any) -> Any:
            self.dW, self.db = -self.x.T @ dout, dout.mean(axis=0)
            return dout @ self.W.T

    assert {f.name: f.cause for f in check.layer(Both).findings} == {"W": "sign", "b": "mean_instead_of_sum"}


def test_a_large_layer_is_checked_by_a_sample() -> None:
    right = layers.Affine(DRAW.normal(size=(200, 50)), DRAW.normal(size=50))
    assert check.layer(right, DRAW.normal(size=(40, 200))).ok
    wrong = check.layer(Mean(right.W, right.b), DRAW.normal(size=(40, 200)))
    assert wrong.cause == "mean_instead_of_sum" and wrong.findings[0].place is not None


def test_several_outputs() -> None:
    class Two:
        def forward(self, x: Any) -> Any:
            self.x = x
            return x**2, np.sin(x).sum(axis=1)

        def backward(self, da: Any, db: Any) -> Any:
            return 2 * self.x * da + np.cos(self.x) * db[:, None]

    class Half(Two):
        def backward(self, da: Any, db: Any) -> Any:
            return 2 * self.x * da

    assert check.layer(Two).ok and check.layer(Half).cause == "path_missing"


def test_a_forward_that_fails_or_gives_nan_is_told() -> None:
    class Fails(Sigmoid):
        def forward(self, x: Any) -> Any:
            return x @ x

    class Log:
        def forward(self, x: Any) -> Any:
            self.x = x
            return np.log(x)

        def backward(self, dout: Any) -> Any:
            return dout / self.x

    failing = check.layer(Fails)
    assert failing.cause == "crash" and "forward stops with ValueError" in failing.text("en")
    assert check.layer(Log).ok and "forward itself gives NaN" in check.layer(Log(), -np.ones((2, 2))).text("en")
    with pytest.raises(ArgumentError, match="forward runs"):
        failing.curve()


def test_both_languages_say_everything() -> None:
    result = check.layer(Mean)
    assert re.search("[ぁ-ん]", result.text("ja")) and not re.search("[ぁ-んァ-ン一-龥]", result.text("en"))
    assert all(c.en and re.search("[ぁ-んァ-ン一-龥]", c.ja) for c in CAUSES.values())
    assert str(check.layer(Mean, lang="ja")).startswith("Mean: 誤りがあります")


def test_every_cause_is_given_somewhere_and_none_that_does_not_exist() -> None:
    room = Path(check.__file__).parent
    constants = {
        node.value
        for path in room.glob("*.py")
        if path.name != "causes.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(CAUSES) - constants == set()


def test_a_layer_in_float32_is_told_so_and_not_called_wrong() -> None:
    class Narrow(Sigmoid):
        def forward(self, x: Any) -> Any:
            return super().forward(x.astype(np.float32))

    result = check.layer(Narrow)
    assert result.ok and [f.cause for f in result.findings] == ["wrong_dtype"] and not result.findings[0].severe


def test_a_view_of_dout_is_remarked_and_not_called_wrong() -> None:
    class Identity:
        def forward(self, x: Any) -> Any:
            return x.copy()

        def backward(self, dout: Any) -> Any:
            return dout

    result = check.layer(Identity)
    assert result.ok and [f.cause for f in result.findings] == ["aliased_gradient"]
    assert "view of dout" in result.text("en")


def test_the_constant_in_the_log_of_a_loss_is_no_mistake() -> None:
    assert check.layer(SoftmaxWithLoss(), 4 * X, ONE_HOT).ok


def test_inputs_and_the_object_are_left_as_they_are() -> None:
    layer, x = WritesDout(), X.copy()
    check.layer(layer, x)
    assert np.array_equal(x, X) and vars(layer) == {}


def test_the_random_numbers_of_the_caller_go_on() -> None:
    np.random.seed(3)
    gy.manual_seed(3)
    expected = np.random.rand(), gy.rand(1).item()
    np.random.seed(3)
    gy.manual_seed(3)
    check.layer(layers.Dropout(0.3), X)
    assert (np.random.rand(), gy.rand(1).item()) == expected


# --- other interfaces -------------------------------------------------------------------------------------------------


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, gy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x * x * gy


class WrongCube(Cube):
    @staticmethod
    def backward(ctx: Any, gy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return -3 * x * x * gy


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)

    def forward(self, x: Any) -> Any:
        return gy.tanh(self.first(x)) + x.detach()


def test_functions_of_autograd() -> None:
    assert check.layer(Cube, X).ok and check.layer(Cube).ok
    assert check.layer(WrongCube, X).cause == "sign"


def test_modules() -> None:
    result = check.layer(Detached(), X)
    assert result.cause == "path_missing" and result.findings[0].name == "x"


def test_several_inputs_and_several_gradients() -> None:
    class Mul:
        def forward(self, x: Any, y: Any) -> Any:
            self.x, self.y = x, y
            return x * y

        def backward(self, dout: Any) -> Any:
            return dout * self.y, dout * self.x

    class Exchanged(Mul):
        def backward(self, dout: Any) -> Any:
            return dout * self.x, dout * self.y

    assert check.layer(Mul).ok and check.layer(Exchanged).cause == "swapped_gradients"


def test_parameters_in_lists_as_in_a_well_known_book() -> None:
    class Listed:
        def __init__(self, W: Any, b: Any) -> None:
            self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

        def forward(self, x: Any) -> Any:
            W, b = self.params
            self.x = x
            return x @ W + b

        def backward(self, dout: Any) -> Any:
            self.grads[0][...] = self.x.T @ dout
            self.grads[1][...] = dout.mean(axis=0)
            return dout @ self.params[0].T

    result = check.layer(Listed)
    assert result.cause == "mean_instead_of_sum" and [f.name for f in result.findings] == ["params[1]"]


def test_gradients_of_a_function() -> None:
    assert check.gradients(lambda a, b: gy.tanh(a @ b), X, X.T).ok
    wrong = check.gradients(lambda x: (x**2).sum(), X, grad=lambda x: x)
    assert wrong.cause == "missing_factor_two" and check.gradients(lambda x: (x**2).sum(), X, grad=lambda x: 2 * x).ok
    both = check.gradients(lambda x, y: (x * y).sum(), X, X + 1, grad=lambda x, y: {"x0": y, "x1": -x})
    assert [(f.name, f.cause) for f in both.findings] == [("x1", "sign")]


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_checked_is_refused() -> None:
    class Odd:
        def __init__(self, mystery: Any) -> None: ...

        def forward(self, x: Any) -> Any:
            return x

        def backward(self, dout: Any) -> Any:
            return dout

    with pytest.raises(ArgumentError, match="mystery.*give an object"):
        check.layer(Odd)
    with pytest.raises(DtypeError, match="a layer with forward and backward, got int"):
        check.layer(3, X)
    with pytest.raises(ArgumentError, match="an input with elements"):
        check.layer(Sigmoid(), X[:0])
    with pytest.raises(ArgumentError, match="2 inputs"):
        check.layer(layers.SoftmaxWithLoss(), X)
    with pytest.raises(UnknownNameError):
        check.layer(Affine).curve("V")
    with pytest.raises(ArgumentError, match="element"):
        check.layer(Affine).curve("W", (9, 9))


def test_the_curve_is_a_v() -> None:
    curve = check.layer(Sigmoid(), X).curve()
    h, error = curve.best
    assert 1e-7 < h < 1e-3 and error < 1e-9 and curve.backward < 1e-8
    large, small = curve.h > 1e-2, curve.h < 1e-11
    slope = np.polyfit(np.log(curve.h[large]), np.log(curve.central[large]), 1)[0]
    assert slope == pytest.approx(2, abs=0.2) and curve.central[small].min() > 1e3 * error


def test_sizes_of_an_object_are_found_without_being_told() -> None:
    class TwoLayers:
        def __init__(self, input_size: int = 3, hidden: int = 6, outputs: int = 2) -> None:
            draw = np.random.RandomState(0)
            self.W1, self.W2 = draw.normal(size=(input_size, hidden)), draw.normal(size=(hidden, outputs))

        def forward(self, x: Any) -> Any:
            self.x, self.h = x, np.tanh(x @ self.W1)
            return self.h @ self.W2

        def backward(self, dout: Any) -> Any:
            self.dW2 = self.h.T @ dout
            delta = dout @ self.W2.T * (1 - self.h**2)
            self.dW1 = self.x.T @ delta * 0.5
            return delta @ self.W1.T

    result = check.layer(TwoLayers)
    assert [f.name for f in result.findings] == ["W1"] and result.arrays() == "x, W1, W2"


def test_pictures_and_numbers_that_are_learnt_are_tried() -> None:
    class Scale:
        def __init__(self, alpha: float) -> None:
            self.alpha = alpha

        def forward(self, x: Any) -> Any:
            _, _, _, _ = x.shape
            self.x = x
            return self.alpha * x

        def backward(self, dout: Any) -> Any:
            self.dalpha = np.sum(dout * self.x)
            return self.alpha * dout

    class Unsummed(Scale):
        def backward(self, dout: Any) -> Any:
            self.dalpha = dout * self.x
            return self.alpha * dout

    assert check.layer(Scale).ok and check.layer(Scale).arrays() == "x, alpha"
    assert not check.layer(Unsummed).ok


def test_an_input_that_cannot_be_guessed_is_asked_for() -> None:
    class Sevens:
        def __init__(self, n: int = 7) -> None:
            self.n = n

        def forward(self, x: Any) -> Any:
            return x + np.zeros((1, self.n))

        def backward(self, dout: Any) -> Any:
            return dout

    with pytest.raises(ArgumentError, match="give the shape of x"):
        check.layer(Sevens)
    assert check.layer(Sevens, (3, 7)).ok


def test_a_loss_that_is_the_last_layer_may_leave_dout_out() -> None:
    class Squares:
        def forward(self, x: Any, t: Any) -> Any:
            self.d = x - t
            return 0.5 * np.sum(self.d**2) / len(x)

        def backward(self, dout: Any = 1) -> Any:
            return self.d / len(self.d)

    result = check.layer(Squares)
    assert result.ok and result.findings[0].cause == "upstream_ignored"


class ClassNumbers:
    """A right loss whose target is the number of the class, and which finds that out by indexing."""

    def forward(self, x: Any, t: Any) -> Any:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.log(self.y[np.arange(len(t)), t]).mean()

    def backward(self, dout: Any = 1) -> Any:
        dx = self.y.copy()
        dx[np.arange(len(dx)), self.t] -= 1
        return dout * dx / len(dx)


def test_a_target_that_is_a_class_number_is_guessed() -> None:
    assert check.layer(ClassNumbers).ok


def test_chance_is_as_before_also_when_constructors_draw() -> None:
    class Drawn(Affine):
        def __init__(self, in_features: int, out_features: int) -> None:
            super().__init__(np.random.randn(in_features, out_features), np.random.randn(out_features))

    before = np.random.get_state()[1].tobytes()
    assert check.layer(Drawn).ok
    assert np.random.get_state()[1].tobytes() == before


@pytest.mark.parametrize("wrong", [np.nan, 1j, None, "x"])
def test_gradients_that_are_no_numbers_are_not_compared_with_later_ones(wrong: Any) -> None:
    class Odd:
        def forward(self, x: Any) -> Any:
            return 2 * x

        def backward(self, dout: Any) -> Any:
            return np.full(dout.shape, wrong)

    result = check.layer(Odd)
    assert not result.ok and not {"stale_state", "aliased_gradient"} & {f.cause for f in result.findings}


def test_a_function_without_anything_to_differentiate_by_is_refused() -> None:
    with pytest.raises(DtypeError, match="an input of floating numbers, got int64"):
        check.gradients(lambda w: (w * w).sum(), np.array([1, 2]))
    with pytest.raises(DtypeError, match="expected a function, got int"):
        check.gradients(3, np.ones(2))  # type: ignore[arg-type]


def test_a_result_shows_itself_as_words() -> None:
    found = check.gradients(gy.tanh, np.ones(2), lang="en")
    assert repr(found) == "tanh: right. The gradients by x agree with numerical differentiation in 1 case."
