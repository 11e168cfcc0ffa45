"""The promised names exist, and take PyTorch's arguments in PyTorch's order with PyTorch's defaults."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn.functional as F
from gyaku import nn, optim
from gyaku.utils import data

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make parity` installs it")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOP = """tensor as_tensor from_numpy
zeros ones full empty arange linspace eye rand randn randint randperm bernoulli
normal multinomial zeros_like ones_like full_like empty_like rand_like randn_like randint_like manual_seed Generator
float16 float32 float64 float double uint8 int32 int64 long bool Tensor device no_grad enable_grad inference_mode
set_grad_enabled is_grad_enabled cat stack split chunk where gather scatter_add take_along_dim index_select masked_fill
maximum minimum clamp einsum matmul bmm outer dot norm logsumexp softmax log_softmax allclose isnan isfinite argmax topk
sort cumsum tril triu meshgrid heaviside save load add sub mul div neg exp log log1p expm1 sqrt rsqrt pow abs sign sin
cos tanh sigmoid relu erf reciprocal floor ceil round sum mean prod max min amax amin argmin var std any all reshape
flatten unflatten squeeze unsqueeze transpose permute eq ne lt le gt ge numel clone"""
METHODS = """data grad requires_grad requires_grad_ grad_fn is_leaf retain_grad register_hook backward detach clone item
tolist numpy shape size dim ndim numel dtype device to cpu cuda float double long bool type_as view reshape flatten
unflatten squeeze unsqueeze transpose permute T mT expand expand_as repeat contiguous sum mean prod topk gather sort
chunk split masked_fill triu tril max min amax amin argmax argmin var std any all cumsum norm exp log log1p expm1 sqrt
rsqrt pow abs sign sin cos tanh sigmoid relu erf reciprocal floor ceil round clamp softmax log_softmax logsumexp zero_
fill_ copy_ normal_ uniform_ add_ mul_ sub_ div_ __array__ __dlpack__ where index_select matmul bmm dot add sub mul div
eq ne lt le gt ge isnan isfinite allclose maximum minimum unbind clamp_ exp_ sqrt_ neg_ pow_ masked_fill_ scatter_add"""
LAYERS = """Linear Bilinear Identity Flatten Unflatten Embedding BatchNorm1d BatchNorm2d LayerNorm GroupNorm Dropout
Conv1d Conv2d ConvTranspose2d MaxPool1d MaxPool2d AvgPool2d AdaptiveAvgPool2d Upsample
Dropout2d ReLU LeakyReLU PReLU ELU SELU GELU SiLU Softplus Sigmoid Tanh Hardtanh Softmax LogSoftmax MSELoss L1Loss
SmoothL1Loss HuberLoss CrossEntropyLoss NLLLoss BCELoss BCEWithLogitsLoss MultiMarginLoss HingeEmbeddingLoss KLDivLoss
Sequential ModuleList ModuleDict ParameterList Module Parameter"""
FUNCTIONS = """linear bilinear embedding one_hot batch_norm layer_norm group_norm dropout dropout2d relu leaky_relu
prelu elu selu gelu silu softplus sigmoid tanh hardtanh softmax log_softmax mse_loss l1_loss smooth_l1_loss huber_loss
cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits multi_margin_loss hinge_embedding_loss
kl_div pad logsigmoid conv1d conv2d conv_transpose1d conv_transpose2d max_pool1d max_pool2d avg_pool2d
adaptive_avg_pool2d interpolate unfold fold"""
INIT = """uniform_ normal_ constant_ zeros_ ones_ xavier_uniform_ xavier_normal_ kaiming_uniform_ kaiming_normal_
orthogonal_ trunc_normal_ calculate_gain"""
OPTIM = "SGD Adagrad RMSprop Adam AdamW NAdam RAdam Adadelta LBFGS"
SCHEDULES = """StepLR MultiStepLR ExponentialLR LinearLR CosineAnnealingLR CosineAnnealingWarmRestarts OneCycleLR
ReduceLROnPlateau LambdaLR SequentialLR"""
UTILS = "clip_grad_norm_ clip_grad_value_ parameters_to_vector vector_to_parameters"
DATA = "Dataset IterableDataset TensorDataset Subset ConcatDataset random_split DataLoader"
AUTOGRAD = "grad gradcheck gradgradcheck Function detect_anomaly functional"
# PyTorch arguments for devices, memory or speed, which change no result; its keyword-only ones; its outdated ones.
TECHNICAL = set(
    "device dtype inplace size_average reduce foreach capturable differentiable fused sparse _weight _freeze "
    "_stacklevel pin_memory timeout worker_init_fn multiprocessing_context prefetch_factor persistent_workers "
    "pin_memory_device in_order generator error_if_nonfinite verbose args kwargs maximize decoupled_weight_decay "
    "min_value max_value".split()
)


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (gy, torch, TOP),
        (gy.Tensor, torch.Tensor, METHODS),
        (nn, torch.nn, LAYERS),
        (F, torch.nn.functional, FUNCTIONS),
        (nn.init, torch.nn.init, INIT),
        (nn.utils, torch.nn.utils, UTILS),
        (optim, torch.optim, OPTIM),
        (optim.lr_scheduler, torch.optim.lr_scheduler, SCHEDULES),
        (data, torch.utils.data, DATA),
        (gy.autograd, torch.autograd, AUTOGRAD),
    ],
    ids="top Tensor nn functional init utils optim lr_scheduler data autograd".split(),
)
def test_promised_names_exist(ours: Any, theirs: Any, names: str) -> None:
    assert [n for n in names.split() if not hasattr(theirs, n)] == []
    assert [n for n in names.split() if not hasattr(ours, n)] == []


def arguments(function: Any) -> list[tuple[str, Any]]:
    """Return (name, default) of the arguments that can be given by position, the technical ones left out."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.default) for p in parameters if p.kind in kinds and p.name not in TECHNICAL | {"self"}]


def alike(a: Any, b: Any) -> bool:
    if a is inspect.Parameter.empty or b is inspect.Parameter.empty:
        return a is b
    if isinstance(b, (bool, int, float, str, tuple, type(None))):
        return bool(a == b)
    return True  # a sentinel of PyTorch's


DIFFERENT = {
    "ParameterList": "PyTorch names its one argument values",
    "Module": "PyTorch's takes anything",
    "Parameter": "PyTorch's is made by __new__",
    "max_pool1d": "PyTorch's is a switch that takes anything",
    "max_pool2d": "PyTorch's is a switch that takes anything",
}
PAIRS = [
    pytest.param(ours, theirs, name, id=f"{room}.{name}")
    for room, ours, theirs, names in (
        ("nn", nn, torch.nn, LAYERS),
        ("functional", F, torch.nn.functional, FUNCTIONS),
        ("init", nn.init, torch.nn.init, INIT),
        ("utils", nn.utils, torch.nn.utils, UTILS),
        ("optim", optim, torch.optim, OPTIM),
        ("lr_scheduler", optim.lr_scheduler, torch.optim.lr_scheduler, SCHEDULES),
        ("data", data, torch.utils.data, DATA),
    )
    for name in names.split()
    if name not in DIFFERENT
]


@pytest.mark.parametrize(("ours", "theirs", "name"), PAIRS)
def test_arguments_and_defaults(ours: Any, theirs: Any, name: str) -> None:
    """PyTorch's arguments come first and in its order; ours may add keyword-only ones."""
    try:
        wanted = arguments(getattr(theirs, name))
    except ValueError:
        pytest.skip("PyTorch shows no signature of a built-in function")
    found = arguments(getattr(ours, name))
    assert [n for n, _ in found[: len(wanted)]] == [n for n, _ in wanted]
    for (argument, ours_default), (_, default) in zip(found, wanted):
        assert alike(ours_default, default), (argument, ours_default, default)
    extra = [n for n, _ in found[len(wanted) :]]
    keyword = inspect.signature(getattr(ours, name)).parameters
    assert [n for n in extra if keyword[n].kind is not inspect.Parameter.KEYWORD_ONLY] == []


KEYWORDS: dict[str, dict[str, Any]] = {
    "sum": {"dim": 0, "keepdim": True},
    "mean": {"dim": 0, "keepdim": True},
    "softmax": {"dim": 0},
    "argmax": {"dim": 0, "keepdim": True},
    "max": {"dim": 0},
    "cumsum": {"dim": 0},
    "sort": {"dim": 0, "descending": True, "stable": True},
    "topk": {"k": 1, "dim": 0, "largest": False, "sorted": True},
    "var": {"dim": 0, "correction": 0, "keepdim": True},
    "norm": {"p": 2, "dim": 0, "keepdim": True},
    "clamp": {"min": 0.0, "max": 1.0},
    "transpose": {"dim0": 0, "dim1": 1},
    "flatten": {"start_dim": 0, "end_dim": -1},
    "unflatten": {"dim": 0, "sizes": (1, 2)},
    "squeeze": {"dim": 0},
    "unsqueeze": {"dim": 0},
    "chunk": {"chunks": 2, "dim": 0},
    "tril": {"diagonal": 0},
    "triu": {"diagonal": 0},
    "logsumexp": {"dim": 0, "keepdim": True},
    "add": {"other": 1, "alpha": 2},
    "pow": {"exponent": 2},
    "round": {"decimals": 1},
    "zeros_like": {},
    "full_like": {"fill_value": 2.0},
    "all": {"dim": 0, "keepdim": True},
    "prod": {"dim": 0, "keepdim": True},
}


@pytest.mark.parametrize("name", KEYWORDS)
def test_arguments_by_name(name: str) -> None:
    """Built-in functions show no signature, so they are called by PyTorch's argument names."""
    results = []
    for T in (gy, torch):
        y = getattr(T, name)(input=T.tensor([[0.5, 2.0], [-1.0, 3.0]]), **KEYWORDS[name])
        several = y if isinstance(y, (tuple, list)) else [y]
        results.append([np.asarray(v) for v in several])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
