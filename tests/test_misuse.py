"""What goes wrong for people, and the one message each mistake gets: the whole text stands here.

The place in brackets at the end (the layer's path, the user's line) is tested on its own below.
"""

# ruff: noqa: E501 - a message stands on one line, as people read it

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn.functional as F
from gyaku import nn, optim
from gyaku.backend.namespace import NAMESPACES, Namespace
from gyaku.base.errors import GyakuError, require
from gyaku.utils.data import DataLoader, TensorDataset


def x() -> Any:
    return gy.ones(4, 3)


def leaf() -> Any:
    return gy.ones(2, requires_grad=True)


def labels(*values: int) -> Any:
    return gy.tensor(list(values))


def twice() -> None:
    y = (leaf() ** 2).sum()
    y.backward()
    y.backward()


def overwritten() -> None:
    y = gy.exp(leaf())
    z = (y * y).sum()
    with gy.no_grad():
        y.mul_(2)
    z.backward()


def without_recording() -> None:
    with gy.no_grad():
        y = (leaf() * 2).sum()
    y.backward()


def nan_in_forward() -> None:
    with gy.autograd.detect_anomaly(), np.errstate(invalid="ignore"):
        gy.log(gy.tensor([[1.0, 2.0], [-1.0, 3.0]]))


def nan_in_backward() -> None:
    v = gy.tensor([1.0, 0.0], requires_grad=True)
    with gy.autograd.detect_anomaly(), np.errstate(all="ignore"):
        (gy.sqrt(v) * gy.tensor([1.0, 0.0])).sum().backward()


def nan_in_data() -> None:
    samples = np.array([[0.0, 1.0], [np.nan, 1.0]], dtype=np.float32)
    gy.train.fit(nn.Linear(2, 2), (samples, np.array([0, 1])), epochs=1)


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(2, 2)]


class Forgotten(nn.Module):
    def __init__(self) -> None:
        self.a = nn.Linear(2, 2)


class Square(gy.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Any) -> Any:
        return v * v

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g, g


class FarArray:
    """An array of a GPU that is not here: enough of one to be noticed."""

    shape, ndim, dtype = (2,), 1, np.dtype("float32")


def two_devices() -> None:
    NAMESPACES[FarArray] = Namespace("cupy", np)
    try:
        from gyaku.core.tensor import new_tensor

        gy.ones(2) + new_tensor(FarArray())
    finally:
        del NAMESPACES[FarArray]


def hooked() -> None:
    y = leaf() * 2
    y.register_hook(lambda g: gy.ones(3))
    y.sum().backward()


MISUSES: list[tuple[str, Callable[[], Any], str]] = [
    (
        "linear of a picture",
        lambda: nn.Linear(784, 10)(gy.ones(32, 28, 28)),
        "linear (forward): expected x of shape (N, 784), got (32, 28, 28). Hint: x.flatten(1).",
    ),
    (
        "linear of another type",
        lambda: nn.Linear(3, 2)(gy.ones(2, 3).double()),
        "linear (forward): expected x of float32, as the weights, got float64. Hint: x.float().",
    ),
    (
        "linear of an array",
        lambda: nn.Linear(3, 2)(np.ones((2, 3), np.float32)),
        "linear (forward): expected x as a tensor, got ndarray. Hint: gyaku.as_tensor(x).",
    ),
    (
        "shapes that do not broadcast",
        lambda: gy.ones(3, 4) + gy.ones(3),
        "add (forward): expected shapes that broadcast together, got (3, 4) and (3,).",
    ),
    ("text in arithmetic", lambda: gy.ones(3) + "1", "arithmetic: expected a tensor or a number, got str."),
    (
        "matmul of two (N, K)",
        lambda: gy.ones(3, 4) @ gy.ones(3, 4),
        "matmul (forward): expected inner sizes that agree: (..., N, K) @ (..., K, L), got (3, 4) and (3, 4). Hint: transpose the second: @ B.T.",
    ),
    (
        "matmul of two types",
        lambda: gy.ones(2, 2) @ gy.ones(2, 2).double(),
        "matmul: expected tensors of one dtype, got gyaku.float32 and gyaku.float64. Hint: convert one: x.to(w.dtype).",
    ),
    (
        "view of another size",
        lambda: gy.ones(3, 4).view(5),
        "reshape (forward): expected a shape of 12 elements instead of (5,), got (3, 4).",
    ),
    ("dimension that is not there", lambda: x().sum(2), "sum: expected a dimension in -2..1, got 2."),
    (
        "position that is not there",
        lambda: x()[4],
        "index: expected positions inside shape (4, 3), got index 4 is out of bounds for axis 0 with size 4.",
    ),
    (
        "too many positions",
        lambda: x()[0, 0, 0],
        "index: expected positions inside shape (4, 3), got too many indices for array: array is 2-dimensional, but 3 were indexed.",
    ),
    (
        "float as position",
        lambda: x()[0.5],
        "index: expected int, slice, None, ..., a mask or whole numbers, got float.",
    ),
    (
        "value that does not fit its place",
        lambda: x().__setitem__(0, gy.ones(5)),
        "index write: expected a value that broadcasts to the place, of shape (3,), got one of shape (5,).",
    ),
    (
        "label -1",
        lambda: F.cross_entropy(x(), labels(0, 1, -1, 2)),
        "CrossEntropyLoss: expected class indices 0..2, got -1 at row 2.",
    ),
    (
        "label K",
        lambda: F.cross_entropy(x(), labels(0, 3, 1, 2)),
        "CrossEntropyLoss: expected class indices 0..2, got 3 at row 1.",
    ),
    (
        "one-hot for class indices",
        lambda: F.cross_entropy(x(), F.one_hot(labels(0, 1, 2, 0), 3)),
        "CrossEntropyLoss: expected class indices of shape (4,), got (4, 3). Hint: a one-hot target becomes class indices by target.argmax(1).",
    ),
    (
        "labels as floats",
        lambda: F.cross_entropy(x(), gy.ones(4)),
        "CrossEntropyLoss: expected class indices as integers of shape (4,), or probabilities of shape (4, 3), got float32 of shape (4,). Hint: target.long().",
    ),
    (
        "labels as a column",
        lambda: F.cross_entropy(x(), gy.ones(4, 1).long()),
        "CrossEntropyLoss: expected class indices of shape (4,), got (4, 1). Hint: target.squeeze(1).",
    ),
    (
        "labels of another batch",
        lambda: F.cross_entropy(x(), labels(0, 1)),
        "CrossEntropyLoss: expected class indices of shape (4,), got (2,).",
    ),
    (
        "(N, 1) against (N,)",
        lambda: F.mse_loss(gy.ones(4, 1), gy.ones(4)),
        "MSELoss: expected prediction and target of one shape, got (4, 1) and (4,). Hint: prediction.squeeze(1), or target.unsqueeze(1).",
    ),
    (
        "(N,) against (N, 1)",
        lambda: F.binary_cross_entropy_with_logits(gy.ones(4), gy.ones(4, 1)),
        "BCEWithLogitsLoss: expected prediction and target of one shape, got (4,) and (4, 1). Hint: target.squeeze(1), or prediction.unsqueeze(1).",
    ),
    (
        "logits for probabilities",
        lambda: F.binary_cross_entropy(gy.full((2,), 1.5), gy.ones(2)),
        "BCELoss: expected probabilities within 0..1, got 1.5. Hint: apply sigmoid, or use BCEWithLogitsLoss.",
    ),
    (
        "unknown reduction",
        lambda: nn.MSELoss(reduction="avg"),
        "MSELoss: expected reduction 'none', 'mean', 'sum', got 'avg'.",
    ),
    (
        "label smoothing outside",
        lambda: nn.CrossEntropyLoss(label_smoothing=1.5)(x(), labels(0, 1, 2, 0)),
        "CrossEntropyLoss: expected label_smoothing within 0..1, got 1.5.",
    ),
    (
        "backward on a vector",
        lambda: (leaf() * 2).backward(),
        "backward: expected a scalar, or the gradient arriving here as an argument, got a tensor of shape (2,). Hint: reduce it (E.sum().backward()) or pass gradient=; the derivative of an array by an array would be a fourth-order array.",
    ),
    (
        "backward twice",
        twice,
        "backward: expected a graph that still holds its values, got one that is spent: backward has run through it. Hint: pass retain_graph=True to the first backward, or compute the result again.",
    ),
    (
        "backward without grad",
        lambda: gy.ones(2).sum().backward(),
        "backward: expected a tensor that requires grad, got one without a graph. Hint: create its inputs with requires_grad=True, outside gyaku.no_grad().",
    ),
    (
        "backward under no_grad",
        without_recording,
        "backward: expected a tensor that requires grad, got one without a graph. Hint: create its inputs with requires_grad=True, outside gyaku.no_grad().",
    ),
    (
        "value overwritten before backward",
        overwritten,
        "mul (backward): expected the value of the forward pass, got a value that was overwritten in place after it. Hint: write to a copy (.clone()), or run backward before the update.",
    ),
    (
        "gradient of another shape",
        lambda: (leaf() * 2).backward(gy.ones(3)),
        "backward: expected a gradient of shape (2,), got (3,).",
    ),
    (
        "gradient of an integer tensor",
        lambda: gy.tensor([1, 2], requires_grad=True),
        "requires_grad_: expected a floating tensor (only those have gradients), got gyaku.int64. Hint: convert it with .float().",
    ),
    (
        "mean of integers",
        lambda: gy.arange(3).mean(),
        "mean: expected a floating tensor, got gyaku.int64. Hint: convert it with .float().",
    ),
    (
        "in-place on a leaf",
        lambda: leaf().add_(1),
        "in-place write: expected a tensor outside the graph, got a leaf that requires grad. Hint: write under gyaku.no_grad(), or make a new tensor (x = x + 1).",
    ),
    (
        "numpy of a leaf",
        lambda: leaf().numpy(),
        "numpy: expected a tensor without a graph, got one that requires grad. Hint: use .detach().numpy().",
    ),
    (
        "item of two",
        lambda: gy.ones(2).item(),
        "item: expected a tensor with one element, got (2,). Hint: use .tolist().",
    ),
    (
        "truth of two",
        lambda: bool(gy.ones(2)),
        "bool: expected a tensor with one element, got (2,). Hint: use .any() or .all().",
    ),
    (
        "grad assigned with another shape",
        lambda: setattr(leaf(), "grad", gy.ones(3)),
        "Tensor.grad: expected a gradient of shape (2,), got (3,).",
    ),
    (
        "grad of an unused input",
        lambda: gy.autograd.grad((leaf() * 2).sum(), leaf()),
        "grad: expected inputs that the outputs depend on, got input 0, which they do not. Hint: pass allow_unused=True to get None for it.",
    ),
    (
        "grad of a constant",
        lambda: gy.autograd.grad((leaf() * 2).sum(), gy.ones(2)),
        "backward: expected inputs that require grad, got one that does not. Hint: call .requires_grad_().",
    ),
    ("hook that changes the shape", hooked, "hook: expected a gradient of shape (2,), got (3,)."),
    (
        "hook that is no function",
        lambda: leaf().register_hook(3),
        "register_hook: expected a function of the gradient, got int.",
    ),
    (
        "own function with too many gradients",
        lambda: Square.apply(leaf()).sum().backward(),
        "Square.backward: expected 1 gradients, one for each argument of forward, got 2. Hint: return None for an argument without gradient.",
    ),
    (
        "optimizer without parameters",
        lambda: optim.SGD([], lr=0.1),
        "SGD: expected at least one parameter, got none. Hint: keep layers in nn.Sequential or nn.ModuleList (a plain list hides them), and pass model.parameters() again, because an iterator is empty after one use.",
    ),
    (
        "optimizer of one tensor",
        lambda: optim.SGD(leaf(), lr=0.1),
        "SGD: expected a list of parameters or of groups, got one Tensor. Hint: pass model.parameters(), or [tensor].",
    ),
    (
        "optimizer of a method",
        lambda: optim.SGD(nn.Linear(2, 2).parameters, lr=0.1),
        "SGD: expected a list of parameters or of groups, got method. Hint: pass model.parameters().",
    ),
    (
        "optimizer of a result",
        lambda: optim.SGD([leaf() * 2], lr=0.1),
        "SGD: expected leaf tensors, got the result of an operation as parameter 0. Hint: optimize the tensor it was made from, or .detach().requires_grad_().",
    ),
    ("negative learning rate", lambda: optim.Adam([leaf()], lr=-1), "Adam: expected 0 <= lr, got lr=-1."),
    (
        "nesterov without momentum",
        lambda: optim.SGD([leaf()], lr=0.1, nesterov=True),
        "SGD: expected momentum > 0 and dampening = 0 with nesterov, got momentum=0, dampening=0.",
    ),
    (
        "typo in an option",
        lambda: optim.SGD([leaf()], lr=0.1, momentun=0.9),
        "SGD: expected a known option (dampening, l1, l1_proximal, l2, lr, maximize, momentum, nesterov, weight_decay), got 'momentun'. Hint: did you mean 'momentum'?",
    ),
    (
        "schedule of a model",
        lambda: optim.lr_scheduler.StepLR(nn.Linear(2, 2), 3),
        "StepLR: expected an optimizer, got Linear.",
    ),
    (
        "one cycle without its length",
        lambda: optim.lr_scheduler.OneCycleLR(optim.SGD([leaf()], lr=0.1, momentum=0.9), max_lr=0.1),
        "OneCycleLR: expected total_steps, or epochs and steps_per_epoch, got neither.",
    ),
    (
        "typo in a dtype",
        lambda: x().to("flaot32"),
        "Tensor.to: expected a known device or dtype (bool, cpu, cuda, double, float, float16, float32, float64, half, int, int16, int32, int64, int8, long, short, uint8), got 'flaot32'. Hint: did you mean 'float32'?",
    ),
    (
        "device gpu",
        lambda: x().to("gpu"),
        "Tensor.to: expected a known device or dtype (bool, cpu, cuda, double, float, float16, float32, float64, half, int, int16, int32, int64, int8, long, short, uint8), got 'gpu'. Hint: did you mean 'cpu'?",
    ),
    (
        "typo in an attribute",
        lambda: nn.Linear(3, 2).wieght,
        "Linear: expected a known attribute (bias, in_features, out_features, training, weight), got 'wieght'. Hint: did you mean 'weight'?",
    ),
    (
        "typo in an optimizer",
        lambda: optim.Adma,
        "optim: expected a known name (Adadelta, Adagrad, Adam, AdamW, LBFGS, NAdam, Optimizer, RAdam, RMSprop, SGD, lr_scheduler, rules), got 'Adma'. Hint: did you mean 'Adam'?",
    ),
    (
        "typo in a nonlinearity",
        lambda: nn.init.calculate_gain("rellu"),
        "calculate_gain: expected a known nonlinearity (conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, identity, leaky_relu, linear, relu, selu, sigmoid, tanh), got 'rellu'. Hint: did you mean 'relu'?",
    ),
    (
        "NaN made by forward",
        nan_in_forward,
        "log (forward): expected no NaN from inputs without, got NaN at (1, 0). Hint: look at the inputs of this line.",
    ),
    (
        "NaN made by backward",
        nan_in_backward,
        "sqrt (backward): expected no NaN from gradients without, got NaN at (1,). Hint: look at the inputs of this line.",
    ),
    ("NaN in the data", nan_in_data, "fit: expected finite numbers in x, got nan at [1, 0]. Hint: fill or drop them."),
    (
        "arrays of two devices",
        two_devices,
        "add (forward): expected all arrays on one device, got cpu and cuda. Hint: move them with .to(device).",
    ),
    (
        "super().__init__() forgotten",
        Forgotten,
        "Forgotten: expected super().__init__() before anything else, got a use of '_parameters' without it. Hint: call super().__init__() first in __init__.",
    ),
    (
        "forward forgotten",
        lambda: nn.Module()(1),
        "Module: expected a method forward, got none. Hint: write def forward(self, x).",
    ),
    (
        "batch norm of one sample",
        lambda: nn.BatchNorm1d(3)(gy.ones(1, 3)),
        "batch_norm (training): expected more than 1 value per channel, got x of shape (1, 3). Hint: use a larger batch (drop_last=True), or model.eval() to predict.",
    ),
    (
        "batch norm of other channels",
        lambda: nn.BatchNorm1d(3)(gy.ones(5, 4)),
        "BatchNorm1d (forward): expected x of shape (N, 3) or (N, 3, L), got (5, 4).",
    ),
    (
        "groups that do not divide",
        lambda: nn.GroupNorm(2, 3),
        "GroupNorm: expected num_channels divisible by num_groups, got 3 and 2.",
    ),
    (
        "layer norm of another width",
        lambda: nn.LayerNorm(4)(gy.ones(2, 3)),
        "layer_norm (forward): expected x of shape (..., 4), got (2, 3).",
    ),
    ("dropout above 1", lambda: nn.Dropout(1.5), "Dropout: expected p within 0..1, got 1.5."),
    ("embedding outside", lambda: nn.Embedding(3, 2)(labels(0, 3)), "Embedding: expected indices 0..2, got 3 at (1,)."),
    (
        "embedding of floats",
        lambda: nn.Embedding(3, 2)(gy.ones(2)),
        "Embedding: expected integer indices, got gyaku.float32. Hint: x.long().",
    ),
    (
        "class for a layer",
        lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU),
        "Sequential: expected modules, number 1 too, got type.",
    ),
    (
        "tensor for a parameter",
        lambda: setattr(nn.Linear(3, 2), "weight", gy.ones(2, 3)),
        "Linear: expected a Parameter or None for 'weight', got Tensor.",
    ),
    (
        "train of a word",
        lambda: nn.Linear(3, 2).train("yes"),
        "Linear: expected train(mode) with True or False, got 'yes'.",
    ),
    (
        "state with a name missing",
        lambda: nn.Linear(3, 2).load_state_dict({"weight": gy.ones(2, 3)}),
        "load_state_dict: the state does not fit Linear: missing 'bias'. Hint: build the model with the settings it was saved with.",
    ),
    (
        "state with a typo",
        lambda: nn.Linear(3, 2).load_state_dict({"weigth": gy.ones(2, 3), "bias": gy.ones(2)}),
        "load_state_dict: the state does not fit Linear: missing 'weight'; unexpected 'weigth' (did you mean 'weight'?). Hint: build the model with the settings it was saved with.",
    ),
    (
        "state of another shape",
        lambda: nn.Linear(3, 2).load_state_dict({"weight": gy.ones(3, 3), "bias": gy.ones(2)}),
        "load_state_dict: the state does not fit Linear: weight: expected shape (2, 3), got (3, 3). Hint: build the model with the settings it was saved with.",
    ),
    (
        "initial values of a vector",
        lambda: nn.init.xavier_uniform_(gy.ones(3)),
        "init: expected a weight of at least 2 dimensions (out, in, ...), got (3,).",
    ),
    (
        "ragged rows",
        lambda: gy.tensor([[1.0, 2.0], [3.0]]),
        "tensor: expected a rectangular nest of numbers, got rows of different length.",
    ),
    (
        "text as numbers",
        lambda: gy.tensor(["a"]),
        "tensor: expected numbers, got str_ (np.str_('a')). Hint: encode text as class numbers first.",
    ),
    ("seed that is a word", lambda: gy.manual_seed("x"), "manual_seed: expected an integer seed, got 'x'."),
    ("softmax over a missing dimension", lambda: gy.softmax(x(), 2), "softmax: expected dim within -2..1, got 2."),
    ("cat of nothing", lambda: gy.cat([]), "cat: expected at least one tensor, got none."),
    (
        "cat of shapes",
        lambda: gy.cat([gy.ones(2, 3), gy.ones(2, 4)]),
        "concatenate (forward): expected shapes that differ in dimension 0 only, got (2, 3) and (2, 4).",
    ),
    ("split that does not add up", lambda: gy.split(x(), [1, 1]), "split: expected sizes whose sum is 4, got (1, 1)."),
    (
        "permute with a dimension twice",
        lambda: x().permute(0, 0),
        "permute: expected each of 2 dimensions once, got (0, 0).",
    ),
    (
        "expand of a size",
        lambda: x().expand(5, 5),
        "expand (forward): expected a shape that broadcasts to (5, 5), got (4, 3).",
    ),
    (
        "einsum with an operand missing",
        lambda: gy.einsum("ij,jk->ik", x()),
        "einsum: expected 2 operands for 'ij,jk->ik', got 1.",
    ),
    (
        "where of numbers",
        lambda: gy.where(x(), x(), x()),
        "where: expected a condition of truth values, got gyaku.float32. Hint: compare, as in x > 0.",
    ),
    ("clamp without bounds", lambda: x().clamp(), "clamp: expected min, max or both, got neither."),
    ("topk beyond the size", lambda: x().topk(4), "topk: expected k from 0 to 3, got 4."),
    (
        "function of an array",
        lambda: gy.exp(np.ones(3)),
        "exp: expected a tensor, got ndarray. Hint: wrap it: gyaku.tensor(...).",
    ),
    (
        "function of a number",
        lambda: gy.exp(2.0),
        "exp: expected a tensor, got float. Hint: wrap it: gyaku.tensor(...).",
    ),
    (
        "whole number to a negative power",
        lambda: gy.tensor([2]) ** -1,
        "pow: expected an exponent of at least 0 for whole numbers, got -1. Hint: convert the base with .float().",
    ),
    (
        "whole number divided by 0",
        lambda: gy.tensor([2]) // 0,
        "floor_divide: expected no divisor of 0 among whole numbers, got 0.",
    ),
    (
        "len of a number",
        lambda: len(gy.tensor(1.0)),
        "len: expected a tensor with at least one dimension, got a 0-d tensor.",
    ),
    (
        "negative weights of a draw",
        lambda: gy.multinomial(gy.tensor([-1.0, 1.0]), 1),
        "multinomial: expected weights that are finite, at least 0 and not all 0, got -1.",
    ),
    ("empty range of integers", lambda: gy.randint(5, 2, (2,)), "integers: expected low < high, got low=5, high=2."),
    (
        "arange that goes nowhere",
        lambda: gy.arange(0, 5, 0),
        "arange: expected a step that leads from start to end, got start=0, end=5, step=0.",
    ),
    (
        "batch size 0",
        lambda: DataLoader(TensorDataset(x()), batch_size=0),
        "DataLoader: expected batch_size, a whole number >= 1, got 0.",
    ),
    (
        "data set of two lengths",
        lambda: TensorDataset(gy.ones(3), gy.ones(4)),
        "TensorDataset: expected tensors of one length, got (3,), (4,).",
    ),
    (
        "pickle",
        lambda: pickle.dumps(x()),
        "pickle: expected safetensors (loading a file never runs code), got pickle. Hint: use gyaku.save and gyaku.load, or copy.deepcopy.",
    ),
]

WARNED: list[tuple[str, Callable[[], Any], str]] = [
    (
        "layers in a plain list",
        lambda: list(Listed().parameters()),
        "Listed: expected registered modules, got 1 in the plain list 'layers', which no optimizer will see. Hint: self.layers = nn.ModuleList(...).",
    ),
    (
        "step without gradients",
        lambda: optim.SGD([leaf()], lr=0.1).step(),
        "SGD.step: expected at least one parameter with a gradient, got none; nothing moved. Hint: call loss.backward() before step(), and zero_grad() after it.",
    ),
    (
        "softmax without a dimension",
        lambda: F.softmax(x()),
        "softmax: expected dim=, got none; dimension 1 is taken. Hint: say dim=1.",
    ),
    (
        "grad of a result",
        lambda: (leaf() * 2).grad,
        "Tensor.grad: expected a leaf, got the result of an operation, which keeps no gradient. Hint: call .retain_grad() before backward.",
    ),
]


def without_place(error: GyakuError) -> str:
    error.context = ""
    return str(error)


@pytest.mark.parametrize(("call", "text"), [m[1:] for m in MISUSES], ids=[m[0] for m in MISUSES])
def test_misuse_gets_this_message(call: Callable[[], Any], text: str) -> None:
    with pytest.raises(GyakuError) as caught:
        call()
    assert without_place(caught.value) == text


@pytest.mark.parametrize(("call", "text"), [m[1:] for m in WARNED], ids=[m[0] for m in WARNED])
def test_what_may_be_meant_is_only_warned_of(call: Callable[[], Any], text: str) -> None:
    with pytest.warns(UserWarning) as caught:
        call()
    assert [str(w.message) for w in caught] == [text]


GRAMMAR = "expected "


@pytest.mark.parametrize("text", [m[2] for m in MISUSES], ids=[m[0] for m in MISUSES])
def test_the_message_keeps_to_the_grammar(text: str) -> None:
    """operation: expected ..., got .... Hint: ...: one line, one sentence each, under 400 characters."""
    where, _, rest = text.partition(": ")
    assert where
    assert rest.startswith(GRAMMAR) or "does not fit" in rest
    assert "\n" not in text
    assert text.endswith((".", "?"))
    assert len(text) < 400


TYPOS = [
    (lambda: gy.sofmax, "gyaku", "sofmax", "softmax"),
    (lambda: nn.Liner, "nn", "Liner", "Linear"),
    (lambda: F.rellu, "nn.functional", "rellu", "relu"),
    (lambda: x().reshpae(2), "Tensor", "reshpae", "reshape"),
]


@pytest.mark.parametrize(("call", "where", "typo", "meant"), TYPOS, ids=[t[2] for t in TYPOS])
def test_a_typo_names_what_was_meant(call: Callable[[], Any], where: str, typo: str, meant: str) -> None:
    with pytest.raises(AttributeError) as caught:
        call()
    text = str(caught.value)
    assert text.startswith(f"{where}: expected a known name (")
    assert text.endswith(f", ...), got {typo!r}. Hint: did you mean {meant!r}?")


def test_there_are_many() -> None:
    assert len(MISUSES) + len(WARNED) >= 80


def test_the_users_line_is_named() -> None:
    with pytest.raises(GyakuError) as caught:
        x() + gy.ones(5)
    line = sys._getframe().f_lineno - 1
    assert str(caught.value).endswith(f"[{__file__}:{line}]")


def test_backward_names_the_line_that_made_the_value() -> None:
    y = gy.exp(leaf())
    z = y * y
    line = sys._getframe().f_lineno - 1
    with gy.no_grad():
        y.mul_(2)
    with pytest.raises(GyakuError) as caught:
        z.sum().backward()
    assert str(caught.value).endswith(f"[made at {__file__}:{line}]")


def test_the_layer_is_named_by_its_path() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(5, 2)))
    with pytest.raises(GyakuError) as caught:
        model(x())
    assert "1.1" in caught.value.context


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError) as caught:
        require("matplotlib", where="figure", extra="plots")
    assert str(caught.value) == (
        "figure: expected the package 'matplotlib', got none installed. Hint: pip install 'gyaku[plots]'."
    )


def test_no_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError) as caught:
        x().to("cuda")
    assert without_place(caught.value) == (  # type: ignore[arg-type]
        "device('cuda'): expected the package 'cupy', got none installed. Hint: pip install 'gyaku[cuda]'."
    )
