"""Layers, losses and initial values under PyTorch's names.

>>> import gyaku as gy
>>> model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
>>> model(gy.ones(4, 2)).shape
(4, 1)
>>> [name for name, p in model.named_parameters()]
['0.weight', '0.bias', '2.weight', '2.bias']
"""

from __future__ import annotations

from typing import Any

from gyaku.base.errors import UnknownNameError
from gyaku.core.tensor import Parameter
from gyaku.nn import functional, init, penalty, utils
from gyaku.nn.activation import (
    ELU,
    GELU,
    SELU,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from gyaku.nn.containers import ModuleDict, ModuleList, ParameterList, Sequential
from gyaku.nn.conv import Conv1d, Conv2d, ConvTranspose2d
from gyaku.nn.dropout import Dropout, Dropout2d
from gyaku.nn.embedding import Embedding
from gyaku.nn.linear import Bilinear, Flatten, Identity, Linear, Unflatten
from gyaku.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HingeEmbeddingLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    MultiClassHingeLoss,
    MultiMarginLoss,
    NLLLoss,
    SmoothL1Loss,
)
from gyaku.nn.module import Module
from gyaku.nn.norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from gyaku.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool1d, MaxPool2d, Upsample

__all__ = [
    "AdaptiveAvgPool2d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d", "Bilinear",
    "Conv1d", "Conv2d", "ConvTranspose2d", "CrossEntropyLoss", "Dropout", "Dropout2d", "ELU", "Embedding", "Flatten",
    "GELU", "GroupNorm", "Hardtanh", "HingeEmbeddingLoss", "HuberLoss", "Identity", "KLDivLoss", "L1Loss",
    "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss", "MaxPool1d", "MaxPool2d", "Module",
    "ModuleDict", "ModuleList", "MultiClassHingeLoss", "MultiMarginLoss", "NLLLoss", "PReLU", "Parameter",
    "ParameterList", "ReLU", "SELU", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax", "Softplus", "Tanh",
    "Unflatten", "Upsample", "functional", "init", "penalty", "utils",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise UnknownNameError("nn", name, __all__)
